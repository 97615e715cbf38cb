"""Reinforcement learning of a policy without a search, from games against its own past."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Aux, Experiment, LearnerState, UserError
from research.papers.alphago.players import RANDOM, SAMPLED, BoardPlayers, Contestant
from research.papers.alphago.policy_games import Moves, Policy, Pool, play_both_colours

# (logits [N, A], values [N] or None, moves, games) -> the loss, and the error of the values
PolicyLoss = Callable[
    [jax.Array, jax.Array | None, Moves, int], tuple[jax.Array, dict[str, jax.Array]]
]


@dataclasses.dataclass(frozen=True)
class PoolSettings:
    """The keys of `config.reinforce`.

    Attributes:
      games: in a batch, one half with each colour; n = 128 in the paper.
      pool: past policies that are kept.
      pool_every_steps: until the policy joins them, 500 in the paper.
      learning_rate: of a network with two heads.
      value_weight: of the error of its values.
    """

    games: int
    pool: int
    pool_every_steps: int
    learning_rate: float
    value_weight: float


class PolicyState(flax.struct.PyTreeNode):
    """A policy that learns from games against its own past.

    Attributes:
      learner: the network.
      pool: past policies.
      finished: games that have ended since the beginning.
    """

    learner: LearnerState
    pool: Pool
    finished: jax.Array


class PolicyGradient(Experiment):
    """A step is a batch of games against a policy of the pool, and one update (AlphaGo, Methods,
    «Reinforcement learning of policy networks»).

    Args:
      policy: the network.
      settings: of the games.
      objective: the loss.
      num_steps: batches of games.
      players: for matches in evaluations; None for none.
    """

    def __init__(
        self,
        policy: Policy,
        settings: PoolSettings,
        objective: PolicyLoss,
        num_steps: int,
        players: BoardPlayers | None = None,
    ):
        if settings.games % 2:
            raise UserError("reinforce.games is even: one half is played with each colour")
        self.policy, self.settings, self.objective = policy, settings, objective
        self.learner, self.players, self.num_steps = policy.learner, players, num_steps
        self.per_step = {"games": settings.games}

    def init(self, key: jax.Array) -> PolicyState:
        return self.begin(self.policy.init(key))

    def begin(self, learner: LearnerState) -> PolicyState:
        """The first state of a network: it is the pool's first member."""
        pool = Pool.of(self.learner.eval_variables(learner), self.settings.pool)
        return PolicyState(learner, pool, jnp.int32(0))

    def warm_start(self, state: PolicyState, before: Any) -> PolicyState:
        """Begins with the supervised policy's weights."""
        return self.begin(state.learner.replace(params=jax.tree.map(jnp.copy, before)))

    def step(
        self, state: PolicyState, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[PolicyState, dict[str, jax.Array]]:
        draw_key, play_key, learn_key = jax.random.split(key, 3)
        opponent, games = state.pool.draw(draw_key), self.settings.games
        variables = self.learner.eval_variables(state.learner)
        moves, won = play_both_colours(self.policy, variables, opponent, games, play_key)
        learner, metrics = self.learner.minimize(state.learner, self.loss, moves, learn_key)
        joins = (t + 1) % self.settings.pool_every_steps == 0
        pool = state.pool.join(self.learner.eval_variables(learner), joins)
        return PolicyState(learner, pool, state.finished + games), {**metrics, "wins": won}

    def loss(self, variables: Any, batch: Moves, key: jax.Array) -> tuple[jax.Array, Aux]:
        logits, value, updated = self.policy.outputs(variables, batch.planes, train=True)
        loss, errors = self.objective(logits, value, batch, self.settings.games)
        if errors:
            loss += self.settings.value_weight * errors["value_loss"]
        return loss, Aux(errors, updated)

    def evaluate(self, state: PolicyState, key: jax.Array) -> dict[str, float]:
        """Score of the policy, its moves drawn as in training, against random moves."""
        if self.players is None:
            return {}
        variables = self.learner.eval_variables(state.learner)
        ours, other = Contestant(SAMPLED, variables), Contestant(RANDOM, variables)
        score = self.players.match(ours, other, key)
        return {"games": float(state.finished), "score/sampled_random": score.mean}
