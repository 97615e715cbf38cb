"""What one network makes of a board: its judgement, the players that use it, and their matches."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.core import Learner, LearnerState
from research.core.errors import check_choice
from research.rl import matches
from research.rl.envs import board_games
from research.rl.envs.board_games import BoardGame
from research.rl.envs.go import Go
from research.rl.tree_search import ILLEGAL, Evaluation, TreeSearch

# Ways in which a network plays.
SEARCH, GREEDY, SAMPLED, RANDOM = range(4)


class Contestant(NamedTuple):
    """A player in a match.

    Attributes:
      kind: how it plays: SEARCH, GREEDY or SAMPLED (the policy alone), or RANDOM.
      variables: of its network.
    """

    kind: Any
    variables: Any


def make_game(name: str, size: int, komi: float, max_plies: int, history: int) -> BoardGame:
    """The game of `config.game`.

    Args:
      name: "go", "tic_tac_toe" or "connect_four".
      size, komi, max_plies: of Go.
      history: boards that a network sees; tic-tac-toe shows one.

    Raises:
      UserError: there is no such game.
    """
    check_choice("game.name", name, ("go", "tic_tac_toe", "connect_four"))
    if name == "tic_tac_toe":
        return board_games.tic_tac_toe()
    if name == "connect_four":
        return board_games.connect_four(history)
    return Go(size, komi, max_plies=max_plies, history=history)


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """The keys of `config.search`.

    Attributes:
      simulations, c_init, c_base, leaves, virtual_loss: of `TreeSearch`.
      symmetries: each position is evaluated as it looks after a random one.
      reuse: the trees have room for what lies below the move that was played.
    """

    simulations: int
    c_init: float
    c_base: float
    leaves: int
    virtual_loss: float
    symmetries: bool
    reuse: bool


@dataclasses.dataclass(frozen=True)
class MatchSettings:
    """The keys of `config.eval`.

    Attributes:
      openings: of a match, each played with both colours.
      opening_plies: random moves of an opening.
      seed: of the openings and of the untrained network.
    """

    openings: int
    opening_plies: int
    seed: int


class BoardPlayers:
    """The players that a network with two heads makes.

    Args:
      game: what is played.
      learner: of a `PolicyValueNetwork`.
      search: how it searches.
      tests: the matches' openings.
    """

    def __init__(
        self, game: BoardGame, learner: Learner, search: SearchSettings, tests: MatchSettings
    ):
        self.game, self.learner, self.tests = game, learner, tests
        self.symmetries = search.symmetries
        self.search = TreeSearch(
            game,
            self.judge,
            simulations=search.simulations,
            c_init=search.c_init,
            c_base=search.c_base,
            leaves=search.leaves,
            virtual_loss=search.virtual_loss,
            capacity=2 * search.simulations + 1 if search.reuse else 0,
        )
        self._match = jax.jit(self.play_openings)

    def with_game(self, game: BoardGame, simulations: int) -> BoardPlayers:
        """These players on a game whose states look the same, such as with another komi."""
        other = copy.copy(self)
        other.game = game
        other.search = copy.copy(self.search)
        other.search.game, other.search.evaluate = game, other.judge
        other.search.simulations, other.search.capacity = simulations, simulations + 1
        return other

    def init(self, key: jax.Array) -> LearnerState:
        """The learner's first state."""
        planes = jnp.zeros((1, *self.game.shape, self.game.num_planes))
        return self.learner.init(key, planes, train=False)

    def untrained(self) -> Any:
        """Variables of a network before training, the same for all runs."""
        return self.learner.eval_variables(self.init(jax.random.key(self.tests.seed)))

    def judge(self, variables: Any, states: Any, key: jax.Array) -> Evaluation:
        """(p, v) = f_theta(s) of positions `[B]`, each as it looks after a random symmetry."""
        planes = jax.vmap(self.game.planes)(states.history, states.player)
        if not self.symmetries:
            return Evaluation(*self.learner.apply(variables, planes, train=False))
        symmetry = board_games.draw_symmetries(self.game, key, len(planes))
        planes = board_games.turn_planes(self.game, planes, symmetry)
        logits, value = self.learner.apply(variables, planes, train=False)
        return Evaluation(board_games.turn_actions_back(self.game, logits, symmetry), value)

    def choose(self, contestant: Contestant, states: Any, key: jax.Array) -> jax.Array:
        """The move `[N]` of a contestant, of any kind."""
        judge_key, draw_key = jax.random.split(key)

        def by_search(variables: Any) -> jax.Array:
            tree = self.search(variables, self.search.init(states), key)
            return tree.root_visits.argmax(axis=1)

        def logits(variables: Any) -> jax.Array:
            found = self.judge(variables, states, judge_key).logits
            return jnp.where(states.legal, found, ILLEGAL)

        def greedily(variables: Any) -> jax.Array:
            return logits(variables).argmax(axis=1)

        def drawn(variables: Any) -> jax.Array:
            return jax.random.categorical(draw_key, logits(variables))

        def at_random(variables: Any) -> jax.Array:
            return matches.random_player(self.game)(None, states, draw_key)

        ways = [by_search, greedily, drawn, at_random]
        action = jax.lax.switch(contestant.kind, ways, contestant.variables)
        return action.astype(jnp.int32)

    def openings(self) -> Any:
        """The positions `[N]` from which all matches of evaluations are played."""
        key = jax.random.key(self.tests.seed)
        return matches.random_openings(
            self.game, key, self.tests.openings, self.tests.opening_plies
        )

    def play_openings(self, first: Contestant, second: Contestant, key: jax.Array) -> jax.Array:
        """Points `[N, 2]` of the first contestant, from the openings of all evaluations."""
        # One function for both, so that a search is compiled once.
        return matches.play_match(
            self.game, self.choose, self.choose, (first, second), self.openings(), key
        )

    def match(self, first: Contestant, second: Contestant, key: jax.Array) -> matches.Score:
        """The score of the first contestant, of networks whose variables may lie on many chips."""
        pair = jax.device_get((first, second))
        pair = jax.tree.map(jnp.asarray, pair)
        return matches.summarize(jax.device_get(self._match(*pair, key)))

    def meet(self, ours: Any, theirs: Any, key: jax.Array) -> dict[str, float]:
        """Scores of the search with one network against another network's search and policy."""
        numbers = {}
        for name, kind in {"search": SEARCH, "policy": SAMPLED}.items():
            score = self.match(Contestant(SEARCH, ours), Contestant(kind, theirs), key)
            numbers[f"rival/{name}"], numbers[f"rival_error/{name}"] = score.mean, score.error
        score = self.match(Contestant(SAMPLED, ours), Contestant(SAMPLED, theirs), key)
        numbers["rival/policy_policy"] = score.mean
        return numbers


class Evaluator:
    """Decides which network plays in training (AlphaGo Zero, Methods, «Evaluator»).

    Args:
      players: of the network.
      every_steps: between two matches; 0 for none.
      openings: of a match, each played with both colours.
      win_share: above which the newest network takes over, 0.55 in the paper.
    """

    def __init__(self, players: BoardPlayers, every_steps: int, openings: int, win_share: float):
        self.players, self.every_steps = players, every_steps
        self.openings, self.win_share = openings, win_share

    def __call__(
        self, newest: Any, best: Any, t: jax.Array, key: jax.Array
    ) -> tuple[Any, jax.Array]:
        """The network that plays from now on, and the newest one's score, NaN between matches."""
        players = self.players

        def compete(best: Any) -> tuple[Any, jax.Array]:
            openings_key, match_key = jax.random.split(key)
            openings = matches.random_openings(
                players.game, openings_key, self.openings, players.tests.opening_plies
            )
            pair = Contestant(SEARCH, newest), Contestant(SEARCH, best)
            points = matches.play_match(
                players.game, players.choose, players.choose, pair, openings, match_key
            )
            wins = points.mean() > self.win_share
            return jax.tree.map(lambda x, y: jnp.where(wins, x, y), newest, best), points.mean()

        due = (t + 1) % self.every_steps == 0
        return jax.lax.cond(due, compete, lambda best: (best, jnp.nan), best)
