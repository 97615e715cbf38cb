"""The script's claims, and that what breaks the idea breaks a claim; its rates and its sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as configs
from research.core.errors import UserError
from research.report.claims import Results
from tests.training.toy import ROOT

script = configs.load_module(ROOT / "experiments" / "alexnet.py")
smoke = configs.load_config(ROOT / "configs" / "alexnet.py", "smoke")

MEASURED = {
    "relu_10": {"epochs_to_target": [8.0, 9.0, 8.0]},
    "relu_30": {"epochs_to_target": [20.0] * 3},
    "tanh_10": {"epochs_to_target": [16.0, 17.0, 15.0]},
    "tanh_30": {"epochs_to_target": [40.0] * 3},
    "dropout": {
        "test/error": [3.9, 4.1, 3.7],
        "test/cross_entropy": [0.16] * 3,
        "test/images": [10_000],
    },
    "no_dropout": {"test/error": [5.3, 5.0, 5.1], "test/cross_entropy": [0.32] * 3},
}


def holds(**changed):
    results = {
        arm: {k: np.array(v) for k, v in numbers.items()}
        for arm, numbers in {**MEASURED, **changed}.items()
    }
    results["relu_10"]["towers_difference"] = np.array([changed.pop("towers", 5e-7)])
    return [
        claim.holds if claim.holds is None else bool(claim.holds)
        for claim in script.claims(Results(results))
    ]


def test_claims_hold_for_what_they_say():
    assert holds() == [True] * 4
    few = {**MEASURED["dropout"], "test/images": [360]}
    assert holds(dropout=few) == [True, None, True, True]  # errors too few to be told apart
    assert script.claims(Results({"main": {"test/error": np.zeros(1)}})) == []


@pytest.mark.parametrize(
    ("broken", "row"),
    [
        ({"tanh_10": {"epochs_to_target": [8.0, 9.0, 8.0]}}, 0),  # the same function twice
        ({"tanh_30": {"epochs_to_target": [9.0] * 3}}, 0),  # tanh at its own best rate
        ({"dropout": {**MEASURED["dropout"], "test/error": [5.2, 5.0, 5.1]}}, 1),  # not dropped
        ({"dropout": {**MEASURED["dropout"], "test/cross_entropy": [0.31] * 3}}, 2),
    ],
)
def test_what_is_broken_breaks_a_claim(broken, row):
    assert not holds(**broken)[row]


def test_towers_that_do_not_meet_break_a_claim():
    results = Results({"main": {"towers_difference": np.array([0.9])}})
    (claim,) = script.claims(results)
    assert not claim.holds


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"optimizer.rule": "adam"}, "alexnet or dropout"),
        ({"mesh.model": 4}, "number of towers"),
        ({"test.short_sides": ()}, "short_sides"),
    ],
)
def test_settings_that_are_refused(overrides, said):
    with pytest.raises(UserError, match=said):
        app.build(script, configs.with_overrides(smoke, overrides))


def step_of(at_step=0, **overrides):
    """The metrics of one step from rest, and how its parameters changed."""
    setting = configs.with_overrides(smoke, overrides)
    experiment = app.build(script, setting)
    state = jax.jit(experiment.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    batch = {
        k: np.zeros(s.shape, s.dtype) if "label" in k else rng.normal(size=s.shape).astype(s.dtype)
        for k, s in experiment.source.spec.items()
    }
    new, metrics = jax.jit(experiment.step)(state, batch, jnp.int32(at_step), jax.random.key(1))
    change = jax.tree.map(lambda a, b: a - b, new.learner.params, state.learner.params)
    return jax.device_get((metrics, change, new))


def test_biases_learn_at_twice_the_rate_and_held_out_images_drive_the_schedule():
    metrics, one, state = step_of(**{"optimizer.bias_rate": 1.0, "schedule.plateau_steps": 1})
    _, two, _ = step_of()
    biases, kernels = (
        [np.abs(tree["head"]["output"][name]).sum() for tree in (one, two)]
        for name in ("bias", "kernel")
    )
    np.testing.assert_allclose(biases[1], 2 * biases[0], rtol=1e-4)
    np.testing.assert_allclose(kernels[1], kernels[0], rtol=1e-4)
    assert state.schedule["best"] == metrics["held_out_error"]


def test_the_other_papers_momentum_and_rate_follow_the_epoch():
    metrics, _, _ = step_of(
        at_step=41,
        **{  # of epoch 10
            "optimizer.rule": "dropout",
            "optimizer.rising.epochs": 500,
        },
    )
    np.testing.assert_allclose(metrics["momentum"], 0.5 + 0.49 * 10 / 500, rtol=1e-5)
    np.testing.assert_allclose(metrics["learning_rate"], 0.01 * 0.998**10, rtol=1e-5)
