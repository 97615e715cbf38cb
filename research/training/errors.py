"""The one exception for what a user can get wrong."""


class UserError(Exception):
    """Bad input: one line that says what is wrong and what to do. The entry point exits with 2."""
