"""The compiled functions of a run: `init` and `advance`, laid out on a mesh."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from research.core.experiment import Batch, Experiment, PyTree, State
from research.core.partition import BATCH_SPEC
from research.training import sharding

_INIT, _STEP, _EVAL = range(3)  # streams of keys


def init_key(seed: jax.Array | int) -> jax.Array:
    """Key of the initial state."""
    return jax.random.fold_in(jax.random.key(seed), _INIT)


def step_key(seed: jax.Array, step: jax.Array) -> jax.Array:
    """Key of a step, a function of (seed, step) alone."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STEP), step)


def eval_key(seed: int, step: int) -> jax.Array:
    """Key of the evaluation at a step, a function of (seed, step) alone."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _EVAL), step)
    # Evaluations once had names, and keys of their own. This is the first one's, with which the
    # numbers in `results/` were drawn, but for domain_randomization's unseen scenes.
    return jax.random.fold_in(key, 0)


@flax.struct.dataclass
class Carry:
    """What a dispatch takes and gives back. The key of a step comes from `seed` and `step` alone.

    Attributes:
      seed: uint32 scalar. An array rather than a constant, so that all seeds share one program.
      step: int32 scalar, steps done.
      state: the experiment's state.
    """

    seed: jax.Array
    step: jax.Array
    state: State


class Program:
    """An experiment compiled for a mesh. Nothing is built unsharded.

    Attributes:
      shapes: shapes of the carry.
      carry_sharding: its layout.
      batch_sharding: layout of one dispatch's batches.
      steps_per_call: the most steps that one dispatch makes.
    """

    def __init__(
        self,
        experiment: Experiment,
        mesh: Mesh,
        steps_per_call: int = 1,
        before: PyTree | None = None,
    ):
        self.experiment = experiment
        self.mesh = mesh
        self.steps_per_call = steps_per_call
        self._before = before
        self.shapes = jax.eval_shape(self._init, jax.ShapeDtypeStruct((), jnp.uint32), before)
        replicated = NamedSharding(mesh, PartitionSpec())
        layout: Any = replicated
        self.carry_sharding = Carry(
            layout,
            layout,
            sharding.state_sharding(
                self.shapes.state, experiment.rules, mesh, experiment.soft_rules
            ),
        )
        spec = BATCH_SPEC if steps_per_call == 1 else PartitionSpec(None, *BATCH_SPEC)
        self.batch_sharding = NamedSharding(mesh, spec)
        self._jit_init = jax.jit(self._init, out_shardings=self.carry_sharding)
        self.jit_advance = jax.jit(
            self._one if steps_per_call == 1 else self._many,
            donate_argnums=0,
            out_shardings=(self.carry_sharding, replicated),
        )
        self._replicated = replicated
        self._counts: dict[int, jax.Array] = {}

    def init(self, seed: int) -> Carry:
        """The state before the first step."""
        with jax.set_mesh(self.mesh):
            return self._jit_init(np.uint32(seed), self._before)

    def advance(self, carry: Carry, batches: Batch, n: int) -> tuple[Carry, Any]:
        """Makes `n` steps; `carry` is donated.

        Args:
          carry: from `init` or `advance`.
          batches: leaves `[B, ...]`, or with several steps per call `[steps_per_call, B, ...]`, of
            which the first `n` are used; None without a source.
          n: number of steps, at most `steps_per_call`.

        Returns:
          The new carry, and metrics with leaves `[n or more]`, of which the first `n` count.
        """
        arguments: tuple[Any, ...] = (carry, batches)
        if self.steps_per_call > 1:
            if n not in self._counts:
                self._counts[n] = jax.make_array_from_process_local_data(
                    self._replicated, np.int32(n)
                )
            arguments += (self._counts[n],)
        with jax.set_mesh(self.mesh), jax.transfer_guard("disallow"):
            return self.jit_advance(*arguments)

    def trace(self) -> Any:
        """`advance` traced from shapes alone; call `.lower().compile()` on it for its devices."""
        carry = _with_sharding(self.shapes, self.carry_sharding)
        spec = None if self.experiment.source is None else self.experiment.source.spec
        batch = jax.tree.map(
            lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=self.batch_sharding), spec
        )
        with jax.set_mesh(self.mesh):
            return self.jit_advance.trace(carry, batch)

    def _init(self, seed: jax.Array, before: PyTree | None = None) -> Carry:
        state = self.experiment.init(init_key(seed))
        if before is not None:
            state = self.experiment.warm_start(state, before)
        return Carry(jnp.asarray(seed, jnp.uint32), jnp.int32(0), state)

    def _one(self, carry: Carry, batch: Batch) -> tuple[Carry, Any]:
        key = step_key(carry.seed, carry.step)
        state, metrics = self.experiment.step(carry.state, batch, carry.step, key)
        metrics = {k: jnp.asarray(v, jnp.float32)[None] for k, v in metrics.items()}
        return Carry(carry.seed, carry.step + 1, state), metrics

    def _many(self, carry: Carry, batches: Batch, n: jax.Array) -> tuple[Carry, Any]:
        # A loop of `n` rather than of a fixed length: how steps are grouped into dispatches then
        # never changes the program, nor by a rounding error the numbers.
        def body(i: jax.Array, loop: tuple[Carry, Any]) -> tuple[Carry, Any]:
            carry, out = loop
            batch = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, 0, False), batches)
            carry, metrics = self._one(carry, batch)
            return carry, jax.tree.map(lambda o, m: o.at[i].set(m[0]), out, metrics)

        first = jax.tree.map(lambda x: x[0], batches)
        shapes = jax.eval_shape(self._one, carry, first)[1]
        out = jax.tree.map(lambda _: jnp.full((self.steps_per_call,), jnp.nan), shapes)
        return jax.lax.fori_loop(0, n, body, (carry, out))


def _with_sharding(shapes: Any, shardings: Any) -> Any:
    return jax.tree.map(
        lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), shapes, shardings
    )
