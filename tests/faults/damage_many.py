"""Damages the folder of a run at random, runs its command again, and looks at what comes of it.

    python tests/faults/damage_many.py 40
    python tests/faults/damage_many.py 200 --seed 3

Each trial damages one file of a run that was stopped on its way: a bit, a cut, nothing left, gone,
or another content. Then the same command must either end with the numbers of the undamaged run
(and say what was damaged, where it noticed), or refuse in one line. Lines of the log that are lost
may be missing, but not without a word.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from research import app, config  # noqa: E402
from tests.faults import drill  # noqa: E402

FLAGS = ["--arm=first", "--config.num_steps=20"]
OTHER = (
    b"5",
    b"[]",
    b"{}",
    b"null",
    b'"text"',
    b"\xff\xfe\x00\x01",
    b"[" * 5000,
    b'{"step": []}\n',
)


def run(workdir: Path) -> tuple[int | str, str]:
    """Runs the toy here; returns its exit code, or the error it raised, and what it said."""
    module = config.load_module(drill.TOYS / "experiments" / "moments.py")
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger("landmarks").addHandler(handler)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            return app.main(module, [*FLAGS, "--workdir", str(workdir)]), said.getvalue()
    except Exception as error:
        return f"{type(error).__name__}: {error}", said.getvalue()
    finally:
        logging.getLogger("landmarks").removeHandler(handler)


def damage(path: Path, rng: random.Random) -> str:
    """Damages a file; returns how."""
    content = path.read_bytes()
    how = rng.choice(["bit", "bit", "cut", "emptied", "removed", "other"])
    if how == "bit" and content:
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        return f"bit {bit} of byte {at}"
    if how == "cut" and content:
        path.write_bytes(content[: rng.randrange(len(content))])
    elif how == "removed":
        path.unlink()
    elif how == "other":
        path.write_bytes(rng.choice(OTHER))
    else:
        path.write_bytes(b"")
    return how


def trial(stopped: Path, folder: Path, whole: dict, rng: random.Random) -> tuple[str, str]:
    """Damages a copy of a folder and runs it; returns what came of it, and the story."""
    shutil.copytree(stopped, folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "tensorboard" not in p.parts)
    path = rng.choice(files)
    how = damage(path, rng)
    code, said = run(folder)
    story = f"{path.relative_to(folder)} ({how}): {code}\n{said[-1500:]}"
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if code in (2, 5) and len(errors) == 1:
        return "refused in one line", story
    if code != 0:
        return "WRONG: a fault", story
    differing = drill.difference(whole, drill.outcome(folder))
    spoken = "damaged" in said or "lacks" in said
    if not differing:
        return ("exact, and said so" if spoken else "exact"), story
    if all(name.endswith("metrics.jsonl") for name in differing):
        if path.name == "metrics.jsonl":
            return ("lines lost, and said so" if spoken else "lines changed"), story
    return f"WRONG: other numbers {differing}", story


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_argument("count", type=int)
    flags.add_argument("--seed", type=int, default=None)
    given = flags.parse_args()
    seed = random.randrange(2**31) if given.seed is None else given.seed
    rng, seen = random.Random(seed), Counter[str]()
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as root:
        whole, stopped = Path(root) / "whole", Path(root) / "stopped"
        assert run(whole)[0] == 0
        shutil.copytree(whole, stopped)  # as if stopped at its last checkpoint but one
        folder = stopped / "first" / "0"
        (folder / "result.json").unlink()
        (stopped / "result.json").unlink()
        shutil.rmtree(folder / "checkpoints" / "20")
        checkpoints = [path.name for path in (folder / "checkpoints").iterdir()]
        assert len(checkpoints) == 1, checkpoints
        expected = drill.outcome(whole)
        for i in range(given.count):
            base = (stopped, whole)[i % 2]  # whole: two checkpoints, of which one may be damaged
            what, story = trial(base, Path(root) / str(i), expected, rng)
            seen[what] += 1
            if what.startswith("WRONG") or what == "lines changed":
                print(f"{what}: {story}", flush=True)
            shutil.rmtree(Path(root) / str(i))
    for what, count in seen.most_common():
        print(f"{count:4}  {what}")
    return int(any(what.startswith("WRONG") for what in seen))


if __name__ == "__main__":
    sys.exit(main())
