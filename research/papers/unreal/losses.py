"""Losses of UNREAL, the base agent's and those of its auxiliary tasks (Jaderberg et al., 2016,
arXiv:1611.05397, section 3), from one pass through the network."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from research.core.learner import Learner
from research.papers.unreal.auxiliary import (
    control_loss,
    returns_of_steps,
    reward_class,
    weighted_mean,
)
from research.rl.acting.distributions import distribution
from research.rl.acting.recurrent_rollouts import RecurrentObservation, RecurrentTrajectory


class Batch(NamedTuple):
    """What one update learns from.

    Attributes:
      steps: just played, `[T, N, ...]`.
      seen: acted on in them and acted on next, `[T + 1, N, ...]`.
      replayed: `[T + 1, N, ...]`, of whose last step only what it acted on counts; or None.
      ready: whether these are in the replay yet.
      histories: of `Sequences.histories`; or None.
    """

    steps: RecurrentTrajectory
    seen: RecurrentObservation
    replayed: RecurrentTrajectory | None
    ready: Any
    histories: Any


def losses(
    learner: Learner, config: ConfigDict, variables: Any, batch: Batch
) -> dict[str, jax.Array]:
    """Every loss by itself, a mean over steps, and the policy's entropy; auxiliary ones as far as
    `config.auxiliary` gives them a weight and the batch what they are of.

    What was just played and what is replayed goes through the network side by side.
    """
    agent, tasks = config.agent, config.auxiliary
    steps, old, n = batch.steps, batch.replayed, batch.steps.action.shape[1]
    seen = batch.seen
    if old is not None:
        seen = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), seen, old.inputs)
    start = jax.tree.map(lambda x: x[0], seen.carry)
    both = learner.apply(variables, start, *seen[:4], method="unroll")[0]
    new, again = (
        jax.tree.map(lambda x, part=part: x[:, part], both) for part in (slice(n), slice(n, None))
    )

    def value_error(steps: RecurrentTrajectory, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        target = returns_of_steps(
            steps.reward, value, steps.terminated, steps.truncated, agent.gamma
        )
        error = target - value[:-1]
        return error, weighted_mean(error**2, ~steps.truncated)

    error, value_loss = value_error(steps, new.value)
    policy = distribution(jax.tree.map(lambda x: x[:-1], new.policy))
    gain = policy.log_prob(steps.action) * jax.lax.stop_gradient(error)
    found = {
        "policy_loss": -weighted_mean(gain, ~steps.truncated),
        "value_loss": value_loss,
        "entropy": policy.entropy().mean(),
    }
    if old is not None:
        led = jax.tree.map(lambda x: x[:-1], old)
        if tasks.value_weight:
            found["value_replay_loss"] = batch.ready * value_error(led, again.value)[1]
        if tasks.control_weight:
            q = learner.apply(variables, again, method="control_values")
            reward, cut = led.change, led.truncated
            if tasks.control == "features":  # of what was acted on next, unless an episode began
                reward, cut = jax.lax.stop_gradient(again.map[1:]), led.truncated | led.terminated
            found["control_loss"] = batch.ready * control_loss(
                q, led.action, reward, led.terminated & ~cut, cut, tasks.control_gamma
            )
    if batch.histories is not None:
        frames, reward, weight = batch.histories
        logits = learner.apply(variables, frames, method="tell_reward")
        miss = optax.softmax_cross_entropy_with_integer_labels(logits, reward_class(reward))
        found["reward_loss"] = weighted_mean(miss, weight)
    return found
