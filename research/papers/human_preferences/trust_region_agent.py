"""TRPO with the methods that `AdvantageActorCritic` has, and an entropy bonus."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax

from research.core import LearnerState
from research.rl.acting.distributions import Distribution
from research.rl.acting.rollouts import Rollout
from research.rl.agents.trpo import TRPO


class TrustRegionState(flax.struct.PyTreeNode):
    """A policy, and a value function of its own.

    Attributes:
      policy: variables of its network.
      value: with its optimizer.
    """

    policy: Any
    value: LearnerState


@dataclasses.dataclass(frozen=True)
class TrustRegionAgent:
    """A trust region step of the policy and a fit of the value on each rollout.

    Attributes:
      trpo: the method.
      entropy_weight: of the policy's mean entropy in the surrogate.
    """

    trpo: TRPO
    entropy_weight: float

    def init(self, key: jax.Array, observation: jax.Array) -> TrustRegionState:
        policy_key, value_key = jax.random.split(key)
        return TrustRegionState(
            policy=self.trpo.init_policy(policy_key, observation),
            value=self.trpo.critic.init(value_key, observation),
        )

    def act(
        self, variables: TrustRegionState, observation: jax.Array
    ) -> tuple[Distribution, jax.Array]:
        """Distributions and values `[B]` for observations `[B, ...]`."""
        policy = self.policy(variables.policy, observation)
        return policy, self.trpo.value(variables.value, observation)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return self.trpo.policy(variables, observation)

    def eval_variables(self, state: TrustRegionState) -> Any:
        """What `policy` is evaluated with."""
        return state.policy

    def learn(
        self, state: TrustRegionState, rollout: Rollout, key: jax.Array
    ) -> tuple[TrustRegionState, dict[str, jax.Array]]:
        """Learns from a rollout `[B, ...]`."""
        policy, step = self.trpo.improve(state.policy, rollout, self.entropy_weight)
        value, fit = self.trpo.fit(state.value, rollout, key)
        metrics = {
            "value_loss": fit["loss"],
            "kl": step.kl,
            "entropy": rollout.policy.entropy().mean(),
        }
        return TrustRegionState(policy, value), metrics
