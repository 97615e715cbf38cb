"""Behavioral cloning, which GAIL is compared with: a policy fitted to an expert's pairs by maximum
likelihood, until its error on pairs held out stops falling."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Aux, Experiment, Learner, LearnerState
from research.rl.acting.distributions import Distribution, distribution
from research.rl.acting.rollouts import flatten
from research.rl.agents.on_policy import evaluation
from research.rl.demonstrations import Demonstrations
from research.rl.envs.environments import Environment


class CloningState(flax.struct.PyTreeNode):
    """What a run carries from step to step.

    Attributes:
      policy: the newest.
      best: parameters of the lowest validation error yet.
      best_error: that error.
      expert: demonstrations of E episodes with at most P pairs.
      shuffle: `[E * P]`, a random order of the pairs.
      train: `[E * P]` bool, the pairs to learn from; the other present ones validate.
    """

    policy: LearnerState
    best: Any
    best_error: jax.Array
    expert: Demonstrations
    shuffle: jax.Array
    train: jax.Array


class BehavioralCloning(Experiment):
    """Fits a policy to demonstrations, which `warm_start` brings.

    Args:
      learner: of an `Actor`.
      blank: demonstrations of the right shapes.
      train_share: of the pairs; the others tell when to stop.
      batch_size: pairs in a gradient step.
      updates_per_step: gradient steps in one of the run.
      num_steps: of the run.
      test_env: an environment for each episode of an evaluation.
      greedy: the evaluation plays the policy's mode.
    """

    def __init__(
        self,
        learner: Learner,
        blank: Demonstrations,
        *,
        train_share: float,
        batch_size: int,
        updates_per_step: int,
        num_steps: int,
        test_env: Environment,
        greedy: bool,
    ):
        self.learner = learner
        self.blank = blank
        self.train_share = train_share
        self.batch_size = batch_size
        self.updates_per_step = updates_per_step
        self.num_steps = num_steps
        self.test_play = evaluation(test_env, self.policy, greedy=greedy)

    def policy(self, variables: Any, observation: jax.Array) -> Distribution:
        return distribution(self.learner.apply(variables, observation)[0])

    def init(self, key: jax.Array) -> CloningState:
        net_key, split_key = jax.random.split(key)
        pairs = flatten(self.blank)
        policy = self.learner.init(net_key, pairs.observation[:1])
        return CloningState(
            policy=policy,
            best=jax.tree.map(jnp.copy, policy.params),
            best_error=jnp.float32(jnp.inf),
            expert=jax.tree.map(jnp.asarray, self.blank),
            shuffle=jax.random.uniform(split_key, pairs.present.shape),
            train=jnp.zeros(pairs.present.shape, bool),
        )

    def warm_start(self, state: CloningState, before: Demonstrations) -> CloningState:
        """Takes in the expert's pairs, and holds some of them out."""
        present = flatten(before).present
        order = state.shuffle + ~present  # absent pairs come last
        # Of a handful of pairs one at least is held out, unless it is the only one.
        count = jnp.maximum(jnp.floor(self.train_share * present.sum()), 1)
        return state.replace(expert=before, train=jnp.argsort(jnp.argsort(order)) < count)

    def step(
        self, state: CloningState, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[CloningState, dict[str, jax.Array]]:
        keys = jax.random.split(key, self.updates_per_step)
        state, metrics = jax.lax.scan(self.update, state, keys)
        return state, jax.tree.map(jnp.mean, metrics)

    def loss(self, variables: Any, batch: Demonstrations, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Negative log likelihood of the expert's actions."""
        policy = self.policy(variables, batch.observation)
        return -policy.log_prob(batch.action).mean(), Aux()

    def update(
        self, state: CloningState, key: jax.Array
    ) -> tuple[CloningState, dict[str, jax.Array]]:
        """One minibatch, drawn with replacement, and the validation error after it."""
        draw_key, loss_key = jax.random.split(key)
        pairs = flatten(state.expert)
        rows = jax.random.choice(
            draw_key, len(pairs.present), (self.batch_size,), p=state.train / state.train.sum()
        )
        batch = jax.tree.map(lambda x: x[rows], pairs)
        policy, metrics = self.learner.minimize(state.policy, self.loss, batch, loss_key)

        held_out = pairs.present & ~state.train
        log_prob = self.policy(policy, pairs.observation).log_prob(pairs.action)
        error = -(log_prob * held_out).sum() / jnp.maximum(held_out.sum(), 1)
        # With no pair held out the newest is the best there is.
        better = (error < state.best_error) | ~held_out.any()
        state = state.replace(
            policy=policy,
            best=jax.tree.map(lambda a, b: jnp.where(better, a, b), policy.params, state.best),
            best_error=jnp.minimum(error, state.best_error),
        )
        return state, {"loss": metrics["loss"], "validation_loss": error}

    def test_variables(self, state: CloningState) -> Any:
        """What `test_play` takes: the policy that was best on pairs held out."""
        return {"params": state.best}, None

    def evaluate(self, state: CloningState, key: jax.Array) -> dict[str, float]:
        numbers = self.test_play(self.test_variables(state), key)
        return {f"eval/{name}": value for name, value in numbers.items()}
