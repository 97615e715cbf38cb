"""What the loop costs over a bare jitted loop, and the time from process start to first step.

Run with `python -m pytest tests/benchmarks/test_loop_benchmark.py -s`.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import training
from research.core import Source
from tests.training.toy import Functions

ROOT = Path(__file__).resolve().parents[2]
MILLISECONDS = 5.0  # of a step
STEPS = 200  # of a run that are timed
WARM = 20  # before them
PAIRS = 9
ROWS, WIDTH = 32, 128


class Clocked(Source):
    """Batches that cost nothing; notes when each was asked for, and the thread's own time."""

    spec = {"x": jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32)}

    def __init__(self):
        self.rows = {"x": np.ones((ROWS, WIDTH), np.float32)}
        self.times: list[tuple[float, float]] = []

    def __call__(self, state):
        self.times.append((time.perf_counter(), time.thread_time()))
        return self.rows

    def get_state(self):
        return {"index": len(self.times)}

    def set_state(self, state):
        raise AssertionError("no run is resumed here")


def init(key):
    return {"w": jax.random.normal(key, (WIDTH, WIDTH)) / WIDTH**0.5, "seen": jnp.zeros(())}


def step_of(repeats: int):
    def step(state, batch, key):
        def body(_, x):
            return jnp.tanh(x @ state["w"])

        x = jax.lax.fori_loop(0, repeats, body, batch["x"])
        loss = jnp.mean(x**2) + 0.0 * jax.random.normal(key)
        w = state["w"] * (1.0 - 1e-6 * loss)
        return {"w": w, "seen": state["seen"] + 1}, {"loss": loss, "largest": x.max()}

    return step


def bare(step, steps: int) -> tuple[float, float]:
    """Seconds per step of the least that one can write: transfer, dispatch, wait at the end.

    Of the clock, and of this thread's work; the devices' threads do theirs meanwhile.
    """
    compiled = jax.jit(step, donate_argnums=0)
    source, state, key = Clocked(), init(jax.random.key(0)), jax.random.key(1)
    for t in range(WARM + steps):
        if t == WARM:
            jax.block_until_ready(state)
        batch = jax.device_put(source(None))
        state, metrics = compiled(state, batch, jax.random.fold_in(key, t))
    jax.block_until_ready((state, metrics))
    source(None)
    return per_step(source, steps)


def looped(step, steps: int, workdir: Path, steps_per_call: int = 1) -> tuple[float, float]:
    """The same of `training.run`, log lines included, start-up and checkpoint not."""
    source = Clocked()
    config = training.run_config()
    config.steps_per_call = steps_per_call
    total = WARM + steps + steps_per_call
    training.run(Functions(init, step, total, source), config, workdir)
    return per_step(source, steps)


def per_step(source: Clocked, steps: int) -> tuple[float, float]:
    first, last = source.times[WARM], source.times[WARM + steps]
    return (last[0] - first[0]) / steps, (last[1] - first[1]) / steps


@pytest.fixture(scope="module")
def step():
    repeats = 100
    for _ in range(3):  # until the step takes about as long as it should
        repeats = max(1, round(repeats * MILLISECONDS / 1e3 / bare(step_of(repeats), 50)[0]))
    return step_of(repeats)


def test_overhead_over_a_bare_loop(step, tmp_path):
    ratios, seconds, work = [], [], []
    for i in range(PAIRS):
        if i % 2:  # which is first changes, for the machine has its moods
            least, ours = bare(step, STEPS), looped(step, STEPS, tmp_path / str(i))
        else:
            ours, least = looped(step, STEPS, tmp_path / str(i)), bare(step, STEPS)
        ratios.append(ours[0] / least[0])
        seconds.append(least[0])
        work.append((ours[1] - least[1]) / least[0])
    overhead = statistics.median(ratios) - 1
    print(
        f"\n{1e3 * statistics.median(seconds):.2f} ms a step; run over bare loop, {PAIRS} pairs: "
        f"{overhead:+.2%} (from {min(ratios) - 1:+.2%} to {max(ratios) - 1:+.2%}); "
        f"the host thread's own work: {statistics.median(work):+.2%} of a step"
    )
    assert statistics.median(work) < 0.02  # what a busy machine does to wall times is no overhead


def test_host_work_of_a_step(tmp_path):
    """Steps that cost next to nothing: the thread's work for one, and for each of 100 in a call."""
    step = step_of(1)
    least = bare(step, 1000)[1]
    alone = looped(step, 1000, tmp_path / "one")[1]
    many = looped(step, 5000, tmp_path / "many", 100)[1]
    print(
        f"\nhost work of a step: {1e6 * least:.0f} us in a bare loop, {1e6 * alone:.0f} us in run, "
        f"{1e6 * many:.1f} us with 100 in a call"
    )
    assert many < alone / 3


def first_step(script: Path, workdir: Path, cache: Path) -> float:
    """Seconds from starting a script's smoke variant to the end of its first step or log line."""
    start = time.monotonic()
    process = subprocess.Popen(
        [
            sys.executable,
            str(script),
            "--config",
            f"{ROOT / 'configs' / script.name}:smoke",
            "--config.log_every_steps=1",
            "--workdir",
            str(workdir),
        ],
        cwd=ROOT,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)},
    )
    try:
        for line in process.stderr:
            if re.search(r" [1-9]\d*/\d+ ", line):
                return time.monotonic() - start
        raise AssertionError(f"{script.name} ended before its first step")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments").glob("*.py")))
def test_start_up_to_the_first_step(name, tmp_path):
    script = ROOT / "experiments" / f"{name}.py"
    cold = [first_step(script, tmp_path / f"cold{i}", tmp_path / f"cache{i}") for i in range(2)]
    warm = [first_step(script, tmp_path / f"warm{i}", tmp_path / f"cache{i}") for i in range(2)]
    print(f"\n{name} to its first step: {min(cold):.1f} s cold, {min(warm):.1f} s warm cache")
    assert min(warm) < min(cold)
