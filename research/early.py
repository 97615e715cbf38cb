"""Answers `--help` and `--print_config` at once: the first import of every script.

A script loads JAX, Flax and Orbax, which takes seconds; what its flags are stands in its
configuration, which loads none of them. Where nothing of the kind is asked, this does nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from research.core.pipes import reader_left

_QUESTIONS = {"-h", "--help", "--print_config"}


def answer(script: Path, argv: list[str]) -> int:
    """Prints what is asked of a script's flags; returns the exit code."""
    from research import config
    from research.core.errors import UserError

    try:
        config.parse(argv, script)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit:  # after it has printed
        pass
    return 0


def _main() -> None:
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    asked = _QUESTIONS & set(sys.argv[1:])
    configuration = script.parent.parent / "configs" / f"{script.stem}.py"
    # Not where another program imports the script, such as a test runner with flags of its own.
    if not asked or script.name != Path(sys.argv[0]).name or not configuration.is_file():
        return
    try:
        code = answer(script, sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = reader_left()
    sys.exit(code)


_main()
