"""Proportional prioritized experience replay (Schaul et al., 2015, arXiv:1511.05952)."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.rl.replay.frames import Batch, Newest, Replay, ReplayState, Uniform

_EPSILON = 1e-6  # so that no transition is lost for good (section 3.3)


class Priorities(flax.struct.PyTreeNode):
    """What transitions are drawn by: positive where an n-step return can start, 0 elsewhere.

    Attributes:
      tree: `[2 * leaves]`, a binary heap of sums: node i has the children 2i and 2i + 1, and the
        leaves are the upper half.
      max_priority: scalar, the largest priority given so far.
    """

    tree: jax.Array
    max_priority: jax.Array


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


class Prioritized(Uniform):
    """Samples transitions in proportion to |TD error| ** alpha (section 3.3), stratified.

    A transition gets the largest priority so far as soon as an n-step return can start from it.
    Importance weights are (1 / (M P)) ** beta over the M transitions, normalised by the largest in
    the batch (section 3.4).

    Args:
      replay: what is sampled from.
      alpha: how much priorities matter; 0 is uniform sampling.
    """

    def __init__(self, replay: Replay, alpha: float):
        super().__init__(replay)
        self.alpha = alpha

    def init(self) -> Priorities:
        leaves = self.replay.num_envs * self.replay.rows
        return Priorities(sum_tree(leaves), jnp.ones(()))

    def added(self, priorities: Priorities, state: ReplayState) -> Priorities:
        replay = self.replay
        # `add` moves the head by one row or two. Returns can now start from the one or two rows
        # n steps back, and no longer from the rows just after the head, which hold the step's end
        # and frames of stacks that have lost their first ones. All others are as they were.
        first, last = -replay.n_steps - 1, replay.stack - 1
        window = first + jnp.arange(min(last - first + 1, replay.rows))  # no row twice
        row = (state.head[:, None] + window) % replay.rows  # [N, W]
        env = jnp.broadcast_to(jnp.arange(replay.num_envs)[:, None], row.shape)
        slot = jnp.stack([env, row], axis=-1).reshape(-1, 2)  # [N * W, 2]

        leaf = self._leaf(slot)
        now = priorities.tree[leaf + priorities.tree.shape[0] // 2]
        value = jnp.where(now > 0, now, priorities.max_priority)
        value = jnp.where(replay.eligible(state, slot), value, 0.0)
        return priorities.replace(tree=set_leaves(priorities.tree, leaf, value))

    def sample(
        self,
        priorities: Priorities,
        state: ReplayState,
        key: jax.Array,
        size: int,
        beta: float | jax.Array,
    ) -> Batch:
        tree = priorities.tree
        stratum = (jnp.arange(size) + jax.random.uniform(key, (size,))) / size
        leaf = find_leaves(tree, stratum * tree[1])
        slot = jnp.stack(jnp.divmod(leaf, self.replay.rows), axis=1)
        batch = self.replay.gather(state, slot)

        probability = tree[leaf + tree.shape[0] // 2] / tree[1]
        weight = (state.filled.sum() * probability) ** -beta
        weight = jnp.where(batch.weight > 0, weight, 0.0)  # 0 / 0 where there is nothing to draw
        return batch._replace(weight=weight / jnp.maximum(weight.max(), _EPSILON))

    def update(self, priorities: Priorities, batch: Batch, td_error: jax.Array) -> Priorities:
        leaf = self._leaf(batch.slot)
        now = priorities.tree[leaf + priorities.tree.shape[0] // 2]
        # A row of weight 0 was not learned from, and one of priority 0 is not there any more: its
        # error says nothing, and the largest priority must wait for the row's next transition.
        counts = (batch.weight > 0) & (now > 0)
        value = (jnp.abs(td_error) + _EPSILON) ** self.alpha
        return Priorities(
            tree=set_leaves(priorities.tree, leaf, jnp.where(counts, value, now)),
            max_priority=jnp.maximum(priorities.max_priority, jnp.where(counts, value, 0.0).max()),
        )

    def _leaf(self, slot: jax.Array) -> jax.Array:
        """Leaves `[B]` of slots `[B, 2]`."""
        return slot[:, 0] * self.replay.rows + slot[:, 1]


def make_sampler(sampling: str, replay: Replay, alpha: float) -> Uniform:
    """The sampler of a name.

    Args:
      sampling: "uniform", "newest" (no replay) or "prioritized".
      replay: what is sampled from.
      alpha: exponent of the priorities.

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
