"""Output into a pipe whose reader leaves first, as `head` does."""

import os
import sys

SIGPIPE = 141  # exit code of a program that a shell finds ended by this signal: 128 + 13


def reader_left() -> int:
    """After a `BrokenPipeError`: drops what is left to be said; returns the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())  # or Python tries again at its end, and complains
    return SIGPIPE
