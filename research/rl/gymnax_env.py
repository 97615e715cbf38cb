"""gymnax's MinAtar games behind the protocol of `environments` (Young & Tian, arXiv:1903.03176)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from research.rl.environments import Step, Vectorized
from research.training.errors import UserError

MINATAR = ("Asterix-MinAtar", "Breakout-MinAtar", "Freeway-MinAtar", "Seaquest-MinAtar",
           "SpaceInvaders-MinAtar")


@dataclasses.dataclass(frozen=True)
class GymnaxEnvironment:
    """One copy of a MinAtar game; observations are its binary planes as uint8, 0 or 255.

    gymnax cuts every game after 1000 steps (2500 in Freeway), which the original MinAtar does not.
    It reports the cut as `truncated`, also when the game ended in that very step; here the two
    exclude each other, the end of the game counting first.
    """

    env: Any

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
        observation, env_state, reward, terminated, truncated, info = self.env.step(
            key, env_state, action
        )
        info = {
            "final_observation": _to_uint8(info["final_observation"]),
            "life_lost": jnp.zeros((), bool),
        }
        truncated &= ~terminated
        return _to_uint8(observation), env_state, reward, terminated, truncated, info


def _to_uint8(planes: jax.Array) -> jax.Array:
    return (planes != 0).astype(jnp.uint8) * 255


def make(name: str, num_envs: int, *, full_action_space: bool = False) -> Vectorized:
    """`num_envs` copies of the MinAtar game `name`.

    Raises:
      UserError: there is no game of that name.
    """
    if name not in MINATAR:
        raise UserError(f"no MinAtar game {name!r}; there are {', '.join(MINATAR)}")
    import gymnax

    env, _ = gymnax.make(name, use_minimal_action_set=not full_action_space)
    return Vectorized(GymnaxEnvironment(env), num_envs)
