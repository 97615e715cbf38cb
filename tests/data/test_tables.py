"""Tables: by name and of one's own, what is wrong with them in one line, splits and scaling."""

import numpy as np
import pytest

from research import data
from research.core.errors import UserError
from research.data import tables
from research.data.dataset import Dataset

GOOD = "hour,load,PUE,note\n0,7.5,1.11,ok\n1,8,1.12,\n2,8.5,1.125,hot\n"


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "plant.csv"
        path.write_text(text, encoding="utf-8")
        return f"table:{path}"

    return write


def test_columns_of_numbers_are_inputs_and_one_is_the_target(csv):
    table = tables.read_table(csv(GOOD), "PUE")
    assert table.names == ("hour", "load") and table.target == "PUE"
    np.testing.assert_allclose(table.inputs, [[0, 7.5], [1, 8], [2, 8.5]])
    np.testing.assert_allclose(table.targets, [1.11, 1.12, 1.125], rtol=1e-6)
    assert "3 rows of 4 columns" in table.origin


def test_texts_are_kept_in_records(csv):
    records = data.load(csv(GOOD), "train")
    assert records[2] == {"hour": 2, "load": 8.5, "PUE": np.float32(1.125), "note": "hot"}
    assert len(data.load(csv(GOOD), "train[:2]")) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hour,PUE\n0,1.1\n1,\n", "line 3, column 'PUE': the cell is empty"),
        ("hour,PUE\n0,1.1\n1,n/a\n", "line 3, column 'PUE': 'n/a' is no number"),
        ("hour,PUE\n0,1.1\n1,inf\n", "line 3, column 'PUE': 'inf' is no number"),
        ("hour,PUE\n0,1.1,2\n", "line 2: 3 cells, but the first line names 2"),
        ("hour,PUE\n0\n", "line 2: 1 cells"),
        ("hour,hour\n0,1\n", "line 1: 'hour' is no name of a column, or of two"),
        ("hour,\n0,1\n", "line 1: '' is no name"),
        ("hour,PUE\n", "has no rows"),
        ("", "has no rows"),
        ('hour,PUE\n0,"1.1\n', "line 2"),
        ("hour,load\n0,1\n", "has no column of numbers 'PUE'; it has hour, load"),
        ("PUE,note\n1,a\n", "has no column of numbers beside 'PUE'"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(csv, text, words):
    with pytest.raises(UserError) as error:
        tables.read_table(csv(text), "PUE")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_table_that_is_not_there_or_is_none(csv, tmp_path):
    with pytest.raises(UserError, match="there is no"):
        tables.read_table(f"table:{tmp_path}/other.csv", "PUE")
    with pytest.raises(UserError, match="'mnist' is no table; there are"):
        tables.read_table("mnist", "label")
    with pytest.raises(UserError, match="has no split 'test'"):
        data.load(csv(GOOD), "test")


def test_a_gap_in_a_published_table_is_named(monkeypatch):
    inputs = np.ones((4, 4), np.float32)
    inputs[2, 2] = np.nan  # what the reader makes of an empty cell
    records = [{"inputs": row, "targets": np.ones(1, np.float32)} for row in inputs]
    monkeypatch.setattr(tables, "load", lambda *args: Dataset(records, "four rows"))
    with pytest.raises(UserError, match="row 3, column 'AP': the cell is empty"):
        tables.read_table("ccpp", "EP")


def test_splits_are_all_rows_once():
    for how in tables.SPLITS:
        train, test = tables.split_rows(10, 0.7, how, seed=1)
        assert sorted([*train, *test]) == list(range(10)) and len(train) == 7
    assert tables.split_rows(10, 0.7, "chronological", 1)[1].tolist() == [7, 8, 9]
    assert tables.split_rows(10, 0.7, "shuffled", 1)[1].tolist() != [7, 8, 9]
    with pytest.raises(UserError, match="leaves nothing"):
        tables.split_rows(3, 0.99, "shuffled", 1)


def test_scaling_is_by_mean_and_range_of_the_training_rows():
    rows = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0], [10.0, 5.0]])
    scaling = tables.Scaling.of(rows)
    np.testing.assert_allclose(scaling(rows)[:, 0], [-0.4, -0.2, 0.0, 0.6])
    np.testing.assert_allclose(scaling(rows)[:, 1], 0.0)  # it does not vary
    np.testing.assert_allclose(scaling.undo(scaling(rows)), rows, atol=1e-6)


def make(how="shuffled", num_inputs=2):
    def open_table():
        hours = np.arange(40, dtype=np.float32)
        inputs = np.stack([hours, np.cos(hours)], 1)
        return tables.Table(("hour", "cosine"), inputs, "target", 3 * hours, "forty rows")

    return tables.SplitTable(open_table, num_inputs, 0.5, how, seed=0)


def test_nothing_of_the_test_rows_is_in_the_scaling():
    split = make("chronological")
    assert split.kept.inputs.mean[0] == pytest.approx(9.5)
    assert split.kept.inputs.span[0] == 19
    assert split.kept.target_scaling.span == 57
    arrays, origin = split.open_train()
    assert arrays["inputs"].shape == (20, 2) and np.ptp(arrays["target"]) == pytest.approx(1.0)
    assert origin == "forty rows"
    assert split.kept.moments["a typical moment"][0] in (29, 30)
    assert split.kept.moments["a moment of high values"][0] in (37, 38)


def test_what_a_run_keeps_comes_back():
    one, other = make(), make()
    other.open_table = None  # the data is gone
    other.from_files(one.to_files())
    assert other.kept.names == ("hour", "cosine")
    np.testing.assert_allclose(other.kept.inputs.span, one.kept.inputs.span)
    for name, row in one.kept.moments.items():
        np.testing.assert_allclose(other.kept.moments[name], row)


def test_another_number_of_inputs_is_refused():
    with pytest.raises(UserError, match="set --config.data.num_inputs=2"):
        make(num_inputs=3).open_train()
