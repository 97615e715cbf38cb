"""Returns of a policy over whole episodes, in environments of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from research.rl.envs.environments import Environment

Act = Callable[[Any, Any, jax.Array], Any]


class Evaluation:
    """Plays one episode in each of `env.num_envs` environments; every return counts once.

    Were episodes counted as they end, until there are enough, short ones would be over-represented.
    Rewards are the game's own, and losing a life ends nothing.

    Args:
      env: as many copies as episodes; it must truncate episodes that would never end.
      act: `(variables, observation [N, ...], key) -> action [N]`, jittable; both may be trees.
    """

    def __init__(self, env: Environment, act: Act):
        self.env = env
        self._act = jax.jit(act)
        self._reset = env.reset if env.on_host else jax.jit(env.reset)
        self._step = self._host_step if env.on_host else jax.jit(self._device_step)

    def __call__(self, variables: Any, key: jax.Array) -> dict[str, float]:
        """`return`, its `return_std` over episodes, and `length`, the mean number of steps.

        `variables` are the policy's, replicated where there are several devices: every process
        plays the same episodes on one of its own.
        """
        variables = jax.device_get(variables)
        reset_key, key = jax.random.split(key)
        observation, env_state = self._reset(reset_key)
        total = np.zeros(self.env.num_envs)
        length = np.zeros(self.env.num_envs)
        running = np.ones(self.env.num_envs, bool)
        step = 0
        while running.any():
            observation, env_state, reward, done = self._step(
                variables, env_state, observation, jax.random.fold_in(key, step)
            )
            total += np.where(running, reward, 0)
            length += running
            running &= ~np.asarray(done)
            step += 1
        numbers = {"return": total.mean(), "return_std": total.std(), "length": length.mean()}
        return {name: float(value) for name, value in numbers.items()}

    def watch(
        self, variables: Any, key: jax.Array, max_steps: int
    ) -> tuple[list[Any], list[float]]:
        """Plays the first environment's episode: what was acted on, and the rewards.

        Args:
          variables: of the policy.
          key: as of a call, which then plays this very episode among its others.
          max_steps: no more of it are played.
        """
        variables = jax.device_get(variables)
        reset_key, key = jax.random.split(key)
        observation, env_state = self._reset(reset_key)
        seen: list[Any] = []
        rewards: list[float] = []
        done = False
        while not done and len(seen) < max_steps:
            seen.append(jax.tree.map(lambda x: np.array(np.asarray(x)[0]), observation))
            observation, env_state, reward, ended = self._step(
                variables, env_state, observation, jax.random.fold_in(key, len(seen) - 1)
            )
            rewards.append(float(np.asarray(reward)[0]))
            done = bool(np.asarray(ended)[0])
        return seen, rewards

    def _device_step(self, variables: Any, env_state: Any, observation: Any, key: Any) -> Any:
        act_key, env_key = jax.random.split(key)
        action = self._act(variables, observation, act_key)
        observation, env_state, reward, terminated, truncated, _ = self.env.step(
            env_key, env_state, action
        )
        return observation, env_state, reward, terminated | truncated

    def _host_step(self, variables: Any, env_state: Any, observation: Any, key: Any) -> Any:
        act_key, env_key = jax.random.split(key)
        action = jax.tree.map(np.asarray, self._act(variables, observation, act_key))
        observation, env_state, reward, terminated, truncated, _ = self.env.step(
            env_key, env_state, action
        )
        return observation, env_state, reward, terminated | truncated
