"""Ends runs at random moments, again and again, and compares their ends with undisturbed ones.

    python tests/faults/kill_many.py 40                     # by SIGKILL, over several scripts
    python tests/faults/kill_many.py 20 --signal TERM       # told to stop: exit code 0 and a line
    python tests/faults/kill_many.py 40 --scripts line,ddpg --seed 1

Moments are drawn from the whole length of a run, from start-up to its last figure. Each run is
disturbed one to four times, then left to end. Its numbers, lines, claims and checkpoints (a
checksum of every array) must be those of a run that nobody disturbed, bit for bit.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from tests.faults import drill  # noqa: E402

SECONDS_TO_STOP = 60.0


def disturb(words: list[str], moment: float, number: signal.Signals) -> tuple[str, str]:
    """Starts a run and sends it a signal after a while.

    Returns:
      "ended" if it had ended before, "ok", or what was wrong; and its output.
    """
    process = drill.start(words)
    end = time.monotonic() + moment
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.002)
    if process.poll() is not None:
        code, output = drill.finish(process)
        return ("ended" if code == 0 else f"ended with {code}"), output
    process.send_signal(number)
    told = time.monotonic()
    code, output = drill.finish(process)
    if number == signal.SIGKILL:
        return "ok", output
    if code != 0 or not drill.is_orderly(output):
        # Python itself, and JAX as it is imported, have no handler yet.
        early = code == -number or (number == signal.SIGINT and "import" in output)
        return ("before it listened" if early and moment < 6 else f"exit code {code}"), output
    if "results in" not in output and not drill.resume_line(output, words):
        return "no way to resume", output
    if time.monotonic() - told > SECONDS_TO_STOP:
        return "took too long to stop", output
    return "ok", output


def one_run(
    name: str,
    folder: Path,
    whole: tuple[dict, float],
    number: signal.Signals,
    count: int,
    rng: random.Random,
) -> Counter[str]:
    """Disturbs one run `count` times at most, lets it end, and compares."""
    words, seen = drill.command(name, folder), Counter[str]()
    for _ in range(count):
        what, output = disturb(words, rng.uniform(0.0, whole[1]), number)
        seen[what] += 1
        if what not in ("ok", "ended", "before it listened"):
            print(f"{name}: {what}\n{output[-3000:]}", flush=True)
        if what == "ended":
            break
    code, output = drill.finish(drill.start(words))
    differing = drill.difference(whole[0], drill.outcome(folder)) if code == 0 else ["no end"]
    seen["runs"] += 1
    seen["runs that end otherwise"] += bool(differing)
    if differing:
        print(f"{name}: {differing}\n{output[-3000:]}", flush=True)
    return seen


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_argument("count", type=int)
    flags.add_argument("--signal", default="KILL", choices=("KILL", "TERM", "INT"))
    flags.add_argument("--scripts", default=",".join(drill.SCRIPTS))
    flags.add_argument("--seed", type=int, default=None)
    given = flags.parse_args()
    seed = random.randrange(2**31) if given.seed is None else given.seed
    rng, number = random.Random(seed), signal.Signals[f"SIG{given.signal}"]
    print(f"seed {seed}", flush=True)
    total, whole = Counter[str](), {}
    names = given.scripts.split(",")
    with tempfile.TemporaryDirectory() as root:
        for i in range(10**9):
            if total["ok"] + total["before it listened"] >= given.count:
                break
            name = names[i % len(names)]
            if name not in whole:
                folder = Path(root) / f"{name}-whole"
                drill.whole_run(name, Path(root) / f"{name}-first")  # compiles for the cache
                seconds = drill.whole_run(name, folder)
                whole[name] = drill.outcome(folder), seconds
            seen = one_run(
                name, Path(root) / f"{name}-{i}", whole[name], number, rng.randint(1, 4), rng
            )
            total += seen
            print(f"{name}: {dict(seen)}", flush=True)
    print(f"in all: {dict(total)}")
    wrong = set(total) - {"ok", "ended", "before it listened", "runs"}
    return int(any(total[what] for what in wrong))


if __name__ == "__main__":
    sys.exit(main())
