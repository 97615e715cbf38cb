"""Two programs in turns on a machine that other work shares: quote the ratio, not the times."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

Run = Callable[[], Any]


def repeated(state: Any, step: Callable[..., Any], steps: int, **batch: Any) -> Run:
    """Runs so many compiled steps, each call from where the one before ended."""
    advance = functools.partial(jax.jit(step, donate_argnums=0), **batch)

    def run() -> None:
        nonlocal state
        for _ in range(steps):
            state, metrics = advance(state)
        jax.block_until_ready((state, metrics))

    return run


def race(first: Run, second: Run, pairs: int = 7) -> tuple[float, float]:
    """Median of how many times as long the second takes, and the first's best seconds."""
    times: dict[Run, list[float]] = {run: [] for run in (first, second)}
    for run in times:
        run()  # compiles
    for _ in range(pairs):
        for run, taken in times.items():
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(times[first], times[second], strict=True)]
    return statistics.median(ratios), min(times[first])
