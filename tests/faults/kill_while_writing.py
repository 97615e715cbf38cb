"""Kills a run with SIGKILL while it writes checkpoints, again and again, and compares the end.

    python tests/faults/kill_while_writing.py 50

The run writes a checkpoint after every step. Each kill comes at a random moment after a checkpoint
has begun to be written; the run is started again and goes on. Its final state and its metrics must
be, bit for bit, those of a run that nobody disturbed.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from tests.training.toy import Job, assert_same, records

STEPS, WRITING_SECONDS = 600, 0.08


def unfinished(checkpoints: Path) -> set[str]:
    """Checkpoints that are being written."""
    return {path.name for path in checkpoints.glob("*tmp*")}


def kill_while_writing(job: Job, rng: random.Random) -> bool:
    """Starts the job and kills it; returns whether it left a half-written checkpoint behind."""
    checkpoints = job.folder / "run" / "checkpoints"
    left = unfinished(checkpoints)  # by the kill before: removed when the run starts
    (process,) = job.start()
    while process.poll() is None and not unfinished(checkpoints) - left:
        time.sleep(0.001)
    time.sleep(rng.uniform(0.0, WRITING_SECONDS))
    process.kill()
    output, _ = process.communicate()
    assert process.returncode == -9, f"the run ended before it was killed: {output[-2000:]}"
    return bool(unfinished(checkpoints))


def main(kills: int) -> None:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        run = {"run": ({"checkpoint_every_steps": 1}, {"num_steps": STEPS})}
        whole, killed = (Job(Path(folder) / name, run) for name in ("whole", "killed"))
        whole.finish(whole.start(), seconds=600)
        halves = 0
        for i in range(kills):
            halves += kill_while_writing(killed, rng)
            print(f"{i + 1} kills, {halves} of them in the middle of a checkpoint", flush=True)
        killed.finish(killed.start(), seconds=600)
        assert_same(whole.final("run"), killed.final("run"))
        assert records(whole.folder / "run") == records(killed.folder / "run")
    print(f"{kills} kills, {halves} in the middle of a checkpoint: the end is bit-identical")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
