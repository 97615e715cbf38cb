"""An ensemble of reward predictors, fitted to comparisons of clips.

Christiano et al., 2017, arXiv:1706.03741, section 2.2.3; the loss of a comparison is the script's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Aux, Learner, LearnerState
from research.papers.human_preferences.clips import Clip, Comparisons

# (summed rewards of left and right clips [B] each, preference [B]) -> losses [B].
ComparisonLoss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class EnsembleState(flax.struct.PyTreeNode):
    """M predictors.

    Attributes:
      members: leaves `[M, ...]`.
      l2: `[M]`, weight of the squared parameters in each one's loss.
      mean, variance: `[M]`, of each one's predictions for the newest steps.
      weight: of these steps in a mean over all time; 0 before the first.
    """

    members: LearnerState
    l2: jax.Array
    mean: jax.Array
    variance: jax.Array
    weight: jax.Array


@dataclasses.dataclass(frozen=True)
class RewardEnsemble:
    """Predictors that differ in their first parameters and in their samples of the comparisons.

    Attributes:
      learner: of a `RewardModel`.
      comparison_loss: of the predicted rewards of two clips.
      num_members: M.
      batch_size: comparisons in a gradient step.
      check_size: comparisons from which training and validation losses are estimated.
      l2: weight of the squared parameters at first.
      l2_rate: by what share that weight changes after a fit, where it is to.
      validation_ratio: least and greatest ratio of validation to training loss at which the weight
        stays.
      std: standard deviation of the rewards to learn from.
      moments_decay: of the predictions' mean and variance, for each rollout; 0: those of the newest
        rollout alone.
    """

    learner: Learner
    comparison_loss: ComparisonLoss
    num_members: int
    batch_size: int
    check_size: int
    l2: float
    l2_rate: float
    validation_ratio: tuple[float, float]
    std: float
    moments_decay: float

    def init(self, key: jax.Array, observation: jax.Array, action: jax.Array) -> EnsembleState:
        """Predictors for steps like these, `[B, ...]`."""

        def init_member(key: jax.Array) -> LearnerState:
            return self.learner.init(key, observation, action, train=False)

        members = jax.vmap(init_member)(jax.random.split(key, self.num_members))
        zeros = jnp.zeros(self.num_members)
        return EnsembleState(
            members=members,
            l2=jnp.full(self.num_members, self.l2),
            mean=zeros,
            variance=zeros + 1,
            weight=jnp.zeros(()),
        )

    # Rewards

    def predict(self, state: EnsembleState, observation: jax.Array, action: jax.Array) -> jax.Array:
        """Each member's rewards `[M, T, N]` for steps `[T, N, ...]`."""

        def predict_member(member: LearnerState, *steps: jax.Array) -> jax.Array:
            return self.learner.apply(member, *steps, train=False)[0]

        steps = (x.reshape(-1, *x.shape[2:]) for x in (observation, action))
        rewards = jax.vmap(predict_member, in_axes=(0, None, None))(state.members, *steps)
        return rewards.reshape(-1, *observation.shape[:2])

    def reward(
        self, state: EnsembleState, observation: jax.Array, action: jax.Array
    ) -> tuple[EnsembleState, jax.Array]:
        """The state with the moments of the newest steps `[T, N, ...]` taken in, and the rewards
        `[T, N]` to learn from in them."""
        rewards = self.predict(state, observation, action)
        state = self.update_moments(state, rewards)
        return state, self.normalize(state, rewards)

    def update_moments(self, state: EnsembleState, rewards: jax.Array) -> EnsembleState:
        """Takes in the moments of predictions `[M, T, N]` for the newest steps."""
        weight = self.moments_decay * state.weight + 1 - self.moments_decay
        new = (1 - self.moments_decay) / weight
        mean = state.mean + new * (rewards.mean(axis=(1, 2)) - state.mean)
        squares = ((rewards - mean[:, None, None]) ** 2).mean(axis=(1, 2))
        variance = state.variance + new * (squares - state.variance)
        return state.replace(mean=mean, variance=variance, weight=weight)

    def normalize(self, state: EnsembleState, rewards: jax.Array) -> jax.Array:
        """Mean over members of predictions `[M, T, N]`, each of which is first brought to mean 0
        and standard deviation `std`."""
        scale = jax.lax.rsqrt(state.variance[:, None, None] + 1e-8)
        scaled = (rewards - state.mean[:, None, None]) * scale
        return self.std * scaled.mean(axis=0)

    # Learning

    def fit(
        self, state: EnsembleState, comparisons: Comparisons, updates: jax.Array, key: jax.Array
    ) -> tuple[EnsembleState, dict[str, jax.Array]]:
        """Fits every member to minibatches of its own sample, then adapts its L2 weight.

        Args:
          state: of the ensemble.
          comparisons: all that there are.
          updates: number of minibatches.
          key: of this fit.

        Returns:
          The new state, and means over members of the losses, without L2, on the comparisons of
          its sample and on those held out from it: NaN where there are none.
        """
        fit_key, check_key = jax.random.split(key)
        held_out = comparisons.filled[:, None] & (comparisons.copies == 0)
        sample = jnp.where(comparisons.filled[:, None], comparisons.copies, 0).T
        # A member whose sample is empty has nothing to learn from: then all of them wait.
        updates = jnp.where(sample.sum(axis=1).min() > 0, updates, 0)

        def update(i: jax.Array, members: LearnerState) -> LearnerState:
            keys = jax.random.split(jax.random.fold_in(fit_key, i), self.num_members)
            return jax.vmap(self._update_member, in_axes=(0, 0, 0, None, 0))(
                members, state.l2, sample, comparisons, keys
            )

        members = jax.lax.fori_loop(0, updates, update, state.members)

        check = jax.vmap(self._check_member, in_axes=(0, 0, None, 0))
        train_key, validation_key = jax.random.split(check_key)
        train_keys = jax.random.split(train_key, self.num_members)
        validation_keys = jax.random.split(validation_key, self.num_members)
        train = check(members, sample, comparisons, train_keys)
        validation = check(members, held_out.T, comparisons, validation_keys)
        metrics = {
            "reward/train": train.mean(),
            "reward/validation": validation.mean(),
            "reward/l2": state.l2.mean(),
        }
        l2 = state.l2 * self._l2_factor(train, validation)
        return state.replace(members=members, l2=l2), metrics

    def _update_member(
        self,
        member: LearnerState,
        l2: jax.Array,
        weights: jax.Array,
        comparisons: Comparisons,
        key: jax.Array,
    ) -> LearnerState:
        """One gradient step on comparisons drawn by integer weights `[C]`."""
        draw_key, loss_key = jax.random.split(key)
        rows = _draw(weights, self.batch_size, draw_key)

        def loss_fn(variables: Any, batch: Comparisons, key: jax.Array) -> tuple[jax.Array, Aux]:
            loss, updated = self._mean_loss(variables, batch, True, key)
            squares = sum((p**2).sum() for p in jax.tree.leaves(variables["params"]))
            return loss + l2 * squares, Aux(variables=updated)

        return self.learner.minimize(member, loss_fn, _take(comparisons, rows), loss_key)[0]

    def _check_member(
        self, member: LearnerState, weights: jax.Array, comparisons: Comparisons, key: jax.Array
    ) -> jax.Array:
        """Loss without L2 on comparisons drawn by weights `[C]`; NaN where all of them are 0."""
        rows = _draw(weights, self.check_size, key)
        loss, _ = self._mean_loss(member, _take(comparisons, rows), False, key)
        return jnp.where(weights.sum() > 0, loss, jnp.nan)

    def _l2_factor(self, train: jax.Array, validation: jax.Array) -> jax.Array:
        """Factor `[M]` that keeps the validation loss between the ratios of the training loss."""
        low, high = self.validation_ratio
        # Comparisons with NaN are false: nothing changes.
        return jnp.where(
            validation > high * train,
            1 + self.l2_rate,
            jnp.where(validation < low * train, 1 / (1 + self.l2_rate), 1),
        )

    def _mean_loss(
        self, variables: Any, batch: Comparisons, train: bool, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Mean loss of comparisons `[B]`, and the collections that training changes."""
        both: Clip = jax.tree.map(lambda *x: jnp.stack(x), batch.left, batch.right)
        steps = (x.reshape(-1, *x.shape[3:]) for x in (both.observation, both.action))
        (reward, _), updated = self.learner.apply(
            variables,
            *steps,
            train=train,
            rngs={"dropout": key} if train else None,
            mutable=["batch_stats"] if train else [],
        )
        left, right = reward.reshape(both.observation.shape[:3]).sum(axis=-1)
        return self.comparison_loss(left, right, batch.preference).mean(), updated


def _draw(weights: jax.Array, count: int, key: jax.Array) -> jax.Array:
    """`count` rows with replacement, by integer weights `[C]`."""
    reached = jnp.cumsum(weights)
    wanted = jax.random.randint(key, (count,), 0, jnp.maximum(reached[-1], 1))
    return jnp.searchsorted(reached, wanted, side="right")


def _take(comparisons: Comparisons, rows: jax.Array) -> Comparisons:
    """Comparisons `[B]` of rows `[B]`."""
    # `total` counts all of them and has no rows; a placeholder lets one map take the others'.
    chosen = comparisons.replace(total=jnp.zeros(len(comparisons.preference)))
    return jax.tree.map(lambda x: x[rows], chosen)
