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


@flax.struct.dataclass
class Learned:
    """A policy, and a value function of its own."""

    policy: Any  # variables
    value: LearnerState


@dataclasses.dataclass(frozen=True)
class TrustRegionAgent:
    """Attributes: trpo; entropy_weight, of the policy's mean entropy in the surrogate."""

    trpo: TRPO
    entropy_weight: float

    def init(self, key: jax.Array, seen: jax.Array) -> Learned:
        policy_key, value_key = jax.random.split(key)
        return Learned(
            self.trpo.init_policy(policy_key, seen), self.trpo.critic.init(value_key, seen)
        )

    def act(self, learned: Learned, seen: jax.Array) -> tuple[Distribution, jax.Array]:
        """Distributions and values `[B]` for observations `[B, ...]`."""
        return self.policy(learned.policy, seen), self.trpo.value(learned.value, seen)

    def policy(self, variables: Any, seen: jax.Array) -> Distribution:
        return self.trpo.policy(variables, seen)

    def eval_variables(self, learned: Learned) -> Any:
        """What `policy` is evaluated with."""
        return learned.policy

    def learn(
        self, learned: Learned, rollout: Rollout, key: jax.Array
    ) -> tuple[Learned, dict[str, jax.Array]]:
        """From a rollout `[B, ...]`."""
        policy, taken = self.trpo.improve(learned.policy, rollout, self.entropy_weight)
        value, metrics = self.trpo.fit(learned.value, rollout, key)
        return Learned(policy, value), {
            "value_loss": metrics["loss"],
            "kl": taken.kl,
            "entropy": rollout.policy.entropy().mean(),
        }
