"""A policy that takes trust region steps, beside a value function fitted by Adam: TRPO (Schulman et
al., 2015, arXiv:1502.05477) as OpenAI Baselines has it, for papers whose agent it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from research.core import Aux, Learner, LearnerState, UserError
from research.rl.acting.distributions import Distribution, distribution
from research.rl.acting.rollouts import Rollout, normalize_advantage, sweep
from research.rl.agents.trust_region import TrustRegionStep, trust_region_step


@dataclasses.dataclass(frozen=True)
class TRPO:
    """An agent whose policy is a network's variables, `{"params": ...}`, that no optimizer has.

    Attributes:
      actor: network of the policy.
      critic: learner of the value function.
      kl_limit: delta, of the mean divergence of a step, in nats.
      damping: added to the Fisher matrix's diagonal.
      cg_iterations: of conjugate gradient.
      backtracks: fractions of a step that are tried.
      fisher_every: the Fisher matrix is estimated from every n-th step alone.
      value_epochs: passes of the value function through a rollout.
      value_minibatches: gradient steps of a pass.
    """

    actor: nn.Module
    critic: Learner
    kl_limit: float
    damping: float
    cg_iterations: int
    backtracks: int
    fisher_every: int
    value_epochs: int
    value_minibatches: int

    def init_policy(self, key: jax.Array, observation: jax.Array) -> Any:
        return init_policy(self.actor, key, observation)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        """Distributions for observations `[B, ...]`."""
        return distribution(self.actor.apply(variables, observation)[0])

    def value(self, variables: Any, observation: jax.Array) -> jax.Array:
        """Values `[B]` of observations `[B, ...]`."""
        return self.critic.apply(variables, observation)[0]

    def improve(
        self, policy: Any, rollout: Rollout, entropy_weight: float = 0.0
    ) -> tuple[Any, TrustRegionStep]:
        """Takes a step of the policy.

        Args:
          policy: variables.
          rollout: `[B, ...]`.
          entropy_weight: of a bonus for entropy, which is not the paper's.
        """
        advantage = normalize_advantage(rollout.advantage)
        few = jax.tree.map(lambda x: x[:: self.fisher_every], rollout)

        def surrogate(params: Any) -> jax.Array:  # section 5, the objective of equation 14
            new = self.policy({"params": params}, rollout.observation)
            gain = jnp.exp(new.log_prob(rollout.action) - rollout.log_prob) * advantage
            if entropy_weight:
                gain += entropy_weight * new.entropy()
            return gain.mean()

        def mean_kl(params: Any, batch: Rollout) -> jax.Array:
            new = self.policy({"params": params}, batch.observation)
            return batch.policy.kl(new).mean()

        taken = trust_region_step(
            policy["params"],
            surrogate,
            lambda params: mean_kl(params, rollout),
            kl_for_fisher=lambda params: mean_kl(params, few),
            kl_limit=self.kl_limit,
            damping=self.damping,
            iterations=self.cg_iterations,
            backtracks=self.backtracks,
        )
        return {"params": taken.params}, taken

    def fit(
        self, value: LearnerState, rollout: Rollout, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Fits the value function to the returns of a rollout `[B, ...]`."""
        return fit_value(
            self.critic,
            value,
            rollout,
            key,
            epochs=self.value_epochs,
            minibatches=self.value_minibatches,
        )


def init_policy(actor: nn.Module, key: jax.Array, observation: jax.Array) -> Any:
    """Variables of a policy's network."""
    params_key, _ = jax.random.split(key)  # as `Learner.init`, which keeps a key for dropout
    return dict(actor.init({"params": params_key}, observation))


def fit_value(
    critic: Learner,
    value: LearnerState,
    rollout: Rollout,
    key: jax.Array,
    *,
    epochs: int,
    minibatches: int,
) -> tuple[LearnerState, dict[str, jax.Array]]:
    """Fits a value function to the returns of a rollout `[B, ...]`, by their squared error."""

    def loss_fn(variables: Any, batch: Rollout, key: jax.Array) -> tuple[jax.Array, Aux]:
        value = critic.apply(variables, batch.observation)[0]
        return ((value - batch.returns) ** 2).mean(), Aux()

    def update(value: LearnerState, batch: Rollout, key: jax.Array) -> Any:
        return critic.minimize(value, loss_fn, batch, key)

    return sweep(value, rollout, key, update, epochs=epochs, minibatches=minibatches)


def check_rollout(size: int, value_minibatches: int, fisher_every: int) -> None:
    """Refuses settings that a rollout of `size` steps does not go with.

    Raises:
      UserError: it does not divide into the minibatches, or `fisher_every` is not 1 at least.
    """
    if size % value_minibatches or fisher_every < 1:
        raise UserError(
            f"{size} steps of a rollout divide by agent.value_minibatches, not by "
            f"{value_minibatches}; and agent.fisher_every is 1 at least"
        )
