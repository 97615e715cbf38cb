"""Weights leave a run as a safetensors file, and begin another, from file or folder."""

import json
from pathlib import Path

import numpy as np
import pytest

import research
from research import app, config
from research import commands as command_line
from research.core.tree import named_leaves
from research.weights import safetensors_file, selection

TOYS = Path(__file__).resolve().parents[1] / "toys"


@pytest.fixture(scope="module")
def line():
    return config.load_module(TOYS / "experiments" / "line.py")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, line):
    folder = tmp_path_factory.mktemp("weights") / "run"
    assert app.main(line, ["--workdir", str(folder)]) == 0
    return folder


def start(line, workdir, origin, *flags):
    one_step = ["--config.num_steps=1", "--config.seeds=5", "--arm=slow"]
    return app.main(
        line, [*one_step, f"--config.init_from={origin}", *flags, "--workdir", str(workdir)]
    )


def test_round_trip(workdir, tmp_path):
    out = tmp_path / "model.safetensors"
    assert command_line.main(["export", str(workdir), "--arm", "slow", "--out", str(out)]) == 0
    read = safetensors_file.load(out)
    state = research.load_run(workdir, arm="slow").state
    expected = selection.weights_of(state)
    assert set(read) == set(expected) == {"params/kernel", "params/bias"}
    for name, array in expected.items():
        np.testing.assert_array_equal(read[name], array)
    about = safetensors_file.about(out)
    assert (about["script"], about["arm"], about["step"]) == ("line", "slow", "20")
    assert json.loads(about["config"])["num_steps"] == 20


def test_what_is_a_weight():
    names = {
        "learner/params/a": True,
        "learner/variables/batch_stats/a": True,
        "learner/ema/params/a": True,
        "agent/target_params/a": True,
        "actors/moments/mean": True,
        "average/mean/a": True,
        "params/a": True,
        "learner/opt_state/0/mu/a": False,
        "learner/opt_state/params/a": False,
        "actors/env/params_of_nothing": False,
        "replay/items/reward": False,
    }
    assert {name: selection.is_weight(name) for name in names} == names


@pytest.mark.parametrize("kind", ["folder", "arm", "file"])
def test_a_run_begins_with_weights(kind, line, workdir, tmp_path, caplog):
    origin = {"folder": workdir, "arm": workdir / "fast" / "0", "file": tmp_path / "a.safetensors"}
    if kind == "file":
        flags = ["--arm", "fast", "--out", str(origin["file"])]
        assert command_line.main(["export", str(workdir), *flags]) == 0
    assert start(line, tmp_path / "next", origin[kind]) == 0
    # The arm of the same name, where the folder of the whole run is given.
    arm = "slow" if kind == "folder" else "fast"
    before = research.load_run(workdir, arm=arm)
    after = research.load_run(tmp_path / "next")
    # One step of a thousandth: hardly moved.
    np.testing.assert_allclose(
        after.state.params["kernel"], before.state.params["kernel"], atol=0.02
    )
    assert "2 arrays are taken, params/bias" in caplog.text


def test_what_fits_is_said(line, workdir, tmp_path, caplog):
    arrays = {
        "params/bias": np.full(1, 7.0, np.float32),
        "params/kernel": np.ones((9, 1)),
        "head": np.ones(2),
    }
    safetensors_file.save(tmp_path / "part.safetensors", arrays, {})
    assert start(line, tmp_path / "next", tmp_path / "part.safetensors") == 0
    assert "1 arrays are taken, params/bias\n" in caplog.text
    assert "1 begin as they are drawn, params/kernel [4, 1]" in caplog.text
    assert "2 are not used" in caplog.text and "params/kernel [9, 1]" in caplog.text
    fresh = line.Line(research.load_run(tmp_path / "next").config)
    assert named_leaves(fresh.initial or {}) == {}


def test_nothing_that_fits_is_refused(line, workdir, tmp_path, capsys):
    safetensors_file.save(tmp_path / "other.safetensors", {"params/a": np.ones(3)}, {})
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    for origin, words in {
        tmp_path / "other.safetensors": "fits this run",
        tmp_path / "broken.safetensors": "no safetensors file",
        tmp_path / "none.safetensors": "no file",
        tmp_path / "nowhere": "there is no run",
    }.items():
        assert start(line, tmp_path / "next", origin) == 2
        error = capsys.readouterr().err.strip()
        assert words in error and "\n" not in error and not (tmp_path / "next").exists()
    assert start(line, tmp_path / "next", workdir, "--config.vmap_seeds=true") == 2
    assert "vmap_seeds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which run?"),
        (["RUN"], "where to?"),
        (["RUN", "--out", "model.bin"], "ends in .safetensors"),
        (["RUN", "--out", "nowhere/model.safetensors"], "no folder"),
        (["RUN", "--bogus", "1"], "not understood"),
        (["RUN", "--seed", "x", "--out", "a.safetensors"], "whole number"),
        (["RUN", "--best", "--out", "a.safetensors"], "known to be the best"),
        (["nowhere", "--out", "a.safetensors"], "there is no run"),
    ],
)
def test_bad_words(words, said, workdir, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [str(workdir) if word == "RUN" else word for word in words]
    assert command_line.main(["export", *words]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())
