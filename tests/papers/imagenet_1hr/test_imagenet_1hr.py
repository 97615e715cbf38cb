"""The schedule of every batch size, what is penalized, and that what is broken breaks a claim."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as configs
from research.report.claims import Results
from tests.training.toy import ROOT

script = configs.load_module(ROOT / "experiments" / "imagenet_1hr.py")
FILE = ROOT / "configs" / "imagenet_1hr.py"
smoke = configs.load_config(FILE, "smoke")


@pytest.mark.parametrize(("variant", "ratio"), [("paper", 32), ("paper_256", 1)])
def test_rates_of_the_paper(variant, ratio):
    config = configs.load_config(FILE, variant)
    experiment, peak = app.build(script, config), 0.1 * ratio
    warm, *drops = (math.ceil(e * 1_281_167 / config.batch_size) for e in (5, 30, 60, 80))
    at = {
        0: 0.1,
        1: 0.1 + (peak - 0.1) / warm,
        warm: peak,
        drops[0] - 1: peak,
        drops[0]: peak / 10,
        drops[1]: peak / 100,
        drops[2]: peak / 1000,
    }
    np.testing.assert_allclose([experiment.rate(t) for t in at], list(at.values()), rtol=1e-4)
    assert experiment.num_steps == {32: 14_076, 1: 450_411}[ratio]


@pytest.mark.parametrize(("scaling", "rate"), [("linear", 0.8), ("sqrt", 0.2), ("none", 0.05)])
def test_rates_follow_the_batch(scaling, rate):
    config = configs.with_overrides(
        configs.load_config(FILE),
        {
            "schedule.learning_rate": 0.05,
            "schedule.reference_batch_size": 32,
            "batch_size": 512,
            "schedule.scaling": scaling,
            "schedule.warmup": "none",
        },
    )
    np.testing.assert_allclose(app.build(script, config).rate(0), rate, rtol=1e-6)


def test_blocks_start_as_their_shortcuts_and_statistics_are_the_first_groups():
    setting = configs.with_overrides(smoke, {"model.variant": "flat2"})
    learner = app.build(script, setting).learner
    state = learner.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False)
    scales = {
        name: float(layer["scale"][0]) for name, layer in state.params.items() if "norm" in name
    }
    last = {"stage1_block1_2_norm", "stage1_block2_2_norm"}
    assert {name for name, scale in scales.items() if scale == 0} == last
    assert set(scales.values()) == {0.0, 1.0}
    deviation = float(state.params["classifier"]["kernel"].std())
    assert 0.005 < deviation < 0.015

    x = jax.random.normal(jax.random.key(1), (32, 8, 8, 3))
    apply = jax.jit(lambda x: learner.apply(state, x, train=True, mutable=["batch_stats"])[1])
    both, other_second = apply(x), apply(x.at[16:].set(0))
    assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b), both, other_second))
    assert not jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b), both, apply(x[::-1])))


def test_the_penalty_is_in_the_gradient_and_not_on_norms():
    config = configs.with_overrides(smoke, {"optimizer.l2_penalty": 0.5})
    experiment = app.build(script, config)
    tx, rate = experiment.learner.tx, float(experiment.rate(0))
    params = {"a_conv": {"kernel": jnp.array([2.0])}, "a_norm": {"scale": jnp.array([2.0])}}
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    np.testing.assert_allclose(updates["a_conv"]["kernel"], -1.9 * rate * (1 + 0.5 * 2), rtol=1e-5)
    np.testing.assert_allclose(updates["a_norm"]["scale"], -1.9 * rate, rtol=1e-5)


def test_an_epoch_of_micro_batches_is_the_same_gradient():
    """Batches too large for the machine are accumulated (section 4); groups keep their size."""

    def gradient(steps):
        experiment = app.build(script, configs.with_overrides(smoke, {"accumulate_steps": steps}))
        state = jax.jit(experiment.init)(jax.random.key(0))
        rows = jax.random.randint(jax.random.key(1), (32, 8, 8, 3), 0, 256).astype(jnp.uint8)
        # Micro-batch i has rows i, i + 2, ...: put the halves' rows there.
        order = np.arange(32).reshape(2, 16).T.ravel() if steps == 2 else np.arange(32)
        batch = {"image": rows[order], "label": (jnp.arange(32) % 10)[order]}
        state, _ = jax.jit(experiment.step)(state, batch, jnp.int32(0), jax.random.key(2))
        return state.learner.params

    for a, b in zip(jax.tree.leaves(gradient(1)), jax.tree.leaves(gradient(2)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


MEASURED = {"base": 39.6, "warmup": 47.3, "no_warmup": 89.9, "unscaled": 53.6, "gamma_one": 77.2}
EXACT = {"workers": 1e-6, "momentum": 1e-6, "uncorrected": 0.3}


def verdicts(exact=EXACT, **errors):
    results = {
        arm: {"train/error": np.zeros(2) + error, "test/error": np.zeros(2) + error}
        for arm, error in {**MEASURED, **errors}.items()
    }
    results["warmup"] |= {f"exact/{name}": np.zeros(2) + value for name, value in exact.items()}
    return [bool(claim.holds) for claim in script.claims(Results(results))]


@pytest.mark.parametrize(
    ("broken", "rows"),
    [
        ({"unscaled": 60.0}, set()),
        ({"warmup": 53.6}, {0, 2, 4}),  # no linear scaling after all
        ({"unscaled": 54.0}, {4}),
        ({"unscaled": 60.0, "no_warmup": 48.0}, {1}),
        ({"unscaled": 60.0, "gamma_one": 48.0}, {3}),
        (
            {"unscaled": 60.0, "exact": {**EXACT, "workers": 0.9}},
            {5},
        ),  # a mean over workers in place of a sum
        ({"unscaled": 60.0, "exact": {**EXACT, "momentum": 0.2}}, {6}),  # no correction
        ({"unscaled": 60.0, "exact": {**EXACT, "uncorrected": 1e-6}}, {7}),
    ],
)
def test_what_is_broken_breaks_a_claim(broken, rows):
    found = verdicts(**broken)
    assert len(found) == 8 and {i for i, holds in enumerate(found) if not holds} == rows


def test_exact_checks_are_rounding_errors():
    found = script.check_exactly(smoke)
    assert found["exact/workers"] < 1e-4 and found["exact/momentum"] < 1e-4
    assert found["exact/uncorrected"] > 1e-2
