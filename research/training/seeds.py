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
from research.core.files import write_text
from research.training import stopping
from research.training.checkpoint import Checkpoints
from research.training.loop import run
from research.training.program import Carry, eval_key, init_key, step_key
from research.training.writers import METRICS, read_metrics


@flax.struct.dataclass
class SeedStates:
    """States of all seeds.

    Attributes:
      seeds: `[S]` uint32.
      steps: int32 scalar, steps done: keys of evaluations depend on it.
      state: the experiment's, every leaf `[S, ...]`.
    """

    seeds: jax.Array
    steps: jax.Array
    state: State


def run_seeds(experiment: Experiment, config: ConfigDict, folders: Mapping[int, Path]) -> None:
    """Trains all seeds to their end; `run` then finds each of them finished in its own folder.

    Args:
      experiment: one without a source, whose parts do not depend on the seed.
      config: of any of the seeds.
      folders: seed -> its folder. What they share lies in the first one, under `together`.

    Raises:
      UserError: the experiment takes batches from the host.
      NonFiniteLoss, Stopped: as from `run`.
    """
    joint = next(iter(folders.values())) / "together"
    final, _ = run(SeedBatch(experiment, tuple(folders)), config, joint)
    records = read_metrics(joint)
    for i, (seed, folder) in enumerate(folders.items()):
        lines = [json.dumps(_own(record, _prefix(seed))) + "\n" for record in records]
        if jax.process_index() == 0:
            write_text(folder / METRICS, "".join(lines))
        checkpoints = Checkpoints(
            folder.absolute() / "checkpoints", config.keep_checkpoints, "", "min"
        )
        if experiment.num_steps not in checkpoints.manager.all_steps():
            carry = Carry(final.seeds[i], final.steps, _member(final.state, i))
            extra: dict[str, Any] = {
                "source": None,
                "sums": {},
                "lines": len(lines),
                "evaluated": True,  # the last line is that of this state
                "seconds": 0.0,
            }
            with stopping.writing():
                checkpoints.save(experiment.num_steps, carry, extra)
                checkpoints.close()
        else:
            checkpoints.close()


class SeedBatch(Experiment):
    """The experiment whose state is those of all seeds.

    Metrics are there as `seed_0/loss`, and as means over the seeds that report one.
    """

    def __init__(self, experiment: Experiment, seeds: tuple[int, ...]):
        if experiment.source is not None:
            raise UserError(
                "vmap_seeds is for experiments that make their data inside the step; "
                "this one takes batches from the host: set --config.vmap_seeds=false"
            )
        self.experiment, self.seeds = experiment, seeds
        self.num_steps, self.per_step = experiment.num_steps, experiment.per_step
        self.rules = _of_all(experiment.rules)
        self.soft_rules = _of_all(experiment.soft_rules)

    def init(self, key: jax.Array) -> SeedStates:
        seeds = jnp.asarray(self.seeds, jnp.uint32)
        state = jax.vmap(lambda seed: self.experiment.init(init_key(seed)))(seeds)
        return SeedStates(seeds, jnp.int32(0), state)

    def step(
        self, joint: SeedStates, batch: Batch, t: jax.Array, key: jax.Array
    ) -> tuple[SeedStates, dict]:
        keys = jax.vmap(lambda seed: step_key(seed, t))(joint.seeds)
        state, metrics = jax.vmap(lambda s, k: self.experiment.step(s, None, t, k))(
            joint.state, keys
        )
        found = {name: jnp.nanmean(values) for name, values in metrics.items()}
        for i, seed in enumerate(self.seeds):
            found |= {_prefix(seed) + name: values[i] for name, values in metrics.items()}
        return SeedStates(joint.seeds, joint.steps + 1, state), found

    def evaluate(self, joint: SeedStates, key: jax.Array) -> Mapping[str, Any]:
        numbers: dict[str, Any] = {}
        for i, seed in enumerate(self.seeds):
            own = eval_key(seed, int(joint.steps))
            found = self.experiment.evaluate(_member(joint.state, i), own)
            numbers |= {_prefix(seed) + name: value for name, value in found.items()}
        return numbers


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
    """A regex over a state's paths, for that state inside of `SeedStates`."""
    return re.sub(r"(?<![\[\\])\^", "^state/", pattern)


def _own(record: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What a joint record says of one seed: what has its prefix, step, time and units."""
    own = {k: v for k, v in record.items() if f"{prefix}{k}" not in record and "/" not in k}
    return own | {k.removeprefix(prefix): v for k, v in record.items() if k.startswith(prefix)}
