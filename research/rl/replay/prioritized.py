"""Proportional prioritized experience replay (Schaul et al., 2015, arXiv:1511.05952)."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.rl.replay.frames import Batch, Newest, Replay, ReplayState, Uniform

_EPSILON = 1e-6  # so that no transition is lost for good (section 3.3)


@flax.struct.dataclass
class Priorities:
    """Attributes: tree `[2 * leaves]`, a binary heap of sums: node i has the children 2i and 2i +
    1, and the leaves are the upper half; largest, a scalar, the largest priority given so far."""

    tree: jax.Array
    largest: jax.Array


def sum_tree(leaves: int) -> jax.Array:
    """A tree of zeros with room for that many leaves."""
    return jnp.zeros(2 * (1 << max(leaves - 1, 1).bit_length()), jnp.float32)


def set_leaves(tree: jax.Array, leaf: jax.Array, value: jax.Array) -> jax.Array:
    """Sets leaves `[B]` to `value` `[B]` and the sums above them. Of equal leaves one counts."""
    node = leaf + tree.shape[0] // 2
    tree = tree.at[node].set(value)
    for _ in range(tree.shape[0].bit_length() - 2):
        node = node // 2
        tree = tree.at[node].set(tree[2 * node] + tree[2 * node + 1])
    return tree


def find_leaves(tree: jax.Array, mass: jax.Array) -> jax.Array:
    """Leaves `[B]` in which the cumulative sum reaches `mass` `[B]`."""
    node = jnp.ones(mass.shape, jnp.int32)
    for _ in range(tree.shape[0].bit_length() - 2):
        left = tree[2 * node]
        # Rounding can leave more mass than there is on the left; an empty side is never entered.
        right = (mass >= left) & (tree[2 * node + 1] > 0)
        mass = jnp.where(right, mass - left, mass)
        node = 2 * node + right
    return node - tree.shape[0] // 2


class Prioritized:
    """Transitions are drawn in proportion to |TD error| ** alpha (section 3.3), stratified.

    New ones get the largest priority so far. Importance weights are (1 / (M P)) ** beta over the M
    transitions, normalised by the largest in the batch (section 3.4).
    """

    def __init__(self, replay: Replay, alpha: float):
        self.replay, self.alpha = replay, alpha

    def init(self) -> Priorities:
        leaves = self.replay.num_envs * self.replay.rows
        return Priorities(sum_tree(leaves), jnp.ones(()))

    def added(self, priorities: Priorities, before: ReplayState) -> Priorities:
        """To be told of every `Replay.add`, with the state before it."""
        head = before.head
        after = (head + 1) % self.replay.rows
        env = jnp.arange(self.replay.num_envs)
        leaf = jnp.concatenate([self._leaf(env, head), self._leaf(env, after)])
        value = jnp.full(head.shape, priorities.largest)
        value = jnp.concatenate([value, jnp.zeros_like(value)])
        return Priorities(set_leaves(priorities.tree, leaf, value), priorities.largest)

    def sample(
        self,
        priorities: Priorities,
        state: ReplayState,
        key: jax.Array,
        size: int,
        beta: jax.Array,
    ) -> Batch:
        tree = priorities.tree
        stratum = (jnp.arange(size) + jax.random.uniform(key, (size,))) / size
        leaf = find_leaves(tree, stratum * tree[1])
        slot = jnp.stack(jnp.divmod(leaf, self.replay.rows), axis=1)
        probability = tree[leaf + tree.shape[0] // 2] / tree[1]
        weight = (state.filled.sum() * probability) ** -beta
        batch = self.replay.gather(state, slot)
        weight *= batch.weight
        return batch._replace(weight=weight / jnp.maximum(weight.max(), _EPSILON))

    def update(self, priorities: Priorities, slot: jax.Array, td_error: jax.Array) -> Priorities:
        """To be told of the TD errors `[B]` of what was sampled."""
        value = (jnp.abs(td_error) + _EPSILON) ** self.alpha
        tree = set_leaves(priorities.tree, self._leaf(slot[:, 0], slot[:, 1]), value)
        return Priorities(tree, jnp.maximum(priorities.largest, value.max()))

    def _leaf(self, env: jax.Array, row: jax.Array) -> jax.Array:
        return env * self.replay.rows + row


def make_sampler(sampling: str, replay: Replay, alpha: float) -> Uniform | Prioritized:
    """Sampler by name: "uniform", "newest" (no replay) or "prioritized".

    Raises:
      UserError: another name.
    """
    match sampling:
        case "uniform":
            return Uniform(replay)
        case "newest":
            return Newest(replay)
        case "prioritized":
            return Prioritized(replay, alpha)
    raise UserError(f"replay.sampling is uniform, newest or prioritized, not {sampling!r}")
