"""Clips of what an agent did, pairs of them to be compared, and the comparisons made so far.

Christiano et al., 2017, arXiv:1706.03741, sections 2.1 and 2.2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError

SELECTIONS = ("variance", "random")  # of the pairs to ask about


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
    """Q pairs of clips.

    Attributes:
      left, right: `[Q, K, ...]`.
      present: `[Q]` bool; the others are no pairs, and hold anything.
    """

    left: Clip
    right: Clip
    present: jax.Array


class History(NamedTuple):
    """The newest H steps of N environments.

    Attributes:
      steps: leaves `[H, N, ...]`.
      ended: `[H, N]` bool, the episode was over with that step.
    """

    steps: Clip
    ended: jax.Array

    @classmethod
    def empty(cls, length: int, like: Clip) -> History:
        """A history of which no clip can be cut yet, for steps of the shapes `like`
        `[T, N, ...]`."""
        steps = jax.tree.map(lambda s: jnp.zeros((length, *s.shape[1:]), s.dtype), like)
        return cls(steps, jnp.ones((length, like.reward.shape[1]), bool))

    def add(self, steps: Clip, ended: jax.Array) -> History:
        """Takes in T newer steps and drops the oldest."""
        return jax.tree.map(
            lambda old, new: jnp.concatenate([old, new])[-len(old) :], self, History(steps, ended)
        )


def draw_pairs(
    history: History, clip_steps: int, count: int, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draws clips uniformly from all that lie within one episode, two by two.

    Returns:
      `[count, 2]` int32, position of each clip among the flattened `[H - K + 1, N]`; and whether
      there is any clip at all.
    """
    ends_before = jnp.cumsum(history.ended, axis=0)
    ends_before = jnp.concatenate([jnp.zeros_like(ends_before[:1]), ends_before])
    starts = len(history.ended) - clip_steps + 1
    # No episode ends in any step of the clip but the last.
    whole = ends_before[clip_steps - 1 :][:starts] == ends_before[:starts]
    reached = jnp.cumsum(whole.ravel())
    wanted = jax.random.randint(key, (count, 2), 0, jnp.maximum(reached[-1], 1))
    return jnp.searchsorted(reached, wanted, side="right").astype(jnp.int32), reached[-1] > 0


def cut(history: History, clip_steps: int, position: jax.Array) -> Clip:
    """Cuts the clips `[Q, K, ...]` at positions `[Q]` of `draw_pairs`."""
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
    history: History,
    predict: Callable[[jax.Array, jax.Array], jax.Array],
    due: jax.Array,
    key: jax.Array,
    *,
    max_pairs: int,
    candidates: int,
    clip_steps: int,
    selection: str,
) -> Pairs:
    """Selects the pairs to ask about, of several candidates for each (section 2.2.4).

    Args:
      history: clips are cut from it.
      predict: `(observation, action) [H, N, ...] -> rewards [M, H, N]` of an ensemble's members.
      due: how many pairs are to be present.
      key: of this selection.
      max_pairs: Q, at least `due`.
      candidates: pairs that are drawn for each one that is selected.
      clip_steps: K.
      selection: "variance" for those of whose outcome the members predict the most different
        probabilities, "random" for any.
    """
    count = candidates * max_pairs
    position, any_clip = draw_pairs(history, clip_steps, count, key)
    score = jnp.zeros(count)

    def disagreement() -> jax.Array:
        rewards = predict(history.steps.observation, history.steps.action)
        sums = clip_sums(rewards, clip_steps, position)
        return jax.nn.sigmoid(sums[..., 0] - sums[..., 1]).var(axis=0)

    if selection == "variance":
        # In Atari games pairs are due in few steps.
        score = jax.lax.cond(due > 0, disagreement, lambda: score)
    # Ties, if pairs are to be any, go to the first, and these were drawn at random.
    score = jnp.where(jnp.arange(count) < candidates * due, score, -1.0)
    chosen = position[jax.lax.top_k(score, max_pairs)[1]]
    present = (jnp.arange(max_pairs) < due) & any_clip
    left, right = (cut(history, clip_steps, chosen[:, side]) for side in (0, 1))
    return Pairs(left, right, present)


def oracle(pairs: Pairs) -> jax.Array:
    """Preferences `[Q]` by sums of true rewards: 1 for left, 0 for right, 1/2 for equal ones."""
    left, right = pairs.left.reward.sum(axis=-1), pairs.right.reward.sum(axis=-1)
    return (1 + jnp.sign(left - right)) / 2


class Comparisons(flax.struct.PyTreeNode):
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
        """Room for `capacity` comparisons of clips of the shapes `like` `[Q, K, ...]`."""

        def clips() -> Any:
            return jax.tree.map(
                lambda s: jnp.zeros((capacity, *s.shape[1:]), s.dtype), like._replace(reward=None)
            )

        copies = jnp.zeros((capacity, members), jnp.int32)
        return cls(clips(), clips(), jnp.zeros(capacity), copies, jnp.int32(0))

    @property
    def filled(self) -> jax.Array:
        """Which of the C places hold a comparison, `[C]` bool."""
        return jnp.arange(len(self.preference)) < self.total

    def add(self, pairs: Pairs, preference: jax.Array, key: jax.Array) -> Comparisons:
        """Adds those of the pairs `[Q]` that are present, over the oldest where there is no room.

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
    num_steps: int,
    rollout_steps: int,
    frames: int,
    *,
    total_labels: int,
    initial_fraction: float,
    initial_steps: int,
    annealing_frames: int,
    clip_steps: int,
) -> np.ndarray:
    """How many comparisons are asked for in each step of the run, `[num_steps]`.

    A fraction of them is spread over the first steps, while the policy is random; the others come
    at a rate proportional to M / (T + M) after T frames (A.1, where M is 2 million).

    Args:
      num_steps: of the run.
      rollout_steps: agent steps of each environment in one step of the run.
      frames: of one step of the run.
      total_labels: of the whole run.
      initial_fraction: of them, for the random policy.
      initial_steps: steps of the run in which the random policy plays.
      annealing_frames: M.
      clip_steps: agent steps of a clip.

    Raises:
      UserError: the random policy plays no whole clip, or all the time.
    """
    without_clip = -(-clip_steps // rollout_steps) - 1
    if not without_clip < initial_steps < num_steps:
        raise UserError(
            f"queries.initial_steps={initial_steps} is to be more than {without_clip}, after which "
            f"the first clip is whole, and less than the run's {num_steps} steps"
        )
    count = initial_steps - without_clip
    # The integral of M / (T + M) over the frames T since the policy began to learn.
    later = np.log1p(np.arange(1, num_steps - initial_steps + 1) * frames / annealing_frames)
    asked = total_labels * np.concatenate(
        [
            np.zeros(without_clip + 1),
            initial_fraction * np.arange(1, count + 1) / count,
            initial_fraction + (1 - initial_fraction) * later / later[-1],
        ]
    )
    return np.diff(np.round(asked)).astype(np.int32)
