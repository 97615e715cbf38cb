"""The one exception for what a user can get wrong."""

from collections.abc import Iterable
from typing import Any

_LONGEST = 1_000  # characters of a message


class UserError(Exception):
    """Bad input: one line that says what is wrong and what to do. The entry point exits with 2.

    The line is one whatever it quotes: line breaks and other control characters are escaped, and
    the middle of a very long message is left out.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Text as one printable line; the middle is left out where it is longer than `longest`."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if len(text) > longest:
        text = f"{text[: longest * 2 // 3]} ... {text[-longest // 4 :]}"
    return text


def quoted(value: Any) -> str:
    """The `repr` of a value as messages quote it: one line, of 80 characters at most."""
    return one_line(repr(value), 80)


def first_line(error: BaseException) -> str:
    """What an exception of another library says, as a part of a message."""
    said = str(error).strip()
    return one_line(said.splitlines()[0] if said else type(error).__name__, 300)


def check_choice(key: str, value: str, known: Iterable[str]) -> None:
    """Refuses a value of a configuration key that is not among the known ones.

    Raises:
      UserError: it is not.
    """
    if value not in known:
        raise UserError(f"{key} is one of {', '.join(known)}, not {quoted(value)}")
