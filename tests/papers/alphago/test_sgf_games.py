"""A folder of people's games: what is learned from it, and what is refused."""

import collections
import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from configs.alphago import get_config
from experiments import alphago
from research import app
from research.config import load_module
from research.core import UserError
from research.papers.alphago import pipeline
from research.papers.alphago.sgf_games import SgfSource, read_games
from research.rl.envs import sgf
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES

ROOT = Path(__file__).resolve().parents[3]
GO = Go(3, 2.5, max_plies=12, history=1)


def write(folder, *games, size=3):
    """Files of games such as "B2 A1 pass", with results that black wins in every second one."""
    rules = Go(size, 2.5)
    for i, moves in enumerate(games):
        actions = [rules.read_move(word) for word in moves.split()]
        record = sgf.Record(size, 2.5, actions, ("B+1", "W+R")[i % 2])
        (folder / f"{i:02d}.sgf").write_text(sgf.write(record))
    return folder


@functools.cache
def replay():
    return jax.jit(lambda state: pipeline.value_planes(GO, state)), jax.jit(GO.play)


def planes_after(moves):
    planes, play = replay()
    state = GO.init()
    for action in moves:
        state = play(state, np.int32(action))
    return np.asarray(planes(state))


GAMES = ("B2 A1 A2 pass pass", "A1 C3 B2", "C1 pass A3 B1 B3")


def test_positions_are_those_of_the_games_without_passes(tmp_path):
    source = SgfSource(GO, write(tmp_path, *GAMES), 4, seed=0, block_games=5)
    source.open()
    found = source.positions(np.arange(3))
    assert len(found.action) == 3 + 3 + 4
    assert source.origin.startswith("3 games of ")
    for game, moves in enumerate(GAMES):
        actions = [GO.read_move(word) for word in moves.split()]
        plies = [t for t, action in enumerate(actions) if action != GO.passing]
        own = found.game == game
        assert found.action[own].tolist() == [actions[t] for t in plies]
        winner = (1, -1)[game % 2]
        assert found.outcome[own].tolist() == [winner * (1, -1)[t % 2] for t in plies]
        planes = pipeline.unpack(GO, found.planes[own])
        for row, t in enumerate(plies):
            np.testing.assert_array_equal(planes[row], planes_after(actions[:t]))


def test_every_position_comes_once_in_an_epoch_and_a_resumed_source_goes_on(tmp_path):
    folder = write(tmp_path, *GAMES, *GAMES)
    source = SgfSource(GO, folder, 4, seed=0, block_games=5)
    source.open()
    held_out = source.test_positions()
    assert set(held_out.game) == {0}
    batches, states = [], []
    for _ in range(6):
        states.append(source.get_state())
        batches.append(source(None))
    # Five games are learned from, 3 + 3 + 4 + 3 + 4 positions: four batches of four in an epoch.
    assert states[4] == {"block": 1, "batch": 0}
    drawn = collections.Counter(
        (planes.tobytes(), int(action))
        for batch in batches[:4]
        for planes, action in zip(batch["planes"], batch["action"], strict=True)
    )
    there = source.positions(np.arange(1, 6))
    planes = pipeline.unpack(GO, there.planes)
    assert len(there.action) == 17
    all_of_them = collections.Counter(
        (row.tobytes(), int(action)) for row, action in zip(planes, there.action, strict=True)
    )
    assert drawn <= all_of_them
    again = SgfSource(GO, folder, 4, seed=0, block_games=5)
    again.open()
    again.set_state(states[5])
    jax.tree.map(np.testing.assert_array_equal, again(None), batches[5])
    jax.tree.map(
        lambda x, s: np.testing.assert_equal((x.shape, x.dtype), (s.shape, s.dtype)),
        batches[0],
        source.spec,
    )


def test_a_handicap_is_where_white_begins(tmp_path):
    write(tmp_path, "A1 B1")
    (tmp_path / "handicap.sgf").write_text("(;SZ[3]AB[aa][cc];W[bb];B[ac])")
    games = read_games(GO, tmp_path)
    assert games.setup.tolist() == [0, 3]
    source = SgfSource(GO, tmp_path, 2, seed=0, block_games=5)
    source.open()
    found = source.positions(np.array([1]))
    planes = pipeline.unpack(GO, found.planes)
    assert found.action.tolist() == [GO.read_move("B2"), GO.read_move("A1")]
    assert planes[0, ..., 1].sum() == 2 and not planes[0, ..., NUM_PLANES].any()  # white to move


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(;SZ[3];B[aa]", "bad.sgf: the game is cut off"),
        ("hello", "bad.sgf: no SGF"),
        ("(;SZ[19];B[aa])", "bad.sgf: a board of 19x19, but the network is for 3x3"),
        ("(;SZ[3];B[aa];W[bb];B[aa])", "bad.sgf: move 3, A3, is not legal: there is a stone"),
        ("(;SZ[3];B[ab];W[cc];B[ba];W[aa])", "bad.sgf: move 4, A3, is not legal: .* suicide"),
        ("(;SZ[3];B[];W[];B[aa])", "bad.sgf: move 3, A3, comes after the end"),
        ("(;SZ[3]AB[aa][aa];W[bb])", "bad.sgf: its set-up stones are no position"),
    ],
)
def test_a_game_that_cannot_be_learned_from_is_named(tmp_path, text, words):
    write(tmp_path, "A1 B1", "B2")
    (tmp_path / "bad.sgf").write_text(text)
    with pytest.raises(UserError, match=words) as error:
        read_games(GO, tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_games_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        read_games(GO, tmp_path / "none")
    with pytest.raises(UserError, match="0 games in"):
        read_games(GO, tmp_path)


@pytest.mark.slow  # compiles an update
def test_the_policy_of_2016_learns_from_the_folder(tmp_path):
    config = get_config("smoke")
    config.method = "alphago"
    config.alphago.sgf_folder = str(write(tmp_path, *GAMES))
    stage = app.build(alphago, config)
    stage.source.open()
    state = jax.jit(stage.init)(jax.random.key(0))
    step = jax.jit(stage.step)
    losses = []
    for t in range(20):
        state, metrics = step(state, stage.source(state), t, jax.random.key(t))
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("variant", ["alphago", "alphago_value"])
def test_without_games_nothing_is_begun(tmp_path, variant, capsys):
    flags = ["--config", f"{ROOT}/configs/alphago.py:{variant}"]
    module = load_module(ROOT / "experiments" / "alphago.py")
    assert app.main(module, [*flags, "--workdir", str(tmp_path / "run")]) == 2
    assert "alphago.sgf_folder" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_damaged_file_ends_a_run_before_it_begins(tmp_path, capsys):
    folder = tmp_path / "games"
    folder.mkdir()
    write(folder, *GAMES)
    (folder / "bad.sgf").write_text("(;SZ[3];B[aa];W[aa])")
    flags = ["--config", f"{ROOT}/configs/alphago.py:smoke_all", "--arm", "alphago"]
    flags += [f"--config.alphago.sgf_folder={folder}", "--workdir", str(tmp_path / "run")]
    module = load_module(ROOT / "experiments" / "alphago.py")
    assert app.main(module, flags) == 2
    assert "bad.sgf: move 2, A3, is not legal" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
