"""A finished run comes back from its folder alone; what is unfinished or damaged is one line."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import research
from research import app, config
from research.core import UserError
from research.training import restore, run_folder

TOYS = Path(__file__).resolve().parents[1] / "toys"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    line = config.load_module(TOYS / "experiments" / "line.py")
    best = ["--config.best_metric=test/error", "--config.eval_every_steps=5"]
    saved = ["--config.checkpoint_every_steps=5", "--config.keep_checkpoints=4"]
    assert app.main(line, [*best, *saved, "--workdir", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(workdir, tmp_path):
    return Path(shutil.copytree(workdir, tmp_path / "run"))


def test_config_experiment_and_state(workdir):
    run = research.load_run(workdir, arm="fast", seed=1)
    assert (run.arm, run.seed, run.step) == ("fast", 1, 20)
    assert run.config.learning_rate == 0.1 and run.config.sizes == (1, 2)
    assert run.evaluate() == run.numbers
    assert research.load_run(workdir / "fast" / "1").numbers == run.numbers
    first = research.load_run(workdir)
    assert (first.arm, first.seed) == ("fast", 0) and first.numbers != run.numbers
    assert research.load_run(workdir, arm="slow").config.learning_rate == 0.001


def test_nothing_else_is_read(copied, tmp_path, monkeypatch):
    """Neither the configuration's file nor the folder where the run was made."""
    monkeypatch.setattr(config, "load_config", None)
    moved = Path(shutil.move(copied, tmp_path / "moved"))
    assert research.load_run(moved).numbers


def test_the_whole_configuration_comes_back(workdir):
    noted = config.from_plain(json.loads((workdir / run_folder.RUN).read_text())["config"])
    original = config.load_config(TOYS / "configs" / "line.py")
    for key in ("sizes", "mesh", "seeds", "learning_rate", "flag", "name"):
        assert noted[key] == original[key] and type(noted[key]) is type(original[key]), key
    assert config.arms_of(noted) == config.arms_of(original)


def test_the_best_checkpoint(workdir):
    place = workdir / "fast" / "0"
    records = [json.loads(row) for row in (place / "metrics.jsonl").read_text().splitlines()]
    errors = {r["step"]: r["test/error"] for r in records if "test/error" in r}
    run = research.load_run(workdir, arm="fast", best=True)
    assert len(errors) == 4 and run.step == min(errors, key=errors.get)
    assert run.evaluate()["test/error"] == pytest.approx(min(errors.values()), rel=1e-6)


def test_a_run_without_a_metric_has_no_best_one(copied):
    for file in copied.glob("*/*/metrics.jsonl"):
        file.write_text("")
    with pytest.raises(UserError, match="known to be the best"):
        research.load_run(copied, best=True)


def test_without_the_optimizer(workdir):
    run, whole = (research.load_run(workdir, optimizer=o) for o in (False, True))
    assert run.state.opt_state is None and whole.state.opt_state is not None
    jax.tree.map(np.testing.assert_array_equal, run.state.params, whole.state.params)
    assert run.evaluate() == whole.numbers


def test_overrides(workdir):
    run = research.load_run(workdir, overrides={"worst_loss": 3.0})
    assert run.experiment.worst_loss == 3.0
    with pytest.raises(UserError, match="no configuration key 'bogus'"):
        research.load_run(workdir, overrides={"bogus": 3.0})


def damage_arrays(run):
    """One bit of every file that holds numbers."""
    for path in (run / "fast" / "0" / "checkpoints" / "20" / "arrays").rglob("d/*"):
        content = bytearray(path.read_bytes())
        content[-9] ^= 1
        path.write_bytes(content)


BAD = {
    "no folder": (lambda run: shutil.rmtree(run), "there is no run"),
    "not a run": (lambda run: (run / "run.json").unlink(), "not the folder of a run"),
    "no JSON": (lambda run: (run / "run.json").write_text("{"), "is damaged"),
    "lacks a key": (lambda run: (run / "run.json").write_text("{}"), "no 'script'"),
    "no arm": (lambda run: [p.unlink() for p in run.glob("*/*/result.json")], "no arm"),
    "this arm": (lambda run: [p.unlink() for p in run.glob("fast/*/result.json")], "'fast'"),
    "no checkpoint": (
        lambda run: shutil.rmtree(run / "fast" / "0" / "checkpoints"),
        "no checkpoint",
    ),
    "metadata": (
        lambda run: next(run.glob("fast/0/checkpoints/20/extra/metadata")).write_text("["),
        "is damaged",
    ),
    "arrays": (damage_arrays, "is damaged"),
    "half of it": (
        lambda run: shutil.rmtree(run / "fast" / "0" / "checkpoints" / "20" / "arrays"),
        "is damaged",
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_what_cannot_be_loaded_is_one_line(how, copied):
    spoil, words = BAD[how]
    spoil(copied)
    with pytest.raises(UserError, match=words) as raised:
        research.load_run(copied, arm="fast")
    assert "\n" not in str(raised.value)


def test_unknown_arms_and_seeds(workdir):
    with pytest.raises(UserError, match="there are fast, slow"):
        research.load_run(workdir, arm="middle")
    with pytest.raises(UserError, match="there are 0, 1"):
        research.load_run(workdir, seed=7)


def test_another_experiment_is_named(copied):
    noted = json.loads((copied / "run.json").read_text())
    noted["script"] = str(TOYS / "experiments" / "gone.py")
    (copied / "run.json").write_text(json.dumps(noted))
    with pytest.raises(UserError, match="not there any more"):
        research.load_run(copied)
    place = restore.last_checkpoint(copied / "fast" / "0")
    wanted = {"state.params.kernel": jax.ShapeDtypeStruct((5, 1), np.float32)}
    with pytest.raises(UserError, match=r"float32\[5, 1\] here, float32\[4, 1\] there"):
        restore.read_arrays(place, wanted, {})


def test_import_is_light():
    import subprocess
    import sys

    code = "import research, sys; print({'jax', 'orbax', 'flax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
