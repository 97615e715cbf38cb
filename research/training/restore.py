"""Checkpoints of runs that have ended, read without a loop and without writing anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from research.core.errors import UserError
from research.core.experiment import Experiment, PyTree
from research.core.learner import LearnerState
from research.core.tree import named_leaves, path_name
from research.training import sharding
from research.training.digest import digest
from research.training.program import init_key
from research.training.writers import read_metrics
from research.weights.selection import is_weight

_STATE = "state."  # of a carry


def checkpoint_folders(folder: Path) -> list[Path]:
    """The finished checkpoints of an arm and seed, the last one first.

    Those of its last phase, where it was trained in phases.
    """
    phases = sorted(folder.glob("phase_*"), key=lambda phase: int(phase.name.split("_")[1]))
    root = (phases[-1] if phases else folder) / "checkpoints"
    steps = [path for path in root.glob("[0-9]*") if path.name.isdigit()]
    return sorted(steps, key=lambda path: int(path.name), reverse=True)


def phase_of(checkpoint: Path) -> int:
    """The phase that a checkpoint is of; 0 where there is only one."""
    head, _, number = checkpoint.parents[1].name.partition("_")
    return int(number) if head == "phase" else 0


def last_checkpoint(folder: Path) -> Path:
    """The last checkpoint of an arm and seed.

    Raises:
      UserError: there is none.
    """
    checkpoints = checkpoint_folders(folder)
    if not checkpoints:
        raise UserError(f"{folder} has no checkpoint")
    return checkpoints[0]


def best_checkpoint(folder: Path, metric: str, mode: str) -> Path:
    """The checkpoint with the best value of a metric.

    Args:
      folder: of an arm and seed.
      metric, mode: `config.best_metric` and `best_mode` of the run.

    Raises:
      UserError: none of those that are there has one.
    """
    checkpoints = checkpoint_folders(folder)
    values: dict[Path, float] = {}
    if metric and checkpoints:
        evaluated = {r["step"]: r.get(metric) for r in read_metrics(checkpoints[0].parents[1])}
        found = {path: evaluated.get(int(path.name)) for path in checkpoints}
        values = {path: value for path, value in found.items() if value is not None}
    if not values:
        raise UserError(
            f"no checkpoint in {folder} is known to be the best: that takes a run with "
            "config.best_metric, evaluated where it is saved; take the last one"
        )
    return (min if mode == "min" else max)(values, key=lambda path: values[path])


def chosen_checkpoint(folder: Path, config: Mapping[str, Any], *, best: bool) -> Path:
    """The last or the best checkpoint of an arm and seed; `config` is the run's."""
    if best:
        return best_checkpoint(folder, config["best_metric"], config["best_mode"])
    return last_checkpoint(folder)


def read_weights(checkpoint: Path) -> dict[str, np.ndarray]:
    """The weights in a checkpoint by their path in the state, on the host.

    Raises:
      UserError: it is damaged, or has none.
    """
    wanted = {
        name: shape
        for name, shape in saved_arrays(checkpoint).items()
        if is_weight(name.removeprefix(_STATE).replace(".", "/"))
    }
    if not wanted:
        raise UserError(f"checkpoint {checkpoint} has no weights")
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    arrays = read_arrays(checkpoint, wanted, dict.fromkeys(wanted, here))
    return {
        name.removeprefix(_STATE).replace(".", "/"): np.asarray(array)
        for name, array in arrays.items()
    }


def state_shapes(experiment: Experiment, *, optimizer: bool = True) -> PyTree:
    """Shapes of an experiment's state; without `optimizer` its learners have `opt_state` None."""
    shapes = jax.eval_shape(lambda: experiment.init(init_key(0)))
    if optimizer:
        return shapes

    def without(node: Any) -> Any:
        return node.replace(opt_state=None) if isinstance(node, LearnerState) else node

    return jax.tree.map(without, shapes, is_leaf=lambda node: isinstance(node, LearnerState))


def read_state(
    checkpoint: Path, experiment: Experiment, mesh: jax.sharding.Mesh, *, optimizer: bool = True
) -> PyTree:
    """The state in a checkpoint, laid out on a mesh, which may be another than that of its run.

    Args:
      checkpoint: its folder.
      experiment: as it was trained.
      mesh: over which `experiment.rules` split the state.
      optimizer: whether the optimizers' states are read too; they are None otherwise.

    Raises:
      UserError: the checkpoint is damaged, or of another experiment.
    """
    shapes = state_shapes(experiment, optimizer=optimizer)
    layout = sharding.state_sharding(shapes, experiment.rules, mesh, experiment.soft_rules)
    wanted = {_key(name): shape for name, shape in named_leaves(shapes).items()}
    where = {_key(name): place for name, place in named_leaves(layout).items()}
    arrays = read_arrays(checkpoint, wanted, where)
    return jax.tree_util.tree_map_with_path(lambda path, _: arrays[_key(path_name(path))], shapes)


def read_arrays(
    checkpoint: Path, wanted: Mapping[str, Any], where: Mapping[str, Any]
) -> dict[str, jax.Array]:
    """Some of the arrays in a checkpoint, by its own names.

    Args:
      checkpoint: its folder.
      wanted: name -> `jax.ShapeDtypeStruct`.
      where: name -> sharding.

    Raises:
      UserError: as `read_state`.
    """
    saved = saved_arrays(checkpoint)
    for name, shape in wanted.items():
        there = saved.get(name)
        if there is None or (there.shape, there.dtype) != (shape.shape, shape.dtype):
            raise UserError(
                f"checkpoint {checkpoint} is of another experiment: {name.replace('.', '/')} is "
                f"{_show(shape)} here, {_show(there)} there"
            )
    target = {
        name: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=where[name])
        for name, shape in wanted.items()
    }
    try:
        arrays = _restore(checkpoint / "arrays", target)
        found = digest(arrays)
    except Exception as error:  # whatever a damaged file makes Orbax raise
        raise UserError(f"checkpoint {checkpoint} is damaged ({_line(error)})") from error
    sums = _noted(checkpoint)["digest"]
    changed = [name for name in wanted if found[name] != sums[name]]
    if changed:
        name = changed[0].replace(".", "/")
        raise UserError(f"checkpoint {checkpoint} is damaged ({name} is not what was saved)")
    return arrays


def saved_arrays(checkpoint: Path) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the arrays in a checkpoint, by its own names.

    Raises:
      UserError: it is damaged.
    """
    arrays = _noted(checkpoint)["arrays"]
    return {name: jax.ShapeDtypeStruct(tuple(s), dtype) for name, (s, dtype) in arrays.items()}


def _noted(checkpoint: Path) -> dict[str, Any]:
    """What is noted beside the arrays."""
    try:
        noted = json.loads((checkpoint / "extra" / "metadata").read_text(encoding="utf-8"))
        if "note" in noted:  # a text with a checksum of its own
            if noted["sha256"] != hashlib.sha256(noted["note"].encode()).hexdigest():
                raise ValueError("what is noted beside the arrays is not what was saved")
            noted = json.loads(noted["note"])
        return {name: noted[name] for name in ("arrays", "digest")}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"checkpoint {checkpoint} is damaged ({_line(error)})") from error


def _show(shape: jax.ShapeDtypeStruct | None) -> str:
    return "nothing" if shape is None else f"{shape.dtype}{list(shape.shape)}"


def _restore(folder: Path, target: dict[str, Any]) -> dict[str, jax.Array]:
    restore_args = ocp.checkpoint_utils.construct_restore_args(target)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        return reader.restore(
            folder.absolute(),
            args=ocp.args.PyTreeRestore(
                item=target, restore_args=restore_args, partial_restore=True
            ),
        )


def _key(name: str) -> str:
    """Name of one of the state's arrays in a checkpoint, where the state is part of a carry."""
    return f"{_STATE}{name}".rstrip(".").replace("/", ".")


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
