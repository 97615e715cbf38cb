"""The adversary of imitation learning: it tells a policy's pairs of observation and action from an
expert's, and so says what the policy is rewarded for (Ho and Ermon, 2016, arXiv:1606.03476)."""

from __future__ import annotations

import dataclasses

import jax

from research.core import Aux, Learner, LearnerState
from research.rl.acting.rollouts import Trajectory, flatten
from research.rl.demonstrations import Demonstrations

REWARDS = ("-log D", "log(1 - D)")


@dataclasses.dataclass(frozen=True)
class Adversary:
    """D(s, a), the probability that a pair is the policy's.

    Attributes:
      learner: of a network `(observation [B, D], action) -> logits [B]`.
      updates: gradient steps on a rollout.
      reward: one of `REWARDS`.
      entropy_weight: lambda, of the policy's causal entropy.
    """

    learner: Learner
    updates: int
    reward: str
    entropy_weight: float

    def learn(
        self, state: LearnerState, played: Trajectory, expert: Demonstrations, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Steps on what was played and all that the expert did."""

        def loss_fn(variables: dict, batch: tuple, key: jax.Array) -> tuple[jax.Array, Aux]:
            ours, theirs = (
                self.learner.apply(variables, x.observation, x.action)[0] for x in batch
            )
            loss, told = adversary_loss(ours, theirs, batch[1].present)
            return loss, Aux({"told_apart": told})

        batch = flatten(played), flatten(expert)
        state, metrics = jax.lax.scan(
            lambda state, key: self.learner.minimize(state, loss_fn, batch, key),
            state,
            jax.random.split(key, self.updates),
        )
        return state, {f"discriminator/{name}": values[-1] for name, values in metrics.items()}

    def judged(self, state: LearnerState, played: Trajectory) -> Trajectory:
        """With its rewards in place of the task's."""
        pairs = flatten(played)
        logit = self.learner.apply(state, pairs.observation, pairs.action)[0]
        reward = reward_of(logit, self.reward).reshape(played.reward.shape)
        # The gradient of the causal entropy is that of one more reward (equation 18).
        reward -= self.entropy_weight * played.policy.log_prob(played.action)
        return played._replace(reward=reward)


def adversary_loss(
    ours: jax.Array, theirs: jax.Array, present: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """-E_policy[log D] - E_expert[log(1 - D)] (equation 17), and how often D is on the right side.

    Args:
      ours: logits of the policy's pairs, `[B]`.
      theirs: of the expert's, `[P]`.
      present: which of the expert's are there, `[P]` bool.
    """
    share = present / present.sum()
    loss = jax.nn.softplus(-ours).mean() + (share * jax.nn.softplus(theirs)).sum()
    return loss, ((ours > 0).mean() + (share * (theirs < 0)).sum()) / 2


def reward_of(logit: jax.Array, kind: str) -> jax.Array:
    """-log D, at least 0, or log(1 - D), at most 0."""
    return jax.nn.softplus(-logit) if kind == REWARDS[0] else -jax.nn.softplus(logit)
