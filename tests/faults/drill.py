"""What the drills share: runs as a user starts them, and what two of them must have in common."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path[:0] = [str(ROOT)]

from tests.training.toy import free_port  # noqa: E402

TOYS = ROOT / "tests" / "toys"
# Toys and scripts that have little in common: no source, a source and a `main`, environments and
# replay, sentences of several lengths, phases, a language model with samples, several trainings.
SCRIPTS = ("line", "moments", "ddpg", "transformer", "imagenet_18min", "gpt", "dcgan")


def command(name: str, workdir: Path, *flags: str) -> list[str]:
    """How a toy, or the smoke variant of a script, is started."""
    if (TOYS / "experiments" / f"{name}.py").exists():
        words = [str(TOYS / "experiments" / f"{name}.py")]
    else:
        config = f"{ROOT / 'configs' / name}.py:smoke"
        words = [str(ROOT / "experiments" / f"{name}.py"), "--config", config]
    return [sys.executable, *words, "--workdir", str(workdir), *flags]


def start(words: list[str], **env: str) -> subprocess.Popen[str]:
    """Starts a command as a process of this tree, on the CPU."""
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env={"JAX_PLATFORMS": "cpu", **os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_several(words: list[str], count: int, **env: str) -> list[subprocess.Popen[str]]:
    """Starts the processes of one run."""
    together = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}",
        "JAX_NUM_PROCESSES": str(count),
        **env,
    }
    return [start(words, **together, JAX_PROCESS_ID=str(i)) for i in range(count)]


def finish(process: subprocess.Popen[str], seconds: float = 600.0) -> tuple[int, str]:
    """Waits for the end; returns exit code and output."""
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, output


def whole_run(name: str, workdir: Path, *flags: str) -> float:
    """Makes a run that nobody disturbs; returns its seconds."""
    started = time.monotonic()
    code, output = finish(start(command(name, workdir, *flags)))
    assert code == 0, output
    return time.monotonic() - started


def outcome(workdir: Path) -> dict[str, Any]:
    """What must be the same however a run was disturbed: numbers, lines, claims and checkpoints."""
    result = json.loads((workdir / "result.json").read_text())
    found: dict[str, Any] = {"result": {key: result[key] for key in ("arms", "claims", "config")}}
    for path in sorted(workdir.rglob("metrics.jsonl")):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [{k: v for k, v in record.items() if k != "seconds"} for record in records]
        found[str(path.relative_to(workdir))] = lines
    for path in sorted(workdir.rglob("checkpoints")):
        newest = max((p for p in path.iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))
        note = json.loads(json.loads((newest / "extra" / "metadata").read_text())["note"])
        note["extra"].pop("seconds")
        found[str(newest.relative_to(workdir))] = note  # with a digest of every array
    return found


def difference(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of what two runs do not have in common."""
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def is_orderly(output: str) -> bool:
    """Whether an output has no traceback and no stack in it."""
    return "Traceback" not in output and "*** Check failure" not in output


def resume_line(output: str, words: list[str]) -> bool:
    """Whether an output says how to go on."""
    return any(line.endswith(shlex.join(words[1:])) for line in output.splitlines())
