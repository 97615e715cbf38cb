"""The search of 2016, whose leaves are worth what a value network and a rollout say of them."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.core import Learner
from research.papers.alphago.pipeline import point_logits, value_planes
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES, own_eyes
from research.rl.tree_search import ILLEGAL, Evaluation, TreeSearch


class Mixture(NamedTuple):
    """What the search of 2016 is given: variables of both networks, and lambda."""

    policy: Any
    value: Any
    mixing: Any


class MixedSearch:
    """Search with priors of p_sigma (Methods, «Search algorithm»).

    Departure: the tree's threads are games side by side here, with one simulation at a time each;
    rollouts are light, uniform over sensible moves.

    Args:
      go: the rules.
      policy, value: learners of a `PolicyNetwork` and of a `ValueNetwork`.
      temperature: of the priors, 1 / beta; 1 / 0.67 in the paper.
      simulations, c_puct, threshold: of `TreeSearch`; in the paper c_puct is 5, the threshold 40.
    """

    def __init__(
        self,
        go: Go,
        policy: Learner,
        value: Learner,
        *,
        temperature: float,
        simulations: int,
        c_puct: float,
        threshold: int,
    ):
        self.go, self.policy, self.value, self.temperature = go, policy, value, temperature
        self.search = TreeSearch(
            go,
            self.judge,
            simulations=simulations,
            c_init=c_puct,
            c_base=0.0,
            threshold=threshold,
        )

    def judge(self, variables: Mixture, states: Any, key: jax.Array) -> Evaluation:
        """V(s_L) = (1 - lambda) v_theta(s_L) + lambda z_L, and P = p_sigma^(beta)."""
        planes = jax.vmap(lambda s: value_planes(self.go, s))(states).astype(jnp.float32)
        features = planes[..., :NUM_PLANES]
        points = self.policy.apply(variables.policy, features)
        v = self.value.apply(variables.value, planes)
        z = self.roll_out(states, key) * states.player
        mixed = (1 - variables.mixing) * v + variables.mixing * z
        return Evaluation(point_logits(points / self.temperature, features), mixed)

    def roll_out(self, states: Any, key: jax.Array) -> jax.Array:
        """Winners `[N]` of games played to the end by moves that do not fill own eyes."""

        def play(carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
            states, t = carry
            eyes = jax.vmap(functools.partial(own_eyes, self.go))(states.board, states.player)
            logits = jnp.where(states.legal[:, :-1] & ~eyes, 0.0, 2 * ILLEGAL)
            logits = jnp.pad(logits, ((0, 0), (0, 1)), constant_values=ILLEGAL)
            action = jax.random.categorical(jax.random.fold_in(key, t), logits)
            return jax.vmap(self.go.play)(states, action), t + 1

        end, _ = jax.lax.while_loop(lambda c: ~c[0].over.all(), play, (states, jnp.int32(0)))
        return end.outcome.astype(jnp.float32)

    def choose(self, variables: Mixture, states: Any, key: jax.Array) -> jax.Array:
        """The most visited move `[N]`."""
        tree = self.search(variables, self.search.init(states), key)
        return tree.root_visits.argmax(axis=1)
