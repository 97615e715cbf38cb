"""Behavioural cloning: a policy fitted to an expert's pairs by maximum likelihood, until its error
on pairs held out stops falling."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Aux, Learner, LearnerState
from research.rl.acting.distributions import Distribution, distribution
from research.rl.acting.rollouts import flatten
from research.rl.demonstrations import Demonstrations


@flax.struct.dataclass
class Cloned:
    """Attributes: policy; best, the parameters of lowest validation error yet; best_error, that;
    expert; train `[E * P]` bool, the pairs to learn from, of the present ones others validate."""

    policy: LearnerState
    best: Any
    best_error: jax.Array
    expert: Demonstrations
    train: jax.Array


@dataclasses.dataclass(frozen=True)
class Cloning:
    """Attributes: learner, of an `Actor`; train_share, of the pairs; batch_size."""

    learner: Learner
    train_share: float
    batch_size: int

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return distribution(self.learner.apply(variables, observation)[0])

    def init(self, key: jax.Array, expert: Demonstrations) -> Cloned:
        net_key, split_key = jax.random.split(key)
        pairs = flatten(expert)
        order = jax.random.uniform(split_key, pairs.present.shape) + ~pairs.present
        # Of a handful of pairs one at least is held out, unless it is the only one.
        count = pairs.present.sum()
        kept = jnp.maximum(jnp.floor(self.train_share * count), 1)
        learned = self.learner.init(net_key, pairs.observation[:1])
        return Cloned(
            learned,
            jax.tree.map(jnp.copy, learned.params),
            jnp.float32(jnp.inf),
            jax.tree.map(jnp.copy, expert),
            jnp.argsort(jnp.argsort(order)) < kept,
        )

    def step(self, state: Cloned, key: jax.Array) -> tuple[Cloned, dict[str, jax.Array]]:
        """One minibatch, drawn with replacement, and the validation error after it."""
        draw_key, loss_key = jax.random.split(key)
        pairs = flatten(state.expert)
        rows = jax.random.choice(
            draw_key, len(pairs.present), (self.batch_size,), p=state.train / state.train.sum()
        )

        def loss_fn(variables: Any, batch: Demonstrations, key: jax.Array) -> Any:
            policy = self.policy(variables, batch.observation)
            return -policy.log_prob(batch.action).mean(), Aux()

        batch = jax.tree.map(lambda x: x[rows], pairs)
        learned, metrics = self.learner.minimize(state.policy, loss_fn, batch, loss_key)
        held_out = pairs.present & ~state.train
        policy = self.policy(learned, pairs.observation)
        error = -(policy.log_prob(pairs.action) * held_out).sum() / jnp.maximum(held_out.sum(), 1)
        # With no pair held out the newest is the best there is.
        better = (error < state.best_error) | ~held_out.any()
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), learned.params, state.best)
        return dataclasses.replace(
            state, policy=learned, best=best, best_error=jnp.minimum(error, state.best_error)
        ), {"loss": metrics["loss"], "validation_loss": error}
