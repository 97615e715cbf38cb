"""Where `--config.init_from` has its weights from: a finished run, or a safetensors file."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from research.core.errors import UserError
from research.training import restore, run_folder
from research.weights import safetensors_file
from research.weights.selection import is_weight


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
    checkpoint = restore.last_checkpoint(ended.folder)
    names = restore.saved_arrays(checkpoint)
    wanted = {name: shape for name, shape in names.items() if is_weight(name.replace(".", "/"))}
    if not wanted:
        raise UserError(f"init_from: {checkpoint} has no weights")
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    arrays = restore.read_arrays(checkpoint, wanted, dict.fromkeys(wanted, here))
    return {
        name.removeprefix("state.").replace(".", "/"): np.asarray(array)
        for name, array in arrays.items()
    }
