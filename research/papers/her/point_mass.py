"""Reaching and pushing in the plane, after FetchReach and FetchPush.

The tasks of Andrychowicz et al., 2017 (arXiv:1707.01495, section 4.1) without the arm: a gripper, a
disc on a square table, is moved by up to `REACH` along each axis in a step and stays on the table.
In `Reach` its position is the goal. In `Push` the goal is the position of a puck, a second disc:
where the gripper would overlap it, it is pushed out along the line between the centres and rests as
soon as it is let go (friction, no momentum; a puck pushed to the table's edge stays there). First
positions and goals are uniform in the inner part of the table, goals that are met at the start left
out (appendix A); in `Push` gripper and puck begin apart. Lengths are in metres, an episode has 50
steps; the reward is -1 as long as the goal is farther away than `tolerance`, and nothing ends when
it is met.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from research.rl.envs.environments import Step
from research.rl.envs.goals import TimedState, advance, begin

TABLE = 0.25  # half the side of the table
INNER = 0.15  # half the side of the square that positions and goals are drawn from
REACH = 0.05  # the farthest that the gripper moves along an axis in a step
CONTACT = 0.05  # distance of the centres when gripper and puck touch
_SUBSTEPS = 4  # of a step, each less than the contact distance


@dataclasses.dataclass(frozen=True)
class Reach:
    """The gripper must come to the goal: a `goals.GoalEnvironment`.

    Its observation `[4]` is the positions of gripper and goal.

    Attributes:
      tolerance: distance at which a goal is met.
    """

    tolerance: float = 0.02

    num_actions, action_size, goal_size, horizon = 0, 2, 2, 50

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((4,), jnp.float32)

    def achieved_goal(self, observation: jax.Array) -> jax.Array:
        return observation[..., :2]

    def reward(self, achieved: jax.Array, goal: jax.Array) -> jax.Array:
        return -(_distance(achieved, goal) > self.tolerance).astype(jnp.float32)

    def reset(self, key: jax.Array) -> tuple[jax.Array, TimedState]:
        start_key, goal_key = jax.random.split(key)
        gripper = _inner(start_key, 2)
        return begin(jnp.concatenate([gripper, _goal(goal_key, gripper, self.tolerance)]))

    def step(self, key: jax.Array, env_state: TimedState, action: jax.Array) -> Step:
        gripper, goal = jnp.split(env_state.observation, 2)
        final = jnp.concatenate([_moved(gripper, action, REACH), goal])
        return advance(self, key, env_state, final)


@dataclasses.dataclass(frozen=True)
class Push:
    """The puck must come to the goal: a `goals.GoalEnvironment`.

    Its observation `[8]` is the positions of gripper and puck, puck - gripper, and the goal's.

    Attributes:
      tolerance: distance at which a goal is met.
    """

    tolerance: float = 0.05

    num_actions, action_size, goal_size, horizon = 0, 2, 2, 50

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((8,), jnp.float32)

    def achieved_goal(self, observation: jax.Array) -> jax.Array:
        return observation[..., 2:4]

    def reward(self, achieved: jax.Array, goal: jax.Array) -> jax.Array:
        return -(_distance(achieved, goal) > self.tolerance).astype(jnp.float32)

    def reset(self, key: jax.Array) -> tuple[jax.Array, TimedState]:
        start_key, goal_key = jax.random.split(key)
        gripper, puck = jnp.split(_inner(start_key, 4), 2)
        puck = _pushed(gripper, puck)
        goal = _goal(goal_key, puck, self.tolerance)
        return begin(jnp.concatenate([gripper, puck, puck - gripper, goal]))

    def step(self, key: jax.Array, env_state: TimedState, action: jax.Array) -> Step:
        gripper, puck, _, goal = jnp.split(env_state.observation, 4)
        for _ in range(_SUBSTEPS):
            gripper = _moved(gripper, action, REACH / _SUBSTEPS)
            puck = _pushed(gripper, puck)
        final = jnp.concatenate([gripper, puck, puck - gripper, goal])
        return advance(self, key, env_state, final)


def _distance(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum((a - b) ** 2, axis=-1))


def _inner(key: jax.Array, size: int) -> jax.Array:
    return jax.random.uniform(key, (size,), minval=-INNER, maxval=INNER)


def _goal(key: jax.Array, achieved: jax.Array, tolerance: float) -> jax.Array:
    """The first of sixteen goals that is not met yet."""
    drawn = jax.random.uniform(key, (16, 2), minval=-INNER, maxval=INNER)
    return drawn[(_distance(drawn, achieved) > tolerance).argmax()]


def _moved(gripper: jax.Array, action: jax.Array, reach: float) -> jax.Array:
    return jnp.clip(gripper + reach * jnp.clip(action, -1, 1), -TABLE, TABLE)


def _pushed(gripper: jax.Array, puck: jax.Array) -> jax.Array:
    """The puck out of the gripper's way."""
    distance = _distance(puck, gripper)
    direction = (puck - gripper) / jnp.maximum(distance, 1e-6)
    out = gripper + CONTACT * direction
    return jnp.where(distance < CONTACT, jnp.clip(out, -TABLE, TABLE), puck)
