"""Q-learning with a network, and pieces of it that more than one agent uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from research.core import Aux, Learner, LearnerState
from research.rl.agents import target_network
from research.rl.agents.target_network import Variables
from research.rl.replay.transitions import Transition


def of_action(q: jax.Array, action: jax.Array) -> jax.Array:
    """Values `[B]` of actions `[B]` out of those of all, `[B, A]`."""
    return jnp.take_along_axis(q, action[:, None], axis=1)[:, 0]


def epsilon_greedy(key: jax.Array, q: jax.Array, epsilon: jax.Array | float) -> jax.Array:
    """Actions `[N]` from values `[N, A]`: the best, or with probability epsilon any."""
    explore_key, action_key = jax.random.split(key)
    explore = jax.random.uniform(explore_key, q.shape[:1]) < epsilon
    random = jax.random.randint(action_key, q.shape[:1], 0, q.shape[1])
    return jnp.where(explore, random, q.argmax(axis=1))


def greedy_policy(
    model: nn.Module, epsilon: float
) -> Callable[[Any, jax.Array, jax.Array], jax.Array]:
    """The epsilon-greedy policy of a network of action values; its variables are `params`."""

    def act(params: Any, observation: jax.Array, key: jax.Array) -> jax.Array:
        q = model.apply({"params": params}, observation, train=False)[0]
        return epsilon_greedy(key, q, epsilon)

    return act


@flax.struct.dataclass
class QLearningState:
    """The network of action values, and the variables of its target."""

    learner: LearnerState
    target: Variables


@dataclasses.dataclass(frozen=True)
class QLearning:
    """Q-learning from replayed transitions, with a target network that follows slowly.

    Attributes:
      learner: of `(x, train) -> (values [B, A], ...)`.
      gamma: discount of one step.
      target_range: targets are clipped to it.
    """

    learner: Learner
    gamma: float
    target_range: tuple[float, float] = (-jnp.inf, jnp.inf)

    def init(self, key: jax.Array, observation: jax.Array) -> QLearningState:
        """State for observations `[N, D]`."""
        learner = self.learner.init(key, observation, train=False)
        return QLearningState(learner, target_network.start(learner))

    def values(self, learner: LearnerState | Variables, observation: jax.Array) -> jax.Array:
        """Values `[N, A]` of all actions at observations `[N, D]`."""
        return self.learner.apply(learner, observation, train=False)[0]

    def update(
        self, state: QLearningState, batch: Transition, key: jax.Array
    ) -> tuple[QLearningState, dict[str, jax.Array]]:
        """One step on the mean squared TD error. The target stays as it is."""
        value = self.values(state.target, batch.next_observation).max(axis=1)
        goal = batch.reward + self.gamma * jnp.where(batch.terminated, 0.0, value)
        goal = jnp.clip(goal, *self.target_range)

        def loss_fn(network: Variables, batch: Transition, key: jax.Array) -> Any:
            q = self.learner.apply(network, batch.observation, train=True)[0]
            q = of_action(q, batch.action)
            return jnp.mean((q - goal) ** 2), Aux({"q": q.mean()})

        learner, metrics = self.learner.minimize(state.learner, loss_fn, batch, key)
        return dataclasses.replace(state, learner=learner), metrics

    def follow(self, state: QLearningState, tau: float) -> QLearningState:
        """Moves the target towards what has been learned."""
        target = target_network.follow(state.target, state.learner, tau)
        return dataclasses.replace(state, target=target)
