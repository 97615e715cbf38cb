"""Tasks with goals: the agent is told which state it should reach, and pays until it is there.

A goal task is a `SingleEnvironment` whose observation `[D]` ends with the goal `[G]`. Whatever was
done in an episode can be judged by another goal: `achieved_goal` says which goal a state meets, and
`reward` is a function of that and of any goal (Andrychowicz et al., 2017, arXiv:1707.01495,
section 4.1). Every episode has the same length and none ends early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import flax.struct
import jax
import jax.numpy as jnp

from research.rl.envs.environments import SingleEnvironment, Step, Vectorized


class GoalEnvironment(SingleEnvironment, Protocol):
    """One copy of a goal task; see the module's docstring.

    Attributes:
      goal_size: G.
      horizon: T, steps of every episode.
    """

    @property
    def goal_size(self) -> int: ...

    @property
    def horizon(self) -> int: ...

    def achieved_goal(self, observation: jax.Array) -> jax.Array:
        """The goal `[..., G]` that the state of an observation `[..., D]` meets."""
        ...

    def reward(self, achieved: jax.Array, goal: jax.Array) -> jax.Array:
        """`[...]`: 0 where goals `[..., G]` are met by what was achieved, elsewhere -1."""
        ...


@flax.struct.dataclass
class TimedState:
    """State of a task of which the observation `[D]` says everything but the time."""

    observation: jax.Array
    time: jax.Array


def begin(observation: jax.Array) -> tuple[jax.Array, TimedState]:
    """What `reset` returns, from the first observation."""
    return observation, TimedState(observation, jnp.int32(0))


def advance(
    env: GoalEnvironment, key: jax.Array, env_state: TimedState, observation: jax.Array
) -> Step:
    """What `step` returns, from the observation `[D]` it led to."""
    time = env_state.time + 1
    reward = env.reward(env.achieved_goal(observation), observation[..., -env.goal_size :])
    over = time == env.horizon
    _, fresh = env.reset(key)
    next_state = jax.tree.map(
        lambda a, b: jnp.where(over, a, b), fresh, TimedState(observation, time)
    )
    info = {"final_observation": observation, "life_lost": jnp.zeros((), bool)}
    return next_state.observation, next_state, reward, jnp.zeros((), bool), over, info


class Episode(NamedTuple):
    """N whole episodes. Attributes: observation `[N, T + 1, D]`, the last one included; action
    `[N, T, ...]`; reward `[N, T]`."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array


def with_goal(env: GoalEnvironment, observation: jax.Array, goal: jax.Array) -> jax.Array:
    """Observations `[..., D]` with other goals `[..., G]`."""
    return jnp.concatenate([observation[..., : -env.goal_size], goal], axis=-1)


def play(
    env: Vectorized,
    horizon: int,
    act: Callable[[jax.Array, jax.Array], jax.Array],
    key: jax.Array,
) -> Episode:
    """One episode of every copy. `act` maps observations `[N, D]` and a key to actions."""
    reset_key, key = jax.random.split(key)

    def step(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        observation, env_state = carry
        act_key, env_key = jax.random.split(key)
        action = act(observation, act_key)
        next_observation, env_state, reward, _, _, info = env.step(env_key, env_state, action)
        return (next_observation, env_state), (
            observation,
            action,
            reward,
            info["final_observation"],
        )

    keys = jax.random.split(key, horizon)
    _, (observation, action, reward, final) = jax.lax.scan(step, env.reset(reset_key), keys)
    observation = jnp.concatenate([observation, final[-1:]])
    return Episode(*(jnp.swapaxes(x, 0, 1) for x in (observation, action, reward)))


def success(episode: Episode) -> dict[str, jax.Array]:
    """Shares of the episodes that met their goals: "success" at any step, "success_at_end" at the
    last one."""
    met = episode.reward == 0
    return {"success": met.any(axis=1).mean(), "success_at_end": met[:, -1].mean()}
