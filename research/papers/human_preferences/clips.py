"""Clips of what an agent did, pairs of them to be compared, and the comparisons made so far
(Christiano et al., 2017, arXiv:1706.03741, sections 2.1 and 2.2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from research.core.errors import UserError, check_choice


class Clip(NamedTuple):
    """K steps in a row of one episode, behind any axes that count clips.

    Attributes:
      observation: `[..., K, ...]` as the environment gave it.
      action: `[..., K]`, or `[..., K, A]` where continuous.
      reward: `[..., K]` the true ones, which a synthetic oracle alone may look at; None where they
        are left out.
    """

    observation: jax.Array
    action: jax.Array
    reward: Any


class Pairs(NamedTuple):
    """Q pairs of clips. Attributes: left, right `[Q, K, ...]`; present `[Q]` bool."""

    left: Clip
    right: Clip
    present: jax.Array


class History(NamedTuple):
    """The newest H steps of N environments. Attributes: steps, leaves `[H, N, ...]`; ended `[H, N]`
    bool, the episode was over with that step."""

    steps: Clip
    ended: jax.Array

    @classmethod
    def empty(cls, length: int, like: Clip) -> History:
        """Of nothing: no clip can be cut from it. `like`: shapes of steps `[T, N, ...]`."""
        steps = jax.tree.map(lambda s: jnp.zeros((length, *s.shape[1:]), s.dtype), like)
        return cls(steps, jnp.ones((length, like.reward.shape[1]), bool))

    def add(self, steps: Clip, ended: jax.Array) -> History:
        """With T newer steps, the oldest left out."""
        return jax.tree.map(
            lambda old, new: jnp.concatenate([old, new])[-len(old) :], self, History(steps, ended)
        )


def draw_pairs(
    history: History, clip_steps: int, count: int, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Clips drawn uniformly from all that lie within one episode, two by two.

    Returns:
      `[count, 2]` int32, position of each clip among the flattened `[H - K + 1, N]`; and whether
      there is any clip at all.
    """
    before = jnp.cumsum(history.ended, axis=0)
    before = jnp.concatenate([jnp.zeros_like(before[:1]), before])
    starts = len(history.ended) - clip_steps + 1
    # No episode ends in any step of the clip but the last.
    whole = before[clip_steps - 1 :][:starts] == before[:starts]
    reached = jnp.cumsum(whole.ravel())
    wanted = jax.random.randint(key, (count, 2), 0, jnp.maximum(reached[-1], 1))
    return jnp.searchsorted(reached, wanted, side="right").astype(jnp.int32), reached[-1] > 0


def cut(history: History, clip_steps: int, position: jax.Array) -> Clip:
    """Clips `[Q, K, ...]` at positions `[Q]` of `draw_pairs`."""
    num_envs = history.ended.shape[1]
    rows = position[:, None] // num_envs + jnp.arange(clip_steps)
    return jax.tree.map(lambda x: x[rows, position[:, None] % num_envs], history.steps)


def clip_sums(rewards: jax.Array, clip_steps: int, position: jax.Array) -> jax.Array:
    """Sums of predicted rewards `[M, H, N]` over the clips at positions `[...]`: `[M, ...]`."""
    sums = jnp.cumsum(rewards, axis=1)
    sums = jnp.concatenate([jnp.zeros_like(sums[:, :1]), sums], axis=1)
    over_clips = sums[:, clip_steps:] - sums[:, :-clip_steps]
    return over_clips.reshape(len(rewards), -1)[:, position]


def select_pairs(
    queries: ConfigDict,
    most: int,
    history: History,
    predict: Callable[[jax.Array, jax.Array], jax.Array],
    due: jax.Array,
    key: jax.Array,
) -> Pairs:
    """The pairs to ask about, of several candidates for each: those of whose outcome the ensemble's
    members predict the most different probabilities (section 2.2.4), or any.

    Args:
      queries: `config.queries`.
      most: pairs `[most]` are given back,
      due: of which so many are present.
      predict: `(observation, action) [H, N, ...] -> rewards [M, H, N]` of each member.
    """
    k, count = queries.clip_steps, queries.candidates * most
    position, any_clip = draw_pairs(history, k, count, key)
    score = jnp.zeros(count)

    def disagreement() -> jax.Array:
        rewards = predict(history.steps.observation, history.steps.action)
        sums = clip_sums(rewards, k, position)
        return jax.nn.sigmoid(sums[..., 0] - sums[..., 1]).var(axis=0)

    if queries.selection == "variance":  # in Atari games seldom needed
        score = jax.lax.cond(due > 0, disagreement, lambda: score)
    # Ties, if pairs are to be any, go to the first, and these were drawn at random.
    score = jnp.where(jnp.arange(count) < queries.candidates * due, score, -1.0)
    chosen = position[jax.lax.top_k(score, most)[1]]
    present = (jnp.arange(most) < due) & any_clip
    return Pairs(cut(history, k, chosen[:, 0]), cut(history, k, chosen[:, 1]), present)


def oracle(pairs: Pairs) -> jax.Array:
    """How much of the preference is for the left clip, `[Q]`: 1, 0, or 1/2 where the true rewards
    of both sum to the same."""
    left, right = pairs.left.reward.sum(axis=-1), pairs.right.reward.sum(axis=-1)
    return (1 + jnp.sign(left - right)) / 2


@flax.struct.dataclass
class Comparisons:
    """The newest C comparisons, and who learns from each.

    Attributes:
      left, right: `[C, K, ...]`; their true rewards are left out.
      preference: `[C]`, 1 for left, 0 for right, 1/2 for neither.
      copies: `[C, M]` int32, how often it is in each member's own sample. Where 0, and that is the
        fraction 1/e of all, the comparison is held out for that member's validation.
      total: how many there were, the forgotten ones too.
    """

    left: Clip
    right: Clip
    preference: jax.Array
    copies: jax.Array
    total: jax.Array

    @classmethod
    def empty(cls, capacity: int, members: int, like: Clip) -> Comparisons:
        """Room for `capacity`. `like`: shapes of clips `[Q, K, ...]`."""

        def clips() -> Any:
            return jax.tree.map(
                lambda s: jnp.zeros((capacity, *s.shape[1:]), s.dtype), like._replace(reward=None)
            )

        copies = jnp.zeros((capacity, members), jnp.int32)
        return cls(clips(), clips(), jnp.zeros(capacity), copies, jnp.int32(0))

    @property
    def filled(self) -> jax.Array:
        """`[C]` bool."""
        return jnp.arange(len(self.preference)) < self.total

    def add(self, pairs: Pairs, preference: jax.Array, key: jax.Array) -> Comparisons:
        """With those of the pairs `[Q]` that are present.

        Each member's sample of all comparisons with replacement is kept as they come: as their
        number grows, the copies of each tend to Poisson(1), and these are drawn here.
        """
        capacity, members = self.copies.shape
        place = (self.total + jnp.cumsum(pairs.present) - 1) % capacity
        place = jnp.where(pairs.present, place, capacity)  # out of range: left out

        def put(room: jax.Array, new: jax.Array) -> jax.Array:
            return room.at[place].set(new, mode="drop")

        copies = jax.random.poisson(key, 1.0, (len(preference), members))
        left, right = (clip._replace(reward=None) for clip in (pairs.left, pairs.right))
        return Comparisons(
            jax.tree.map(put, self.left, left),
            jax.tree.map(put, self.right, right),
            put(self.preference, preference),
            put(self.copies, copies),
            self.total + pairs.present.sum(),
        )


def label_schedule(
    queries: ConfigDict, num_steps: int, rollout_steps: int, frames: int
) -> np.ndarray:
    """How many comparisons are asked for in each step of the run, `[num_steps]`.

    A fraction of them while the first, random policy plays, spread over these steps; then at a rate
    proportional to M / (T + M) after T frames (A.1, where M is 2 million).

    Args:
      queries: `config.queries`.
      rollout_steps: agent steps of each environment in one step of the run.
      frames: of one step of the run.

    Raises:
      UserError: the random policy plays no whole clip, or all the time; pairs are to be selected in
        a way that `select_pairs` does not know.
    """
    check_choice("queries.selection", queries.selection, ("variance", "random"))
    initial, alone = queries.initial_steps, -(-queries.clip_steps // rollout_steps) - 1
    if not alone < initial < num_steps:
        raise UserError(
            f"queries.initial_steps={initial} is to be more than {alone}, after which the first "
            f"clip is whole, and less than the run's {num_steps} steps"
        )
    later = np.arange(1, num_steps - initial + 1) * frames
    share = np.log1p(later / queries.annealing_frames)
    fraction = queries.initial_fraction
    asked = queries.total_labels * np.concatenate(
        [
            np.zeros(alone + 1),
            fraction * np.arange(1, initial - alone + 1) / (initial - alone),
            fraction + (1 - fraction) * share / share[-1],
        ]
    )
    return np.diff(np.round(asked)).astype(np.int32)
