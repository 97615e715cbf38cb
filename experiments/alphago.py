"""Mastering the Game of Go with Deep Neural Networks and Tree Search (Silver, Huang, Maddison et
al., Nature 529, 2016); Mastering the Game of Go without Human Knowledge (Silver, Schrittwieser,
Simonyan et al., Nature 550, 2017); A General Reinforcement Learning Algorithm that Masters Chess,
Shogi and Go through Self-Play (Silver et al., Science 362, 2018), arXiv:1712.01815.

Claim: a search makes a better player of a network, and the network learns to be that player.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app, training
from research.config import arms_of, with_overrides
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import split_batch
from research.models.alphago import PolicyValueNetwork
from research.report.claims import Claim, Paper, Results
from research.rl import matches
from research.rl.envs import board_games
from research.rl.envs.board_games import BoardGame
from research.rl.envs.go import Go
from research.rl.self_play import (
    GameMemory,
    MemoryState,
    Positions,
    Resignation,
    ResignationState,
    restart,
)
from research.rl.tree_search import (
    ILLEGAL,
    Evaluation,
    Noise,
    Tree,
    TreeSearch,
    legal_policy,
    visit_policy,
)

PAPER = Paper(
    title="Mastering the Game of Go with Deep Neural Networks and Tree Search; Mastering the Game "
    "of Go without Human Knowledge; A General Reinforcement Learning Algorithm that Masters Chess, "
    "Shogi and Go through Self-Play",
    authors="Silver et al.",
    year=2016,
    arxiv="",
    claim="A search makes a better player of a network, and the network learns to be that player.",
    parameters={"20 blocks": 22_827_877, "40 blocks": 46_441_317},
    curves=("loss", "value_loss", "black_wins"),
    x="plies",
)

# Ways in which a network plays.
SEARCH, GREEDY, SAMPLED, RANDOM = range(4)


class Contestant(NamedTuple):
    """A player in a match: how it plays, and its network's variables."""

    kind: Any
    variables: Any


class BoardPlayers:
    """What all methods on one game share: the network, how it judges, how it plays, matches."""

    def __init__(self, config: ConfigDict):
        self.config = config
        self.game = make_game(config)
        model = config.model
        network = PolicyValueNetwork(
            model.blocks,
            model.filters,
            model.value_hidden,
            self.game.num_actions,
            config.compute_dtype,
        )
        self.learner = Learner(network, self.make_optimizer(), max_grad_norm=config.max_grad_norm)
        search = config.search
        self.search = TreeSearch(
            self.game,
            self.judge,
            simulations=search.simulations or 1,
            c_init=search.c_init,
            c_base=search.c_base,
            leaves=search.leaves,
            virtual_loss=search.virtual_loss,
            capacity=2 * search.simulations + 1 if search.reuse else 0,
        )
        self._match = jax.jit(self.play_openings)

    def make_optimizer(self) -> optax.GradientTransformation:
        raise NotImplementedError

    def judge(self, variables: Any, states: Any, key: jax.Array) -> Evaluation:
        """(p, v) = f_theta(s) of positions `[B]`, each as it looks after a random symmetry."""
        planes = jax.vmap(self.game.planes)(states.history, states.player)
        if not self.config.search.symmetries:
            return Evaluation(*self.learner.apply(variables, planes, train=False))
        symmetry = board_games.draw_symmetries(self.game, key, len(planes))
        planes = board_games.turn_planes(self.game, planes, symmetry)
        logits, value = self.learner.apply(variables, planes, train=False)
        return Evaluation(board_games.turn_actions_back(self.game, logits, symmetry), value)

    def first_variables(self, key: jax.Array) -> LearnerState:
        planes = jnp.zeros((1, *self.game.shape, self.game.num_planes))
        return self.learner.init(key, planes, train=False)

    # Players, and matches between them

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
        ways = [lambda v, way=way: way(v).astype(jnp.int32) for way in ways]
        return jax.lax.switch(contestant.kind, ways, contestant.variables)

    def play_openings(self, first: Contestant, second: Contestant, key: jax.Array) -> jax.Array:
        """Points `[N, 2]` of the first contestant, from the openings of all evaluations."""
        tests = self.config.eval
        openings = matches.random_openings(
            self.game, jax.random.key(tests.seed), tests.openings, tests.opening_plies
        )
        # One function for both, so that a search is compiled once.
        return matches.play_match(
            self.game, self.choose, self.choose, (first, second), openings, key
        )

    def match(self, first: Contestant, second: Contestant, key: jax.Array) -> matches.Score:
        """The score of the first contestant, of networks whose variables may lie on many chips."""
        pair = jax.device_get((first, second))
        pair = jax.tree.map(jnp.asarray, pair)
        return matches.summarize(jax.device_get(self._match(*pair, key)))

    def untrained(self) -> Any:
        """Variables of the network before training, the same for all runs."""
        return self.learner.eval_variables(
            self.first_variables(jax.random.key(self.config.eval.seed))
        )


class State(flax.struct.PyTreeNode):
    """What self-play carries from step to step.

    Attributes:
      learner: the network.
      best: variables of the network that plays, where an evaluator decides; else None.
      games: positions `[G]` in the middle of their games.
      tree: the trees below the moves played, where they are kept; else None.
      memory: the newest plies of all games.
      resignation: what decides when a game is given up, where games are; else None.
      snapshots: variables `[K, ...]` of the network at equal parts of the run.
      finished: games that have ended since the beginning.
    """

    learner: LearnerState
    best: Any
    games: Any
    tree: Any
    memory: MemoryState
    resignation: Any
    snapshots: Any
    finished: jax.Array


class SelfPlay(BoardPlayers, Experiment):
    """AlphaGo Zero and AlphaZero: every step one move in all games, and updates of the network."""

    soft_rules = (
        ("^(games|tree|resignation/(plays_on|lowest))", PartitionSpec("data")),
        ("^memory/(board|visits|ply|outcome|known)", PartitionSpec(None, "data")),
    )

    def __init__(self, config: ConfigDict):
        self.num_steps = config.num_steps
        super().__init__(config)
        self.check(config)
        play, search = config.self_play, config.search
        self.memory = GameMemory(self.game, config.memory.rows)
        self.rows_per_game = config.train.batch_size // play.games
        self.noise = Noise(play.noise_alpha, play.noise_share)
        self.resignation = Resignation(wrong=play.resign_wrong) if play.resign_wrong else None
        self.searches = search.simulations > 0
        self.per_step = {"plies": play.games}

    @staticmethod
    def check(config: ConfigDict) -> None:
        if config.train.batch_size % config.self_play.games:
            raise UserError(
                f"train.batch_size={config.train.batch_size} is not a multiple of the "
                f"self_play.games={config.self_play.games}, each of which gives as many positions"
            )
        if config.method == "alphazero" and config.gate.every_steps:
            raise UserError("AlphaZero has no evaluator: gate.every_steps=0, or alphago_zero")

    def make_optimizer(self) -> optax.GradientTransformation:
        """Stochastic gradient descent with momentum, at a rate that drops."""
        optimizer = self.config.optimizer
        updates = self.num_steps * self.config.train.updates
        drops = {int(share * updates): rate for share, rate in optimizer.rates}

        def rate(count: jax.Array) -> jax.Array:
            now = jnp.float32(0)
            for start, value in drops.items():
                now = jnp.where(count >= start, value, now)
            return now * jnp.minimum(1, (count + 1) / (optimizer.warmup_updates + 1))

        return optax.sgd(rate, momentum=optimizer.momentum)

    def init(self, key: jax.Array) -> State:
        net_key, resign_key = jax.random.split(key)
        learner = self.first_variables(net_key)
        count = self.config.self_play.games
        games = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), self.game.init())
        variables = jax.tree.map(jnp.copy, self.learner.eval_variables(learner))
        copies = self.config.elo.snapshots
        return State(
            learner=learner,
            best=variables if self.config.gate.every_steps else None,
            games=games,
            tree=self.search.init(games) if self.config.search.reuse else None,
            memory=self.memory.init(count),
            resignation=self.resignation and self.resignation.init(count, resign_key),
            snapshots=jax.tree.map(
                lambda x: jnp.broadcast_to(x, (copies, *x.shape)).copy(), variables
            ),
            finished=jnp.int32(0),
        )

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        play_key, learn_key, gate_key = jax.random.split(key, 3)
        state, played = self.play(state, play_key)
        learner, learned = self.learn(state, learn_key)
        state = self.keep_snapshot(state.replace(learner=learner), t)
        if self.config.gate.every_steps:
            state, gated = self.pass_gate(state, t, gate_key)
            learned |= gated
        return state, {**learned, **played}

    # Self-play

    def play(self, state: State, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        """One move in every game: a_t ~ pi_t, and the row of the memory that is learned from."""
        search_key, draw_key, end_key = jax.random.split(key, 3)
        games, resignation = state.games, state.resignation
        variables = state.best or self.learner.eval_variables(state.learner)
        tree, visits, value = self.think(variables, state, search_key)

        # pi(a|s) ~ N(s, a)^(1 / tau), with tau = 1 at first, and then tau -> 0.
        explores = games.plies < self.config.self_play.explore_plies
        pi = visit_policy(visits, jnp.where(explores, 1.0, 0.0))
        action = jax.random.categorical(draw_key, jnp.log(pi)).astype(jnp.int32)
        after = jax.vmap(self.game.play)(games, action)
        ended, outcome = after.over, after.outcome
        if self.resignation is not None:
            resignation, gives_up = self.resignation.resigns(resignation, games.player, value)
            outcome = jnp.where(gives_up, -games.player, outcome)
            ended |= gives_up
            resignation = self.resignation.finish(resignation, ended, outcome, end_key)

        memory = self.memory.add(state.memory, games, visits, ended, outcome)
        after = restart(after, ended, self.game)
        if self.config.search.reuse:
            tree = self.keep_tree(tree, action, ended, after)
        count = ended.sum()
        share = lambda x: jnp.where(count > 0, (ended & x).sum() / count, jnp.nan)  # noqa: E731
        metrics = {
            "black_wins": share(outcome == 1),
            "game_plies": jnp.where(count > 0, (ended * (games.plies + 1)).sum() / count, jnp.nan),
        }
        return (
            state.replace(
                games=after,
                tree=tree if self.config.search.reuse else None,
                memory=memory,
                resignation=resignation,
                finished=state.finished + count,
            ),
            metrics,
        )

    def think(
        self, variables: Any, state: State, key: jax.Array
    ) -> tuple[Tree | None, jax.Array, jax.Array]:
        """The search from every game's position: trees, visits `[G, A]`, values `[G]`.

        Without a search the policy's own move stands for the visits.
        """
        games = state.games
        if not self.searches:
            judge_key, draw_key = jax.random.split(key)
            evaluation = self.judge(variables, games, judge_key)
            policy = legal_policy(evaluation.logits, games.legal)
            action = jax.random.categorical(draw_key, jnp.log(policy))
            return None, jax.nn.one_hot(action, self.game.num_actions), evaluation.value
        tree = state.tree if self.config.search.reuse else self.search.init(games)
        tree = self.search(variables, tree, key, self.noise)
        best_child = jnp.where(tree.root_visits > 0, tree.root_q, -1).max(axis=1)
        return tree, tree.root_visits, jnp.maximum(tree.root_value, best_child)

    def keep_tree(self, tree: Tree, action: jax.Array, ended: jax.Array, games: Any) -> Tree:
        """The trees below the moves that were played; new ones where a game has ended."""
        kept, fresh = self.search.advance(tree, action), self.search.init(games)

        def pick(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(ended.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return jax.tree.map(pick, fresh, kept)

    # Learning

    def learn(
        self, state: State, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """The step's updates, each of positions drawn from games that are over."""
        age, updates = self.game.max_plies, self.config.train.updates

        def update(learner: LearnerState) -> tuple[LearnerState, dict[str, jax.Array]]:
            sample_key, learn_key = jax.random.split(key)
            count = self.rows_per_game * updates
            positions = self.memory.sample(state.memory, sample_key, count, age)
            parts = split_batch(positions, updates)
            metrics: dict[str, jax.Array] = {}
            for i in range(updates):  # unrolled: on a CPU convolutions are faster outside of loops
                part = jax.tree.map(lambda x, i=i: x[i], parts)
                learner, metrics = self.learner.minimize(
                    learner, self.loss, part, jax.random.fold_in(learn_key, i)
                )
            return learner, metrics

        # Before any row is old enough nothing is learned, and there is nothing to report.
        shapes = jax.eval_shape(update, state.learner)[1]
        nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        ready = self.memory.ready(state.memory, age)
        return jax.lax.cond(ready, update, lambda learner: (learner, nothing), state.learner)

    def loss(
        self, variables: Any, batch: Positions, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """l = (z - v)^2 - pi^T log p + c |theta|^2 (AlphaGo Zero, equation 1)."""
        planes, pi, z = batch.planes, batch.policy, batch.outcome
        if self.config.train.symmetries:
            symmetry = board_games.draw_symmetries(self.game, key, len(z))
            planes = board_games.turn_planes(self.game, planes, symmetry)
            pi = board_games.turn_actions(self.game, pi, symmetry)
        (logits, v), updated = self.learner.apply(
            variables, planes, train=True, mutable=["batch_stats"]
        )
        value_loss = jnp.mean((z - v) ** 2)
        policy_loss = -jnp.mean(jnp.sum(pi * jax.nn.log_softmax(logits), axis=1))
        squares = sum(jnp.sum(theta**2) for theta in jax.tree.leaves(variables["params"]))
        loss = self.config.train.value_weight * value_loss + policy_loss
        loss += self.config.optimizer.l2 * squares
        metrics = {"value_loss": value_loss, "policy_loss": policy_loss}
        return loss, Aux(metrics, updated)

    def keep_snapshot(self, state: State, t: jax.Array) -> State:
        """Keeps the network at the end of each of K equal parts of the run."""
        copies = self.config.elo.snapshots
        if not copies:
            return state
        place = (t + 1) * copies // self.num_steps - 1
        now = ((t + 1) * copies) % self.num_steps < copies
        place = jnp.where(now, place, copies)
        variables = self.learner.eval_variables(state.learner)
        snapshots = jax.tree.map(
            lambda all_, x: all_.at[place].set(x, mode="drop"), state.snapshots, variables
        )
        return state.replace(snapshots=snapshots)

    def pass_gate(
        self, state: State, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """The evaluator: a network that beats the best one in a match plays from now on."""
        gate = self.config.gate
        newest = self.learner.eval_variables(state.learner)

        def compete(best: Any) -> tuple[Any, jax.Array]:
            openings_key, match_key = jax.random.split(key)
            openings = matches.random_openings(
                self.game, openings_key, gate.openings, self.config.eval.opening_plies
            )
            pair = Contestant(SEARCH, newest), Contestant(SEARCH, best)
            points = matches.play_match(
                self.game, self.choose, self.choose, pair, openings, match_key
            )
            wins = points.mean() > gate.win_share
            return jax.tree.map(lambda x, y: jnp.where(wins, x, y), newest, best), points.mean()

        due = (t + 1) % gate.every_steps == 0
        best, score = jax.lax.cond(due, compete, lambda best: (best, jnp.nan), state.best)
        return state.replace(best=best), {"gate_score": score}

    # Evaluation

    def player(self, state: State) -> Any:
        """Variables of the network that plays outside of training."""
        return state.best or self.learner.eval_variables(state.learner)

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        """Scores of the search with the trained network, without noise, in paired games."""
        variables, untrained = self.player(state), self.untrained()
        ours = Contestant(SEARCH, variables)
        others = {
            "random": Contestant(RANDOM, untrained),
            "untrained": Contestant(SEARCH, untrained),
            "raw_policy": Contestant(GREEDY, variables),
        }
        numbers = {"games": float(state.finished)}
        for name, other in others.items():
            score = self.match(ours, other, key)
            numbers[f"score/{name}"], numbers[f"error/{name}"] = score.mean, score.error
        return numbers


def make_game(config: ConfigDict) -> BoardGame:
    """The game that is played."""
    settings = config.game
    check_choice("game.name", settings.name, ("go", "tic_tac_toe", "connect_four"))
    if settings.name == "tic_tac_toe":
        return board_games.tic_tac_toe()
    if settings.name == "connect_four":
        return board_games.connect_four(settings.history)
    return Go(
        settings.size, settings.komi, max_plies=settings.max_plies, history=settings.history
    )


def build(config: ConfigDict) -> Experiment:
    check_choice("method", config.method, ("alphazero", "alphago_zero", "alphago", "reinforce"))
    return SelfPlay(config)


def claims(results: Results) -> list[Claim]:
    return [
        results["score/random"].at_least(
            "alphazero", 0.95, claim="search against random moves: score", paper=""
        )
    ]


if __name__ == "__main__":
    app.run()
