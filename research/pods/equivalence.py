"""Comparing programs that should compute the same: results of a step, and what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.core.tree import named_leaves
from research.pods.communication import Traffic, collectives
from research.training.program import Program


def after_one_step(program: Program, seed: int, limits: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The state after one step on random numbers, by path name.

    Args:
      program: whose batches are dictionaries.
      seed: of the state and of the batch.
      limits: integers of a batch are below this, by name; all else is normal.
    """
    assert program.experiment.source is not None
    rng = np.random.default_rng(seed)
    batch = {
        name: rng.integers(0, limits[name], s.shape, s.dtype)
        if name in limits
        else rng.normal(0, 1, s.shape).astype(s.dtype)
        for name, s in program.experiment.source.spec.items()
    }
    placed = jax.device_put(batch, program.batch_sharding)
    state = program.advance(program.init(seed), placed, 1)[0].state
    return {name: np.asarray(leaf) for name, leaf in named_leaves(state).items()}


def largest_difference(
    got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], part: str
) -> float:
    """Between two states, relative to the largest element of each array with `part` in its name."""
    names = [name for name in expected if part in name]
    return relative_difference([got[n] for n in names], [expected[n] for n in names])


def communication(program: Program) -> list[Traffic]:
    """The collectives of a program's step, from compiling it; nothing is allocated."""
    return collectives(program.trace().lower().compile().as_text(), dict(program.mesh.shape))


def relative_difference(got: Any, expected: Any) -> float:
    """The largest between two pytrees, relative to the largest element of each array.

    Where all of an expected array is zero, it is 0 or infinite; NaN if anything is NaN.
    """

    def relative(a: Any, b: Any) -> float:
        apart, largest = (np.abs(x).max() for x in (np.asarray(a) - np.asarray(b), np.asarray(b)))
        return float(apart / largest) if largest else float(apart and np.inf)

    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    return float(np.max([relative(a, b) for a, b in pairs]))  # Python's `max` may skip NaN


def after_random_gradients(
    tx: optax.GradientTransformation, num_steps: int, seed: int
) -> jax.Array:
    """Eight weights, at first zero, after `num_steps` updates with normal gradients."""

    def train(gradients: jax.Array) -> jax.Array:
        def advance(carry: Any, gradient: jax.Array) -> tuple[Any, None]:
            weights, state = carry
            updates, state = tx.update(gradient, state, weights)
            return (weights + updates, state), None

        weights = jnp.zeros(8)
        return jax.lax.scan(advance, (weights, tx.init(weights)), gradients)[0][0]

    return jax.jit(train)(jax.random.normal(jax.random.key(seed), (num_steps, 8)))
