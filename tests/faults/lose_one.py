"""Ends one of several processes of a run at a chosen moment, and looks at what the others do.

    python tests/faults/lose_one.py                # 2 processes, SIGKILL at each moment, the first
    python tests/faults/lose_one.py --processes 4 --signal STOP --moments step

The others must end with exit code 4 and one line within seconds (a frozen process: within the
minute and a half that it takes to be sure). Started again, the run must end as undisturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from tests.faults import drill  # noqa: E402

# Moment, and which time: a step that is after a checkpoint, and both kinds of evaluation.
MOMENTS = {
    "build": 1,
    "open": 1,
    "compile": 1,
    "step": 9,
    "save": 6,
    "evaluate": 1,
    "decode": 1,
}
LOST, SECONDS, SECONDS_FROZEN = 4, 30.0, 100.0
FLAGS = ["--arm=first"]


def finish_all(processes: list[subprocess.Popen[str]], seconds: float = 300.0) -> list[str]:
    """Outputs of processes that must all end well."""
    outputs = [drill.finish(process, seconds) for process in processes]
    assert all(code == 0 for code, _ in outputs), outputs
    return [output for _, output in outputs]


def lose(
    moment: str, victim: int, count: int, number: signal.Signals, folder: Path
) -> tuple[float, list[str]]:
    """Loses one process; returns the seconds until all others have ended, and what was wrong."""
    words = drill.command("moments", folder, *FLAGS)
    mark = folder.parent / f"{folder.name}-at-"
    env = {"MOMENT": moment, "MOMENT_TIME": str(MOMENTS[moment]), "MOMENT_FILE": str(mark)}
    processes = drill.start_several(words, count, **env)
    wrong = []
    try:
        end = time.monotonic() + 120
        while not Path(f"{mark}{victim}").exists() and time.monotonic() < end:
            time.sleep(0.01)
        processes[victim].send_signal(number)
        started = time.monotonic()
        limit = SECONDS_FROZEN if number == signal.SIGSTOP else SECONDS
        for i, process in enumerate(processes):
            if i == victim:
                continue
            left = max(started + limit - time.monotonic(), 0.1)
            try:
                output, _ = process.communicate(timeout=left)
            except subprocess.TimeoutExpired:
                wrong.append(f"process {i} went on for {limit:.0f} s")
                continue
            lines = [line for line in output.splitlines() if "another process of this run" in line]
            if process.returncode != LOST or len(lines) != 1 or not drill.is_orderly(output):
                wrong.append(f"process {i}: {process.returncode}\n{output[-1500:]}")
        seconds = time.monotonic() - started
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.communicate()
    return seconds, wrong


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_argument("--processes", type=int, default=2)
    flags.add_argument("--signal", default="KILL", choices=("KILL", "STOP"))
    flags.add_argument("--moments", default=",".join(MOMENTS))
    flags.add_argument("--victims", default="0,1")
    given = flags.parse_args()
    number, failed, done = signal.Signals[f"SIG{given.signal}"], 0, 0
    with tempfile.TemporaryDirectory() as root:
        whole = Path(root) / "whole"
        words = drill.command("moments", whole, *FLAGS)
        finish_all(drill.start_several(words, given.processes))
        for moment in given.moments.split(","):
            for victim in map(int, given.victims.split(",")):
                folder = Path(root) / f"{moment}-{victim}"
                seconds, wrong = lose(moment, victim, given.processes, number, folder)
                words = drill.command("moments", folder, *FLAGS)
                finish_all(drill.start_several(words, given.processes))
                wrong += drill.difference(drill.outcome(whole), drill.outcome(folder))
                done, failed = done + 1, failed + bool(wrong)
                said = "; ".join(wrong) or "as promised, and the end is the same"
                print(f"{moment}, process {victim}: {seconds:.1f} s; {said}", flush=True)
    print(f"{done} processes lost, {failed} not as promised")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
