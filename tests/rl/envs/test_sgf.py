"""Games as SGF: out and in again, and one clear line for what is none."""

import numpy as np
import pytest

from research.core import UserError
from research.rl.envs import sgf


def test_games_come_back_as_they_were_written():
    rng = np.random.default_rng(0)
    for size in (5, 9, 19):
        moves = tuple(int(a) for a in rng.integers(size**2 + 1, size=40))
        record = sgf.Record(size, 6.5, moves, "W+R")
        back = sgf.read(sgf.write(record))
        assert (back.size, back.komi, tuple(back.moves), back.result) == (size, 6.5, moves, "W+R")
    handicap = sgf.Record(9, 0.5, (4, 5), black_stones=(20, 60))
    back = sgf.read(sgf.write(handicap))
    assert tuple(back.black_stones) == (20, 60) and tuple(back.moves) == (4, 5)


def test_the_main_line_is_read_and_the_rest_passed_over():
    text = r"""(;GM[1]SZ[5]KM[0.5]C[a \] b; (not a game)]
      ;B[aa]C[first];W[bb](;B[tt];W[])(;B[cc]))"""
    record = sgf.read(text)
    assert list(record.moves) == [0, 6, 25, 25] and record.komi == 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("hello", "no SGF"),
        ("(;SZ[5];B[aa]", "cut off"),
        ("(;SZ[5];B[aa];W[b", "no SGF in line 1"),
        ("(;SZ[5];B[zz])", r"\[zz\] is no point of a board of 5x5"),
        ("(;SZ[5];B[aaa])", "is no point"),
        ("(;SZ[5];W[aa])", "it is the turn of B"),
        ("(;GM[2])", "not Go"),
        ("(;SZ[99])", "2 to 25"),
        ("(;SZ[5:7])", "is no number"),
        ("(;KM[lots])", "is no number"),
        ("(B[aa])", "begins with"),
        ("\x00\x01\x02", "no SGF"),
    ],
)
def test_what_is_no_game_is_one_line(text, words):
    with pytest.raises(UserError, match=words) as error:
        sgf.read(text, "game.sgf")
    assert str(error.value).startswith("game.sgf: ") and "\n" not in str(error.value)
