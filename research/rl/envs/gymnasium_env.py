"""Environments of Gymnasium, which are stepped from Python: `gymnasium:CartPole-v1` and the like,
or what a `package.module:make` of one's own returns.

Inside a step they are pure functions like all others, by a callback to the host. An environment
cannot be an array of the state, but it is a function of the seed of its episode and of the actions
since. The state holds these (`EpisodeLog`); the host keeps the copies that are running, and where
one of them stands elsewhere than the state says, as after a restart, its episode is played again.
An environment that is not decided by seed and actions, a robot say, cannot be resumed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from research.core.errors import UserError, first_line, quoted
from research.core.imports import failed, load_function
from research.rl.envs.ale import EpisodeLog, episode_seeds
from research.rl.envs.environments import Step

PREFIX = "gymnasium:"


def makes_gymnasium(name: str) -> bool:
    """Whether `env.name` is of an environment of Gymnasium.

    A `package.module:make` is asked for one to see what it returns.

    Raises:
      UserError: there is no such module or function, or it fails.
    """
    if name.startswith(PREFIX):
        return True
    if ":" not in name:
        return False
    import gymnasium

    make = load_function(name, "env.name", "an environment")
    try:
        made = make()
    except Exception as error:
        raise failed(f"{name}()", error) from error
    if not isinstance(made, gymnasium.Env):
        return False
    made.close()
    return True


def make(name: str, num_envs: int) -> Gymnasium:
    """`num_envs` copies of an environment.

    Args:
      name: `gymnasium:ID` of a registered one, or `package.module:make`.

    Raises:
      UserError: there is none of that name, or its observations, actions or episodes are such as no
        agent here takes.
    """
    if jax.process_count() > 1:
        raise UserError(f"{name} is stepped from Python, which runs of several processes are not")
    if name.startswith(PREFIX):
        make_one = _registered(name)
    else:
        make_one = load_function(name, "env.name", "an environment")
    return Gymnasium(name, make_one, num_envs)


def _registered(name: str) -> Callable[[], Any]:
    import gymnasium

    identity = name.removeprefix(PREFIX)
    try:
        gymnasium.make(identity).close()
    except Exception as error:  # unknown, or what it needs is not installed
        raise UserError(f"env.name {quoted(name)}: {first_line(error)}") from error
    return functools.partial(gymnasium.make, identity)


@flax.struct.dataclass
class GymnasiumState:
    """Where the episodes of N copies stand."""

    log: EpisodeLog


class Gymnasium:
    """N copies of an environment, as `environments` says.

    Args:
      name: for messages.
      make_one: makes one copy, a `gymnasium.Env`.
      num_envs: N.

    Raises:
      UserError: as of `make`.
    """

    on_host = False
    frames_per_step = 1

    def __init__(self, name: str, make_one: Callable[[], Any], num_envs: int):
        from gymnasium import spaces

        self.name, self.num_envs = name, num_envs
        one = make_one()
        self.observation_space = _observation_space(name, one.observation_space)
        self.max_steps = _time_limit(name, one)
        self.num_actions = self.action_size = 0
        self.first_action = 0
        match one.action_space:
            case spaces.Discrete() as space:
                self.num_actions, self.first_action = int(space.n), int(space.start)
                self.action = jax.ShapeDtypeStruct((), jnp.int32)
            case spaces.Box(shape=(size,)) as space if np.isfinite([space.low, space.high]).all():
                self.action_size, self.low, self.high = size, space.low, space.high
                self.action = jax.ShapeDtypeStruct((size,), jnp.float32)
            case space:
                raise UserError(
                    f"{name}: actions are one of a number or of a bounded box, not {space}"
                )
        one.close()
        self.copies = Copies(make_one, num_envs, self.observation_space, self.action.shape)

    def reset(self, key: jax.Array) -> tuple[jax.Array, GymnasiumState]:
        seed = episode_seeds(key, self.num_envs)
        observation = io_callback(self.copies.reset, self._per_copy(self.observation_space), seed)
        return observation, GymnasiumState(EpisodeLog.start(seed, self.max_steps, self.action))

    def receive(self, env_state: GymnasiumState, batch: Any) -> GymnasiumState:
        return env_state  # they need no source

    def step(self, key: jax.Array, env_state: GymnasiumState, action: jax.Array) -> Step:
        if self.action_size:
            middle, reach = (self.high + self.low) / 2, (self.high - self.low) / 2
            action = middle + reach * jnp.clip(action, -1, 1)
        action = (action + self.first_action).astype(self.action.dtype)
        flag = jax.ShapeDtypeStruct((), jnp.bool_)
        number = jax.ShapeDtypeStruct((), jnp.float32)
        kinds = (self.observation_space, self.observation_space, number, flag, flag)
        next_seed = episode_seeds(key, self.num_envs)
        observation, final, reward, terminated, truncated = io_callback(
            self.copies.step, tuple(map(self._per_copy, kinds)), env_state.log, action, next_seed
        )
        log = env_state.log.record(action, terminated | truncated, next_seed)
        info = {
            "final_observation": final,
            "life_lost": jnp.zeros(self.num_envs, bool),
        }
        return observation, GymnasiumState(log), reward, terminated, truncated, info

    def _per_copy(self, one: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self.num_envs, *one.shape), one.dtype)


class Copies:
    """The environments of one process that are running; made when they are first needed.

    Args:
      make_one: makes one.
      num_envs: N.
      observation: shape and dtype of one's observation.
      action_shape: of one's action.
    """

    def __init__(
        self,
        make_one: Callable[[], Any],
        num_envs: int,
        observation: jax.ShapeDtypeStruct,
        action_shape: tuple[int, ...],
    ):
        self._make_one, self._num_envs, self._observation = make_one, num_envs, observation
        self._action_shape = action_shape
        # Where each one stands: the seed of its episode (-1: nowhere) and the actions since.
        self._seeds = [-1] * num_envs
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]

    @functools.cached_property
    def envs(self) -> list[Any]:
        return [self._make_one() for _ in range(self._num_envs)]

    def reset(self, seed: np.ndarray) -> np.ndarray:
        """Begins an episode in every one: observations `[N, ...]`."""
        found = [self._begin(i, int(s)) for i, s in enumerate(np.asarray(seed))]
        return np.stack(found)

    def step(
        self, log: EpisodeLog, action: np.ndarray, next_seed: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """One step of every one from where `log` says that it stands.

        Args:
          log: of the unfinished episodes.
          action: `[N, ...]`.
          next_seed: `[N]`, of the next episodes.

        Returns:
          Observations `[N, ...]`, those before any reset, rewards, terminated and truncated `[N]`.
        """
        log = jax.tree.map(np.asarray, log)
        action, next_seed = np.asarray(action), np.asarray(next_seed)
        n, one = self._num_envs, self._observation
        observation = np.empty((n, *one.shape), one.dtype)
        final = np.empty_like(observation)
        reward = np.empty(n, np.float32)
        terminated, truncated = np.zeros(n, bool), np.zeros(n, bool)
        for i in range(n):
            self._go_to(i, int(log.seed[i]), log.actions[i, : log.length[i]])
            final[i], reward[i], terminated[i], truncated[i] = self._step(i, action[i])
            truncated[i] &= ~terminated[i]
            done = terminated[i] or truncated[i]
            observation[i] = self._begin(i, int(next_seed[i])) if done else final[i]
        return observation, final, reward, terminated, truncated

    def _go_to(self, i: int, seed: int, actions: np.ndarray) -> None:
        """Plays an episode again, unless the environment stands there."""
        ours = self._actions[i]
        stands = self._seeds[i] == seed and len(ours) == len(actions)
        if stands and (not len(actions) or np.array_equal(ours, actions)):
            return
        self._begin(i, seed)
        for action in actions:
            self._step(i, action)

    def _begin(self, i: int, seed: int) -> np.ndarray:
        self._seeds[i], self._actions[i] = seed, []
        observation, _ = self.envs[i].reset(seed=seed)
        return np.asarray(observation, self._observation.dtype)

    def _step(self, i: int, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        self._actions[i].append(action)
        given = action if self._action_shape else int(action)
        observation, reward, terminated, truncated, _ = self.envs[i].step(given)
        kept = np.asarray(observation, self._observation.dtype)
        return kept, float(reward), bool(terminated), bool(truncated)


def _observation_space(name: str, space: Any) -> jax.ShapeDtypeStruct:
    from gymnasium.spaces import Box

    if not isinstance(space, Box):
        raise UserError(
            f"{name}: observations are vectors or images, not {space}; "
            "gymnasium.wrappers.FlattenObservation makes vectors of others"
        )
    if len(space.shape) == 3:
        if space.dtype != np.uint8:
            raise UserError(f"{name}: observations that are images are uint8, not {space.dtype}")
        return jax.ShapeDtypeStruct(space.shape, jnp.uint8)
    if len(space.shape) != 1:
        raise UserError(
            f"{name}: observations are vectors or images [H, W, C], not {list(space.shape)}"
        )
    return jax.ShapeDtypeStruct(space.shape, jnp.float32)


def _time_limit(name: str, env: Any) -> int:
    """Steps of the longest episode."""
    limit = getattr(env.spec, "max_episode_steps", None) if env.spec else None
    while limit is None and hasattr(env, "env"):
        limit = getattr(env, "_max_episode_steps", None)
        env = env.env
    if limit is None:
        raise UserError(
            f"{name} has no time limit: give it one by gymnasium.wrappers.TimeLimit, for a state "
            "holds the actions of its episodes"
        )
    return int(limit)
