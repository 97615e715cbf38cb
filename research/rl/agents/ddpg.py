"""Deep deterministic policy gradient (Lillicrap et al., 2015, arXiv:1509.02971, algorithm 1)."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Aux, Learner, LearnerState
from research.rl.agents import target_network
from research.rl.agents.target_network import Variables, variables
from research.rl.replay.transitions import Transition


@flax.struct.dataclass
class DDPGState:
    """Actor and critic, and the variables of their targets."""

    actor: LearnerState
    critic: LearnerState
    target_actor: Variables
    target_critic: Variables


@dataclasses.dataclass(frozen=True)
class DDPG:
    """A deterministic policy that climbs the gradient of a learned action value.

    Attributes:
      actor: of `(x, train) -> (action, {"preactivation"})`.
      critic: of `(x, action, train) -> (value, ...)`.
      gamma: discount of one step.
      target_range: targets of the critic are clipped to it.
      action_penalty: weight of the mean squared preactivation in the actor's loss, against the
        saturation of the tanh (Andrychowicz et al., 2017, arXiv:1707.01495, appendix A).
    """

    actor: Learner
    critic: Learner
    gamma: float
    target_range: tuple[float, float] = (-jnp.inf, jnp.inf)
    action_penalty: float = 0.0

    def init(self, key: jax.Array, observation: jax.Array) -> DDPGState:
        """State for observations `[N, D]`."""
        actor_key, critic_key = jax.random.split(key)
        actor = self.actor.init(actor_key, observation, train=False)
        action = self.action(actor, observation)
        critic = self.critic.init(critic_key, observation, action, train=False)
        targets = target_network.start(actor), target_network.start(critic)
        return DDPGState(actor, critic, *targets)

    def action(self, actor: LearnerState | Variables, observation: jax.Array) -> jax.Array:
        """The policy: actions `[N, A]` in [-1, 1] of observations `[N, D]`."""
        return self.actor.apply(actor, observation, train=False)[0]

    def update(
        self, state: DDPGState, batch: Transition, key: jax.Array
    ) -> tuple[DDPGState, dict[str, jax.Array]]:
        """One step of the critic, and one of the actor on it. The targets stay as they are.

        Batch normalization, where the networks have it, is over the batch, in the targets as well.
        """
        critic_key, actor_key = jax.random.split(key)
        following, _ = _apply(self.actor, state.target_actor, batch.next_observation)
        value, _ = _apply(self.critic, state.target_critic, batch.next_observation, following)
        goal = batch.reward + self.gamma * jnp.where(batch.terminated, 0.0, value)
        goal = jnp.clip(goal, *self.target_range)

        def critic_loss(critic: Variables, batch: Transition, key: jax.Array) -> Any:
            q, updated = _apply(self.critic, critic, batch.observation, batch.action)
            return jnp.mean((q - goal) ** 2), Aux({"q": q.mean()}, updated)

        critic, of_critic = self.critic.minimize(state.critic, critic_loss, batch, critic_key)

        def actor_loss(actor: Variables, batch: Transition, key: jax.Array) -> Any:
            (action, seen), updated = self.actor.apply(
                actor, batch.observation, train=True, mutable=["batch_stats"]
            )
            q, _ = _apply(self.critic, variables(critic), batch.observation, action)
            penalty = self.action_penalty * jnp.mean(seen["preactivation"] ** 2)
            return penalty - q.mean(), Aux({}, updated)

        actor, of_actor = self.actor.minimize(state.actor, actor_loss, batch, actor_key)
        metrics = {**of_critic, **{f"actor_{name}": x for name, x in of_actor.items()}}
        return dataclasses.replace(state, actor=actor, critic=critic), metrics

    def follow(self, state: DDPGState, tau: float) -> DDPGState:
        """Moves the targets towards what has been learned."""
        return dataclasses.replace(
            state,
            target_actor=target_network.follow(state.target_actor, state.actor, tau),
            target_critic=target_network.follow(state.target_critic, state.critic, tau),
        )


def _apply(learner: Learner, network: Variables, *inputs: jax.Array) -> tuple[jax.Array, Any]:
    """A network's output in training mode, and its updated collections."""
    (output, _), updated = learner.apply(network, *inputs, train=True, mutable=["batch_stats"])
    return output, updated
