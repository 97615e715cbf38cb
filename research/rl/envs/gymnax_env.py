"""gymnax's environments behind the protocol of `environments`: MinAtar's games (Young & Tian, 2019,
arXiv:1903.03176) and classic control."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from research.core.errors import UserError
from research.rl.envs import own_env
from research.rl.envs.environments import SingleEnvironment, Step, StickyActions, Vectorized

MINATAR = (
    "Asterix-MinAtar",
    "Breakout-MinAtar",
    "Freeway-MinAtar",
    "Seaquest-MinAtar",
    "SpaceInvaders-MinAtar",
)
CLASSIC_CONTROL = (
    "Acrobot-v1",
    "CartPole-v1",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "Pendulum-hanging",
)


@dataclasses.dataclass(frozen=True)
class MinAtar:
    """One copy of a MinAtar game; observations are its binary planes as uint8, 0 or 255.

    gymnax cuts every game after 1000 steps (2500 in Freeway), which the original MinAtar does not,
    and it has no sticky actions: published scores are of 0.1 (`make`).
    """

    env: Any
    action_size = 0

    @property
    def num_actions(self) -> int:
        return self.env.num_actions

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(self.env.obs_shape, jnp.uint8)

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        observation, env_state = self.env.reset(key)
        return _to_uint8(observation), env_state

    def step(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        observation, *rest, info = _step(self.env, key, env_state, action)
        info["final_observation"] = _to_uint8(info["final_observation"])
        return _to_uint8(observation), *rest, info


@dataclasses.dataclass(frozen=True)
class ClassicControl:
    """One copy of a control problem; observations are vectors `[D]`.

    Continuous actions are clipped to [-1, 1], then scaled to the problem's own bounds.
    """

    env: Any

    @property
    def num_actions(self) -> int:
        return 0 if self.action_size else self.env.num_actions

    @property
    def action_size(self) -> int:
        space = self.env.action_space(self.env.default_params)
        return space.shape[0] if space.shape else 0

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        shape = self.env.observation_space(self.env.default_params).shape
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        return self.env.reset(key)

    def step(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        if self.action_size:
            space = self.env.action_space(self.env.default_params)
            middle, reach = (space.high + space.low) / 2, (space.high - space.low) / 2
            action = middle + reach * jnp.clip(action, -1, 1)
        return _step(self.env, key, env_state, action)


def _step(env: Any, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
    """gymnax reports a time limit as `truncated` also when the task ended in that very step; here
    the two exclude each other, the end of the task counting first."""
    observation, env_state, reward, terminated, truncated, info = env.step(key, env_state, action)
    info = {"final_observation": info["final_observation"], "life_lost": jnp.zeros((), bool)}
    return observation, env_state, reward, terminated, truncated & ~terminated, info


def _to_uint8(planes: jax.Array) -> jax.Array:
    return (planes != 0).astype(jnp.uint8) * 255


def _hanging_pendulum() -> Any:
    """gymnax's pendulum whose episodes begin near rest, where gravity holds it: 0.1 rad and 0.1
    rad/s about that. Upright states are then reached by swinging up alone."""
    from gymnax.environments.classic_control import pendulum

    class HangingPendulum(pendulum.Pendulum):
        def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
            theta, theta_dot = jax.random.uniform(key, (2,), minval=-0.1, maxval=0.1)
            state = pendulum.EnvState(
                theta=jnp.pi + theta, theta_dot=theta_dot, last_u=jnp.array(0.0), time=0
            )
            return self.get_obs(state), state

    return HangingPendulum()


def make(
    name: str, num_envs: int, *, full_action_space: bool = False, sticky_actions: float = 0.0
) -> Vectorized:
    """`num_envs` copies of the environment `name`.

    Args:
      name: one of `MINATAR` or `CLASSIC_CONTROL`; or `package.module:make` (`own_env`).
      full_action_space: all six actions of MinAtar instead of those that a game knows.
      sticky_actions: probability that MinAtar plays the last action again; 0.1 is its published
        protocol.

    Raises:
      UserError: there is none of that name, or no probability that is one.
    """
    import gymnax

    env: SingleEnvironment
    if own_env.is_own(name):
        env = own_env.load(name)
    elif name in MINATAR:
        if not 0 <= sticky_actions < 1:
            raise UserError(f"env.sticky_actions is from 0 to below 1, not {sticky_actions}")
        env = MinAtar(gymnax.make(name, use_minimal_action_set=not full_action_space)[0])
        if sticky_actions:
            env = StickyActions(env, sticky_actions)
    elif name == "Pendulum-hanging":
        env = ClassicControl(_hanging_pendulum())
    elif name in CLASSIC_CONTROL:
        env = ClassicControl(gymnax.make(name)[0])
    else:
        known = ", ".join((*MINATAR, *CLASSIC_CONTROL))
        raise UserError(f"no environment {name!r}; there are {known}, and your own")
    return Vectorized(env, num_envs)
