"""The script's claims, and that what breaks the idea breaks a claim."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

from research import app
from research import config as configs
from research.core.errors import UserError
from research.report.claims import Results
from tests.training.toy import ROOT

script = configs.load_module(ROOT / "experiments" / "one_weird_trick.py")
smoke = configs.load_config(ROOT / "configs" / "one_weird_trick.py", "smoke")

CHECKED = {
    "workers": 8,
    **{f"gradients/{scheme}": 3e-7 for scheme in ("a", "b", "c", "data")},
    "megabytes/a": 165.0,
    "megabytes/b": 165.0,
    "megabytes/c": 165.0,
    "megabytes/data": 254.0,
    "at_once/a": 37.7,
    "at_once/c": 37.7 / 8,
}


def holds(**changed):
    losses = {"small": 0.067, "large": 0.086, "variable": 0.067}
    losses |= {arm: value for arm, value in changed.items() if arm in losses}
    results = {arm: {"test/cross_entropy": np.array([loss])} for arm, loss in losses.items()}
    checked = {**CHECKED, **{k: v for k, v in changed.items() if k not in losses}}
    results["variable"] |= {name: np.array([value]) for name, value in checked.items()}
    return [bool(claim.holds) for claim in script.claims(Results(results))]


def test_claims_hold_for_what_they_say():
    assert holds() == [True] * 5


@pytest.mark.parametrize(
    ("broken", "row"),
    [
        ({"variable": 0.085}, 0),  # no better than a large batch
        ({"small": 0.055}, 1),
        ({"gradients/b": 0.875}, 2),  # a missing sum
        ({"megabytes/c": 230.0}, 3),
        ({"at_once/c": 37.7}, 4),  # everything at once
    ],
)
def test_what_is_broken_breaks_a_claim(broken, row):
    assert not holds(**broken)[row]


def test_one_device_has_nothing_to_compare_programs_by():
    results = {
        arm: {"test/cross_entropy": np.array([0.1])} for arm in ("small", "large", "variable")
    }
    assert len(script.claims(Results(results))) == 2
    assert script.claims(Results({"main": {}})) == []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"fc_batch_size": 48}, "multiple of fc_batch_size"),
        ({"scheme": "a"}, "scheme a has no rounds"),
    ],
)
def test_settings_that_are_refused(overrides, said):
    with pytest.raises(UserError, match=said):
        app.build(script, configs.with_overrides(smoke, overrides))


def test_rates_follow_the_batch_of_a_layer():
    """0.02 for 128 images: of the convolutions' batch for them, of the others' for the others."""
    overrides = {"batch_size": 1024, "fc_batch_size": 128, "total_images": 2048}
    experiment = app.build(script, configs.with_overrides(smoke, overrides))
    for learner, rate in ((experiment.trunk, 0.16), (experiment.head, 0.02)):
        params = {"kernel": np.zeros(1, np.float32)}
        updates, _ = learner.tx.update(
            {"kernel": np.ones(1, np.float32)}, learner.tx.init(params), params
        )
        np.testing.assert_allclose(updates["kernel"], -rate, rtol=1e-6)


@pytest.mark.parametrize("scheme", ["b", "c"])
def test_a_step_with_a_variable_batch_is_written_out(scheme):
    """Section 4.2: two updates of the fully-connected layers, each with the weights that the one
    before has left; one of the convolutions, by the gradient of the mean over all images."""
    overrides = {
        "scheme": scheme,
        "batch_size": 32,
        "fc_batch_size": 16,
        "model.dropout": 0.0,
        "optimizer.weight_decay": 0.01,
    }
    experiment = app.build(script, configs.with_overrides(smoke, overrides))
    state = jax.jit(experiment.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    images = rng.normal(size=(32, 8, 8, 1)).astype(np.float32)
    labels = rng.integers(0, 10, 32).astype(np.int32)
    batch = {"image": images, "label": labels}
    new, _ = jax.jit(experiment.step)(state, batch, 0, jax.random.key(1))

    def updated(params, gradients, velocity, rate):
        def one(path, w, g, v):
            decay = 0.0 if "bias" in jax.tree_util.keystr(path) else 0.01
            return 0.9 * v - rate * (g + decay * w)

        params, gradients = jax.device_get((params, gradients))
        velocity = jax.tree_util.tree_map_with_path(one, params, gradients, velocity)
        return jax.tree.map(np.add, params, velocity), velocity

    @jax.jit
    def convolutions(params):
        return experiment.trunk.model.apply({"params": params}, images)

    def loss(params, activations, labels):
        logits = experiment.head.model.apply({"params": params}, activations)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    gradients = jax.jit(jax.grad(loss, (0, 1)))
    trunk, head = jax.device_get((state.trunk.params, state.head.params))
    activations = np.asarray(convolutions(trunk))
    gradient, velocity = np.zeros_like(activations), jax.tree.map(np.zeros_like, head)
    for u in range(2):  # consecutive images, or every second
        ids = np.arange(16 * u, 16 * u + 16) if scheme == "b" else np.arange(u, 32, 2)
        of_head, gradient[ids] = gradients(head, activations[ids], labels[ids])
        head, velocity = updated(head, of_head, velocity, 0.02 * 16 / 128)
    # Each update's gradient is of a mean over 16 images; this is of the mean over all.
    of_trunk = jax.jit(jax.grad(lambda params: (convolutions(params) * gradient / 2).sum()))(trunk)
    at_rest = jax.tree.map(np.zeros_like, trunk)
    trunk, _ = updated(trunk, of_trunk, at_rest, 0.02 * 32 / 128)
    for found, expected in ((new.head.params, head), (new.trunk.params, trunk)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected
        )


@pytest.mark.slow
def test_programs_are_compared_on_eight_devices(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "experiments/one_weird_trick.py"),
        "--arm=variable",
        "--config",
        "configs/one_weird_trick.py:smoke",
        "--workdir",
        str(tmp_path / "run"),
    ]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "JAX_NUM_CPU_DEVICES": "8"}, check=True)
    found = json.loads((tmp_path / "run/variable/0/result.json").read_text())["metrics"]
    assert max(found[f"gradients/{scheme}"] for scheme in ("a", "b", "c", "data")) < 1e-5
    assert found["at_once/c"] == pytest.approx(found["at_once/a"] / 8)
