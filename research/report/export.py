"""A finished run's weights as a safetensors file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from research import __version__
from research.core.errors import UserError
from research.training import restore, run_folder
from research.weights import safetensors_file

USAGE = (
    "usage: python -m research export RUN [--arm NAME] [--seed N] [--best] --out FILE.safetensors"
)


def main(argv: Sequence[str]) -> None:
    """Writes the weights that a command line asks for.

    Raises:
      UserError: it cannot be understood, or the run is bad.
    """
    words, given = list(argv), {}
    best = "--best" in words
    words = [word for word in words if word != "--best"]
    if "--help" in words or "-h" in words:
        print(USAGE)
        return
    if not words or words[0].startswith("-"):
        raise UserError(f"export: which run?\n{USAGE}")
    folder, *rest = words
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in ("--arm", "--seed", "--out") or (not equals and not rest):
            raise UserError(f"export: {name!r} is not understood\n{USAGE}")
        given[name] = value if equals else rest.pop(0)
    if "--out" not in given:
        raise UserError(f"export: where to?\n{USAGE}")
    seed = given.get("--seed")
    if seed is not None and not seed.isdigit():
        raise UserError(f"--seed takes a whole number, not {seed!r}")
    out = Path(given["--out"])
    names = export(
        Path(folder),
        out,
        arm=given.get("--arm"),
        seed=None if seed is None else int(seed),
        best=best,
    )
    print(f"wrote {len(names)} arrays to {out}", file=sys.stderr)


def export(
    folder: Path, out: Path, *, arm: str | None = None, seed: int | None = None, best: bool = False
) -> list[str]:
    """Writes the weights of a finished run, by their paths in its state; returns these.

    Args:
      folder, arm, seed, best: as of `load_run`.
      out: a file whose name ends in ".safetensors".

    Raises:
      UserError: no such run, or a file of another name.
    """
    if out.suffix != safetensors_file.SUFFIX:
        raise UserError(f"{out}: the file's name ends in {safetensors_file.SUFFIX}")
    if not out.absolute().parent.is_dir():
        raise UserError(f"there is no folder {out.parent}")
    ended = run_folder.find(folder, arm, seed)
    checkpoint = restore.chosen_checkpoint(ended.folder, ended.noted["config"], best=best)
    arrays = restore.read_weights(checkpoint)
    about = {
        "script": Path(ended.noted["script"]).stem,
        "variant": ended.noted["variant"],
        "arm": ended.arm,
        "seed": str(ended.seed),
        "step": checkpoint.name,
        "landmarks": __version__,
        "config": json.dumps(ended.noted["config"]),
    }
    safetensors_file.save(out, arrays, about)
    return list(arrays)
