"""The protocol of environments, and what speaks it."""
