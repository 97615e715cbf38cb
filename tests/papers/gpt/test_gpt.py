"""The GPT script: its loss and optimizer on any mesh; its published sizes, laid out, compiled."""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh
from ml_collections import ConfigDict

from research import app
from research.config import load_config, load_module, with_overrides
from research.core import LearnerState, UserError
from research.core.tree import named_leaves
from research.models import gpt
from research.models.gpt import PARAMETERS
from research.report.claims import Results
from research.training import sharding
from research.training.program import Program

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "gpt.py")
configure = functools.partial(load_config, ROOT / "configs" / "gpt.py")
build = functools.partial(app.build, SCRIPT)


@pytest.mark.parametrize("variant", PARAMETERS)
def test_every_published_size_fits_its_mesh(variant):
    config = configure(variant)
    assert config.published_as == variant, "its parameters are counted with those of all scripts"
    ways = config.mesh.fsdp * config.accumulate_steps
    assert all(rows % ways == 0 for rows, _ in build(config).ramp.levels)
    assert config.data.length % config.loss_chunks == 0


def test_batches_of_the_papers():
    tokens = {v: configure(v).batch.rows * configure(v).data.length for v in PARAMETERS}
    assert tokens["gpt1"] == 64 * 512 and tokens["gpt2_xl"] == 512 * 1024
    assert tokens["gpt3_small"] == 2**19 and tokens["gpt3_xl"] == 2**20
    assert tokens["gpt3_13b"] == 2**21
    assert tokens["gpt3_175b"] == pytest.approx(3.2e6, rel=0.03)
    first = configure("gpt3_small").batch
    assert first.first_rows * 2048 == 32_768


def test_the_ramp_begins_with_batches_that_divide_or_is_refused():
    config = configure("gpt3_small")
    mesh = AbstractMesh((32, 1, 1), sharding.AXES)
    with pytest.raises(UserError, match="batch of 16 .* make batch.multiple, .* multiple of 32"):
        sharding.check_batch(build(config).source, mesh, 1)
    config.batch.multiple = 32
    sharding.check_batch(build(config).source, mesh, 1)


def test_weight_decay_spares_biases_and_gains():
    state = jax.eval_shape(build(configure("smoke")).init, jax.random.key(0))
    mask = named_leaves(gpt.decayed(state["learner"].params))
    kept = {name.split("/")[-1] for name, on in mask.items() if not on}
    assert kept == {"bias", "scale"}
    assert {name.split("/")[-1] for name, on in mask.items() if on} == {
        "kernel",
        "embedding",
        "position_embedding",
    }


def test_learning_rate_follows_tokens_not_steps():
    """Where the batch ramps, early steps move the schedule by less."""
    config = configure("gpt3_small")
    ramp = build(config).ramp
    assert ramp.rows(0) == 16 and ramp.rows(ramp.num_steps - 1) == 256
    warm = next(s for s in range(ramp.num_steps) if ramp.tokens_before(s) >= 375e6)
    assert warm == pytest.approx(375e6 / 32_768, rel=0.01)


def test_samples_and_checks_are_of_the_trained_parameters(monkeypatch, tmp_path):
    state, used = {"learner": LearnerState("trained", None, {})}, []
    monkeypatch.setattr(SCRIPT.training, "run", lambda *_: (state, {}))
    monkeypatch.setattr(SCRIPT, "decoder_checks", lambda _, params, seed: used.append(params) or {})
    monkeypatch.setattr(
        SCRIPT,
        "complete",
        lambda _, params, prompts, *__, **___: (
            used.append(params) or [np.zeros(0, np.int32) for _ in prompts]
        ),
    )
    config, smoke = configure(""), configure("smoke")
    SCRIPT.main(build(config), config, tmp_path)
    text = with_overrides(smoke, {**smoke.arms.text, "eval.ngram_order": 0})
    SCRIPT.main(build(text), text, tmp_path)
    assert used == ["trained", "trained"] and (tmp_path / "samples.txt").exists()


GOOD = {
    "two_layers": {
        "test/shot_0": [0.25, 0.26],
        "test/shot_1": [0.83, 0.99],
        "test/shot_2": [0.89, 0.99],
        "test/shot_3": [0.93, 1.00],
        "test/k_0": [0.24, 0.29],
        "test/k_23": [0.77, 0.97],
        "exact/cache_error": [1e-6, 2e-6],
        "exact/growth_scaled": [1.0, 1.1],
        "exact/growth_unscaled": [12.0, 11.0],
    },
    "one_layer": {
        "test/shot_1": [0.49, 0.55],
        "test/shot_2": [0.55, 0.62],
        "test/shot_3": [0.62, 0.71],
    },
}


def holding(**changed):
    """Whether each claim holds where some numbers of two layers are others."""
    arms = {**GOOD, "two_layers": {**GOOD["two_layers"], **changed}}
    arms = {arm: {m: np.array(v) for m, v in found.items()} for arm, found in arms.items()}
    return [claim.holds for claim in SCRIPT.claims(Results(arms))]


def test_claims_hold_for_a_faithful_run_and_name_what_fails():
    def fails(**changed):
        return {i for i, holds in enumerate(holding(**changed)) if not holds}

    assert holding() == [True] * 10
    assert fails(**{"test/shot_0": [0.25, 0.35]}) == {0}
    assert fails(**{"test/shot_2": [0.82, 0.99]}) == {2}
    assert fails(**{"test/shot_3": [0.65, 1.00]}) == {1, 2, 5}
    assert fails(**{"test/k_23": [0.77, 0.68]}) == {6}
    assert fails(**{"exact/cache_error": [1e-6, 1e-2]}) == {7}
    assert fails(**{"exact/growth_scaled": [1.0, 2.5]}) == {8}
    assert fails(**{"exact/growth_unscaled": [3.0, 12.0]}) == {9}
    for ours, holds in ((1.80, True), (1.90, False)):
        text = {"test/loss": np.array([1.7, ours]), "test/ngram_loss": np.array([1.86, 1.86])}
        assert [c.holds for c in SCRIPT.claims(Results({"text": text}))] == [holds]


@pytest.mark.slow
def test_decoder_checks_of_the_default():
    """Before any training; the script takes them after it."""
    model = build(configure("")).model
    params = model.init(jax.random.key(0), np.zeros((1, 2), np.int32), train=False)["params"]
    found = SCRIPT.decoder_checks(model, params, 0)
    assert found["exact/cache_error"] < 1e-4
    assert 0.5 < found["exact/growth_scaled"] < 2 and found["exact/growth_unscaled"] > 4


MESHES = {"one": (1, 1, 1), "data": (4, 1, 1), "fsdp": (2, 2, 1), "model": (1, 2, 2)}


@pytest.mark.slow
def test_a_step_is_the_same_on_every_mesh():
    """In a process with 4 devices: split by rows, by parameters, by heads and vocabulary."""
    code = f"""
import json, sys
sys.path[:0] = [{str(ROOT)!r}]
from tests.papers.gpt.test_gpt import losses, MESHES
print(json.dumps({{name: losses(shape) for name, shape in MESHES.items()}}))
"""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, numbers in found.items():
        np.testing.assert_allclose(numbers, found["one"], rtol=2e-4, err_msg=name)
    assert found["one"][2] < found["one"][0]


def losses(shape):
    """Losses and gradient norms of three steps of the smoke text arm on a mesh."""
    setting = with_overrides(
        configure("smoke"),
        {**configure("smoke").arms["text"], "model.vocab_size": 258, "loss_chunks": 2},
    )
    mesh = sharding.make_mesh(
        ConfigDict(dict(zip(sharding.AXES, shape, strict=True))),
        jax.devices()[: int(np.prod(shape))],
    )
    program = Program(build(setting), mesh)
    carry, rows = program.init(0), np.random.default_rng(0)
    out = []
    batch = {"tokens": rows.integers(0, 258, (8, 33)).astype(np.int32)}
    for _ in range(3):
        placed = jax.device_put(batch, program.batch_sharding)
        carry, metrics = program.advance(carry, placed, 1)
        out += [float(metrics["loss"][0]), float(metrics["grad_norm"][0])]
    return out


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu")
def test_175b_fits_1024_chips(capsys):
    flags = ["--config", f"{ROOT / 'configs' / 'gpt.py'}:gpt3_175b", "--dry_run", "v5p:8x8x16"]
    assert app.main(SCRIPT, flags) == 0
    printed = capsys.readouterr().out
    assert "equal" in printed and "fits" in printed
