"""Strings to be written down again: a sequence task with nothing in it but memory."""

from __future__ import annotations

import re

import numpy as np

from research.core.errors import UserError

SYMBOLS = "abcdefghij"


def generate(count: int, shortest: int, longest: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` different pairs of a string and itself, symbols separated by blanks.

    Args:
      count: a longer list of the same seed begins with a shorter one.
      shortest, longest: symbols of a string, all lengths between them being as frequent.
      seed: of the strings.
    """
    rng = np.random.default_rng(seed)
    strings: dict[str, None] = {}
    while len(strings) < count:
        symbols = rng.integers(len(SYMBOLS), size=rng.integers(shortest, longest + 1))
        strings[" ".join(SYMBOLS[i] for i in symbols)] = None
    return [(string, string) for string in strings]


def parse(name: str) -> tuple[int, int]:
    """Shortest and longest strings of a name such as "copy:16-24".

    Raises:
      UserError: the name is no such name, or strings are too short to differ.
    """
    found = re.fullmatch(r"copy:(\d+)-(\d+)", name)
    if not found or not 6 <= int(found[1]) <= int(found[2]):
        raise UserError(f"{name!r} is not copy:SHORTEST-LONGEST with 6 <= SHORTEST <= LONGEST")
    return int(found[1]), int(found[2])
