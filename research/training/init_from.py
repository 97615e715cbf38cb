"""Where `--config.init_from` has its weights from: a finished run, or a safetensors file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from research.training import restore, run_folder
from research.weights import safetensors_file


def read_weights(origin: str, arm: str) -> dict[str, np.ndarray]:
    """Weights by their path in the state that they come from.

    Args:
      origin: folder of a run, of which the first seed is taken, or of an arm and seed in one; or a
        safetensors file.
      arm: the arm that is taken, where the run has one of this name.

    Raises:
      UserError: there is no such run or file, or it is damaged.
    """
    path = Path(origin)
    if path.suffix == safetensors_file.SUFFIX:
        return safetensors_file.load(path)
    ended = run_folder.find(path, prefer=arm)
    return restore.read_weights(restore.last_checkpoint(ended.folder))
