"""What one-shot imitation trains on, and how a policy acts after a demonstration (Duan et al.,
2017, arXiv:1703.07326, sections 3 and 4).

A policy is given a demonstration of a task and a state of another instance of it. It learns from
pairs of demonstrations of one task, and in DAgger also from states that it got into itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Learner
from research.papers.one_shot_imitation import scenes
from research.papers.one_shot_imitation.scenes import Demonstration
from research.papers.one_shot_imitation.task_families import (
    Start,
    TaskDemonstrations,
    TaskFamily,
    play,
)
from research.rl.demonstrations import Demonstrations

SEEN: dict[str, Callable[[Demonstration], Demonstration]] = {
    "all": lambda demonstration: demonstration,
    "last": scenes.last_frame,
    "none": scenes.nothing,
}


class DaggerBuffer(flax.struct.PyTreeNode):
    """The newest C episodes of the policy, with the expert's actions.

    Attributes:
      steps: leaves `[C, T, ...]`.
      task: `[C]`, index of the task among those demonstrated.
      start: `[C]`, which of the task's demonstrations an episode began like.
      count: episodes so far.
    """

    steps: Demonstrations
    task: jax.Array
    start: jax.Array
    count: jax.Array

    @classmethod
    def empty(cls, demonstrations: TaskDemonstrations, capacity: int) -> DaggerBuffer:
        """A buffer for `capacity` episodes of the tasks that were demonstrated."""
        steps = jax.tree.map(
            lambda x: jnp.zeros((capacity, *x.shape[2:]), x.dtype), demonstrations.steps
        )
        task, start = jnp.zeros((2, capacity), jnp.int32)
        return cls(steps, task, start, jnp.int32(0))

    @property
    def capacity(self) -> int:
        return len(self.task)

    def add(self, steps: Demonstrations, task: jax.Array, start: jax.Array) -> DaggerBuffer:
        """Puts N episodes, leaves `[N, T, ...]`, in place of the oldest ones."""
        rows = (self.count + jnp.arange(len(task))) % self.capacity
        return DaggerBuffer(
            jax.tree.map(lambda x, new: x.at[rows].set(new), self.steps, steps),
            self.task.at[rows].set(task),
            self.start.at[rows].set(start),
            self.count + len(task),
        )


def sample_pairs(
    demonstrations: TaskDemonstrations,
    buffer: DaggerBuffer | None,
    key: jax.Array,
    *,
    num: int,
    states_per_task: int,
) -> tuple[Demonstrations, Demonstrations]:
    """Draws demonstrations to show, and states of other episodes of the same tasks.

    Args:
      demonstrations: of the expert.
      buffer: of DAgger; every episode that there is, here or there, is as likely. None for cloning.
      key: of the draw.
      num: N, demonstrations.
      states_per_task: Q, states of the one other episode that goes with a demonstration.

    Returns:
      Demonstrations, leaves `[N, T, ...]`, and states with the expert's actions, `[N, Q, ...]`.
    """
    steps = demonstrations.steps
    task_key, pair_key, state_key, buffer_key = jax.random.split(key, 4)
    tasks, per_task, _ = steps.present.shape
    task = jax.random.randint(task_key, (num,), 0, tasks)
    first, other = jax.random.randint(pair_key, (2, num), 0, per_task)
    other = jnp.where(other == first, (other + 1) % per_task, other)
    episodes = jax.tree.map(lambda x: x[task, other], steps)
    if buffer is not None:
        stored = jnp.minimum(buffer.count, buffer.capacity)
        own_key, row_key = jax.random.split(buffer_key)
        row = jax.random.randint(row_key, (num,), 0, jnp.maximum(stored, 1))
        own = jax.random.uniform(own_key, (num,)) < stored / (stored + tasks * per_task)
        task = jnp.where(own, buffer.task[row], task)
        # The instance that the policy was in is not the one that it is shown.
        same = own & (buffer.start[row] == first)
        first = jnp.where(same, (first + 1) % per_task, first)

        def choose(a: jax.Array, b: jax.Array) -> jax.Array:
            return jnp.where(own.reshape(-1, *[1] * (b.ndim - 1)), a[row], b)

        episodes = jax.tree.map(choose, buffer.steps, episodes)
    shown = jax.tree.map(lambda x: x[task, first], steps)
    at = jax.random.uniform(state_key, (num, states_per_task))
    at = (at * episodes.present.sum(axis=1, keepdims=True)).astype(jnp.int32)
    states = jax.tree.map(lambda x: x[jnp.arange(num)[:, None], at], episodes)
    return shown, states


@dataclasses.dataclass(frozen=True)
class Imitator:
    """A policy that acts after a demonstration.

    Attributes:
      learner: of a model of `policies`.
      family: of the tasks.
      seen: of a demonstration: "all", its "last" frame, or "none".
      dropout: p of temporal dropout.
    """

    learner: Learner
    family: TaskFamily
    seen: str
    dropout: float

    def shown(self, steps: Demonstrations, key: jax.Array | None) -> Demonstration:
        """N demonstrations as the policy sees them: with temporal dropout if there is a key."""
        whole = Demonstration(self.family.scene(steps.observation), steps.present)
        if self.seen == "all" and key is not None:
            return scenes.temporal_dropout(key, whole, self.dropout)
        return SEEN[self.seen](whole)

    def actor(
        self, variables: Any, steps: Demonstrations, ensemble: int, key: jax.Array
    ) -> Callable[[jax.Array], jax.Array]:
        """Observations `[N, D]` to actions `[N, A]`, after N demonstrations.

        Args:
          variables: of the policy.
          steps: the demonstrations, leaves `[N, T, ...]`.
          ensemble: the mean over so many draws of temporal dropout, with which the policy was
            trained (section 4.1); 0: the demonstrations are whole.
          key: of those draws.
        """

        def embed(key: jax.Array | None) -> Any:
            return self.learner.apply(variables, self.shown(steps, key), method="embed")

        if ensemble and self.seen == "all" and self.dropout:
            embedded = jax.vmap(embed)(jax.random.split(key, ensemble))
        else:
            embedded = jax.tree.map(lambda x: x[None], embed(None))

        def act(observation: jax.Array) -> jax.Array:
            scene = jax.tree.map(lambda x: x[:, None], self.family.scene(observation))
            actions = jax.vmap(
                lambda e: self.learner.apply(variables, e, scene, method="act")[0][:, 0]
            )(embedded)
            return actions.mean(axis=0)

        return act

    def imitate(
        self,
        variables: Any,
        steps: Demonstrations,
        start: Start,
        ensemble: int,
        key: jax.Array,
        family: TaskFamily | None = None,
    ) -> tuple[Demonstrations, jax.Array]:
        """Lets the policy do N tasks after N demonstrations.

        Args:
          variables: of the policy.
          steps: the demonstrations, leaves `[N, T, ...]`.
          start: first states of other instances of the same tasks.
          ensemble: as of `actor`.
          key: of temporal dropout and of the episodes.
          family: of these tasks, where it is not the one that was trained on.

        Returns:
          The policy's episodes, leaves `[N, T, ...]`, and `[N]` bool, whether it did as shown.
        """
        drop_key, play_key = jax.random.split(key)
        act = self.actor(variables, steps, ensemble, drop_key)

        def policy(observation: jax.Array, env_state: Any, key: jax.Array) -> Any:
            action = act(observation)
            return action, action  # what is done is what is noted

        return play(family or self.family, start, policy, play_key)
