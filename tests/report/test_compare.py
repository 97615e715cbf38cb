"""`python -m research compare`: runs of several scripts in one table and one picture."""

from pathlib import Path

import pytest

from research import app, config
from research import commands as command_line
from research.report import compare

TOY = config.load_module(Path(__file__).parents[1] / "toys" / "experiments" / "line.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the toy script: (folder, result, paper)."""
    folders = [tmp_path_factory.mktemp("compare") / name for name in ("short", "long")]
    for folder, steps in zip(folders, (10, 20), strict=True):
        flags = ["--workdir", str(folder), f"--config.num_steps={steps}"]
        assert app.main(TOY, [*flags, "--config.check_claims=false"]) == 0
    found = command_line.read_finished([str(folder) for folder in folders])
    return [(folder, result, TOY.PAPER) for folder, result in found]


def test_table_has_a_row_for_each_arm_with_its_length_and_numbers(runs):
    lines = compare.table(runs).splitlines()
    assert lines[0] == "| run | arm | seeds | step | test/error |"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[:4] for row in rows] == [
        [run, arm, "2", steps]
        for run, steps in (("short", "10"), ("long", "20"))
        for arm in ("fast", "slow")
    ]
    errors = [numbers["test/error"] for numbers in runs[1][1]["arms"]["fast"].values()]
    mean, low, high = sum(errors) / 2, min(errors), max(errors)
    assert rows[2][4] == f"{mean:.4g} ({low:.4g} to {high:.4g})"


def test_curves_that_both_have_are_drawn(runs, tmp_path):
    paths = compare.draw(runs, tmp_path)
    assert [path.name for path in paths] == ["compare_test_error.png"] and paths[0].is_file()


def test_what_cannot_be_compared_is_one_line(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [str(folder) for folder, _, _ in runs]
    assert command_line.main(["compare", *folders]) == 2  # the toy is no script of the project
    error = capsys.readouterr().err
    assert "no script here" in error and error.count("\n") == 1
    assert command_line.main(["compare", folders[0]]) == 2
    assert not list(tmp_path.iterdir())
