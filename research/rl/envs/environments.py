"""One protocol for every environment, and what is common to them: batching, stacking of frames.

An environment here is a batch of `num_envs` independent copies that are stepped together:

    reset(key) -> (observation, env_state)
    step(key, env_state, action)
        -> (observation, env_state, reward, terminated, truncated, info)

- `observation` `[N, H, W, C]` uint8 images or `[N, D]` float32 vectors; `reward` `[N]` float32 as
  the game gives it, unclipped;
- `action` `[N]` int, one of `num_actions`; or `[N, action_size]` float32 in [-1, 1], which the
  environment scales to its own bounds. Exactly one of the two numbers is not 0;
- `terminated` `[N]`: the task ended, nothing of value follows; `truncated` `[N]`: the episode was
  cut from outside, and a value estimate goes on from its last observation. Never both;
- where either is true the copy has already been reset: `observation` is the first of the next
  episode, and the last one of the ended episode is `info["final_observation"]` (everywhere else
  that equals `observation`);
- `info["life_lost"]` `[N]`: a life was lost in this step and the episode goes on.

`env_state` holds arrays alone. `receive(env_state, batch)` puts into it what a `Source`
brought for this step, where the environment has one. An environment with `on_host` false is pure
and runs inside `jit`; one with `on_host` true has the same two methods on NumPy arrays, called
from Python.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # jax.Array inside jit, np.ndarray on the host
EnvState = Any
Step = tuple[Array, EnvState, Array, Array, Array, dict[str, Array]]


class Environment(Protocol):
    """`num_envs` copies of one environment; see the module's docstring.

    Attributes:
      num_envs: number of copies, N.
      num_actions: size of the discrete action set; 0 where actions are continuous.
      action_size: dimensions of a continuous action; 0 where actions are discrete.
      observation_space: shape and dtype of one copy's observation.
      frames_per_step: frames of the underlying game that one step takes (its action repeat).
      on_host: whether the methods are called from Python instead of being traced.
    """

    @property
    def num_envs(self) -> int: ...

    @property
    def num_actions(self) -> int: ...

    @property
    def action_size(self) -> int: ...

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct: ...

    @property
    def frames_per_step(self) -> int: ...

    @property
    def on_host(self) -> bool: ...

    def reset(self, key: jax.Array) -> tuple[Array, EnvState]: ...

    def receive(self, env_state: EnvState, batch: Any) -> EnvState: ...

    def step(self, key: jax.Array, env_state: EnvState, action: Array) -> Step: ...


class SingleEnvironment(Protocol):
    """One copy: the protocol above with no leading axis, for environments written in JAX."""

    @property
    def num_actions(self) -> int: ...

    @property
    def action_size(self) -> int: ...

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct: ...

    def reset(self, key: jax.Array) -> tuple[Array, EnvState]: ...

    def step(self, key: jax.Array, env_state: EnvState, action: Array) -> Step: ...


@dataclasses.dataclass(frozen=True)
class Vectorized:
    """`num_envs` copies of a `SingleEnvironment`, each with its own key."""

    env: SingleEnvironment
    num_envs: int
    frames_per_step: int = 1
    on_host: bool = False

    @property
    def num_actions(self) -> int:
        return self.env.num_actions

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return self.env.observation_space

    def reset(self, key: jax.Array) -> tuple[Array, EnvState]:
        return jax.vmap(self.env.reset)(jax.random.split(key, self.num_envs))

    def receive(self, env_state: EnvState, batch: Any) -> EnvState:
        return env_state  # these need no source

    def step(self, key: jax.Array, env_state: EnvState, action: Array) -> Step:
        return jax.vmap(self.env.step)(jax.random.split(key, self.num_envs), env_state, action)


@flax.struct.dataclass
class StickyState:
    """State of the inner environment, and the action that was played last."""

    env: EnvState
    last_action: Array


@dataclasses.dataclass(frozen=True)
class StickyActions:
    """One copy of an environment with discrete actions that sometimes repeats the last one.

    With this probability the action that was played last is played in place of the one that is
    asked for (Machado et al., 2017, arXiv:1709.06009, section 5). As in MinAtar's own code (Young
    and Tian, 2019) the first of all is 0, which does nothing, and the last action stays what it was
    when an episode ends.
    """

    env: SingleEnvironment
    probability: float

    @property
    def num_actions(self) -> int:
        return self.env.num_actions

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return self.env.observation_space

    def reset(self, key: jax.Array) -> tuple[Array, StickyState]:
        observation, env_state = self.env.reset(key)
        return observation, StickyState(env_state, jnp.int32(0))

    def step(self, key: jax.Array, env_state: StickyState, action: Array) -> Step:
        stick_key, env_key = jax.random.split(key)
        sticks = jax.random.bernoulli(stick_key, self.probability)
        action = jnp.where(sticks, env_state.last_action, action).astype(jnp.int32)
        observation, inner, *rest = self.env.step(env_key, env_state.env, action)
        return observation, StickyState(inner, action), *rest


def empty_stack(frame: Array, depth: int) -> Array:
    """Zeros `[N, ..., depth * C]` for frames `[N, ..., C]`."""
    xp: Any = np if isinstance(frame, np.ndarray) else jnp
    return xp.zeros((*frame.shape[:-1], frame.shape[-1] * depth), frame.dtype)


def push_frame(stack: Array, frame: Array, first: Array | None = None) -> Array:
    """Appends the next frame to a stack of the newest ones, and drops the oldest.

    Args:
      stack: `[N, ..., depth * C]`, newest frame last.
      frame: `[N, ..., C]`.
      first: `[N]` bool, where the frame begins an episode: the stack before it is zeros.
    """
    xp: Any = np if isinstance(frame, np.ndarray) else jnp
    if first is not None:
        stack = xp.where(first.reshape(-1, *[1] * (stack.ndim - 1)), xp.zeros_like(stack), stack)
    return xp.concatenate([stack[..., frame.shape[-1] :], frame], axis=-1)


@flax.struct.dataclass
class StackState:
    """State of the inner environment, and the stack `[N, ..., depth * C]`, newest frame last."""

    env: EnvState
    stack: Array


@dataclasses.dataclass(frozen=True)
class StackFrames:
    """Observations of the last `depth` frames (images or vectors), newest last; zeros before an
    episode's start.

    Never a frame of the episode before: the stack of a copy that was reset starts from zeros.
    """

    env: Any
    depth: int

    @property
    def num_envs(self) -> int:
        return self.env.num_envs

    @property
    def num_actions(self) -> int:
        return self.env.num_actions

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def frames_per_step(self) -> int:
        return self.env.frames_per_step

    @property
    def on_host(self) -> bool:
        return self.env.on_host

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        *size, channels = self.env.observation_space.shape
        dtype = self.env.observation_space.dtype
        return jax.ShapeDtypeStruct((*size, channels * self.depth), dtype)

    def reset(self, key: jax.Array) -> tuple[Array, StackState]:
        frame, env_state = self.env.reset(key)
        stack = push_frame(empty_stack(frame, self.depth), frame)
        return stack, StackState(env_state, stack)

    def receive(self, env_state: StackState, batch: Any) -> StackState:
        return StackState(self.env.receive(env_state.env, batch), env_state.stack)

    def step(self, key: jax.Array, env_state: StackState, action: Array) -> Step:
        frame, inner, reward, terminated, truncated, info = self.env.step(
            key, env_state.env, action
        )
        # What a step led to is seen with the frames before it, also where it ended the episode.
        final = push_frame(env_state.stack, info["final_observation"])
        stack = push_frame(env_state.stack, frame, first=terminated | truncated)
        info = {**info, "final_observation": final}
        return stack, StackState(inner, stack), reward, terminated, truncated, info
