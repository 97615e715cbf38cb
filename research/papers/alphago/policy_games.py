"""Games of a policy against its own past, for reinforcement learning without a search."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import flax.struct
import jax
import jax.numpy as jnp

from research.core import Learner, LearnerState
from research.papers.alphago.pipeline import point_logits
from research.papers.alphago.players import BoardPlayers
from research.rl import matches
from research.rl.envs.board_games import BoardGame
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES, feature_planes
from research.rl.tree_search import ILLEGAL


class Moves(NamedTuple):
    """What one player did in a batch of games, `[N, ...]`.

    Attributes:
      planes: of the network.
      legal: bool `[N, A]`.
      action: int32 `[N]`.
      outcome: `[N]`, z for the player.
      alive: bool `[N]`, whether the game was going on.
    """

    planes: jax.Array
    legal: jax.Array
    action: jax.Array
    outcome: jax.Array
    alive: jax.Array


class Policy(Protocol):
    """A network that plays by drawing its moves.

    Attributes:
      game: what is played.
      learner: of the network.
    """

    @property
    def game(self) -> BoardGame: ...

    @property
    def learner(self) -> Learner: ...

    def init(self, key: jax.Array) -> LearnerState:
        """The learner's first state."""

    def inputs(self, states: Any) -> jax.Array:
        """Planes `[N, H, W, C]` of the network."""

    def outputs(
        self, variables: Any, planes: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array | None, Mapping[str, Any]]:
        """Logits `[N, A]`, values `[N]` where the network has them, and updated collections."""


class TwoHeadedPolicy:
    """The policy head of a `PolicyValueNetwork`; the other head is a baseline.

    Args:
      players: of the network.
    """

    def __init__(self, players: BoardPlayers):
        self.game, self.learner, self.init = players.game, players.learner, players.init

    def inputs(self, states: Any) -> jax.Array:
        return jax.vmap(self.game.planes)(states.history, states.player)

    def outputs(
        self, variables: Any, planes: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array | None, Mapping[str, Any]]:
        if not train:
            return *self.learner.apply(variables, planes, train=False), {}
        (logits, value), updated = self.learner.apply(
            variables, planes, train=True, mutable=["batch_stats"]
        )
        return logits, value, updated


class PointPolicy:
    """The policy network of 2016, on its 48 planes.

    Args:
      go: the rules.
      learner: of a `PolicyNetwork`.
    """

    def __init__(self, go: Go, learner: Learner):
        self.game, self.learner = go, learner

    def init(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.game.shape, NUM_PLANES)))

    def inputs(self, states: Any) -> jax.Array:
        return jax.vmap(lambda state: feature_planes(self.game, state))(states)

    def outputs(
        self, variables: Any, planes: jax.Array, train: bool
    ) -> tuple[jax.Array, None, Mapping[str, Any]]:
        points = self.learner.apply(variables, planes.astype(jnp.float32))
        return point_logits(points, planes), None, {}


def draw_moves(
    policy: Policy, variables: Any, planes: jax.Array, legal: jax.Array, key: jax.Array
) -> jax.Array:
    """Moves `[N]` ~ p_rho(a | s), of legal ones."""
    logits = policy.outputs(variables, planes, train=False)[0]
    return jax.random.categorical(key, jnp.where(legal, logits, ILLEGAL)).astype(jnp.int32)


def move(policy: Policy, variables: Any, states: Any, key: jax.Array) -> jax.Array:
    """`draw_moves` in positions `[N]`."""
    return draw_moves(policy, variables, policy.inputs(states), states.legal, key)


def play_both_colours(
    policy: Policy, variables: Any, opponent: Any, count: int, key: jax.Array
) -> tuple[Moves, jax.Array]:
    """Plays one half of `count` games with each colour; pure.

    Returns:
      The moves of the first player, and its share of the points.
    """
    game = policy.game
    start = jax.tree.map(lambda x: jnp.broadcast_to(x, (2, count // 2, *x.shape)), game.init())

    def ply(groups: Any, t: jax.Array) -> tuple[Any, Any]:
        # Group 0 is played with black: there the first player moves at even plies.
        order = jnp.array([0, 1]) ^ (t % 2)
        own, other = (jax.tree.map(lambda x, i=i: x[order[i]], groups) for i in range(2))
        own_key, other_key = jax.random.split(jax.random.fold_in(key, t))
        planes = policy.inputs(own)
        action = draw_moves(policy, variables, planes, own.legal, own_key)
        reply = move(policy, opponent, other, other_key)
        both = jax.tree.map(lambda *xs: jnp.stack(xs), own, other)
        groups = jax.vmap(jax.vmap(game.play))(both, jnp.stack([action, reply]))
        groups = jax.tree.map(lambda x: x[order], groups)
        return groups, Moves(planes, own.legal, action, own.player, ~own.over)

    last, moves = jax.lax.scan(ply, start, jnp.arange(game.max_plies))
    # At even plies the rows are of group 0, at odd ones of group 1.
    of_row = jnp.arange(game.max_plies) % 2
    z = (last.outcome[of_row] * moves.outcome).astype(jnp.float32)
    points = (last.outcome * jnp.array([[1], [-1]]) + 1).mean() / 2
    moves = moves._replace(outcome=z)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), moves), points


class Pool(flax.struct.PyTreeNode):
    """Past policies, from which opponents are drawn.

    Attributes:
      variables: `[K, ...]`.
      members: int32, policies that have joined since the beginning; the oldest leave.
    """

    variables: Any
    members: jax.Array

    @staticmethod
    def of(variables: Any, size: int) -> Pool:
        """A pool with one member."""
        room = jax.tree.map(lambda x: jnp.broadcast_to(x, (size, *x.shape)).copy(), variables)
        return Pool(room, jnp.int32(1))

    @property
    def size(self) -> int:
        return len(jax.tree.leaves(self.variables)[0])

    def draw(self, key: jax.Array) -> Any:
        """Variables of a member, each as likely."""
        chosen = jax.random.randint(key, (), 0, jnp.minimum(self.members, self.size))
        return jax.tree.map(lambda x: x[chosen], self.variables)

    def join(self, variables: Any, joins: jax.Array) -> Pool:
        """The pool with one more policy, where it `joins`."""
        place = jnp.where(joins, self.members % self.size, self.size)
        put = jax.tree.map(
            lambda all_, x: all_.at[place].set(x, mode="drop"), self.variables, variables
        )
        return Pool(put, self.members + joins)


def compare(
    policy: Policy, rho: Any, sigma: Any, openings: Any, key: jax.Array
) -> dict[str, float]:
    """Scores of p_rho against p_sigma and of both against random moves, all of them drawn."""
    own = functools.partial(move, policy)
    at_random = matches.random_player(policy.game)
    same = jax.jit(functools.partial(matches.play_match, policy.game, own, own))
    other = jax.jit(functools.partial(matches.play_match, policy.game, own, at_random))
    points = {
        "rl/sl": same((rho, sigma), openings, key),
        "rl/random": other((rho, None), openings, key),
        "sl/random": other((sigma, None), openings, key),
    }
    return {name: matches.summarize(jax.device_get(x)).mean for name, x in points.items()}
