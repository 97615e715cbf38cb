"""Hindsight Experience Replay: goals that were met take the place of goals that were not.

Andrychowicz et al., 2017, arXiv:1707.01495, algorithm 1 and section 4.5. The paper stores for every
transition k copies with other goals beside the original; here one of the k + 1 is drawn when a
transition is sampled, which has the same distribution.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from research.core.errors import check_choice
from research.rl.envs.goals import GoalEnvironment, with_goal
from research.rl.replay.transitions import Ring, RingState, Transition

STRATEGIES = ("future", "final", "episode", "random")


@dataclasses.dataclass(frozen=True)
class Hindsight:
    """Samples transitions of replayed episodes with goals chosen in hindsight.

    Attributes:
      env: the task.
      ring: of `goals.Episode`s.
      strategy: which state's achieved goal replaces the goal: "future", one after this step in the
        same episode (the one that this step leads to among them); "final", the last one; "episode",
        any of the same episode; "random", any of all episodes held.
      k: copies with other goals for each original; 0 replaces none.
    """

    env: GoalEnvironment
    ring: Ring
    strategy: str = "future"
    k: int = 4

    def __post_init__(self) -> None:
        check_choice("replay.strategy", self.strategy, STRATEGIES)

    def sample(self, state: RingState, key: jax.Array, size: int) -> Transition:
        """Draws `size` steps. None terminates: a goal that is met ends no episode (appendix A)."""
        episode_key, step_key, goal_key, choice_key = jax.random.split(key, 4)
        horizon, episodes = self.env.horizon, state.items
        row, env = self.ring.draw(state, episode_key, size)
        step = jax.random.randint(step_key, (size,), 0, horizon)
        observation = episodes.observation[row, env, step]
        next_observation = episodes.observation[row, env, step + 1]

        # One of k + 1 transitions keeps the goal of its episode; the others have one that was met.
        achieved = self.env.achieved_goal(self._goal_state(state, goal_key, row, env, step))
        replaced = jax.random.uniform(choice_key, (size,)) < self.k / (self.k + 1)
        goal = jnp.where(replaced[:, None], achieved, observation[:, -self.env.goal_size :])
        return Transition(
            observation=with_goal(self.env, observation, goal),
            action=episodes.action[row, env, step],
            reward=self.env.reward(self.env.achieved_goal(next_observation), goal),
            terminated=jnp.zeros((size,), bool),
            next_observation=with_goal(self.env, next_observation, goal),
        )

    def _goal_state(
        self, state: RingState, key: jax.Array, row: jax.Array, env: jax.Array, step: jax.Array
    ) -> jax.Array:
        """Observations `[B, D]` whose achieved goals are the new ones."""
        key, episode_key = jax.random.split(key)
        last = jnp.full_like(step, self.env.horizon)
        match self.strategy:
            case "future":
                first = step + 1
            case "final":
                first = last
            case _:
                first = jnp.ones_like(step)  # a goal is met by a step, not by how things began
        if self.strategy == "random":
            row, env = self.ring.draw(state, episode_key, len(step))
        step = jax.random.randint(key, step.shape, first, last + 1)
        return state.items.observation[row, env, step]
