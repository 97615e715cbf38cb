"""Mastering the Game of Go with Deep Neural Networks and Tree Search (Silver, Huang, Maddison et
al., Nature 529, 2016); Mastering the Game of Go without Human Knowledge (Silver, Schrittwieser,
Simonyan et al., Nature 550, 2017); A General Reinforcement Learning Algorithm that Masters Chess,
Shogi and Go through Self-Play (Silver et al., Science 362, 2018), arXiv:1712.01815.

Claim: a search makes a better player of a network, and the network learns to be that player.

`method` says which: AlphaZero and AlphaGo Zero share `SelfPlay` (evaluator, resignation, kept trees
and symmetries are values); AlphaGo (2016) has stages, each an experiment; "reinforce" is a policy
that learns without a search. One step of self-play is one move of every game, then updates.

Departures: games make their simulations together, one at a time each, where the papers have many
threads in one tree; values and rollouts are mixed at the leaf. Every game gives equally many rows
to a batch. 2016: the expert is the trained search; rollouts are uniform over moves that fill no own
eye, for the linear rollout and tree policies are not built; the policy passes when no sensible move
is left, and is learned without the last-good-reply cache; the second pass of REINFORCE, with the
value network as baseline, is that of "reinforce" alone; ladders are read along one line.
"""

from __future__ import annotations

import research.early  # answers --help at once

import copy
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
from research.models.alphago import PolicyNetwork, PolicyValueNetwork, ValueNetwork
from research.papers.alphago.board_picture import draw_board
from research.papers.alphago.pipeline import (
    Labelled,
    PositionSource,
    collect,
    label_games,
    one_position_a_game,
    point_logits,
    unpack,
    value_planes,
)
from research.report.claims import Claim, Paper, Results, spread
from research.report.curves import draw_curves
from research.report.demo import Choice, Demo, Image, Number, Text
from research.rl import matches
from research.rl.envs import board_games, sgf
from research.rl.envs.board_games import BoardGame
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES, feature_planes, own_eyes
from research.rl.self_play import (
    GameMemory,
    MemoryState,
    Positions,
    Resignation,
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
    parameters={
        # The evaluator's best network is a second one of the same size.
        "20 blocks": {"learner": 22_827_877, "best": 22_827_877, "snapshots": 0},
        "40 blocks": {"learner": 46_441_317, "best": 46_441_317, "snapshots": 0},
        "policy 192": 3_882_793,
        "value 192": 3_980_162,
    },
    curves=("loss", "value_loss", "black_wins"),
    x="step",
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
            simulations=search.simulations,
            c_init=search.c_init,
            c_base=search.c_base,
            leaves=search.leaves,
            virtual_loss=search.virtual_loss,
            capacity=2 * search.simulations + 1 if search.reuse else 0,
        )
        self._match = jax.jit(self.play_openings)

    def make_optimizer(self) -> optax.GradientTransformation:
        raise NotImplementedError

    def with_game(self, game: BoardGame, simulations: int) -> BoardPlayers:
        """These players on a game whose states look the same, such as with another komi."""
        other = copy.copy(self)
        other.game = game
        other.search = copy.copy(self.search)
        other.search.game, other.search.evaluate = game, other.judge
        other.search.simulations, other.search.capacity = simulations, simulations + 1
        return other

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
        action = jax.lax.switch(contestant.kind, ways, contestant.variables)
        return action.astype(jnp.int32)

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
        play = config.self_play
        self.memory = GameMemory(self.game, config.memory.rows)
        self.rows_per_game = config.train.batch_size // play.games
        self.noise = Noise(play.noise_alpha, play.noise_share)
        self.resignation = Resignation(wrong=play.resign_wrong) if play.resign_wrong else None
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
        if tree is not None and self.config.search.reuse:
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
        if not self.config.self_play.searches:
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

    def learn(self, state: State, key: jax.Array) -> tuple[LearnerState, dict[str, jax.Array]]:
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

    def loss(self, variables: Any, batch: Positions, key: jax.Array) -> tuple[jax.Array, Aux]:
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

    def elo(self, state: State, key: jax.Array) -> dict[str, float]:
        """Ratings of the network at equal parts of the run, from matches of each with the next.

        The untrained network has 0; that at the end of the run is the last one.
        """
        parts = self.config.elo.snapshots
        stages = [self.untrained()]
        stages += [jax.tree.map(lambda x, i=i: x[i], state.snapshots) for i in range(parts)]
        points, games = np.zeros((2, parts + 1, parts + 1))
        for old, new in zip(range(parts), range(1, parts + 1), strict=True):
            later, earlier = (Contestant(SEARCH, stages[i]) for i in (new, old))
            score = self.match(later, earlier, jax.random.fold_in(key, new))
            games[new, old] = games[old, new] = score.games
            points[new, old] = score.mean * score.games
            points[old, new] = score.games - points[new, old]
        ratings = matches.fit_elo(points, games)
        return {f"elo/{100 * i // max(parts, 1):03d}": float(x) for i, x in enumerate(ratings)}


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


class PolicyState(flax.struct.PyTreeNode):
    """A policy that learns from games against its own past.

    Attributes:
      learner: the network.
      pool: variables `[K, ...]` of past policies.
      members: int32, policies that have joined the pool since the beginning.
      finished: games that have ended since then.
    """

    learner: LearnerState
    pool: Any
    members: jax.Array
    finished: jax.Array


class PolicyGradient(BoardPlayers, Experiment):
    """Reinforcement learning of a policy without search (AlphaGo, Methods): a step is a batch of
    games against a policy drawn from the pool, and one update by REINFORCE."""

    def __init__(self, config: ConfigDict):
        self.num_steps = config.num_steps
        super().__init__(config)
        if config.reinforce.games % 2:
            raise UserError("reinforce.games is even: one half is played with each colour")
        self.per_step = {"games": config.reinforce.games}

    def make_optimizer(self) -> optax.GradientTransformation:
        return optax.sgd(self.config.reinforce.learning_rate)

    def init(self, key: jax.Array) -> PolicyState:
        return self.begin(self.first_variables(key))

    def begin(self, learner: LearnerState) -> PolicyState:
        """The first state of a network: it is the pool's first member."""
        size = self.config.reinforce.pool
        pool = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (size, *x.shape)).copy(),
            self.learner.eval_variables(learner),
        )
        return PolicyState(learner, pool, jnp.int32(1), jnp.int32(0))

    def warm_start(self, state: PolicyState, before: Any) -> PolicyState:
        """Begins with the supervised policy's weights."""
        return self.begin(state.learner.replace(params=jax.tree.map(jnp.copy, before)))

    def step(
        self, state: PolicyState, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[PolicyState, dict[str, jax.Array]]:
        draw_key, play_key, learn_key = jax.random.split(key, 3)
        settings = self.config.reinforce
        present = jnp.minimum(state.members, settings.pool)
        chosen = jax.random.randint(draw_key, (), 0, present)
        opponent = jax.tree.map(lambda x: x[chosen], state.pool)
        moves, won = self.play_batch(self.learner.eval_variables(state.learner), opponent, play_key)
        learner, metrics = self.learner.minimize(state.learner, self.loss, moves, learn_key)

        joins = (t + 1) % settings.pool_every_steps == 0
        place = jnp.where(joins, state.members % settings.pool, settings.pool)
        pool = jax.tree.map(
            lambda all_, x: all_.at[place].set(x, mode="drop"),
            state.pool,
            self.learner.eval_variables(learner),
        )
        state = PolicyState(learner, pool, state.members + joins, state.finished + settings.games)
        return state, {**metrics, "wins": won}

    def play_batch(self, variables: Any, opponent: Any, key: jax.Array) -> tuple[Moves, jax.Array]:
        """Games with each colour: the moves of the first player, and its share of points."""
        half = self.config.reinforce.games // 2
        start = jax.tree.map(lambda x: jnp.broadcast_to(x, (2, half, *x.shape)), self.game.init())

        def ply(groups: Any, t: jax.Array) -> tuple[Any, Any]:
            # Group 0 is played with black: there the first player moves at even plies.
            order = jnp.array([0, 1]) ^ (t % 2)
            own, other = (jax.tree.map(lambda x, i=i: x[order[i]], groups) for i in range(2))
            own_key, other_key = jax.random.split(jax.random.fold_in(key, t))
            planes = self.inputs(own)
            action = self.draw(variables, planes, own.legal, own_key)
            reply = self.draw(opponent, self.inputs(other), other.legal, other_key)
            both = jax.tree.map(lambda *xs: jnp.stack(xs), own, other)
            groups = jax.vmap(jax.vmap(self.game.play))(both, jnp.stack([action, reply]))
            groups = jax.tree.map(lambda x: x[order], groups)
            return groups, Moves(planes, own.legal, action, own.player, ~own.over)

        last, moves = jax.lax.scan(ply, start, jnp.arange(self.game.max_plies))
        # At even plies the rows are of group 0, at odd ones of group 1.
        of_row = jnp.arange(self.game.max_plies) % 2
        z = (last.outcome[of_row] * moves.outcome).astype(jnp.float32)
        points = (last.outcome * jnp.array([[1], [-1]]) + 1).mean() / 2
        moves = moves._replace(outcome=z)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), moves), points

    def inputs(self, states: Any) -> jax.Array:
        """Planes `[N, H, W, C]` of the network."""
        return jax.vmap(self.game.planes)(states.history, states.player)

    def outputs(
        self, variables: Any, planes: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array | None, Mapping[str, Any]]:
        """Logits `[N, A]`, values `[N]` where the network has them, and updated collections."""
        if not train:
            return *self.learner.apply(variables, planes, train=False), {}
        (logits, value), updated = self.learner.apply(
            variables, planes, train=True, mutable=["batch_stats"]
        )
        return logits, value, updated

    def draw(
        self, variables: Any, planes: jax.Array, legal: jax.Array, key: jax.Array
    ) -> jax.Array:
        """Moves `[N]` ~ p_rho(a | s)."""
        logits = self.outputs(variables, planes, train=False)[0]
        return jax.random.categorical(key, jnp.where(legal, logits, ILLEGAL)).astype(jnp.int32)

    def loss(self, variables: Any, batch: Moves, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Its gradient is -1/n sum_i sum_t d log p_rho(a_t | s_t) / d rho (z_t - v(s_t)).

        (AlphaGo, Methods, «Reinforcement learning of policy networks».) Where the network has a
        value head, that is the baseline v, and learns the outcome as well.
        """
        logits, value, updated = self.outputs(variables, batch.planes, train=True)
        log_p = jax.nn.log_softmax(jnp.where(batch.legal, logits, ILLEGAL))
        log_p = jnp.take_along_axis(log_p, batch.action[:, None], axis=1)[:, 0]
        baseline = 0.0 if value is None else jax.lax.stop_gradient(value)
        gain = jnp.where(batch.alive, log_p * (batch.outcome - baseline), 0.0)
        loss = -gain.sum() / self.config.reinforce.games
        metrics = {}
        if value is not None:
            errors = jnp.where(batch.alive, (batch.outcome - value) ** 2, 0.0)
            metrics["value_loss"] = errors.sum() / batch.alive.sum()
            loss += self.config.reinforce.value_weight * metrics["value_loss"]
        return loss, Aux(metrics, updated)

    def evaluate(self, state: PolicyState, key: jax.Array) -> dict[str, float]:
        """Scores of the policy, its moves drawn as in training."""
        variables = self.learner.eval_variables(state.learner)
        score = self.match(Contestant(SAMPLED, variables), Contestant(RANDOM, variables), key)
        return {"games": float(state.finished), "score/sampled_random": score.mean}


# AlphaGo (2016): supervision, reinforcement, values, and a search that mixes them


class SupervisedPolicy(Experiment):
    """Stage 1: p_sigma(a|s) learns an expert's moves."""

    source: PositionSource

    def __init__(self, config: ConfigDict):
        self.config, self.settings = config, config.alphago
        self.go = make_go(config)
        settings = self.settings
        self.learner = Learner(
            PolicyNetwork(settings.filters, settings.layers),
            halving_sgd(settings.policy_rate, settings.halve_every),
        )
        self.num_steps = settings.policy_steps
        self.per_step = {"positions": settings.batch_size}
        self.source = PositionSource(self.go, settings.batch_size, config.seed)
        self._apply = jax.jit(self.learner.apply)

    def init(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.go.shape, NUM_PLANES)))

    def loss(self, variables: Any, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        """-log p_sigma(a | s), each position as it looks after a random symmetry (equation 1)."""
        planes, action = turn_positions(self.go, batch, key)
        logits = self.learner.apply(variables, planes[..., :NUM_PLANES])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, action).mean()
        return loss, Aux({"accuracy": (logits.argmax(axis=1) == action).mean()})

    def step(self, state: LearnerState, batch: dict, t: jax.Array, key: jax.Array) -> Any:
        return self.learner.minimize(state, self.loss, batch, key)

    def accuracy(self, state: LearnerState, test: Labelled) -> float:
        """Share of an expert's moves that are the most probable ones."""
        planes = jnp.asarray(unpack(self.go, test.planes)[..., :NUM_PLANES], jnp.float32)
        return float((self._apply(state, planes).argmax(axis=1) == test.action).mean())


class ReinforcedPolicy(PolicyGradient):
    """Stage 2: p_rho, which begins as p_sigma, learns to win against its own past."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        settings = config.alphago
        self.num_steps = settings.reinforce_steps
        self.go = make_go(config)
        self.learner = Learner(
            PolicyNetwork(settings.filters, settings.layers), optax.sgd(settings.reinforce_rate)
        )

    def first_variables(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.go.shape, NUM_PLANES)))

    def inputs(self, states: Any) -> jax.Array:
        return jax.vmap(lambda state: feature_planes(self.go, state))(states)

    def outputs(
        self, variables: Any, planes: jax.Array, train: bool
    ) -> tuple[jax.Array, None, Mapping[str, Any]]:
        points = self.learner.apply(variables, planes.astype(jnp.float32))
        return point_logits(points, planes), None, {}

    def move(self, variables: Any, states: Any, key: jax.Array) -> jax.Array:
        """Moves `[N]` of the policy, drawn."""
        return self.draw(variables, self.inputs(states), states.legal, key)

    def evaluate(self, state: PolicyState, key: jax.Array) -> dict[str, float]:
        return {}


class OutcomeRegression(Experiment):
    """Stage 3: v_theta(s) learns the outcomes of games that p_rho plays from s on."""

    source: PositionSource

    def __init__(self, config: ConfigDict):
        self.config, self.settings = config, config.alphago
        self.go = make_go(config)
        settings = self.settings
        self.learner = Learner(
            ValueNetwork(settings.filters, settings.layers, settings.value_hidden),
            halving_sgd(settings.value_rate, settings.halve_every),
        )
        self.num_steps = settings.value_steps
        self.per_step = {"positions": settings.value_batch_size}
        self.source = PositionSource(self.go, settings.value_batch_size, config.seed)
        self._apply = jax.jit(self.learner.apply)

    def init(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.go.shape, NUM_PLANES + 1)))

    def loss(self, variables: Any, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        """(z - v_theta(s))^2 (equation 3)."""
        planes, _ = turn_positions(self.go, batch, key)
        v = self.learner.apply(variables, planes)
        return jnp.mean((batch["outcome"] - v) ** 2), Aux()

    def step(self, state: LearnerState, batch: dict, t: jax.Array, key: jax.Array) -> Any:
        return self.learner.minimize(state, self.loss, batch, key)

    def error(self, state: LearnerState, positions: Labelled) -> float:
        """Mean squared error, of outcomes of -1 and 1."""
        planes = jnp.asarray(unpack(self.go, positions.planes), jnp.float32)
        return float(((self._apply(state, planes) - positions.outcome) ** 2).mean())


class Mixture(NamedTuple):
    """What the search of 2016 is given: both networks, and lambda."""

    policy: Any
    value: Any
    mixing: Any


class MixedSearch:
    """The search of 2016: priors of p_sigma, leaves worth (1 - lambda) v_theta + lambda z.

    Departure: the tree's threads are games side by side here, with one simulation at a time each;
    rollouts are light, uniform over sensible moves.
    """

    def __init__(self, config: ConfigDict, policy: SupervisedPolicy, value: OutcomeRegression):
        self.go, self.policy, self.value = policy.go, policy, value
        self.temperature = config.alphago.prior_temperature
        self.search = TreeSearch(
            self.go,
            self.judge,
            simulations=config.search.simulations,
            c_init=config.alphago.c_puct,
            c_base=0.0,
            threshold=config.alphago.threshold,
        )

    def judge(self, variables: Mixture, states: Any, key: jax.Array) -> Evaluation:
        """V(s_L) = (1 - lambda) v_theta(s_L) + lambda z_L, and P = p_sigma^(beta)."""
        planes = jax.vmap(lambda s: value_planes(self.go, s))(states).astype(jnp.float32)
        features = planes[..., :NUM_PLANES]
        points = self.policy.learner.apply(variables.policy, features)
        v = self.value.learner.apply(variables.value, planes)
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
        tree = self.search(variables, self.search.init(states), key)
        return tree.root_visits.argmax(axis=1)


def turn_positions(go: Go, batch: dict, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Planes and moves of a batch after a random symmetry each."""
    symmetry = board_games.draw_symmetries(go, key, len(batch["action"]))
    planes = board_games.turn_planes(go, batch["planes"].astype(jnp.float32), symmetry)
    moved = jnp.asarray(np.argsort(go.action_symmetries, axis=1))[symmetry, batch["action"]]
    return planes, moved


def halving_sgd(rate: float, every: int) -> optax.GradientTransformation:
    """Plain gradient descent whose rate is halved every so many updates; 0 for never."""
    if not every:
        return optax.sgd(rate)
    return optax.sgd(optax.exponential_decay(rate, every, 0.5, staircase=True))


def make_go(config: ConfigDict) -> Go:
    game = make_game(config)
    if not isinstance(game, Go):
        raise UserError(f"method=alphago plays Go alone, not game.name={config.game.name}")
    return game


def build_stage(config: ConfigDict) -> Experiment:
    """A stage of the 2016 pipeline by itself, whose size is asked for."""
    stages = {
        "policy": SupervisedPolicy,
        "reinforce": ReinforcedPolicy,
        "value": OutcomeRegression,
    }
    check_choice("alphago.stage", config.alphago.stage, stages)
    return stages[config.alphago.stage](config)


def train_alphago(config: ConfigDict, workdir: Path) -> dict[str, float]:
    """All stages of 2016, one after the other; the expert is the search of another arm."""
    settings = config.alphago
    keys = iter(jax.random.split(jax.random.key(config.seed), 16))
    expert, trained = run_arm(config, config.rival, workdir)
    policy, sl_state, numbers = imitate(config, workdir, expert, trained, next(keys))
    rl = ReinforcedPolicy(config)
    rl_state, _ = training.run(rl, config, workdir / "reinforce", sl_state.params)
    numbers |= play_policies(config, rl, sl_state, rl_state, next(keys))

    value = OutcomeRegression(config)
    one, whole, test = value_positions(config, rl, sl_state, rl_state, next(keys))
    states = {}
    for name, positions in (("complete", whole), ("one", one)):
        stage = OutcomeRegression(config)
        stage.source.labelled = positions
        states[name], _ = training.run(stage, config, workdir / f"value_{name}")
        numbers[f"mse/{name}_train"] = value.error(states[name], positions)
        numbers[f"mse/{name}_test"] = value.error(states[name], test)

    mixed = MixedSearch(config, policy, value)
    networks = (
        policy.learner.eval_variables(sl_state),
        value.learner.eval_variables(states["one"]),
    )
    match = jax.jit(functools.partial(matches.play_match, rl.game, mixed.choose, mixed.choose))
    openings = random_openings(config, rl.game)
    for name, other in (("values", 0.0), ("rollouts", 1.0)):
        pair = (Mixture(*networks, jnp.float32(x)) for x in (settings.mixing, other))
        points = match(tuple(pair), openings, next(keys))
        numbers[f"lambda/{name}"] = matches.summarize(jax.device_get(points)).mean
    return numbers


def random_openings(config: ConfigDict, game: BoardGame) -> Any:
    tests = config.eval
    key = jax.random.key(tests.seed)
    return matches.random_openings(game, key, tests.openings, tests.opening_plies)


def imitate(
    config: ConfigDict, workdir: Path, expert: SelfPlay, trained: State, key: jax.Array
) -> tuple[SupervisedPolicy, LearnerState, dict[str, float]]:
    """Stage 1, on games that the trained search plays; a tenth of them is held out."""
    policy, variables = SupervisedPolicy(config), expert.player(trained)

    def choose(states: Any, key: jax.Array) -> jax.Array:
        search_key, draw_key = jax.random.split(key)
        tree = expert.search(variables, expert.search.init(states), search_key)
        explores = states.plies < config.self_play.explore_plies
        pi = visit_policy(tree.root_visits, jnp.where(explores, 1.0, 0.0))
        return jax.random.categorical(draw_key, jnp.log(pi)).astype(jnp.int32)

    count = config.self_play.games
    play = jax.jit(lambda key: label_games(policy.go, choose, count, key))
    batches = [play(jax.random.fold_in(key, i)) for i in range(config.alphago.expert_batches)]
    positions = collect(batches, "kept")
    held_out = positions.game % 10 == 0
    policy.source.labelled = jax.tree.map(lambda x: x[~held_out], positions)
    state, _ = training.run(policy, config, workdir / "policy")
    test = jax.tree.map(lambda x: x[held_out], positions)
    numbers = {
        "policy/accuracy": policy.accuracy(state, test),
        "policy/positions": float((~held_out).sum()),
    }
    return policy, state, numbers


def play_policies(
    config: ConfigDict, rl: ReinforcedPolicy, sl: LearnerState, state: PolicyState, key: jax.Array
) -> dict[str, float]:
    """Scores of p_rho against p_sigma and of both against random moves, all of them drawn."""
    sigma, rho = (rl.learner.eval_variables(s) for s in (sl, state.learner))
    openings = random_openings(config, rl.game)
    same = jax.jit(functools.partial(matches.play_match, rl.game, rl.move, rl.move))
    at_random = matches.random_player(rl.game)
    other = jax.jit(functools.partial(matches.play_match, rl.game, rl.move, at_random))
    points = {
        "rl/sl": same((rho, sigma), openings, key),
        "rl/random": other((rho, None), openings, key),
        "sl/random": other((sigma, None), openings, key),
    }
    return {name: matches.summarize(jax.device_get(x)).mean for name, x in points.items()}


def value_positions(
    config: ConfigDict, rl: ReinforcedPolicy, sl: LearnerState, state: PolicyState, key: jax.Array
) -> tuple[Labelled, Labelled, Labelled]:
    """As many positions, one of each game, or of as few complete games as have them; and a test."""
    settings, go = config.alphago, rl.go
    sigma, rho = (rl.learner.eval_variables(s) for s in (sl, state.learner))
    supervised = functools.partial(rl.move, sigma)
    reinforced = functools.partial(rl.move, rho)
    count, wanted = config.self_play.games, settings.value_positions
    test_size = max(wanted // 4, 1)
    single = jax.jit(
        lambda key: one_position_a_game(
            go, supervised, reinforced, settings.longest_start, count, key
        )
    )
    batches, found, i = [], 0, 0
    while found < wanted + test_size:
        batches.append(single(jax.random.fold_in(key, i)))
        found, i = found + int(batches[-1]["kept"].sum()), i + 1
    singles = collect(batches, "kept")
    complete = jax.jit(lambda key: label_games(go, reinforced, count, key))
    played = [complete(jax.random.fold_in(key, i + j)) for j in range(1 + wanted // (count * 8))]
    games = collect(played, "ended")
    whole = games.game.argsort(kind="stable")[:wanted]  # game after game
    return (
        jax.tree.map(lambda x: x[:wanted], singles),
        jax.tree.map(lambda x: x[whole], games),
        jax.tree.map(lambda x: x[wanted : wanted + test_size], singles),
    )


def make_game(config: ConfigDict) -> BoardGame:
    """The game that is played."""
    settings = config.game
    check_choice("game.name", settings.name, ("go", "tic_tac_toe", "connect_four"))
    if settings.name == "tic_tac_toe":
        return board_games.tic_tac_toe()
    if settings.name == "connect_four":
        return board_games.connect_four(settings.history)
    return Go(settings.size, settings.komi, max_plies=settings.max_plies, history=settings.history)


def build(config: ConfigDict) -> Experiment:
    """The experiment of the method; of the 2016 pipeline, that of one of its stages."""
    check_choice("method", config.method, ("alphazero", "alphago_zero", "alphago", "reinforce"))
    if config.method == "reinforce":
        return PolicyGradient(config)
    if config.method == "alphago":
        return build_stage(config)
    return SelfPlay(config)


def main(experiment: Experiment, config: ConfigDict, workdir: Path) -> dict[str, float]:
    if config.method == "alphago":
        return train_alphago(config, workdir)
    state, numbers = training.run(experiment, config, workdir)
    key = jax.random.key(config.eval.seed + 1)
    if isinstance(experiment, SelfPlay) and config.elo.snapshots:
        ratings = experiment.elo(state, key)
        numbers |= ratings
        if jax.process_index() == 0:
            draw_elo(workdir / "elo.png", ratings, experiment)
            if config.elo.watch:
                old, new = (jax.tree.map(lambda x, i=i: x[i], state.snapshots) for i in (0, -1))
                last = Contestant(SEARCH, new), Contestant(SEARCH, old)
                watch(experiment, *last, workdir / "newest_against_first.sgf")
    if config.rival:
        numbers |= against_rival(experiment, state, config, workdir, key)
    return numbers


def draw_elo(path: Path, ratings: Mapping[str, float], experiment: SelfPlay) -> None:
    """Draws the ratings over the run."""
    plies = experiment.num_steps * experiment.per_step["plies"]
    xs = [plies * int(name.removeprefix("elo/")) / 100 for name in ratings]
    curve = xs, list(ratings.values())
    draw_curves(path, {"search": [curve]}, title="Strength over the run", x="plies", y="Elo")


def run_arm(config: ConfigDict, arm: str, workdir: Path) -> tuple[SelfPlay, State]:
    """The self-play of another arm with the same seed: at once where it has been run.

    Its folder is where the app runs it, so that it is trained once, whichever arm comes first.
    """
    setting = with_overrides(config, {**arms_of(config)[arm], "seed": config.seed})
    other = build(setting)
    assert isinstance(other, SelfPlay)
    state, _ = training.run(other, setting, workdir.parent.parent / arm / str(config.seed))
    return other, state


def against_rival(
    experiment: Experiment, state: Any, config: ConfigDict, workdir: Path, key: jax.Array
) -> dict[str, float]:
    """Scores of the search of the arm `config.rival` against what this arm has learned.

    It meets the same search with this arm's network, and this arm's policy without one.
    """
    searcher, trained = run_arm(config, config.rival, workdir)
    ours = Contestant(SEARCH, searcher.player(trained))
    assert isinstance(experiment, BoardPlayers)
    theirs = experiment.learner.eval_variables(state.learner)
    numbers = {}
    ways = {"search": SEARCH, "policy": SAMPLED}
    for name, kind in ways.items():
        score = searcher.match(ours, Contestant(kind, theirs), key)
        numbers[f"rival/{name}"], numbers[f"rival_error/{name}"] = score.mean, score.error
    raw = Contestant(SAMPLED, ours.variables)
    numbers["rival/policy_policy"] = searcher.match(raw, Contestant(SAMPLED, theirs), key).mean
    return numbers


def watch(experiment: SelfPlay, first: Contestant, second: Contestant, path: Path) -> None:
    """Lets two networks play a game and keeps it as SGF; black is the first."""
    go = experiment.game
    if not isinstance(go, Go):
        return
    choose, play = jax.jit(experiment.choose), jax.jit(jax.vmap(go.play))
    state = jax.tree.map(lambda x: x[None], go.init())
    players = [jax.device_put(jax.device_get(player)) for player in (first, second)]
    moves: list[int] = []
    while not state.over[0]:
        key = jax.random.key(len(moves))
        action = choose(players[len(moves) % 2], state, key)
        state = play(state, action)
        moves.append(int(action[0]))
    record = sgf.Record(go.size, go.komi, moves, result_of(go, state.board[0]))
    path.write_text(sgf.write(record), encoding="utf-8")


def result_of(go: Go, board: jax.Array) -> str:
    """A finished game's result as it is written, such as "B+2.5"."""
    score = float(go.score(board))
    return f"{'B' if score > 0 else 'W'}+{abs(score):g}" if score else "0"


def demo(experiment: Experiment, state: Any) -> Demo:
    """A game against the run, move by move."""
    if not (isinstance(experiment, SelfPlay) and isinstance(experiment.game, Go)):
        raise UserError("the demo plays Go with a network that searches: take the arm alphazero")
    go, variables = experiment.game, jax.device_get(experiment.player(state))
    usual = experiment.config.search.simulations
    counts = sorted({usual, 8 * usual})

    def run(moves: str = "", komi: float = go.komi, simulations: str = str(usual)) -> dict:
        rules = Go(go.size, komi, max_plies=go.max_plies, history=go.history)
        position, actions = read_position(rules, moves)
        if position.over:
            result = result_of(rules, position.board)
            return board_outputs(rules, position, actions, f"the game is over: {result}")
        searcher = experiment.with_game(rules, int(simulations))
        states = jax.tree.map(lambda x: x[None], position)
        search = jax.jit(lambda v, s, key: searcher.search(v, searcher.search.init(s), key))
        tree = jax.device_get(search(variables, states, jax.random.key(len(actions))))
        visits = tree.root_visits[0]
        reply, value = int(visits.argmax()), float(tree.root_value[0])
        after = rules.play(position, jnp.int32(reply))
        colour = "black" if len(actions) % 2 == 0 else "white"
        text = f"{colour} {rules.move_name(reply)}, which wins {50 + 50 * value:.0f} % by its value"
        shares = visits[:-1].reshape(rules.shape) / visits.sum()
        return board_outputs(rules, after, [*actions, reply], text, shares)

    return Demo(
        title=f"Play Go on {go.size}x{go.size}",
        says="Say the moves so far, black's first, such as «C3 B3»: the network answers. Shown are "
        "the board after its move, and what part of its simulations it spent on each other point.",
        inputs={
            "moves": Text("Moves so far, or a game as SGF", "", lines=3),
            "komi": Number("Komi, points for white", go.komi, -go.points, go.points, 0.5),
            "simulations": Choice(
                "Simulations a move", [str(count) for count in counts], str(usual)
            ),
        },
        outputs={
            "board": Image("Board"),
            "reply": Text("Reply"),
            "moves": Text("Moves, to go on with", lines=3),
            "sgf": Text("The game as SGF", lines=5),
        },
        run=run,
        examples=[{"moves": "C3"}, {"moves": "C3 C2 D2"}],
    )


def read_position(go: Go, text: str) -> tuple[Any, list[int]]:
    """The position after moves such as "C3 pass", or after a game's as SGF, and the moves.

    Raises:
      UserError: there is no such move, it is against the rules, or the SGF is damaged or of a board
        of another size.
    """
    if text.lstrip().startswith("("):
        record = sgf.read(text)
        if record.size != go.size or record.black_stones:
            board = f"{record.size}x{record.size}" + ", handicap" * bool(record.black_stones)
            raise UserError(f"the network plays {go.name} from an empty board, not {board}")
        actions = list(record.moves)
    else:
        actions = [go.read_move(word) for word in text.replace(",", " ").split()]
    play, state = jax.jit(go.play), go.init()
    for number, action in enumerate(actions, 1):
        name = go.move_name(action)
        if state.over:
            raise UserError(f"move {number}, {name}, comes after the end of the game")
        if not state.legal[action]:
            raise UserError(
                f"move {number}, {name}, is not legal: {why_illegal(go, state, action)}"
            )
        state = play(state, jnp.int32(action))
    return state, actions


def why_illegal(go: Go, state: Any, action: int) -> str:
    """Which rule a move breaks."""
    if state.board[action]:
        return "there is a stone"
    board, chain, _ = go._place(state, jnp.int32(action))
    if go.count_liberties(board, chain)[action] == 0:
        return "it would be suicide"
    return "the board was there before (superko)"


def board_outputs(
    go: Go, state: Any, actions: list[int], reply: str, shares: np.ndarray | None = None
) -> dict[str, Any]:
    """What the demo shows of a position."""
    last = actions[-1] if actions and actions[-1] != go.passing else None
    board = np.asarray(state.board).reshape(go.shape)
    result = result_of(go, state.board) if state.over else ""
    return {
        "board": draw_board(board, shares, last, reply),
        "reply": reply
        + (f"; the game is over: {result}" if result and "over" not in reply else ""),
        "moves": " ".join(go.move_name(action) for action in actions),
        "sgf": sgf.write(sgf.Record(go.size, go.komi, actions, result)),
    }


def claims(results: Results) -> list[Claim]:
    if "alphazero" not in results.arms:  # a game alone
        return []
    how: dict[str, Any] = {"paper": "", "digits": 3}
    rows = [
        results["score/random"].at_least(
            "alphazero", 0.95, claim="search against random moves: score", **how
        ),
        results["score/untrained"].at_least(
            "alphazero", 0.9, claim="search against the same search, untrained: score", **how
        ),
        results["score/raw_policy"].at_least(
            "alphazero",
            0.9,
            claim="search against its own network without search: score",
            paper="Elo 5,185 against 3,055 (2017)",
            digits=3,
        ),
    ]
    if "no_search" in results.arms:
        rows.append(
            results["score/untrained"].above(
                "alphazero",
                "no_search",
                by=0.3,
                claim="games are searched, not played by the policy: score against the untrained",
                **how,
            )
        )
    if "reinforce" in results.arms:
        rows += [
            results["rival/policy"].at_least(
                "reinforce", 0.95, claim="search against REINFORCE's policy: score", **how
            ),
            results["rival/search"].at_least(
                "reinforce",
                0.8,
                claim="search against the same search with REINFORCE's network: score",
                **how,
            ),
        ]
        drawn = spread(results["rival/policy_policy"]["reinforce"], 3)
        rows.append(Claim("both without search, moves drawn: score", "", drawn, None))
    if "no_noise" in results.arms:
        rows.append(
            results["rival/search"].at_least(
                "no_noise", 0.65, claim="against search that learned without noise: score", **how
            )
        )
    if "alphago" in results.arms:
        rows += pipeline_claims(results)
    return rows


def pipeline_claims(results: Results) -> list[Claim]:
    """Those of the 2016 pipeline."""
    errors = results.side_by_side(
        "alphago",
        complete_train="mse/complete_train",
        complete_test="mse/complete_test",
        one_train="mse/one_train",
        one_test="mse/one_test",
    )
    how: dict[str, Any] = {"digits": 3}
    paper = "0.19 and 0.37 of complete games, 0.226 and 0.234 of one position each"
    rows = [
        errors.above(
            "complete_test",
            "complete_train",
            by=0.3,
            claim="values learned from complete games do not hold for other games: squared error",
            paper=paper,
            **how,
        ),
        errors.above(
            "complete_test",
            "one_test",
            by=0.1,
            claim="one position a game, as many in all: error on other games",
            paper=paper,
            **how,
        ),
        results["rl/sl"].at_least(
            "alphago",
            0.58,
            claim="policy after reinforcement against the supervised one: score",
            paper="> 0.8, after 10,000 batches",
        ),
    ]
    gains = results.side_by_side("alphago", rl="rl/random", sl="sl/random")
    rows.append(gains.above("rl", "sl", by=0.1, claim="both against random moves", paper="", **how))
    for name in ("values", "rollouts"):
        shown = spread(results[f"lambda/{name}"]["alphago"], 3)
        claim = f"mixed leaves against {name} alone: score"
        rows.append(Claim(claim, ">= 0.95", shown, None))
    shown = spread(results["policy/accuracy"]["alphago"], 3)
    rows.append(Claim("share of the expert's moves foretold", "0.57 of people's", shown, None))
    return rows


if __name__ == "__main__":
    app.run()
