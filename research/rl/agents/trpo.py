"""A policy that takes trust region steps, beside a value function fitted by Adam: TRPO (Schulman et
al., 2015, arXiv:1502.05477) as OpenAI Baselines has it."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from research.core import Aux, Learner, LearnerState, UserError
from research.rl.acting.distributions import Distribution, distribution
from research.rl.acting.rollouts import Rollout, sweep
from research.rl.agents.trust_region import Step, trust_region_step


def agent_config() -> ConfigDict:
    """`config.agent` of these agents."""
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


@dataclasses.dataclass(frozen=True)
class TRPO:
    """Attributes: actor, whose learner holds parameters alone; critic; settings, `config.agent`."""

    actor: Learner
    critic: Learner
    settings: ConfigDict

    @classmethod
    def make(cls, config: ConfigDict, actor: nn.Module, critic: nn.Module) -> TRPO:
        """As `config.env`, `config.optimizer` (of the value) and `config.agent` say.

        Raises:
          UserError: a rollout does not divide as the settings ask.
        """
        agent = config.agent
        size = config.env.num_envs * agent.rollout_steps
        if size % agent.value_minibatches or agent.fisher_every < 1:
            raise UserError(
                f"{size} steps of a rollout divide by agent.value_minibatches, not by "
                f"{agent.value_minibatches}; and agent.fisher_every is 1 at least"
            )
        fitted = Learner(
            critic,
            optax.adam(config.optimizer.learning_rate, eps=config.optimizer.adam_epsilon),
            config.accumulate_steps,
            config.max_grad_norm,
            config.ema_decay,
        )
        # A step of the policy is no optimizer's: its learner holds parameters alone.
        return cls(Learner(actor, optax.identity()), fitted, agent)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return distribution(self.actor.apply(variables, observation)[0])

    def value(self, variables: Any, observation: jax.Array) -> jax.Array:
        return self.critic.apply(variables, observation)[0]

    def improve(
        self, learned: LearnerState, rollout: Rollout, entropy_weight: float = 0.0
    ) -> tuple[LearnerState, Step]:
        """A step of the policy on a rollout `[B, ...]`; a bonus for entropy is not the paper's."""
        agent, a = self.settings, rollout.advantage
        advantage = (a - a.mean()) / (a.std() + 1e-8)
        few = jax.tree.map(lambda x: x[:: agent.fisher_every], rollout)

        def surrogate(params: Any) -> jax.Array:  # section 5, the objective of equation 14
            new = self.policy({"params": params}, rollout.observation)
            gain = jnp.exp(new.log_prob(rollout.action) - rollout.log_prob) * advantage
            if entropy_weight:
                gain += entropy_weight * new.entropy()
            return gain.mean()

        def kl_over(batch: Any) -> Any:
            return lambda params: batch.policy.kl(
                self.policy({"params": params}, batch.observation)
            ).mean()

        taken = trust_region_step(
            learned.params,
            surrogate,
            kl_over(rollout),
            kl_for_fisher=kl_over(few),
            kl_limit=agent.kl_limit,
            damping=agent.damping,
            iterations=agent.cg_iterations,
            backtracks=agent.backtracks,
        )
        return dataclasses.replace(learned, params=taken.params), taken

    def fit(
        self, value: LearnerState, rollout: Rollout, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Epochs of the value function on the returns of a rollout `[B, ...]`."""

        def loss_fn(variables: Any, batch: Any, key: jax.Array) -> Any:
            return ((self.value(variables, batch.observation) - batch.returns) ** 2).mean(), Aux()

        return sweep(
            value,
            rollout,
            key,
            lambda value, batch, key: self.critic.minimize(value, loss_fn, batch, key),
            epochs=self.settings.value_epochs,
            minibatches=self.settings.value_minibatches,
        )
