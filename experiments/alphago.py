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
to a batch. 2016: without people's games (`alphago.sgf_folder`) the expert is the trained search;
rollouts are uniform over moves that fill no own eye, for the linear rollout and tree policies are
not built; the policy passes when no sensible move is left, and is learned without the
last-good-reply cache; the second pass of REINFORCE, with the value network as baseline, is that of
"reinforce" alone; ladders are read along one line.
"""

from __future__ import annotations

import research.early  # answers --help at once

from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app, training
from research.config import arms_of, with_overrides
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import split_batch
from research.models.alphago import PolicyValueNetwork
from research.optim.schedules import stepped
from research.papers.alphago import players
from research.papers.alphago.go_demo import make_demo
from research.papers.alphago.players import GREEDY, RANDOM, SEARCH, BoardPlayers, Contestant
from research.papers.alphago.policy_games import Moves, TwoHeadedPolicy
from research.papers.alphago.policy_gradient import PolicyGradient, PoolSettings
from research.papers.alphago.ratings import Snapshots, measure_strength
from research.papers.alphago.stages import (
    NO_GAMES,
    Expert,
    Losses,
    Stages,
    StageSettings,
    train_stages,
)
from research.report.claims import Claim, Paper, Results, spread
from research.report.demo import Demo
from research.rl import self_play
from research.rl.envs import board_games
from research.rl.envs.go import Go
from research.rl.self_play import GameMemory, MemoryState, Positions, Resignation
from research.rl.tree_search import ILLEGAL, Noise, Tree, legal_policy, visit_policy

PAPER = Paper(
    title="Mastering the Game of Go with Deep Neural Networks and Tree Search; Mastering the Game "
    "of Go without Human Knowledge; A General Reinforcement Learning Algorithm that Masters Chess, "
    "Shogi and Go through Self-Play",
    authors="Silver et al.",
    year=2016,
    arxiv="",
    field="reinforcement learning",
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
    method="alphazero",
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


class SelfPlay(Experiment):
    """AlphaGo Zero and AlphaZero: every step one move in all games, and updates of the network."""

    soft_rules = (
        ("^(games|tree|resignation/(plays_on|lowest))", PartitionSpec("data")),
        ("^memory/(board|visits|ply|outcome|known)", PartitionSpec(None, "data")),
    )

    def __init__(self, config: ConfigDict):
        play, train, optimizer = config.self_play, config.train, config.optimizer
        if train.batch_size % play.games:
            raise UserError(
                f"train.batch_size={train.batch_size} is not a multiple of the "
                f"self_play.games={play.games}, each of which gives as many positions"
            )
        if config.method == "alphazero" and config.gate.every_steps:
            raise UserError("AlphaZero has no evaluator: gate.every_steps=0, or alphago_zero")
        self.config, self.num_steps = config, config.num_steps
        self.per_step = {"plies": play.games}
        updates = self.num_steps * train.updates
        rate = stepped(optimizer.rates, updates, optimizer.warmup_updates)
        self.players = make_players(config, optax.sgd(rate, momentum=optimizer.momentum))
        self.game, self.search = self.players.game, self.players.search
        self.learner = self.players.learner

        self.memory = GameMemory(self.game, config.memory.rows)
        self.rows_per_game = train.batch_size // play.games
        self.noise = Noise(play.noise_alpha, play.noise_share)
        self.resignation = Resignation(wrong=play.resign_wrong) if play.resign_wrong else None
        self.evaluator = players.Evaluator(self.players, **config.gate)
        self.snapshots = Snapshots(config.elo.snapshots, self.num_steps)

    def init(self, key: jax.Array) -> State:
        net_key, resign_key = jax.random.split(key)
        learner = self.players.init(net_key)
        count = self.config.self_play.games
        games = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), self.game.init())
        variables = jax.tree.map(jnp.copy, self.learner.eval_variables(learner))
        return State(
            learner=learner,
            best=variables if self.config.gate.every_steps else None,
            games=games,
            tree=self.search.init(games) if self.config.search.reuse else None,
            memory=self.memory.init(count),
            resignation=self.resignation and self.resignation.init(count, resign_key),
            snapshots=self.snapshots.init(variables),
            finished=jnp.int32(0),
        )

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        play_key, learn_key, gate_key = jax.random.split(key, 3)
        state, played = self.play(state, play_key)
        learner, metrics = self.learn(state, learn_key)
        newest = self.learner.eval_variables(learner)
        snapshots = self.snapshots.keep(state.snapshots, newest, t)
        state = state.replace(learner=learner, snapshots=snapshots)
        if self.config.gate.every_steps:  # AlphaGo Zero: a network plays once it has won a match
            best, metrics["gate_score"] = self.evaluator(newest, state.best, t, gate_key)
            state = state.replace(best=best)
        return state, {**metrics, **played}

    def play(self, state: State, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        """One move in every game: a_t ~ pi_t, and the row of the memory that is learned from."""
        search_key, draw_key, end_key = jax.random.split(key, 3)
        games, resignation = state.games, state.resignation
        tree, visits, value = self.think(self.player(state), state, search_key)

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

        # z is written back over the rows of the games that ended.
        memory = self.memory.add(state.memory, games, visits, ended, outcome)
        after = self_play.restart(after, ended, self.game)
        if tree is not None:
            tree = self.search.restart(self.search.advance(tree, action), ended, after)
        metrics = {
            "black_wins": self_play.mean_of_ended(ended, outcome == 1),
            "game_plies": self_play.mean_of_ended(ended, games.plies + 1),
        }
        state = state.replace(
            games=after,
            tree=tree,
            memory=memory,
            resignation=resignation,
            finished=state.finished + ended.sum(),
        )
        return state, metrics

    def think(
        self, variables: Any, state: State, key: jax.Array
    ) -> tuple[Tree | None, jax.Array, jax.Array]:
        """The search from every game's position: trees to keep, visits `[G, A]`, values `[G]`.

        Without a search the policy's own move stands for the visits.
        """
        games, reuse = state.games, self.config.search.reuse
        if not self.config.self_play.searches:
            judge_key, draw_key = jax.random.split(key)
            evaluation = self.players.judge(variables, games, judge_key)
            policy = legal_policy(evaluation.logits, games.legal)
            action = jax.random.categorical(draw_key, jnp.log(policy))
            return None, jax.nn.one_hot(action, self.game.num_actions), evaluation.value
        tree = state.tree if reuse else self.search.init(games)
        tree = self.search(variables, tree, key, self.noise)
        best_child = jnp.where(tree.root_visits > 0, tree.root_q, -1).max(axis=1)
        value = jnp.maximum(tree.root_value, best_child)
        return tree if reuse else None, tree.root_visits, value

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

    def player(self, state: State) -> Any:
        """Variables of the network that plays: the newest one, or the evaluator's best."""
        return state.best or self.learner.eval_variables(state.learner)

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        """Scores of the search with the trained network, without noise, in paired games."""
        variables, untrained = self.player(state), self.players.untrained()
        ours = Contestant(SEARCH, variables)
        others = {
            "random": Contestant(RANDOM, untrained),
            "untrained": Contestant(SEARCH, untrained),
            "raw_policy": Contestant(GREEDY, variables),
        }
        numbers = {"games": float(state.finished)}
        for name, other in others.items():
            score = self.players.match(ours, other, key)
            numbers[f"score/{name}"], numbers[f"error/{name}"] = score.mean, score.error
        return numbers


# The objectives of AlphaGo (2016), stage by stage


def imitation_loss(logits: jax.Array, action: jax.Array) -> jax.Array:
    """Stage 1, -log p_sigma(a | s): an expert's moves are learned, or people's (equation 1).

    Args:
      logits: `[B, P]`, of the points.
      action: `[B]`, what was played.
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, action).mean()


def reinforce_loss(
    logits: jax.Array, value: jax.Array | None, moves: Moves, games: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Stage 2, whose gradient is -1/n sum_i sum_t d log p_rho(a_t | s_t) / d rho (z_t - v(s_t)).

    (Methods, «Reinforcement learning of policy networks», equation 2.)

    Args:
      logits: `[N, A]`, of the moves.
      value: v `[N]`, the baseline, where the network has such a head; None for 0.
      moves: of one player of the games.
      games: n.

    Returns:
      The loss, and the squared error of v, which a network with that head learns as well.
    """
    log_p = jax.nn.log_softmax(jnp.where(moves.legal, logits, ILLEGAL))
    log_p = jnp.take_along_axis(log_p, moves.action[:, None], axis=1)[:, 0]
    baseline = 0.0 if value is None else jax.lax.stop_gradient(value)
    gain = jnp.where(moves.alive, log_p * (moves.outcome - baseline), 0.0)
    loss = -gain.sum() / games
    if value is None:
        return loss, {}
    errors = jnp.where(moves.alive, (moves.outcome - value) ** 2, 0.0)
    return loss, {"value_loss": errors.sum() / moves.alive.sum()}


def outcome_loss(v: jax.Array, z: jax.Array) -> jax.Array:
    """Stage 3, (z - v_theta(s))^2 (equation 3).

    Args:
      v, z: `[B]`, for the player to move; of each game one position alone, for those of one game
        have the same outcome, and are learned by heart.
    """
    return jnp.mean((z - v) ** 2)


def make_players(config: ConfigDict, tx: optax.GradientTransformation) -> BoardPlayers:
    """The network with two heads, and the players that it makes."""
    game, model = players.make_game(**config.game), config.model
    network = PolicyValueNetwork(
        model.blocks, model.filters, model.value_hidden, game.num_actions, config.compute_dtype
    )
    learner = Learner(network, tx, max_grad_norm=config.max_grad_norm)
    search, tests = players.SearchSettings(**config.search), players.MatchSettings(**config.eval)
    return BoardPlayers(game, learner, search, tests)


def make_stages(config: ConfigDict) -> Stages:
    """The stages of 2016, one after the other."""
    go = players.make_game(**config.game)
    if not isinstance(go, Go):
        raise UserError(f"method=alphago plays Go alone, not game.name={config.game.name}")
    return Stages(
        go,
        StageSettings(**config.alphago),
        PoolSettings(**config.reinforce),
        losses=Losses(imitation_loss, reinforce_loss, outcome_loss),
        seed=config.seed,
        has_expert=bool(config.rival),
    )


def build(config: ConfigDict) -> Experiment:
    """The experiment of the method; of the 2016 pipeline, that of one of its stages."""
    check_choice("method", config.method, ("alphazero", "alphago_zero", "alphago", "reinforce"))
    if config.method == "alphago":
        return make_stages(config).build(config.alphago.stage)
    if config.method == "reinforce":
        settings = PoolSettings(**config.reinforce)
        own = make_players(config, optax.sgd(settings.learning_rate))
        policy = TwoHeadedPolicy(own)
        return PolicyGradient(policy, settings, reinforce_loss, config.num_steps, own)
    return SelfPlay(config)


def main(experiment: Experiment, config: ConfigDict, workdir: Path) -> dict[str, float]:
    if config.method == "alphago":
        return train_alphago(config, workdir)
    state, numbers = training.run(experiment, config, workdir)
    key = jax.random.key(config.eval.seed + 1)
    if isinstance(experiment, SelfPlay) and config.elo.snapshots:
        plies = experiment.num_steps * config.self_play.games
        numbers |= measure_strength(
            experiment.players, state.snapshots, plies, workdir, key, watched=config.elo.watch
        )
    if config.rival:
        assert isinstance(experiment, SelfPlay | PolicyGradient)
        searcher, trained = run_arm(config, config.rival, workdir)
        theirs = experiment.learner.eval_variables(state.learner)
        numbers |= searcher.players.meet(searcher.player(trained), theirs, key)
    return numbers


def train_alphago(config: ConfigDict, workdir: Path) -> dict[str, float]:
    """All stages of 2016; without people's games the expert is the search of another arm."""
    expert = None
    if not config.alphago.sgf_folder:
        if not config.rival:
            raise UserError(NO_GAMES)
        searcher, trained = run_arm(config, config.rival, workdir)
        explore = config.self_play.explore_plies
        expert = Expert(searcher.search, searcher.player(trained), explore)

    def run(stage: Experiment, name: str, before: Any = None) -> Any:
        return training.run(stage, config, workdir / name, before)[0]

    return train_stages(
        make_stages(config),
        run,
        expert,
        tests=players.MatchSettings(**config.eval),
        simulations=config.search.simulations,
        games=config.self_play.games,
    )


def run_arm(config: ConfigDict, arm: str, workdir: Path) -> tuple[SelfPlay, State]:
    """The self-play of another arm with the same seed: at once where it has been run.

    Its folder is where the app runs it, so that it is trained once, whichever arm comes first.
    """
    setting = with_overrides(config, {**arms_of(config)[arm], "seed": config.seed})
    other = build(setting)
    assert isinstance(other, SelfPlay)
    state, _ = training.run(other, setting, workdir.parent.parent / arm / str(config.seed))
    return other, state


def demo(experiment: Experiment, state: Any) -> Demo:
    """A game of Go against the run, move by move."""
    if not isinstance(experiment, SelfPlay):
        raise UserError("the demo plays with a network that searches: take the arm alphazero")
    return make_demo(experiment.players, experiment.player(state))


def claims(results: Results) -> list[Claim]:
    if "alphazero" not in results.arms:  # a game alone
        return []
    others = {
        "random": (0.95, "random moves", ""),
        "untrained": (0.9, "the same search, untrained", ""),
        "raw_policy": (0.9, "its own network without search", "Elo 5,185 against 3,055 (2017)"),
    }
    rows = [
        results[f"score/{name}"].at_least(
            "alphazero", bar, claim=f"search against {other}: score", paper=paper, digits=3
        )
        for name, (bar, other, paper) in others.items()
    ]
    how: dict[str, Any] = {"paper": "", "digits": 3}
    if "no_search" in results.arms:
        claim = "games are searched, not played by the policy: score against the untrained"
        scores = results["score/untrained"]
        rows.append(scores.above("alphazero", "no_search", by=0.3, claim=claim, **how))
    if "reinforce" in results.arms:
        claim = "search against REINFORCE's policy: score"
        rows.append(results["rival/policy"].at_least("reinforce", 0.95, claim=claim, **how))
        claim = "search against the same search with REINFORCE's network: score"
        rows.append(results["rival/search"].at_least("reinforce", 0.8, claim=claim, **how))
        drawn = spread(results["rival/policy_policy"]["reinforce"], 3)
        rows.append(Claim("both without search, moves drawn: score", "", drawn, None))
    if "no_noise" in results.arms:
        claim = "against search that learned without noise: score"
        rows.append(results["rival/search"].at_least("no_noise", 0.65, claim=claim, **how))
    if "alphago" in results.arms:
        rows += pipeline_claims(results)
    return rows


def pipeline_claims(results: Results) -> list[Claim]:
    """Those of the 2016 pipeline."""
    names = ("complete_train", "complete_test", "one_train", "one_test")
    errors = results.side_by_side("alphago", **{name: f"mse/{name}" for name in names})
    paper = "0.19 and 0.37 of complete games, 0.226 and 0.234 of one position each"
    claim = "values learned from complete games do not hold for other games: squared error"
    rows = [
        errors.above("complete_test", "complete_train", by=0.3, claim=claim, paper=paper, digits=3)
    ]
    claim = "one position a game, as many in all: error on other games"
    rows.append(
        errors.above("complete_test", "one_test", by=0.1, claim=claim, paper=paper, digits=3)
    )
    claim = "policy after reinforcement against the supervised one: score"
    paper = "> 0.8, after 10,000 batches"
    rows.append(results["rl/sl"].at_least("alphago", 0.58, claim=claim, paper=paper, digits=3))
    gains = results.side_by_side("alphago", rl="rl/random", sl="sl/random")
    claim = "both against random moves"
    rows.append(gains.above("rl", "sl", by=0.1, claim=claim, paper="", digits=3))
    for name in ("values", "rollouts"):
        shown = spread(results[f"lambda/{name}"]["alphago"], 3)
        claim = f"mixed leaves against {name} alone: score"
        rows.append(Claim(claim, ">= 0.95", shown, None))
    shown = spread(results["policy/accuracy"]["alphago"], 3)
    rows.append(Claim("share of the expert's moves foretold", "0.57 of people's", shown, None))
    return rows


if __name__ == "__main__":
    app.run()
