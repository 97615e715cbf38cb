"""Seeds of one experiment trained together: one program, `vmap` over the seeds.

Small operations cost mostly their dispatch, which seeds then share. Every seed takes the keys it
would take alone, so its numbers are those of a run of its own up to rounding, and its folder looks
as if it had been run alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.core.experiment import Batch, Experiment, Rules, State
from research.training.checkpoint import Checkpoints
from research.training.loop import run
from research.training.program import Carry, eval_key, init_key, step_key
from research.training.writers import METRICS, read_metrics


@flax.struct.dataclass
class Together:
    """Attributes: seeds `[S]` uint32; step int32 scalar; state, every leaf `[S, ...]`."""

    seeds: jax.Array
    step: jax.Array
    state: State


def run_together(experiment: Experiment, config: ConfigDict, folders: Mapping[int, Path]) -> None:
    """Trains all seeds to their end; `run` then finds each of them finished in its own folder.

    Args:
      experiment: one without a source, whose `build` does not depend on the seed.
      config: of any of the seeds.
      folders: seed -> its folder. What they share lies in the first one, under `together`.

    Raises:
      UserError: the experiment takes batches from the host.
      NonFiniteLoss, Stopped: as from `run`.
    """
    joint = next(iter(folders.values())) / "together"
    final = run(together(experiment, tuple(folders)), config, joint)
    records = read_metrics(joint)
    for i, (seed, folder) in enumerate(folders.items()):
        checkpoints = Checkpoints(
            folder.absolute() / "checkpoints",
            config.keep_checkpoints,
            "",
            "min",
            tuple(experiment.transient),
        )
        if experiment.num_steps not in checkpoints.manager.all_steps():
            carry = Carry(final.seeds[i], final.step, _member(final.state, i))
            checkpoints.save(experiment.num_steps, carry, {"source": None, "sums": {}}, {})
        checkpoints.close()
        if jax.process_index() == 0:
            lines = [json.dumps(_own(record, _prefix(seed))) + "\n" for record in records]
            (folder / METRICS).write_text("".join(lines), encoding="utf-8")


def together(experiment: Experiment, seeds: tuple[int, ...]) -> Experiment:
    """The experiment whose state is those of all seeds.

    Metrics are there as `seed_0/loss`, and as means over the seeds that report one.
    """
    if experiment.source is not None:
        raise UserError(
            "vmap_seeds is for experiments that make their data inside the step; "
            "this one takes batches from the host: set --config.vmap_seeds=false"
        )

    def init(key: jax.Array) -> Together:
        all_seeds = jnp.asarray(seeds, jnp.uint32)
        state = jax.vmap(lambda seed: experiment.init(init_key(seed)))(all_seeds)
        return Together(all_seeds, jnp.int32(0), state)

    def step(joint: Together, batch: Batch, key: jax.Array) -> tuple[Together, dict]:
        keys = jax.vmap(lambda seed: step_key(seed, joint.step))(joint.seeds)
        state, metrics = jax.vmap(lambda s, k: experiment.step(s, None, k))(joint.state, keys)
        found = {name: jnp.nanmean(values) for name, values in metrics.items()}
        for i, seed in enumerate(seeds):
            found |= {_prefix(seed) + name: values[i] for name, values in metrics.items()}
        return Together(joint.seeds, joint.step + 1, state), found

    def evaluation(position: int, name: str, i: int, seed: int) -> Any:
        def evaluate(joint: Together, key: jax.Array) -> Mapping[str, Any]:
            own = jax.random.fold_in(eval_key(seed, int(joint.step)), position)
            return experiment.evals[name](_member(joint.state, i), own)

        return evaluate

    return Experiment(
        init,
        step,
        experiment.num_steps,
        evals={
            _prefix(seed) + name: evaluation(position, name, i, seed)
            for i, seed in enumerate(seeds)
            for position, name in enumerate(experiment.evals)
        },
        rules=_of_all(experiment.rules),
        splits=_of_all(experiment.splits),
        per_step=experiment.per_step,
        transient=[_inner(pattern) for pattern in experiment.transient],
    )


@jax.jit
def _at(state: State, i: jax.Array) -> State:
    return jax.tree.map(lambda leaf: leaf[i], state)


def _member(state: State, i: int) -> State:
    return _at(state, np.int32(i))


def _prefix(seed: int) -> str:
    return f"seed_{seed}/"


def _of_all(rules: Rules) -> Rules:
    return [(_inner(pattern), PartitionSpec(None, *spec)) for pattern, spec in rules]


def _inner(pattern: str) -> str:
    """A regex over a state's paths, for that state inside of `Together`."""
    return re.sub(r"(?<![\[\\])\^", "^state/", pattern)


def _own(record: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What a joint record says of one seed: what has its prefix, step, time and units."""
    own = {k: v for k, v in record.items() if f"{prefix}{k}" not in record and "/" not in k}
    return own | {k.removeprefix(prefix): v for k, v in record.items() if k.startswith(prefix)}
