"""Advantage actor-critic: one gradient step of policy and value on each rollout (Mnih et al., 2016,
arXiv:1602.01783, in OpenAI Baselines' synchronous form)."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import optax
from ml_collections import ConfigDict

from research.core import Aux, Learner, LearnerState
from research.rl.acting.distributions import Distribution
from research.rl.acting.rollouts import Rollout
from research.rl.agents.on_policy import policy_and_value


@dataclasses.dataclass(frozen=True)
class A2C:
    """Attributes: learner, of an `ActorCritic`; settings, `config.agent`."""

    learner: Learner
    settings: ConfigDict

    @classmethod
    def make(cls, config: ConfigDict, network: nn.Module, num_steps: int) -> A2C:
        """As `config.optimizer` and `config.agent` say, for so many rollouts."""
        rate = config.optimizer.learning_rate
        learner = Learner(
            network,
            optax.rmsprop(
                optax.linear_schedule(rate, 0.0 if config.agent.anneal else rate, num_steps),
                decay=config.optimizer.rmsprop_decay,
                eps=config.optimizer.rmsprop_epsilon,
            ),
            config.accumulate_steps,
            config.max_grad_norm,
            config.ema_decay,
        )
        return cls(learner, config.agent)

    def init(self, key: jax.Array, seen: jax.Array) -> LearnerState:
        return self.learner.init(key, seen)

    def act(self, variables: Any, seen: jax.Array) -> tuple[Distribution, jax.Array]:
        """Distributions and values `[B]` for observations `[B, ...]`."""
        return policy_and_value(self.learner)(variables, seen)

    def policy(self, variables: Any, seen: jax.Array) -> Distribution:
        return self.act(variables, seen)[0]

    def eval_variables(self, learned: LearnerState) -> Any:
        """What `policy` is evaluated with."""
        return self.learner.eval_variables(learned)

    def learn(
        self, learned: LearnerState, rollout: Rollout, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """From a rollout `[B, ...]`."""
        agent = self.settings

        def loss_fn(variables: Any, batch: Any, key: jax.Array) -> Any:
            new, value = self.act(variables, batch.observation)
            # The gradients of section 4.3 and supplement S3; the advantage is a constant in them.
            policy_loss = -(new.log_prob(batch.action) * batch.advantage).mean()
            value_loss = ((batch.returns - value) ** 2).mean()
            entropy = new.entropy().mean()
            loss = policy_loss + agent.value_weight * value_loss - agent.entropy_weight * entropy
            return loss, Aux({"value_loss": value_loss, "entropy": entropy})

        return self.learner.minimize(learned, loss_fn, rollout, key)
