"""What papers report."""
