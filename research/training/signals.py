"""SIGTERM and SIGINT: stop at the next step, on all processes at the same one."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class StopSignal:
    """Context in which SIGTERM and SIGINT ask the loop to stop instead of ending the process."""

    _signals = (signal.SIGTERM, signal.SIGINT)

    def __enter__(self) -> StopSignal:
        self._asked = self._interrupted = False
        self._before: dict[int, Any] = {}
        if jax.process_count() == 1:
            for number in self._signals:
                self._before[number] = signal.signal(number, self._ask)
        else:
            # SIGTERM is JAX's own then, which tells the other processes.
            self._before[signal.SIGINT] = signal.signal(
                signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM)
            )
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def requested(self, step: int) -> bool:
        """Whether to stop after `step`. Asked for once after every dispatch."""
        if jax.process_count() == 1:
            return self._asked
        # Notices reach processes at different times; JAX's service finds a step for all of them.
        return multihost_utils.reached_preemption_sync_point(step)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice by hand
        self._asked = True
        self._interrupted = number == signal.SIGINT
