"""Environments of one's own, written in JAX with gymnax's interface: `package.module:make`.

`make()` returns an environment, or an environment with its parameters as `gymnax.make` does:

    reset(key, params) -> observation, env_state
    step(key, env_state, action, params)
        -> observation, env_state, reward, terminated, truncated, info
    action_space(params), num_actions, default_params

as in gymnax 1: an ended episode has been reset, and its last observation is
`info["final_observation"]`. A subclass of `gymnax.environments.environment.Environment` has all of
this. Observations are vectors, or images uint8 `[H, W, C]`; actions are one of `num_actions`, or
of a box, to which [-1, 1] is scaled.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from research.core.errors import UserError, first_line, quoted
from research.core.imports import failed, load_function
from research.rl.envs.environments import Step

_NEEDED = ("reset", "step", "action_space")


def is_own(name: str) -> bool:
    """Whether a name says where an environment of one's own is made."""
    return ":" in name


@dataclasses.dataclass(frozen=True)
class OwnEnvironment:
    """One copy of an environment with gymnax's interface.

    Attributes:
      env: what `make` returned.
      params: its parameters.
      name: where it was made.
      observation_space: shape and dtype of an observation.
    """

    env: Any
    params: Any
    name: str
    observation_space: jax.ShapeDtypeStruct

    @property
    def num_actions(self) -> int:
        return 0 if self.action_size else int(self.env.num_actions)

    @property
    def action_size(self) -> int:
        shape = self.env.action_space(self.params).shape
        return shape[0] if shape else 0

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        observation, env_state = self.env.reset(key, self.params)
        return self._typed(observation), env_state

    def step(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        if self.action_size:
            space = self.env.action_space(self.params)
            middle, reach = (space.high + space.low) / 2, (space.high - space.low) / 2
            action = middle + reach * jnp.clip(action, -1, 1)
        observation, env_state, reward, terminated, truncated, info = self.env.step(
            key, env_state, action, self.params
        )
        terminated, truncated = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
        kept = {
            "final_observation": self._typed(info["final_observation"]),
            "life_lost": jnp.zeros((), bool),
        }
        reward = jnp.asarray(reward, jnp.float32)
        # gymnax reports a time limit also where the task ended in that very step.
        observation = self._typed(observation)
        return observation, env_state, reward, terminated, truncated & ~terminated, kept

    def _typed(self, observation: jax.Array) -> jax.Array:
        return jnp.asarray(observation, self.observation_space.dtype)


def load(name: str) -> OwnEnvironment:
    """Makes the environment that `package.module:make` makes, and looks at what it gives.

    The module is looked for where Python looks, and in the working directory.

    Raises:
      UserError: there is no such module or function, it fails, or what it gives has another form.
    """
    made = _make(name)
    env, params = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    missing = [part for part in _NEEDED if not hasattr(env, part)]
    if missing:
        raise UserError(
            f"{name} gives {quoted(type(env).__name__)}, which has no {' and no '.join(missing)}: "
            "environments have gymnax's interface"
        )
    if params is None:
        params = getattr(env, "default_params", None)
    space = _observation_space(name, env, params)
    own = OwnEnvironment(env, params, name, space)
    _check_step(own)
    return own


def _make(name: str) -> Any:
    make = load_function(name, "env.name", "an environment")
    try:
        return make()
    except Exception as error:
        raise failed(f"{name}()", error) from error


def _observation_space(name: str, env: Any, params: Any) -> jax.ShapeDtypeStruct:
    try:
        observation, _ = jax.eval_shape(env.reset, jax.random.key(0), params)
        shape, dtype = tuple(observation.shape), observation.dtype
    except Exception as error:
        raise failed(f"reset(key, params) of {name}", error) from error
    if len(shape) == 3:
        if dtype != jnp.uint8:
            raise UserError(f"{name}: observations that are images are uint8, not {dtype}")
        return jax.ShapeDtypeStruct(shape, jnp.uint8)
    if len(shape) != 1:
        raise UserError(f"{name}: observations are vectors or images [H, W, C], not {list(shape)}")
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _check_step(own: OwnEnvironment) -> None:
    """Looks at the form of a step before anything is compiled."""

    def one(key: jax.Array) -> Any:
        observation, env_state = own.reset(key)
        size = own.action_size
        action = jnp.zeros((size,)) if size else jnp.int32(0)
        after = own.step(key, env_state, action)
        return (observation, env_state), (after[0], after[1]), after[2]

    try:
        before, after, reward = jax.eval_shape(one, jax.random.key(0))
    except ValueError as error:
        if "unpack" in str(error):
            raise UserError(
                f"{own.name}: step gives observation, env_state, reward, terminated, truncated, "
                f"info as in gymnax 1 ({first_line(error)})"
            ) from error
        raise failed(f"step of {own.name}", error) from error
    except Exception as error:
        raise failed(f"step of {own.name}", error) from error
    if jax.tree.map(lambda x: (x.shape, x.dtype), before) != jax.tree.map(
        lambda x: (x.shape, x.dtype), after
    ):
        raise UserError(f"{own.name}: a step changes the shapes or types of observation or state")
    if reward.shape:
        raise UserError(f"{own.name}: the reward is one number, not {list(reward.shape)}")
