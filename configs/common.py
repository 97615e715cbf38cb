"""What several configurations share: the default of every run, and how variants are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from research.rl.envs.atari_57 import ATARI_57
from research.training.run_config import run_config

Variant = Callable[[ConfigDict], None]


def base() -> ConfigDict:
    """The keys that every run has; a paper's configuration adds its own to them."""
    return run_config()


def choose(config: ConfigDict, variants: Mapping[str, Variant], variant: str) -> ConfigDict:
    """The default configuration, or what a variant's function makes of it.

    Raises:
      ValueError: there is no such variant.
    """
    if variant:
        if variant not in variants:
            raise ValueError(f"no variant {variant!r}; variants: {', '.join(variants)}")
        variants[variant](config)
    return config


def described(text: str, function: Callable[..., None], *args: Any, **kwargs: Any) -> Variant:
    """A variant whose description is `text`, for one of a family such as depths of a network."""

    def variant(config: ConfigDict) -> None:
        function(config, *args, **kwargs)

    variant.__doc__ = text
    return variant


def single(config: ConfigDict) -> None:
    """Leaves one run: no arms are compared, and no claims are checked."""
    config.arms = ConfigDict(convert_dict=False)
    config.check_claims = False


def keep_arms(config: ConfigDict, *names: str) -> None:
    """Leaves some of the arms: enough for every line of a script to run."""
    config.arms = ConfigDict({name: config.arms[name] for name in names}, convert_dict=False)


def rl_env(name: str, num_envs: int, *, normalize_rewards: bool = False) -> ConfigDict:
    """`config.env` of agents with actors side by side: the fields of `games.Settings`."""
    return ConfigDict(
        {
            "name": name,
            "num_envs": num_envs,
            "stack": 1,  # frames in an observation
            "action_repeat": 1,
            "max_noops": 0,
            "fire_reset": False,
            # Of Atari and MinAtar; published MinAtar scores are of 0.1, Atari's of 0 or 0.25.
            "sticky_actions": 0.0,
            "full_action_space": False,
            "max_episode_frames": 108_000,  # of Atari games; the others have limits of their own
            "life_loss_ends": False,  # for learning alone
            "reward_clip": 0.0,  # 0: none
            "normalize_observations": False,
            "normalize_rewards": normalize_rewards,
        }
    )


def rl_eval() -> ConfigDict:
    """`config.eval` of the same agents."""
    return ConfigDict(
        {
            "episodes": 128,
            "greedy": False,
            "max_episode_frames": 108_000,
            "max_noops": 0,
        }
    )


def atari_frames(config: ConfigDict, game: str, total_frames: int) -> None:
    """An Atari game as agents with actors side by side play it, four repeats of four frames.

    Lost lives end episodes and rewards are clipped, for learning alone; 30 whole episodes are
    played to evaluate.
    """
    config.env.update(
        name=game,
        stack=4,
        action_repeat=4,
        max_noops=30,
        fire_reset=True,
        life_loss_ends=True,
        reward_clip=1.0,
    )
    config.eval.update(episodes=30, max_noops=30)
    config.total_frames = total_frames
    # A step is long enough to be dispatched alone, and a run to be kept on the way.
    config.steps_per_call = 1
    config.log_every_steps = 100
    config.checkpoint_every_steps = 10_000
    config.seeds = (0,)


def atari_games(atari: Callable[..., None]) -> dict[str, Variant]:
    """A variant for each of the 57 games: `atari(config, game)`."""
    text = "As `:paper`, on the Atari game of this name."
    return {game: described(text, atari, game) for game in ATARI_57}


def trpo_agent() -> ConfigDict:
    """`config.agent` of papers whose agent takes trust region steps."""
    return ConfigDict(
        {
            "rollout_steps": 200,  # agent steps of each environment
            "gamma": 0.95,
            "gae_lambda": 0.95,
            "kl_limit": 0.01,  # nats, of the mean divergence of a step
            "cg_iterations": 10,
            "damping": 0.1,
            "backtracks": 10,
            "fisher_every": 1,  # the Fisher matrix is estimated from every n-th step alone
            "value_epochs": 5,
            "value_minibatches": 25,
        }
    )
