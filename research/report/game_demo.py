"""Demos of agents: an episode as a film."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from research.report.demo import Demo, Film, Number
from research.rl.acting.episodes import Evaluation
from research.rl.films import painter

STEPS = 300  # that are filmed where nobody says how many


def play_demo(
    evaluation: Evaluation,
    variables: Any,
    *,
    title: str = "Watch it play",
    says: str = "The trained agent plays one episode as it is evaluated, and you see what it sees.",
) -> Demo:
    """A demo that films an episode of an agent.

    Args:
      evaluation: its environments and how it acts in them.
      variables: what it acts with.
      title, says: see `Demo`.
    """
    look = painter(evaluation.env)

    def run(episode: int, steps: int) -> dict[str, Any]:
        seen, rewards = evaluation.watch(variables, jax.random.key(episode), steps)
        frames = np.stack([look.paint(observation) for observation in seen])
        return {"film": frames, "score": sum(rewards), "length": len(rewards)}

    return Demo(
        title=title,
        says=says,
        inputs=episode_inputs(),
        outputs={
            "film": Film("the episode", look.fps),
            "score": Number("return of what is shown", 0, -math.inf, math.inf),
            "length": Number("steps", 0, 0, math.inf),
        },
        run=run,
        examples=[{"episode": 1}, {"episode": 2}],
    )


def episode_inputs() -> dict[str, Number]:
    """The inputs of a demo that films an episode."""
    return {
        "episode": Number("which episode: another number, another beginning", 0, 0, 9999),
        "steps": Number("steps at most", STEPS, 1, 5000),
    }
