"""Updates that more than one agent shares."""
