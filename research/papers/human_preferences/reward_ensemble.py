"""An ensemble of reward predictors, fitted to comparisons of clips (Christiano et al., 2017,
arXiv:1706.03741, section 2.2.3)."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from research.core import Aux, Learner, LearnerState
from research.papers.human_preferences.clips import Clip, Comparisons


def comparison_loss(
    left: jax.Array, right: jax.Array, preference: jax.Array, error_rate: float
) -> jax.Array:
    """Cross entropy `[B]`, nats, of clips whose predicted rewards sum to `left` and `right` `[B]`.

    The left one is preferred with probability e^left / (e^left + e^right) (equation 1), but in the
    share `error_rate` of answers, which come at random. `preference`: as in `Comparisons`.
    """

    def log_prob(gain: jax.Array) -> jax.Array:
        meant = jnp.log1p(-error_rate) + jax.nn.log_sigmoid(gain)
        return jnp.logaddexp(meant, jnp.log(error_rate / 2))

    gain = left - right
    return -preference * log_prob(gain) - (1 - preference) * log_prob(-gain)


@flax.struct.dataclass
class EnsembleState:
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
    """Attributes: learner, of a `RewardModel`; settings, `config.reward`."""

    learner: Learner
    settings: ConfigDict

    def init(self, key: jax.Array, observation: jax.Array, action: jax.Array) -> EnsembleState:
        """For steps like these, `[B, ...]`."""
        count = self.settings.members
        members = jax.vmap(lambda key: self.learner.init(key, observation, action, train=False))(
            jax.random.split(key, count)
        )
        zeros = jnp.zeros(count)
        return EnsembleState(
            members, jnp.full(count, self.settings.l2), zeros, zeros + 1, jnp.zeros(())
        )

    def predict(self, state: EnsembleState, observation: jax.Array, action: jax.Array) -> jax.Array:
        """Each member's reward for steps `[T, N, ...]`: `[M, T, N]`."""
        shape = observation.shape[:2]
        rows = (x.reshape(-1, *x.shape[2:]) for x in (observation, action))
        flat = jax.vmap(
            lambda member, *rows: self.learner.apply(member, *rows, train=False)[0],
            in_axes=(0, None, None),
        )(state.members, *rows)
        return flat.reshape(-1, *shape)

    def reward(
        self, state: EnsembleState, observation: jax.Array, action: jax.Array
    ) -> tuple[EnsembleState, jax.Array]:
        """The reward to learn from in the newest steps `[T, N, ...]`, `[T, N]`, and the state with
        their moments taken in."""
        rewards = self.predict(state, observation, action)
        state = self.seen(state, rewards)
        return state, self.normalized(state, rewards)

    def seen(self, state: EnsembleState, rewards: jax.Array) -> EnsembleState:
        """With the moments of predictions `[M, T, N]` for the newest steps taken in."""
        decay = self.settings.moments_decay
        weight = decay * state.weight + 1 - decay
        new = (1 - decay) / weight
        mean = state.mean + new * (rewards.mean(axis=(1, 2)) - state.mean)
        squares = ((rewards - mean[:, None, None]) ** 2).mean(axis=(1, 2))
        variance = state.variance + new * (squares - state.variance)
        return dataclasses.replace(state, mean=mean, variance=variance, weight=weight)

    def normalized(self, state: EnsembleState, rewards: jax.Array) -> jax.Array:
        """Mean over members of predictions `[M, T, N]`, each of which is first brought to mean 0
        and the standard deviation of the settings."""
        scaled = (rewards - state.mean[:, None, None]) * jax.lax.rsqrt(
            state.variance[:, None, None] + 1e-8
        )
        return self.settings.std * scaled.mean(axis=0)

    def fit(
        self, state: EnsembleState, comparisons: Comparisons, updates: jax.Array, key: jax.Array
    ) -> tuple[EnsembleState, dict[str, jax.Array]]:
        """Minibatches for every member from its own sample, then its L2 weight.

        Returns:
          The new state, and means over members of the losses, without L2, on the comparisons of
          its sample and on those held out from it: NaN where there are none.
        """
        fit_key, check_key = jax.random.split(key)
        members = len(state.l2)
        held_out = comparisons.filled[:, None] & (comparisons.copies == 0)
        sample = jnp.where(comparisons.filled[:, None], comparisons.copies, 0).T
        updates = jnp.where(sample.sum(axis=1).min() > 0, updates, 0)

        def member_update(member: Any, l2: Any, weights: Any, key: jax.Array) -> Any:
            draw_key, loss_key = jax.random.split(key)
            rows = _draw(weights, self.settings.batch_size, draw_key)
            return self.learner.minimize(
                member, lambda *args: self._loss(l2, *args), _take(comparisons, rows), loss_key
            )[0]

        def update(i: jax.Array, learned: LearnerState) -> LearnerState:
            keys = jax.random.split(jax.random.fold_in(fit_key, i), members)
            return jax.vmap(member_update)(learned, state.l2, sample, keys)

        learned = jax.lax.fori_loop(0, updates, update, state.members)

        def check(member: Any, weights: jax.Array, key: jax.Array) -> jax.Array:
            rows = _draw(weights, self.settings.check_size, key)
            loss = self._cross_entropy(member, _take(comparisons, rows), False, key)[0]
            return jnp.where(weights.sum() > 0, loss, jnp.nan)

        train_key, validation_key = jax.random.split(check_key)
        train = jax.vmap(check)(learned, sample, jax.random.split(train_key, members))
        validation = jax.vmap(check)(learned, held_out.T, jax.random.split(validation_key, members))
        low, high = self.settings.validation_ratio
        # Comparisons with NaN are false: nothing changes.
        factor = jnp.where(
            validation > high * train,
            1 + self.settings.l2_rate,
            jnp.where(validation < low * train, 1 / (1 + self.settings.l2_rate), 1),
        )
        return dataclasses.replace(state, members=learned, l2=state.l2 * factor), {
            "reward/train": train.mean(),
            "reward/validation": validation.mean(),
            "reward/l2": state.l2.mean(),
        }

    def _loss(self, l2: jax.Array, variables: Any, batch: Comparisons, key: jax.Array) -> Any:
        loss, updated = self._cross_entropy(variables, batch, True, key)
        squares = sum((p**2).sum() for p in jax.tree.leaves(variables["params"]))
        return loss + l2 * squares, Aux(variables=updated)

    def _cross_entropy(
        self, variables: Any, batch: Comparisons, train: bool, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Of comparisons `[B]`, and the collections that training changes."""
        both: Clip = jax.tree.map(lambda *x: jnp.stack(x), batch.left, batch.right)
        rows = (x.reshape(-1, *x.shape[3:]) for x in (both.observation, both.action))
        (reward, _), updated = self.learner.apply(
            variables,
            *rows,
            train=train,
            rngs={"dropout": key} if train else None,
            mutable=["batch_stats"] if train else [],
        )
        left, right = reward.reshape(both.observation.shape[:3]).sum(axis=-1)
        loss = comparison_loss(left, right, batch.preference, self.settings.error_rate)
        return loss.mean(), updated


def _draw(weights: jax.Array, count: int, key: jax.Array) -> jax.Array:
    """`count` rows with replacement, by integer weights `[C]`."""
    reached = jnp.cumsum(weights)
    wanted = jax.random.randint(key, (count,), 0, jnp.maximum(reached[-1], 1))
    return jnp.searchsorted(reached, wanted, side="right")


def _take(comparisons: Comparisons, rows: jax.Array) -> Comparisons:
    chosen = dataclasses.replace(comparisons, total=jnp.zeros(len(comparisons.preference)))
    return jax.tree.map(lambda x: x[rows], chosen)
