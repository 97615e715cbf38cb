"""Marks of small texts, cells made to follow them, gates, brackets and errors."""

import numpy as np
import pytest

from research.papers.char_rnn import cells, figures
from research.papers.char_rnn.marks import LONGEST_LINE, bracket_distances, line_places, marks


def pieces(text, mark):
    """The runs of characters at which a mark is 1."""
    shown = "".join(c if m else "\0" for c, m in zip(text, mark, strict=True))
    return [piece for piece in shown.split("\0") if piece]


@pytest.mark.parametrize(
    ("text", "strings", "comments"),
    [
        ("a = 'b' + \"c\" # it's", ["'b", '"c'], ["# it's"]),
        ("x = r'\\'' + y", ["'\\'"], []),
        ("'''a\n'b' # no\n''' # c", ["'''a\n'b' # no\n''"], ["# c"]),
        ("print('(', f\"{x}\") #'", ["'(", '"{x}'], ["#'"]),
        ("don't\nit is", [], []),
    ],
)
def test_strings_and_comments_of_python(text, strings, comments):
    found = marks(text, "python")
    assert pieces(text, found["quotes"]) == strings
    assert pieces(text, found["comments"]) == comments


def test_depth_of_brackets_leaves_out_strings_and_comments():
    text = "f(a[1], '(') # ("
    depth = marks(text, "python")["brackets"].astype(int).tolist()
    assert depth == [0, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_names_of_speakers():
    text = "Hi: no.\n\nROMEO:\nO: she\n\nFirst Citizen:\nYou"
    assert pieces(text, marks(text, "prose")["names"]) == ["ROMEO", "First Citizen"]


def test_places_in_a_line():
    assert line_places("ab\nc\n\nd").astype(int).tolist() == [1, 2, 0, 1, 0, 0, 1]
    assert line_places("a" * 200).max() == LONGEST_LINE


def test_distances_of_closing_brackets():
    text = "f(a[1] ')' ) ] (}"
    found = bracket_distances(text, "python")
    assert {int(i): int(found[i]) for i in np.flatnonzero(found)} == {5: 2, 11: 10}
    assert bracket_distances(text, "prose")[8] == 7  # in prose quotes hide nothing


def test_a_cell_is_chosen_on_one_half_and_measured_on_the_other():
    rng = np.random.default_rng(0)
    mark = (rng.random((4, 500)) < 0.5).astype(float)
    values = rng.normal(size=(2, 4, 500, 3))
    values[1, :, :, 2] = -mark + 0.1 * rng.normal(size=mark.shape)
    found = cells.find_cell(values, mark)
    assert found[:2] == (1, 2) and -1 < found.correlation < -0.95
    # One that follows the first half alone is chosen, and then found out.
    values[0, :2, :, 1] = mark[:2]
    found = cells.find_cell(values, mark)
    assert found[:2] == (0, 1) and abs(found.correlation) < 0.1


def test_correlations_are_numpys():
    rng = np.random.default_rng(1)
    values, mark = rng.normal(size=(50, 3)), rng.normal(size=50)
    values[:, 2] = 0.3
    found = cells.correlations(values, mark)
    expected = [np.corrcoef(values[:, i], mark)[0, 1] for i in range(2)]
    np.testing.assert_allclose(found, [*expected, 0.0], atol=1e-12)


def test_saturation_is_of_each_gate_over_time():
    gates = np.array([[0.05, 0.5], [0.95, 0.5], [0.05, 0.95], [0.05, 0.05]]).reshape(1, 2, 2, 2)
    closed, opened = cells.saturation(gates)
    np.testing.assert_allclose(closed, [[0.75, 0.25]])
    np.testing.assert_allclose(opened, [[0.25, 0.25]])


def test_brackets_by_distance():
    found = cells.by_distance(np.array([1.0, 2.0, 4.0, 8.0, 9.0]), np.array([1, 2, 3, 900, 0]))
    assert found == {2: (1.5, 2), 5: (4.0, 1), 10_000: (8.0, 1)}


def test_errors_are_where_less_than_half_was_given():
    low, high = -np.log(0.4), -np.log(0.6)
    found = cells.errors(np.array([low, low, high, high]), np.array([low, high, low, high]))
    assert found == {"errors/network": 50.0, "errors/counts": 50.0, "errors/right_by_counts": 25.0}


def test_figures_are_drawn(tmp_path):
    values = np.random.default_rng(0).random((2, 3, 5, 4))
    figures.draw_gates(tmp_path / "gates.png", {"write": values, "forget": values})
    curves = {"LSTM": {2: (1.0, 3), 10_000: (2.0, 4)}, "counts": {2: (2.0, 3), 10_000: (3.0, 4)}}
    figures.draw_brackets(tmp_path / "brackets.png", curves)
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in ("gates", "brackets"))
