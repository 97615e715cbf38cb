"""A2C (Mnih et al., 2016, arXiv:1602.01783, in OpenAI Baselines' form) with the methods that
`TrustRegionAgent` has."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from research.core import Aux, Learner, LearnerState
from research.rl.acting.distributions import Distribution
from research.rl.acting.rollouts import Rollout
from research.rl.agents.on_policy import apply_actor_critic


@dataclasses.dataclass(frozen=True)
class AdvantageActorCritic:
    """One gradient step of policy and value on each rollout.

    Attributes:
      learner: of an `ActorCritic`.
      value_weight: of the squared error of the value.
      entropy_weight: of the policy's entropy.
    """

    learner: Learner
    value_weight: float
    entropy_weight: float

    def init(self, key: jax.Array, observation: jax.Array) -> LearnerState:
        return self.learner.init(key, observation)

    def act(self, variables: Any, observation: jax.Array) -> tuple[Distribution, jax.Array]:
        """Distributions and values `[B]` for observations `[B, ...]`."""
        return apply_actor_critic(self.learner, variables, observation)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return self.act(variables, observation)[0]

    def eval_variables(self, state: LearnerState) -> Any:
        """What `policy` is evaluated with."""
        return self.learner.eval_variables(state)

    def loss(self, variables: Any, batch: Rollout, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Section 4.3 of the paper; the advantage is a constant."""
        new, value = self.act(variables, batch.observation)
        policy_loss = -(new.log_prob(batch.action) * batch.advantage).mean()
        value_loss = ((batch.returns - value) ** 2).mean()
        entropy = new.entropy().mean()
        loss = policy_loss + self.value_weight * value_loss - self.entropy_weight * entropy
        return loss, Aux({"value_loss": value_loss, "entropy": entropy})

    def learn(
        self, state: LearnerState, rollout: Rollout, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Learns from a rollout `[B, ...]`."""
        return self.learner.minimize(state, self.loss, rollout, key)
