"""Environments by name: MinAtar, classic control and probes in JAX, Atari 2600 by emulator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from ml_collections import ConfigDict

from research.core.errors import UserError
from research.core.experiment import Source
from research.rl.envs import gymnax_env, pixel_maze, probe_envs
from research.rl.envs.ale import Atari, AtariSpec, EmulatorSource, HostAtari
from research.rl.envs.environments import StackFrames, StackState, Vectorized
from research.rl.envs.host_actor import HostActor, ReportedAtari

_IN_JAX = (
    *gymnax_env.MINATAR,
    *gymnax_env.CLASSIC_CONTROL,
    *probe_envs.PROBES,
    *probe_envs.CONTINUOUS_PROBES,
    pixel_maze.NAME,
)


def is_atari(name: str) -> bool:
    """Whether it is a game for the emulator."""
    return name not in _IN_JAX


def atari_spec(env: ConfigDict, num_envs: int) -> AtariSpec:
    """How `config.env` says that `num_envs` games are played."""
    return AtariSpec(
        game=env.name,
        num_envs=num_envs,
        action_repeat=env.action_repeat,
        max_noops=env.max_noops,
        fire_reset=env.fire_reset,
        sticky_actions=env.sticky_actions,
        full_action_space=env.full_action_space,
        max_episode_frames=env.max_episode_frames,
    )


def training_games(env: ConfigDict) -> StackFrames:
    """`training_environment` for agents that take images and choose among actions.

    Raises:
      UserError: as there; or observations are vectors, or actions continuous.
    """
    games = training_environment(env, env.actor)
    if games.action_size or len(games.observation_space.shape) != 3:
        raise UserError(f"env.name is a game of images and discrete actions, not {env.name!r}")
    return games


def training_environment(env: ConfigDict, actor: str = "step") -> StackFrames:
    """The environment inside a step, as `config.env` describes it.

    Args:
      actor: "step", or "host" for emulators that are driven from Python.

    Raises:
      UserError: an unknown name or actor, or a setting that environments in JAX do not have.
    """
    if actor not in ("step", "host"):
        raise UserError(f"env.actor is 'step' or 'host', not {actor!r}")
    if is_atari(env.name):
        spec = atari_spec(env, env.num_envs)
        return StackFrames(ReportedAtari(spec) if actor == "host" else Atari(spec), env.stack)
    if (actor, env.action_repeat, env.max_noops, env.sticky_actions) != ("step", 1, 0, 0.0):
        raise UserError(
            f"{env.name} has no action repeat, no-ops, sticky actions or host actor; "
            "set env.action_repeat=1, max_noops=0, sticky_actions=0.0, actor=step"
        )
    return StackFrames(_in_jax(env, env.num_envs), env.stack)


def source(
    env: StackFrames, act: Callable[[Any, jax.Array], jax.Array], seed: int
) -> Source | None:
    """What `training_environment` needs from the host, for a state that holds its own as `env`.

    Args:
      env: from `training_environment`.
      act: `(state, key) -> action [N]`, for an actor on the host.
      seed: of that actor.
    """
    if isinstance(env.env, ReportedAtari):
        return HostActor(env.env.spec, act, lambda state: state.env.env, seed)
    return emulators(env, lambda state: state.env)


def emulators(env: StackFrames, find: Callable[[Any], StackState]) -> Source | None:
    """What `training_environment` needs from the host where nothing acts there; None for nothing.

    Args:
      find: gives the environment's own state in the experiment's.
    """
    if isinstance(env.env, Atari):
        return EmulatorSource(env.env, lambda state: find(state).env.log)
    return None


def evaluation_games(env: ConfigDict, evaluation: ConfigDict) -> StackFrames:
    """`config.eval.episodes` copies of the environment of `config.env`, apart from training."""
    if is_atari(env.name):
        spec = dataclasses.replace(
            atari_spec(env, evaluation.episodes),
            max_noops=evaluation.max_noops,
            max_episode_frames=evaluation.max_episode_frames,
        )
        return StackFrames(HostAtari(spec), env.stack)
    return StackFrames(_in_jax(env, evaluation.episodes), env.stack)


def _in_jax(env: ConfigDict, num_envs: int) -> Vectorized:
    if env.name in probe_envs.PROBES or env.name in probe_envs.CONTINUOUS_PROBES:
        return probe_envs.make(env.name, num_envs)
    if env.name == pixel_maze.NAME:
        return Vectorized(pixel_maze.PixelMaze(), num_envs)
    return gymnax_env.make(env.name, num_envs, full_action_space=env.full_action_space)
