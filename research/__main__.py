"""The command line `python -m research`, also installed as `landmarks`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.core.errors import UserError
from research.core.pipes import reader_left

USAGE = """usage: landmarks papers [NAME]     every paper: claim, variants, what was measured
       landmarks results           recorded results: rows that hold, commit, what is stale
       landmarks results --write   makes the parts of the documentation that show results
       landmarks results --judge   recorded numbers, judged by the claims as they are now
       landmarks report RUNS...    an HTML page of finished runs (--help)
       landmarks compare RUNS...   runs of several scripts side by side: table and curves
       landmarks pods [SCRIPTS]    full-size steps compiled for TPU slices, as a table
       landmarks demo RUN ...      what a finished model does for a person (--help)
       landmarks export RUN ...    its weights as a safetensors file (--help)
       landmarks completion SHELL  completion for bash or zsh: eval "$(... completion bash)"

landmarks and python -m research are the same. A paper is trained by its script:
python experiments/NAME.py --help
"""


def main(argv: Sequence[str]) -> int:
    """Runs a subcommand; returns the exit code."""
    try:
        code = _answer(list(argv))
        sys.stdout.flush()
    except BrokenPipeError:
        code = reader_left()
    return code


def _answer(argv: list[str]) -> int:
    match argv:
        case ["-h" | "--help"]:
            print(USAGE, end="")
            return 0
        case ["completion", *words]:
            from research import completion

            try:
                print(completion.script(words))
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            return 0
    from research import commands  # loads JAX

    return commands.main(argv)


def console() -> None:
    """Entry point of `landmarks`."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    console()
