"""A deterministic actor, its critic, and the target networks that follow both.

The networks of DDPG (Lillicrap et al., 2015, arXiv:1509.02971, algorithm 1). What they learn from
is each paper's own: the losses are in the scripts.
"""

from __future__ import annotations

import dataclasses

import flax.struct
import jax

from research.core import Learner, LearnerState
from research.rl.agents import target_network
from research.rl.agents.target_network import Variables


class DDPGState(flax.struct.PyTreeNode):
    """Actor and critic, and the variables of their targets."""

    actor: LearnerState
    critic: LearnerState
    target_actor: Variables
    target_critic: Variables


@dataclasses.dataclass(frozen=True)
class DDPGNetworks:
    """Evaluates the four networks; the arrays are a `DDPGState`.

    Attributes:
      actor: its network is called as `(x, train) -> (action, {"preactivation"})`.
      critic: its network is called as `(x, action, train) -> (value, ...)`.
    """

    actor: Learner
    critic: Learner

    def init(self, key: jax.Array, observation: jax.Array) -> DDPGState:
        """State for observations `[N, D]`."""
        actor_key, critic_key = jax.random.split(key)
        actor = self.actor.init(actor_key, observation, train=False)
        action = self.action(actor, observation)
        critic = self.critic.init(critic_key, observation, action, train=False)
        return DDPGState(
            actor=actor,
            critic=critic,
            target_actor=target_network.init_target(actor),
            target_critic=target_network.init_target(critic),
        )

    def action(self, actor: LearnerState | Variables, observation: jax.Array) -> jax.Array:
        """The policy to act with: actions `[N, A]` in [-1, 1] of observations `[N, D]`."""
        return self.actor.apply(actor, observation, train=False)[0]

    def mu(
        self, actor: Variables, observation: jax.Array
    ) -> tuple[jax.Array, jax.Array, Variables]:
        """The policy mu(s) to learn with: batch normalization, if any, is over this batch.

        Returns:
          Actions `[B, A]`; what their tanh was taken of, `[B, A]`; updated collections.
        """
        (action, seen), updated = self.actor.apply(
            actor, observation, train=True, mutable=["batch_stats"]
        )
        return action, seen["preactivation"], updated

    def q(
        self, critic: Variables, observation: jax.Array, action: jax.Array
    ) -> tuple[jax.Array, Variables]:
        """The action value Q(s, a) to learn with: values `[B]`, and updated collections."""
        (value, _), updated = self.critic.apply(
            critic, observation, action, train=True, mutable=["batch_stats"]
        )
        return value, updated

    def update_targets(self, state: DDPGState, tau: float) -> DDPGState:
        """Moves both targets towards what has been learned."""
        return state.replace(
            target_actor=target_network.soft_update(state.target_actor, state.actor, tau),
            target_critic=target_network.soft_update(state.target_critic, state.critic, tau),
        )
