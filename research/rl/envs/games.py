"""Environments by name: MinAtar, classic control and probes in JAX, Atari 2600 by emulator."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable
from typing import Any

import jax

from research.core.errors import UserError, quoted
from research.core.experiment import Source
from research.rl.envs import gymnasium_env, gymnax_env, own_env, pixel_maze, probe_envs
from research.rl.envs.ale import Atari, AtariSpec, EmulatorSource, HostAtari
from research.rl.envs.atari_57 import ATARI_57
from research.rl.envs.environments import Environment, StackFrames, Vectorized
from research.rl.envs.host_actor import HostActor, MirroredAtari

_IN_JAX = (
    *gymnax_env.MINATAR,
    *gymnax_env.CLASSIC_CONTROL,
    *probe_envs.PROBES,
    *probe_envs.CONTINUOUS_PROBES,
    pixel_maze.NAME,
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which environments an agent learns in, and what of them it learns from.

    Attributes:
      name: of a game, control problem or probe; `package.module:make` makes one of one's own
        (`own_env`), `gymnasium:ID` one of Gymnasium's; any other name is an Atari game's.
      num_envs: copies that are stepped together.
      actor: "step": they are inside the step; "host": emulators are driven from Python.
      stack: frames in an observation.
      action_repeat, max_noops, fire_reset, sticky_actions, full_action_space, max_episode_frames:
        of Atari games, as in `AtariSpec`; `sticky_actions` (0.1 is its published protocol) and
        `full_action_space` are of MinAtar's too.
      life_loss_ends: nothing of value follows a lost life; for learning alone.
      reward_clip: rewards are clipped to this size for learning; 0: they are not.
      normalize_observations, normalize_rewards: to unit scale, by running statistics.
    """

    name: str
    num_envs: int
    actor: str = "step"
    stack: int = 1
    action_repeat: int = 1
    max_noops: int = 0
    fire_reset: bool = False
    sticky_actions: float = 0.0
    full_action_space: bool = False
    max_episode_frames: int = 108_000
    life_loss_ends: bool = False
    reward_clip: float = 0.0
    normalize_observations: bool = False
    normalize_rewards: bool = False


def is_atari(name: str) -> bool:
    """Whether it is a game for the emulator."""
    return name not in _IN_JAX and not own_env.is_own(name)


def _check_atari(name: str) -> None:
    """Refuses what is no game's name before the emulator is asked for, which may not be installed.

    Raises:
      UserError: it is written as none is; it says which name is meant.
    """
    if re.fullmatch("[a-z][a-z0-9_]*", name):
        return
    close = difflib.get_close_matches(name, (*_IN_JAX, *ATARI_57), n=1)
    meant = f"did you mean {close[0]!r}?" if close else "they are like 'CartPole-v1' or 'pong'"
    raise UserError(f"no environment is called {quoted(name)}; {meant}")


def atari_spec(settings: Settings) -> AtariSpec:
    """How `settings` say that Atari games are played."""
    return AtariSpec(
        game=settings.name,
        num_envs=settings.num_envs,
        action_repeat=settings.action_repeat,
        max_noops=settings.max_noops,
        fire_reset=settings.fire_reset,
        sticky_actions=settings.sticky_actions,
        full_action_space=settings.full_action_space,
        max_episode_frames=settings.max_episode_frames,
    )


def training_frames(settings: Settings) -> Environment:
    """`training_environment` without stacks, for agents that stack frames themselves.

    Raises:
      UserError: as there; or observations are not images, or actions are continuous.
    """
    games = _frames(settings)
    if games.action_size or len(games.observation_space.shape) != 3:
        raise UserError(f"env.name is a game of images and discrete actions, not {settings.name!r}")
    return games


def training_environment(settings: Settings) -> StackFrames:
    """The environment inside a step.

    Raises:
      UserError: an unknown name or actor, or a setting that environments in JAX do not have.
    """
    return StackFrames(_frames(settings), settings.stack)


def _frames(settings: Settings) -> Environment:
    if settings.actor not in ("step", "host"):
        raise UserError(f"env.actor is 'step' or 'host', not {settings.actor!r}")
    if is_atari(settings.name):
        _check_atari(settings.name)
        spec = atari_spec(settings)
        return MirroredAtari(spec) if settings.actor == "host" else Atari(spec)
    if (settings.actor, settings.action_repeat, settings.max_noops) != ("step", 1, 0):
        raise UserError(
            f"{settings.name} has no action repeat, no-ops or host actor; "
            "set env.action_repeat=1, max_noops=0, actor=step"
        )
    if settings.sticky_actions and settings.name not in gymnax_env.MINATAR:
        raise UserError(f"{settings.name} has no sticky actions; set env.sticky_actions=0.0")
    return _in_jax(settings)


def source(
    env: Environment,
    act: Callable[[Any, jax.Array, jax.Array], jax.Array] | None = None,
    seed: int = 0,
) -> Source | None:
    """What the environment of a training step needs from the host; None for nothing.

    The experiment's state is one whose field `actors` is an `acting.actor.Actors` of `env`.

    Args:
      env: from `training_environment` or `training_frames`.
      act: `(state, t, key) -> action [N]` in step t, for an actor on the host.
      seed: of that actor.

    Raises:
      UserError: games of `actor="host"`, of an agent that has no such `act`.
    """
    stacked = isinstance(env, StackFrames)
    emulators = env.env if isinstance(env, StackFrames) else env

    def find(state: Any) -> Any:
        return state.actors.env.env if stacked else state.actors.env

    if isinstance(emulators, MirroredAtari):
        if act is None:
            raise UserError("this agent has no actor on the host; set env.actor=step")
        return HostActor(emulators.spec, act, find, seed)
    if isinstance(emulators, Atari):
        return EmulatorSource(emulators, lambda state: find(state).log)
    return None


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """How a policy is evaluated.

    Attributes:
      episodes: number of whole episodes, each in an environment of its own.
      greedy: plays the policy's mode.
      max_noops, max_episode_frames: of Atari games, in place of those of training.
    """

    episodes: int
    greedy: bool = False
    max_noops: int = 0
    max_episode_frames: int = 108_000


def evaluation_games(settings: Settings, evaluation: EvaluationSettings) -> StackFrames:
    """Environments apart from training, one for each episode of an evaluation."""
    copies = dataclasses.replace(settings, num_envs=evaluation.episodes)
    if is_atari(settings.name):
        copies = dataclasses.replace(
            copies,
            max_noops=evaluation.max_noops,
            max_episode_frames=evaluation.max_episode_frames,
        )
        return StackFrames(HostAtari(atari_spec(copies)), settings.stack)
    return StackFrames(_in_jax(copies), settings.stack)


def _in_jax(settings: Settings) -> Environment:
    """Environments inside a step: all but Atari games."""
    name, num_envs = settings.name, settings.num_envs
    if gymnasium_env.makes_gymnasium(name):
        return gymnasium_env.make(name, num_envs)
    if name in probe_envs.PROBES or name in probe_envs.CONTINUOUS_PROBES:
        return probe_envs.make(name, num_envs)
    if name == pixel_maze.NAME:
        return Vectorized(pixel_maze.PixelMaze(), num_envs)
    return gymnax_env.make(
        name,
        num_envs,
        full_action_space=settings.full_action_space,
        sticky_actions=settings.sticky_actions,
    )
