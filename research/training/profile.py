"""A trace of a few dispatches, for TensorBoard or Perfetto."""

from __future__ import annotations

import logging
from pathlib import Path

import jax

log = logging.getLogger("landmarks")
_DISPATCHES = 5


class Profile:
    """Traces the dispatches that follow a step.

    Args:
      folder: where the trace goes.
      at_step: 0 for never.
    """

    def __init__(self, folder: Path, at_step: int):
        self.folder, self.at_step = folder, at_step
        self.left: int | None = None

    def after(self, step: int) -> None:
        """Called after every dispatch."""
        if not self.at_step:
            return
        if self.left is None and step >= self.at_step:
            jax.profiler.start_trace(str(self.folder))
            self.left = _DISPATCHES
        elif self.left:
            self.left -= 1
            if not self.left:
                jax.profiler.stop_trace()
                log.info("profile written to %s", self.folder)

    def close(self) -> None:
        """Ends a trace that is still going on."""
        if self.left:
            self.left = 0
            jax.profiler.stop_trace()
