"""What is AlphaGo's own: losses against NumPy, signs, the evaluator, the pipeline, the demo."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.alphago import get_config
from experiments import alphago
from research import app
from research.config import load_module
from research.core import UserError
from research.core.tree import count_parameters
from research.papers.alphago import pipeline
from research.papers.alphago.players import GREEDY, SEARCH, Contestant
from research.papers.alphago.policy_games import Moves
from research.report.demo import Demo
from research.rl.envs import sgf
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES, SENSIBLE, feature_planes
from research.rl.self_play import Positions

ROOT = Path(__file__).resolve().parents[3]


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in overrides.items()})
    return config


@functools.cache
def built(variant="smoke", **overrides):
    return app.build(alphago, configured(variant, **overrides))


@functools.cache
def begun(**overrides):
    return jax.jit(built(**overrides).init)(jax.random.key(0))


def test_the_default_has_the_parameters_that_were_counted_by_hand():
    state = jax.eval_shape(built("").init, jax.random.key(0))
    assert count_parameters(state)["learner"] == 40_917


def test_the_loss_is_equation_1():
    experiment = built(train__symmetries=False)
    state = begun()
    rng = np.random.default_rng(0)
    pi = rng.dirichlet(np.ones(10), 8).astype(np.float32)
    z = rng.choice([-1.0, 1.0], 8).astype(np.float32)
    planes = rng.integers(0, 2, (8, 3, 3, 3)).astype(np.float32)
    variables = experiment.learner.eval_variables(state.learner)
    batch = Positions(jnp.array(planes), jnp.array(pi), jnp.array(z), jnp.ones(8, bool))
    (logits, v), _ = experiment.learner.apply(
        variables, batch.planes, train=True, mutable=["batch_stats"]
    )
    logits, v = np.asarray(logits, np.float64), np.asarray(v, np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    squares = sum(
        (np.asarray(x, np.float64) ** 2).sum() for x in jax.tree.leaves(variables["params"])
    )
    expected = ((z - v) ** 2).mean() - (pi * log_p).sum(axis=1).mean() + 1e-4 * squares
    loss, _ = experiment.loss(variables, batch, jax.random.key(0))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_an_update_of_reinforce_raises_what_won():
    """The gradient is that of -1/n sum log p (z - v) over moves of running games."""
    experiment = built(method="reinforce", reinforce__value_weight=0.0, reinforce__games=2)
    learner = experiment.policy.init(jax.random.key(1))
    variables = experiment.learner.eval_variables(learner)
    rng = np.random.default_rng(0)
    moves = Moves(
        planes=jnp.array(rng.integers(0, 2, (4, 3, 3, 3)), jnp.float32),
        legal=jnp.ones((4, 10), bool).at[:, 0].set(False),
        action=jnp.array([1, 2, 3, 9]),
        outcome=jnp.array([1.0, -1.0, 1.0, 1.0]),
        alive=jnp.array([True, True, True, False]),
    )
    (logits, v), _ = experiment.learner.apply(
        variables, moves.planes, train=True, mutable=["batch_stats"]
    )
    logits = np.where(moves.legal, logits, -np.inf)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    gain = log_p[np.arange(4), moves.action] * (np.asarray(moves.outcome) - v)
    loss, _ = experiment.loss(variables, moves, jax.random.key(0))
    np.testing.assert_allclose(loss, -gain[:3].sum() / 2, rtol=1e-4)


def test_self_play_learns_from_finished_games_for_whose_turn_it_was():
    """After some steps a row's z is the winner's colour times that of the player to move."""
    experiment = built(self_play__explore_plies=99)
    play = jax.jit(experiment.play)
    state, rows = begun(), []
    for t in range(26):
        state, _ = play(state, jax.random.key(t))
        rows.append(state.games)
    memory = jax.device_get(state.memory)
    checked = 0
    for column in range(8):
        start = 0
        for t, after in enumerate(rows):
            if after.plies[column] == 0:  # a game ended with this move
                action_rows = slice(start, t + 1)
                outcomes = memory.outcome[action_rows, column]
                assert memory.known[action_rows, column].all() and len(set(outcomes)) == 1
                assert memory.ply[action_rows, column].tolist() == list(range(t + 1 - start))
                checked, start = checked + 1, t + 1
        assert not memory.known[start:26, column].any()
    assert checked > 8
    np.testing.assert_array_equal(memory.visits[:26].sum(axis=2), 4)
    drawn = experiment.memory.sample(state.memory, jax.random.key(0), 50, 12)
    # Black is to move where the colour plane says so, and z is its own.
    assert drawn.known.all()


@pytest.mark.slow  # compiles a second step
def test_evaluator_resignation_and_kept_trees():
    overrides = dict(
        method="alphago_zero",
        search__reuse=True,
        self_play__resign_wrong=0.05,
        gate__every_steps=5,
        gate__openings=4,
        search__c_base=0.0,
    )
    experiment = built(**overrides)
    state = jax.jit(experiment.init)(jax.random.key(0))
    first = jax.device_get(state.best)
    step, scores = jax.jit(experiment.step), []
    for t in range(20):
        state, metrics = step(state, None, jnp.int32(t), jax.random.key(t))
        newest = jax.device_get(experiment.learner.eval_variables(state.learner))
        best = jax.device_get(state.best)
        if np.isfinite(metrics["gate_score"]):
            scores.append(float(metrics["gate_score"]))
            taken = all(jax.tree.leaves(jax.tree.map(np.array_equal, best, newest)))
            assert taken == (scores[-1] > 0.55)
            first = best
        else:
            jax.tree.map(np.testing.assert_array_equal, best, first)
        carried = np.asarray(state.tree.root_visits.sum(axis=1))
        assert (carried <= experiment.search.capacity).all()
    assert len(scores) == 4


def test_a_player_against_itself_scores_one_half():
    experiment = built(search__symmetries=False)
    variables = experiment.players.untrained()
    for kind in (SEARCH, GREEDY):
        same = Contestant(kind, variables)
        assert experiment.players.match(same, same, jax.random.key(0)).mean == 0.5


@pytest.mark.slow  # compiles every stage
def test_every_method_runs_to_its_end(tmp_path):
    config_flags = ["--config", f"{ROOT}/configs/alphago.py:smoke_all"]
    module = load_module(ROOT / "experiments" / "alphago.py")
    assert app.main(module, [*config_flags, "--workdir", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    numbers = {arm: seeds["0"] for arm, seeds in result["arms"].items()}
    assert set(numbers) == {"alphazero", "reinforce", "alphago"}
    assert {"policy/accuracy", "rl/sl", "mse/one_test", "lambda/values"} <= set(numbers["alphago"])
    assert "rival/search" in numbers["reinforce"]
    game = tmp_path / "run" / "alphazero" / "0" / "newest_against_first.sgf"
    record = sgf.read(game.read_text())
    play, state = jax.jit(built().game.play), built().game.init()
    for action in record.moves:
        assert state.legal[action] and not state.over
        state = play(state, jnp.int32(action))
    assert state.over


# The 48 planes


GO = Go(5, 7.5, history=1)


@functools.cache
def planes_function():
    return jax.jit(lambda state: feature_planes(GO, state)), jax.jit(GO.play)


def features(moves):
    compute, play = planes_function()
    state = GO.init()
    for name in moves.split():
        action = GO.read_move(name)
        assert state.legal[action], name
        state = play(state, jnp.int32(action))
    return np.asarray(compute(state))


def at(planes, name, first, count=1):
    """The planes from `first` on that are set on a point, counted from 1."""
    row, column = divmod(GO.read_move(name), 5)
    return [i + 1 for i in range(count) if planes[row, column, first + i]]


def test_the_planes_of_a_hand_made_board():
    planes = features("C3 C4 B3 B4 E1 A3")
    assert planes.shape == (5, 5, NUM_PLANES)
    assert at(planes, "C3", 0, 3) == [1] and at(planes, "C4", 0, 3) == [2]
    assert at(planes, "A1", 0, 3) == [3]
    assert planes[..., 3].all() and not planes[..., 47].any()
    assert at(planes, "A3", 4, 8) == [1] and at(planes, "C3", 4, 8) == [6]  # turns since
    assert at(planes, "B3", 12, 8) == [3]  # liberties of B3 and C3: B2, C2, D3
    assert at(planes, "A3", 12, 8) == [2]  # A2 and A4
    assert at(planes, "A4", 20, 8) == []  # captures nothing
    assert at(planes, "A4", 28, 8) == [1]  # one stone with one liberty, A5: self-atari
    assert at(planes, "A4", 36, 8) == [1]
    assert at(planes, "D3", 36, 8) == [5]
    assert at(planes, "C3", SENSIBLE) == [] and at(planes, "D3", SENSIBLE) == [1]
    captures = features("A4 A5")
    assert at(captures, "B5", 20, 8) == [1]  # black takes A5 in the corner


def test_an_own_eye_is_not_sensible():
    planes = features("A4 E1 B5 E2 B4 E3")
    assert at(planes, "A5", SENSIBLE) == []
    assert at(planes, "C5", SENSIBLE) == [1]


def test_ladders_at_the_rim():
    # White's A3 has two liberties, A2 and A4. Black's A4 puts it into atari, and it runs along
    # the first line, where black's B2 and B1 hold it.
    planes = features("B3 A3 B2 E5 B1 E4")
    assert at(planes, "A4", 44) == [1]
    # With a friend at A1 the chain that runs has liberties enough after black's A4? It has not:
    # but in the open it escapes.
    free = features("C4 C3 B3 E5")
    assert at(free, "D3", 44) == [] and at(free, "C2", 44) == []


# The pipeline


def test_one_position_a_game_is_the_one_after_the_random_move():
    """U - 1 moves of the first policy, one of any, the rest of the second: told from the moves."""
    go = Go(3, 0.5, max_plies=12, history=1)

    def pick(point):
        def choose(states, key):
            order = jnp.where(jnp.arange(10) == point, 99, jnp.arange(10) % 9)
            return jnp.where(states.legal, order, -1).argmax(axis=1)

        return choose

    found = jax.jit(lambda key: pipeline.one_position_a_game(go, pick(0), pick(8), 4, 64, key))(
        jax.random.key(0)
    )
    planes = pipeline.unpack(go, np.asarray(found["planes"]))
    stones = planes[..., :2].sum(axis=(1, 2, 3))[np.asarray(found["kept"])]
    assert set(stones) <= {0, 1, 2, 3, 4} and len(set(stones)) > 2
    assert set(np.unique(found["outcome"])) <= {-1.0, 1.0}


def test_labelled_games_drop_passes_and_tell_games_apart():
    go = Go(3, 0.5, max_plies=12, history=1)

    def choose(states, key):
        return jax.random.categorical(key, jnp.where(states.legal, 0.0, -1e9))

    play = jax.jit(lambda key: pipeline.label_games(go, choose, 8, key))
    batches = [play(jax.random.key(i)) for i in range(2)]
    labelled = pipeline.collect(batches, "kept")
    assert (labelled.action < 9).all() and set(labelled.game) <= set(range(16))
    assert len(labelled.planes) == sum(int(b["kept"].sum()) for b in batches)
    source = pipeline.PositionSource(go, 8, seed=0)
    source.labelled = labelled
    one = source(None)
    source.set_state({"step": 0})
    np.testing.assert_array_equal(one["planes"], source(None)["planes"])
    jax.tree.map(
        lambda x, s: np.testing.assert_equal((x.shape, x.dtype), (s.shape, s.dtype)),
        one,
        source.spec,
    )


def test_no_sensible_move_is_a_pass():
    planes = jnp.zeros((2, 3, 3, 48)).at[0, 1, 1, SENSIBLE].set(1)
    logits = pipeline.point_logits(jnp.zeros((2, 9)), planes)
    assert logits.argmax(axis=1).tolist() == [4, 9]
    assert jax.nn.softmax(logits)[0, 9] == 0


# The demo, and games in and out


@functools.cache
def demonstrated() -> Demo:
    return alphago.demo(built(), begun())


def test_the_demo_answers_with_its_defaults_and_goes_on():
    demo = demonstrated()
    out = demo.run(**demo.defaults())
    assert set(out) == set(demo.outputs)
    assert out["board"].dtype == np.uint8 and out["board"].shape[2] == 3
    moves = out["moves"].split()
    assert len(moves) == 1 and moves[0] in out["reply"]
    again = demo.run(**{**demo.defaults(), "moves": out["sgf"]})
    assert again["moves"].split()[0] == moves[0] and len(again["moves"].split()) == 2
    assert list(sgf.read(again["sgf"]).moves)[0] == built().game.read_move(moves[0])
    over = demo.run(**{**demo.defaults(), "moves": "B2 pass pass"})
    assert "over: B+6.5" in over["reply"]


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ("B2 B2", "move 2, B2, is not legal: there is a stone"),
        ("B9", "no move on Go 3x3"),
        ("hello", "no move"),
        ("B2 pass pass A1", "after the end"),
        ("A2 pass B3 A3", "suicide"),
        ("(;SZ[5];B[aa])", "not 5x5"),
        ("(;SZ[3];B[aa]", "cut off"),
        ("(;SZ[3]AB[aa];W[bb])", "handicap"),
    ],
)
def test_what_the_demo_cannot_take_is_one_line(moves, words):
    with pytest.raises(UserError, match=words) as error:
        demonstrated().run(moves=moves)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"method": "go"}, "method is one of"),
        ({"game__name": "chess"}, "game.name is one of"),
        ({"gate__every_steps": 5}, "AlphaZero has no evaluator"),
        ({"train__batch_size": 9}, "not a multiple"),
        ({"memory__rows": 5}, "before they end"),
        ({"search__leaves": 3}, "do not divide"),
        ({"method": "alphago", "game__name": "tic_tac_toe"}, "plays Go alone"),
        ({"method": "alphago", "alphago__stage": "x"}, "alphago.stage is one of"),
        ({"method": "reinforce", "reinforce__games": 3}, "is even"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides, words):
    with pytest.raises(UserError, match=words):
        app.build(alphago, configured(**overrides))


# The papers' tables


def test_the_papers_schedule():
    config = get_config("paper")
    assert config.self_play.games * config.num_steps == pytest.approx(1.43e9, rel=0.01)
    assert config.memory.rows * config.self_play.games == pytest.approx(500_000 * 293, rel=0.01)
    experiment = app.build(alphago, config)
    assert experiment.game.num_planes == 17 and experiment.game.max_plies == 722
    state = jax.eval_shape(lambda: experiment.learner.tx.init({"w": jnp.zeros(1)}))
    assert len(jax.tree.leaves(state)) == 2  # a velocity and a count: momentum, no Adam
    assert config.train.batch_size == 2_048 and config.search.simulations == 1_600


def test_the_rate_drops_where_the_paper_says():
    experiment = app.build(alphago, configured("paper"))
    params = {"w": jnp.ones(1)}
    tx = experiment.learner.tx
    for step, rate in ((0, 1e-2), (399_999, 1e-2), (400_000, 1e-3), (600_001, 1e-4)):
        state = tx.init(params)
        state = jax.tree.map(
            lambda x, step=step: jnp.int32(step) if x.dtype == jnp.int32 else x, state
        )
        updates, _ = tx.update({"w": jnp.ones(1)}, state, params)
        np.testing.assert_allclose(updates["w"], -rate, rtol=1e-5)
