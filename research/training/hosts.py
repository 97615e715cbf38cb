"""Joining the processes of one run."""


def initialize() -> None:
    """Joins the other processes, where there are any."""
