"""The one exception for what a user can get wrong."""

from collections.abc import Iterable


class UserError(Exception):
    """Bad input: one line that says what is wrong and what to do. The entry point exits with 2."""


def check_choice(key: str, value: str, known: Iterable[str]) -> None:
    """Refuses a value of a configuration key that is not among the known ones.

    Raises:
      UserError: it is not.
    """
    if value not in known:
        raise UserError(f"{key} is one of {', '.join(known)}, not {value!r}")
