"""What holds at each place of a text: in a string, so far into the line, so deep in brackets.

A mark at place i is of the text up to and with character i, which is what a network knows when it
has read it.
"""

from __future__ import annotations

import re

import numpy as np

LONGEST_LINE = 80  # characters; places beyond count as this one
OPENING, CLOSING = "([{", ")]}"

# Prefix and quotes of a string of Python, or a comment. A quote in a comment opens nothing.
_PYTHON = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | [rbuf]{0,2}(?P<string>
          \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
        | \"(?:\\.|[^\"\\\n])*\" | '(?:\\.|[^'\\\n])*')""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_NAME = re.compile(r"(?<=\n\n)[A-Z][^\n:]*:")


def marks(text: str, syntax: str) -> dict[str, np.ndarray]:
    """Marks by name, each float `[N]` for the N characters of a text.

    Args:
      text: whole from its beginning.
      syntax: "python" has "quotes" (1 within a string), "comments" and "brackets" (their depth);
        "prose" has "names" (1 within a speaker's name, which is a line's beginning after an empty
        line, up to its colon). Both have "line": characters since the line began.
    """
    found = {"line": line_places(text)}
    if syntax == "python":
        strings, comments = _spans(text)
        found |= {"quotes": strings, "comments": comments, "brackets": _depth(text)}
    else:
        found["names"] = np.zeros(len(text))
        for match in _NAME.finditer(text):
            found["names"][match.start() : match.end() - 1] = 1.0
    return found


def line_places(text: str) -> np.ndarray:
    """Characters since the last line began: 0 after a newline, `LONGEST_LINE` at most."""
    place = np.arange(1, len(text) + 1)
    newline = np.array([c == "\n" for c in text])
    begun = np.maximum.accumulate(np.where(newline, place, 0))
    return np.minimum(place - begun, LONGEST_LINE).astype(float)


def bracket_distances(text: str, syntax: str) -> np.ndarray:
    """How far each closing bracket stands from its opening one: `[N]`, 0 at all other places.

    Of Python, brackets in strings and comments do not count.
    """
    found, opened = np.zeros(len(text), int), []
    for place, character in enumerate(_code(text) if syntax == "python" else text):
        if character in OPENING:
            opened.append((character, place))
        elif character in CLOSING and opened:
            opening, begin = opened.pop()
            if OPENING.index(opening) == CLOSING.index(character):
                found[place] = place - begin
    return found


def _spans(text: str) -> tuple[np.ndarray, np.ndarray]:
    """1 within a string, from behind its first quote to its last; and 1 within a comment."""
    strings, comments = np.zeros(len(text)), np.zeros(len(text))
    for match in _PYTHON.finditer(text):
        for mask, group in ((strings, "string"), (comments, "comment")):
            if match[group] is not None:
                mask[match.start(group) : match.end() - (group == "string")] = 1.0
    return strings, comments


def _code(text: str) -> str:
    """A Python text with blanks in place of strings and comments."""
    return _PYTHON.sub(lambda match: " " * len(match[0]), text)


def _depth(text: str) -> np.ndarray:
    steps = [(c in OPENING) - (c in CLOSING) for c in _code(text)]
    return np.maximum(np.cumsum(steps), 0).astype(float)
