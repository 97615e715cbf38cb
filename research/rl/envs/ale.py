"""Atari 2600 games through `ale_py`'s vectorised emulators, exactly resumable.

`Atari` runs inside `jit`: its reset of single emulators and its step are the XLA calls that
`ale_py` registers for the CPU platform. `HostAtari` is the same environment called from Python,
for machines whose accelerator has no such calls. From the same keys both give the same games, bit
for bit.

Preprocessing happens in C++ (Mnih et al. 2015, Methods, «Preprocessing»): maximum of two
consecutive frames, luminance, 84x84; action repeat; up to `max_noops` no-ops at an episode's
start. Frames are single here (`environments.StackFrames` stacks them), rewards are the game's own.

Exact resume. An emulator's memory lies in C++ and cannot be an array of the state, but it is a
function of the seed of its last reset and of the actions since (sticky actions draw from that seed
too). The state therefore holds this history (`EpisodeLog`, some tens of kB per emulator), and a
resumed run brings fresh emulators to the same point by playing the unfinished episodes again. The
handle by which the XLA calls find the emulators is an array of the state as well; it is an address
in the running process, so `EmulatorSource` hands the step a fresh one with every batch.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from research.core.errors import UserError, quoted
from research.core.experiment import Source
from research.rl.envs.atari_57 import ATARI_57
from research.rl.envs.environments import Array, Step

FRAME = (84, 84, 1)
_HANDLE = jax.ShapeDtypeStruct((8,), jnp.uint8)
_BYTE = jax.ShapeDtypeStruct((), jnp.uint8)


@flax.struct.dataclass
class EpisodeLog:
    """What brings a fresh emulator to where each of the N unfinished episodes stands.

    Attributes:
      seed: `[N]` int32, seed of the reset that began the episode.
      length: `[N]` int32, steps since.
      actions: `[N, longest episode, ...]`, the actions of these steps; uint8 of Atari games.
    """

    seed: Array
    length: Array
    actions: Array

    @classmethod
    def start(cls, seed: Array, max_steps: int, action: Any = _BYTE) -> EpisodeLog:
        """Log of episodes that were just begun, whose actions have this shape and type."""
        actions = jnp.zeros((len(seed), max_steps, *action.shape), action.dtype)
        return cls(seed, jnp.zeros_like(seed), actions)

    def record(self, action: Array, done: Array, next_seed: Array) -> EpisodeLog:
        """Adds one step; where `done`, the next episode began with `next_seed` (all `[N]`)."""
        rows = jnp.arange(len(self.seed))
        actions = self.actions.at[rows, self.length].set(action.astype(self.actions.dtype))
        return EpisodeLog(
            jnp.where(done, next_seed, self.seed), jnp.where(done, 0, self.length + 1), actions
        )


def episode_seeds(key: jax.Array, num_envs: int) -> jax.Array:
    """`[N]` int32, seeds of the episodes that begin in the step of that key."""
    return (jax.random.bits(key, (num_envs,), jnp.uint32) >> 1).astype(jnp.int32)


@dataclasses.dataclass(frozen=True)
class AtariSpec:
    """Which game, and how it is played.

    Attributes:
      game: ROM name, such as "ms_pacman".
      num_envs: number of emulators.
      action_repeat: frames in which one action is held.
      max_noops: largest number of no-ops at an episode's start, drawn uniformly.
      fire_reset: FIRE is pressed at an episode's start, in games that have it.
      sticky_actions: probability that a frame repeats the action before (0 in the paper; 0.25 in
        Machado et al. 2018, arXiv:1709.06009).
      full_action_space: all 18 actions instead of the game's own.
      max_episode_frames: episodes are truncated after so many frames.
    """

    game: str
    num_envs: int
    action_repeat: int = 4
    max_noops: int = 30
    fire_reset: bool = False
    sticky_actions: float = 0.0
    full_action_space: bool = False
    max_episode_frames: int = 108_000

    @property
    def max_steps(self) -> int:
        """The longest an episode can be, in steps."""
        return -(-self.max_episode_frames // self.action_repeat) + 1


class Emulators:
    """The C++ emulators of one process, made when first needed."""

    def __init__(self, spec: AtariSpec):
        self.spec = spec

    @cached_property
    def vector(self) -> Any:
        """`ale_py`'s vector environment.

        Raises:
          UserError: `ale_py` is not installed, or has no game of that name.
        """
        try:
            import ale_py
            from ale_py import roms, vector_env
        except ImportError:
            raise UserError(
                "Atari games need ale-py, which holds emulator and ROMs: pip install -e '.[atari]'"
            ) from None
        spec = self.spec
        if spec.game not in roms.get_all_rom_ids():
            close = difflib.get_close_matches(spec.game, roms.get_all_rom_ids(), n=3)
            like = " or ".join(close) if close else "like " + ", ".join(ATARI_57[:5])
            raise UserError(f"no environment or Atari game {quoted(spec.game)}; names are {like}")
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        return vector_env.AtariVectorEnv(
            spec.game,
            spec.num_envs,
            max_num_frames_per_episode=spec.max_episode_frames,
            repeat_action_probability=spec.sticky_actions,
            full_action_space=spec.full_action_space,
            stack_num=1,
            frameskip=spec.action_repeat,
            maxpool=spec.action_repeat > 1,
            noop_max=spec.max_noops,
            reward_clipping=False,
            use_fire_reset=spec.fire_reset,
        )

    @cached_property
    def num_actions(self) -> int:
        return int(self.vector.single_action_space.n)

    @property
    def handle(self) -> np.ndarray:
        """The address `[8]` uint8 by which the XLA calls of this process find the emulators."""
        return np.frombuffer(self.vector.ale.handle(), np.uint8)

    def reset(self, seed: np.ndarray, mask: np.ndarray | None = None) -> tuple[Array, Array]:
        """Begins episodes where `mask` `[N]`: frames `[N, 84, 84, 1]` and lives `[N]` of all.

        `seed` has one entry for each of those episodes.
        """
        options = None if mask is None else {"reset_mask": np.asarray(mask, bool)}
        frames, info = self.vector.reset(seed=np.asarray(seed), options=options)
        return frames.reshape(-1, *FRAME), info["lives"]

    def step(self, action: np.ndarray) -> tuple[Array, Array, Array, Array, Array]:
        """Frames, rewards, terminated, truncated and lives after one step of all emulators."""
        frames, reward, terminated, truncated, info = self.vector.step(action.astype(np.int32))
        return frames.reshape(-1, *FRAME), reward, terminated, truncated, info["lives"]

    def restore(self, log: EpisodeLog) -> np.ndarray:
        """Brings all emulators to the point that `log` describes; returns their lives `[N]`."""
        seed, length, actions = (np.asarray(x) for x in (log.seed, log.length, log.actions))
        lives = self.reset(seed)[1]
        longest = int(length.max())
        rows = np.arange(len(seed))
        # All are stepped together, so each begins its episode when the others have its length left;
        # what an emulator does before its own beginning is lost in that reset.
        for t in range(longest + 1):
            begins = length == longest - t
            if begins.any():
                lives = self.reset(seed[begins], begins)[1]
            if t < longest:
                at = np.maximum(t - (longest - length), 0)
                lives = self.step(actions[rows, at])[-1]
        return lives


@flax.struct.dataclass
class AtariState:
    """What the environment inside a step carries on.

    Attributes:
      handle: `[8]` uint8, where this process's emulators are found.
      lives: `[N]` int32.
      log: of the unfinished episodes.
    """

    handle: Array
    lives: Array
    log: EpisodeLog


class _AtariBase:
    on_host: bool
    action_size = 0

    def __init__(self, spec: AtariSpec):
        self.spec = spec
        self.emulators = Emulators(spec)
        self.num_envs = spec.num_envs
        self.frames_per_step = spec.action_repeat

    @property
    def num_actions(self) -> int:
        return self.emulators.num_actions

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(FRAME, jnp.uint8)


class Atari(_AtariBase):
    """The games inside `jit`, on one CPU device; see the module's docstring."""

    on_host = False

    def reset(self, key: jax.Array) -> tuple[jax.Array, AtariState]:
        n = self.num_envs
        seed = episode_seeds(key, n)
        shapes = (
            jax.ShapeDtypeStruct((n, *FRAME), jnp.uint8),
            jax.ShapeDtypeStruct((n,), jnp.int32),
            _HANDLE,
        )
        frames, lives, handle = io_callback(
            lambda s: (*self.emulators.reset(s), self.emulators.handle), shapes, seed
        )
        return frames, AtariState(handle, lives, EpisodeLog.start(seed, self.spec.max_steps))

    def receive(self, env_state: AtariState, batch: jax.Array) -> AtariState:
        return AtariState(batch[0], env_state.lives, env_state.log)

    def step(self, key: jax.Array, env_state: AtariState, action: jax.Array) -> Step:
        n = self.num_envs
        handle, frames, reward, terminated, truncated, lives = _xla_step(
            env_state.handle, action, n
        )
        truncated &= ~terminated
        done = terminated | truncated
        seed = episode_seeds(key, n)
        final = frames

        # An emulator that is done is reset in the same step. The call takes as many emulators as
        # its argument is long, so they go one by one; in most steps there is none.
        def reset_one(loop: tuple[Array, ...]) -> tuple[Array, ...]:
            handle, _, _, left = loop
            i = jnp.argmax(left)
            handle, frames, lives = _xla_reset(handle, i[None], seed[i][None], n)
            return handle, frames, lives, left.at[i].set(False)

        handle, frames, lives, _ = jax.lax.while_loop(
            lambda loop: loop[3].any(), reset_one, (handle, frames, lives, done)
        )
        info = {"final_observation": final, "life_lost": (lives < env_state.lives) & ~done}
        log = env_state.log.record(action, done, seed)
        env_state = AtariState(handle, lives, log)
        return frames, env_state, reward.astype(jnp.float32), terminated, truncated, info


class HostAtari(_AtariBase):
    """The games called from Python; its state is the lives `[N]`.

    `info["next_seed"]` `[N]` int32 is what an `EpisodeLog` needs where an episode ended.
    """

    on_host = True

    def reset(self, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        return self.emulators.reset(np.asarray(episode_seeds(key, self.num_envs)))

    def step(self, key: jax.Array, env_state: np.ndarray, action: np.ndarray) -> Step:
        frames, reward, terminated, truncated, lives = self.emulators.step(action)
        truncated = truncated & ~terminated
        done = terminated | truncated
        seed = np.asarray(episode_seeds(key, self.num_envs))
        final = frames
        if done.any():
            frames, lives = self.emulators.reset(seed[done], done)
        info = {
            "final_observation": final,
            "life_lost": (lives < env_state) & ~done,
            "next_seed": seed,
        }
        return frames, lives, reward.astype(np.float32), terminated, truncated, info


class EmulatorSource(Source):
    """Hands the step the handle `[1, 8]` of this process's emulators as its batch.

    Before the first, it brings them to where the state's log says that they were.

    Args:
      env: the environment inside the step.
      log: gives the `EpisodeLog` in the experiment's state.
    """

    prefetch = 0  # reads the state
    sized_by = "the emulators' handle, of which there is one,"

    def __init__(self, env: Atari, log: Callable[[Any], EpisodeLog]):
        self.env, self.log = env, log
        self.spec = jax.ShapeDtypeStruct((1, 8), jnp.uint8)
        self._in_step = False  # whether the emulators are where the state says

    def open(self) -> None:
        _ = self.env.emulators.vector
        self._in_step = False

    def __call__(self, state: Any) -> np.ndarray:
        if not self._in_step:
            self.env.emulators.restore(jax.device_get(self.log(state)))
            self._in_step = True
        return self.env.emulators.handle[None]

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing to set: where the emulators are is in the experiment's state."""


def _register() -> None:
    # `AtariVectorEnv.xla()` registers the same, but resets all emulators or none inside `jit`.
    native = importlib.import_module("ale_py._ale_py")
    jax.ffi.register_ffi_target("landmarks_ale_reset", native.VectorXLAReset(), platform="cpu")
    jax.ffi.register_ffi_target("landmarks_ale_step", native.VectorXLAStep(), platform="cpu")


def _xla_step(handle: Array, action: Array, n: int) -> tuple[Array, ...]:
    _register()
    ints = jax.ShapeDtypeStruct((n,), jnp.int32)
    bools = jax.ShapeDtypeStruct((n,), jnp.bool_)
    frames = jax.ShapeDtypeStruct((n, 1, *FRAME[:2]), jnp.uint8)
    call = jax.ffi.ffi_call(
        "landmarks_ale_step",
        (_HANDLE, frames, ints, bools, bools, ints, ints, ints, ints),
        has_side_effect=True,
    )
    paddle_strength = jnp.ones((n,), jnp.float32)
    handle, obs, reward, terminated, truncated, _, lives, _, _ = call(
        handle, action.astype(jnp.int32), paddle_strength
    )
    return handle, obs.reshape(n, *FRAME), reward, terminated, truncated, lives


def _xla_reset(handle: Array, which: Array, seed: Array, n: int) -> tuple[Array, ...]:
    _register()
    ints = jax.ShapeDtypeStruct((n,), jnp.int32)
    frames = jax.ShapeDtypeStruct((n, 1, *FRAME[:2]), jnp.uint8)
    call = jax.ffi.ffi_call(
        "landmarks_ale_reset", (_HANDLE, frames, ints, ints, ints, ints), has_side_effect=True
    )
    handle, obs, _, lives, _, _ = call(handle, which.astype(jnp.int32), seed)
    return handle, obs.reshape(n, *FRAME), lives
