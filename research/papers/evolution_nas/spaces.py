"""What evolves: strings of bits (Real et al., 2018, the paper's toy), and cells of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from research.models.nas_cells.amoeba_net import OPERATIONS, CellGenotype, Genotype
from research.models.nas_cells.masked import Cells


class Space(Protocol):
    """Architectures as arrays, drawn and mutated."""

    def random(self, key: jax.Array) -> Any: ...

    def mutate(self, key: jax.Array, architecture: Any) -> Any: ...


class BitStrings:
    """Strings `[D]` of bits; a mutation flips one."""

    def __init__(self, size: int):
        self.size = size

    def random(self, key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, shape=(self.size,))

    def mutate(self, key: jax.Array, architecture: jax.Array) -> jax.Array:
        place = jax.random.randint(key, (), 0, self.size)
        return architecture ^ (jnp.arange(self.size) == place)


class CellSpace:
    """Pairs of cells of K combinations, each of two hidden states and two operations.

    Attributes:
      combinations: K.
      identity_share: how often a mutation leaves everything as it is; 0.05 in the paper. Otherwise
        it changes a hidden state or an operation, each half of the time.
    """

    def __init__(self, combinations: int, identity_share: float):
        self.combinations, self.identity_share = combinations, identity_share

    def random(self, key: jax.Array) -> Cells:
        """Uniform: any operation, any earlier hidden state."""
        drawn = jax.random.uniform(key, (2, 2, self.combinations, 2))
        earlier = jnp.arange(self.combinations)[:, None] + 2
        return Cells(operations=_below(len(OPERATIONS), drawn[0]), inputs=_below(earlier, drawn[1]))

    def mutate(self, key: jax.Array, architecture: Cells) -> Cells:
        # One draw for all that is random: every call of a generator is long to compile.
        kind, cell, combination, side, change = jax.random.uniform(key, (5,))
        place = (_below(2, cell), _below(self.combinations, combination), _below(2, side))
        rewired = self.rewire(change, architecture, place)
        replaced = self.replace(change, architecture, place)
        half = self.identity_share + (1 - self.identity_share) / 2
        changed = jax.tree.map(lambda a, b: jnp.where(kind < half, a, b), rewired, replaced)
        is_identity = kind < self.identity_share
        return jax.tree.map(lambda a, b: jnp.where(is_identity, a, b), architecture, changed)

    def replace(self, drawn: jax.Array, cells: Cells, place: tuple) -> Cells:
        """Op mutation: another operation at `place` (cell, combination, side).

        Args:
          drawn: uniform in 0 to 1, decides which.
        """
        shift = 1 + _below(len(OPERATIONS) - 1, drawn)
        operation = (cells.operations[place] + shift) % len(OPERATIONS)
        return cells.replace(operations=cells.operations.at[place].set(operation))

    def rewire(self, drawn: jax.Array, cells: Cells, place: tuple) -> Cells:
        """Hidden state mutation: another input at `place`, such that no loop is formed.

        It may be of a combination with a larger number that does not depend on this one; they are
        then numbered anew. Where there is none, all stays as it is. `drawn` as in `replace`.
        """
        cell, combination, _ = place
        inputs = cells.inputs[cell]
        allowed = ~depends(inputs)[:, combination + 2]
        allowed = allowed.at[cells.inputs[place]].set(False)
        chosen = jnp.argmax(jnp.cumsum(allowed) > _below(allowed.sum(), drawn))
        state = jnp.where(allowed.any(), chosen, cells.inputs[place]).astype(jnp.int32)
        changed = cells.inputs.at[place].set(state)[cell]
        operations, changed = in_order(cells.operations[cell], changed)
        return Cells(
            operations=cells.operations.at[cell].set(operations),
            inputs=cells.inputs.at[cell].set(changed),
        )


def _below(count: int | jax.Array, drawn: jax.Array) -> jax.Array:
    """Whole numbers from 0 to below `count`, int32, of numbers that are uniform in 0 to 1."""
    return jnp.minimum((drawn * count).astype(jnp.int32), count - 1)


def depends(inputs: jax.Array) -> jax.Array:
    """Which hidden states follow from which.

    Args:
      inputs: `[K, 2]`, of a cell without loops.

    Returns:
      `[K + 2, K + 2]` bool: state a is b, or is made from it by any number of combinations.
    """
    count = len(inputs)
    direct = jnp.zeros((count + 2, count + 2), bool)
    rows = jnp.arange(count) + 2
    direct = direct.at[rows[:, None], inputs].set(True)
    reached = jnp.eye(count + 2, dtype=bool) | direct
    for _ in range(count.bit_length()):  # paths of twice the length each time
        reached = (reached[:, :, None] & reached[None]).any(1)
    return reached


def in_order(operations: jax.Array, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Numbers a cell's combinations such that each uses earlier states alone.

    Those that are already so stay as they are, up to ties of depth.
    """
    count = len(inputs)
    depth = jnp.zeros(count + 2, jnp.int32)
    for _ in range(count):
        depth = depth.at[2:].set(1 + depth[inputs].max(-1))
    order = jnp.argsort(depth[2:], stable=True)
    number = jnp.arange(count + 2).at[order + 2].set(jnp.arange(count) + 2)
    return operations[order], number[inputs[order]].astype(jnp.int32)


def to_genotype(cells: Cells) -> Genotype:
    """Cells as words and numbers, such as `AmoebaNet` is built from."""
    parts: Sequence[CellGenotype] = [
        CellGenotype(
            tuple((OPERATIONS[a], OPERATIONS[b]) for a, b in operations.tolist()),
            tuple((a, b) for a, b in inputs.tolist()),
        )
        for operations, inputs in zip(
            np.asarray(cells.operations), np.asarray(cells.inputs), strict=True
        )
    ]
    return Genotype(*parts)


def from_genotype(genotype: Genotype) -> Cells:
    """The inverse of `to_genotype`.

    Raises:
      ValueError: it has an operation that is not in the space.
    """
    operations = [
        [[OPERATIONS.index(a), OPERATIONS.index(b)] for a, b in cell.operations]
        for cell in genotype
    ]
    return Cells(
        operations=jnp.array(operations, jnp.int32),
        inputs=jnp.array([cell.inputs for cell in genotype], jnp.int32),
    )
