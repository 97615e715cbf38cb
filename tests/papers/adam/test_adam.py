"""The updates of all optimizers, objectives, how settings are chosen, what breaks the claims."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app, config
from research.core import UserError
from research.papers.adam.conv_classifier import ConvClassifier
from research.papers.adam.figures import draw_correction
from research.report.claims import Results
from tests.optimizers import updates_of

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "adam.py")
configs = config.load_module(ROOT / "configs" / "adam.py")


def build(**changed):
    setting = configs.get_config("smoke")
    with setting.unlocked():
        for key, value in changed.items():
            *path, last = key.split("__")
            functools.reduce(getattr, path, setting)[last] = value
    return app.build(script, setting)


GRADIENTS = np.random.default_rng(0).normal(size=(5, 3)) * np.array([1.0, 10.0, 0.1])


def nesterov(rate):
    v, found = 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        v = 0.9 * v + g
        found.append(-rate(t) * (g + 0.9 * v))
    return found


def adagrad(rate):
    squares, found = 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        squares = squares + g**2
        found.append(-rate(t) * g / np.sqrt(squares))
    return found


def rmsprop(rate):
    """With momentum on the scaled gradient, which the rate is a part of."""
    v, velocity, found = 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        v = 0.9 * v + 0.1 * g**2
        velocity = 0.9 * velocity - rate(t) * g / np.sqrt(v)
        found.append(velocity)
    return found


def adadelta(rate):
    """Zeiler 2012, algorithm 1, times a rate."""
    squares, steps, found = 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        squares = 0.95 * squares + 0.05 * g**2
        step = -np.sqrt(steps + 1e-6) / np.sqrt(squares + 1e-6) * g
        steps = 0.95 * steps + 0.05 * step**2
        found.append(rate(t) * step)
    return found


def adam(rate):
    m, v, found = 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.5 * m + 0.5 * g, 0.99 * v + 0.01 * g**2
        found.append(-rate(t) * m / (1 - 0.5**t) / np.sqrt(v / (1 - 0.99**t)))
    return found


def adamax(rate):
    m, u, found = 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        m, u = 0.5 * m + 0.5 * g, np.maximum(0.99 * u, np.abs(g))
        found.append(-rate(t) / (1 - 0.5**t) * m / u)
    return found


@pytest.mark.parametrize("formula", [adam, adamax, nesterov, adagrad, rmsprop, adadelta])
def test_every_optimizer_is_its_formula_with_a_rate_that_falls(formula):
    experiment = build(optimizer__name=formula.__name__)
    tx = experiment.optimizer(script.Setting(0.2, 0.5, 0.5, 0.99, 1.0))
    expected = formula(lambda t: 0.2 / np.sqrt(t))
    np.testing.assert_allclose(updates_of(tx, np.zeros(3), GRADIENTS), expected, rtol=1e-4)


# Settings side by side.


def batch_of(experiment):
    rows = experiment.examples.parts()["train"]
    return {name: jnp.asarray(values[:16]) for name, values in rows.items()}


def softmax_gradient(params, batch, penalty):
    """Of the mean cross-entropy of softmax regression and the penalty of its kernel."""
    x = np.asarray(batch["input"], float).reshape(16, -1)
    scores = x @ params["kernel"] + params["bias"]
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    difference = shares - np.eye(10)[np.asarray(batch["label"])]
    return {
        "kernel": x.T @ difference / 16 + penalty * params["kernel"],
        "bias": difference.mean(0),
    }


def test_two_steps_of_softmax_regression_at_every_setting():
    experiment = build(
        problem="logistic",
        model__widths=(),
        l2_penalty=0.1,
        grid__learning_rate=(0.01, 0.1),
        grid__power=(0.0, 0.5),
        grid__corrected=(0, 1),
        average_decay=0.9,
    )
    state, batch = experiment.init(jax.random.key(0)), batch_of(experiment)
    first = jax.device_get(state.learner.params["softmax"])
    step = jax.jit(experiment.step)
    for t in range(2):
        state, metrics = step(state, batch, t, jax.random.key(t))
    assert experiment.num_settings == 8
    names = [experiment.setting_name(i) for i in range(8)]
    assert names[1] == "rate_0.01_power_0_corrected_1" and len(set(names)) == 8
    for i, (rate, power, b1, b2, corrected) in enumerate(zip(*experiment.settings, strict=True)):
        params = {name: np.asarray(x[i], float) for name, x in first.items()}
        m, v, bar = ({name: 0.0 for name in params} for _ in range(3))
        for t in (1, 2):
            for name, g in softmax_gradient(params, batch, 0.1).items():
                m[name] = b1 * m[name] + (1 - b1) * g
                v[name] = b2 * v[name] + (1 - b2) * g**2
                m_hat = m[name] / (1 - b1**t if corrected else 1)
                v_hat = v[name] / (1 - b2**t if corrected else 1)
                alpha = rate / t**power
                params[name] = params[name] - alpha * m_hat / (np.sqrt(v_hat) + 1e-8)
                bar[name] = 0.9 * bar[name] + 0.1 * params[name]
        averages = jax.vmap(lambda a: a.params(0.9))(state.average)["softmax"]
        for name in params:
            found = state.learner.params["softmax"][name][i]
            np.testing.assert_allclose(found, params[name], rtol=2e-3, atol=2e-4)
            expected = bar[name] / (1 - 0.9**2)
            np.testing.assert_allclose(averages[name][i], expected, rtol=2e-3, atol=2e-4)


def test_settings_share_first_weights_batches_and_dropout():
    experiment = build(model__dropout=0.5, grid__learning_rate=(0.01, 0.01))
    state = experiment.init(jax.random.key(0))
    state, _ = jax.jit(experiment.step)(state, batch_of(experiment), 0, jax.random.key(1))
    for x in jax.tree.leaves(state.learner.params):
        np.testing.assert_array_equal(x[0], x[1])


def test_dropout_acts_in_training_alone():
    experiment = build(model__dropout=0.5, model__input_dropout=0.5)
    state, batch = experiment.init(jax.random.key(0)), batch_of(experiment)
    variables = experiment.at(state, 0)
    losses = [experiment.loss(variables, batch, jax.random.key(i))[0] for i in range(2)]
    assert losses[0] != losses[1]
    one, again = (experiment.costs(variables, batch)["cost"] for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_a_setting_that_diverges_stops_nothing_and_is_not_chosen():
    experiment = build(
        optimizer__name="nesterov", grid__learning_rate=(1e30, 0.1), eval__batch_size=40
    )
    state, batch = experiment.init(jax.random.key(0)), batch_of(experiment)
    step = jax.jit(experiment.step)
    for t in range(4):
        state, metrics = step(state, batch, t, jax.random.key(t))
    assert metrics["loss"] < 10 and state.diverged.tolist() == [True, False]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(jax.device_get(state)))
    numbers = experiment.evaluate(state, jax.random.key(0))
    np.testing.assert_allclose(numbers["chosen/learning_rate"], 0.1, rtol=1e-6)
    assert numbers["cost_at/rate_1e+30"] == script.HIGHEST > numbers["multilayer/cost"]
    assert experiment.best_first(state) == [1, 0]


def test_the_setting_is_chosen_by_validation_and_not_by_training():
    experiment = build(problem="logistic", model__widths=(), grid__learning_rate=(0.01, 0.1))
    found = {
        "train": {"cost": np.array([0.1, 0.3])},
        "validation": {"cost": np.array([0.9, 0.5])},
        "test": {"error": np.array([7.0, 5.0])},
    }
    experiment.judged = lambda state, variables: found
    numbers = experiment.evaluate(experiment.init(jax.random.key(0)), jax.random.key(0))
    assert numbers["logistic/cost"] == 0.3 and numbers["logistic/test_error"] == 5.0


def test_averages_are_compared_at_constant_rates():
    experiment = build(grid__learning_rate=(0.01, 0.1), grid__power=(0.0, 0.5), average_decay=0.9)
    last = {"cost": np.array([0.4, 0.1, 0.3, 0.1])}
    averaged = {"cost": np.array([0.2, 0.1, 0.5, 0.1])}
    judged = iter(
        [{part: {**x, "error": x["cost"]} for part in script.PARTS} for x in (last, averaged)]
    )
    experiment.judged = lambda state, variables: next(judged)
    numbers = experiment.evaluate(experiment.init(jax.random.key(0)), jax.random.key(0))
    assert numbers["constant_rate/last_cost"] == 0.3
    assert numbers["constant_rate/averaged_cost"] == 0.2


# The auto-encoder.


def vae(**changed):
    return build(**{"problem": "vae", "vae__hidden": 4, "grid__corrected": (0, 1), **changed})


def test_the_bound_is_a_sum_over_pixels_and_latents():
    experiment, key = vae(), jax.random.key(1)
    state = experiment.init(jax.random.key(0))
    variables = jax.tree.map(lambda p: 5 * p, experiment.at(state, 0))
    x = jnp.asarray(experiment.images.train[:3])
    q = experiment.learner.apply(variables, x, method="encode")
    mean, std = np.asarray(q.mean, float), np.exp(np.asarray(q.log_var, float) / 2)
    z = mean + std * np.asarray(jax.random.normal(key, (3, 2)), float)
    y = np.asarray(experiment.learner.apply(variables, jnp.asarray(z), method="decode").mean)
    log_p = np.sum(x * np.log(y) + (1 - x) * np.log(1 - y), -1)
    kl = -0.5 * np.sum(1 + np.log(std**2) - mean**2 - std**2, -1)
    assert kl.max() > 0.1
    np.testing.assert_allclose(experiment.bound(variables, x, key), log_p - kl, rtol=1e-4)
    loss, _ = experiment.loss(variables, {"image": x}, key)
    np.testing.assert_allclose(loss, -(log_p - kl).mean(), rtol=1e-4)


def test_correction_is_the_only_difference_of_a_pair():
    """b1 = 0: the first step is alpha with the correction, alpha / sqrt(1 - b2) without."""
    experiment = vae(grid__learning_rate=(1e-3,), grid__b1=(0.0,), grid__b2=(0.99,))
    state = experiment.init(jax.random.key(0))
    batch = {"image": jnp.asarray(experiment.images.train[:16])}
    after, _ = jax.jit(experiment.step)(state, batch, 0, jax.random.key(1))
    moved = (
        after.learner.params["decoder"]["mean"]["bias"]
        - (state.learner.params["decoder"]["mean"]["bias"])
    )
    assert experiment.cell(0).startswith("uncorrected") and experiment.cell(1) == (
        "corrected_b1_0_b2_0.99_rate_0.001"
    )
    steps = np.median(np.abs(moved), axis=1)
    np.testing.assert_allclose(steps, [1e-2, 1e-3], rtol=1e-3)


def test_what_correction_costs_where_it_costs_most():
    experiment = vae(grid__learning_rate=(0.01, 0.1), grid__b1=(0.9,), grid__b2=(0.99,))
    losses = (30.0, 25.0, 20.0, 21.5)  # rates, of each not corrected and corrected
    numbers = {f"vae/{experiment.cell(i)}": loss for i, loss in enumerate(losses)}
    assert experiment.excess(numbers) == {
        "vae/best_corrected": 21.5,
        "vae/best_uncorrected": 20.0,
        "vae/worst_excess": 1.5,
    }
    by_rate = experiment.by_rate(numbers)
    assert by_rate == {
        (0.9, 0.99, False): {0.01: 30.0, 0.1: 20.0},
        (0.9, 0.99, True): {0.01: 25.0, 0.1: 21.5},
    }


def test_figure_4_is_drawn_whatever_diverged(tmp_path):
    losses = {(0.0, 0.99, True): {0.01: 20.0, 0.1: np.inf}, (0.0, 0.99, False): {0.01: np.nan}}
    draw_correction(tmp_path / "figure.png", {"early": losses, "late": losses}, 100.0)
    assert (tmp_path / "figure.png").stat().st_size > 5000


# Networks, demos, refusals.


def test_the_convolutional_network_halves_its_maps_three_times():
    network = ConvClassifier(10, (4, 4, 8), (16,), dropout=0.5, input_dropout=0.2)
    x = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    params = jax.eval_shape(network.init, jax.random.key(0), x)["params"]
    shapes = {name: layer["kernel"].shape for name, layer in params.items()}
    assert shapes == {
        "conv1": (5, 5, 3, 4),
        "conv2": (5, 5, 4, 4),
        "conv3": (5, 5, 4, 8),
        "dense1": (4 * 4 * 8, 16),
        "softmax": (16, 10),
    }


def test_demos_show_each_setting():
    experiment = build(grid__learning_rate=(0.01, 0.1))
    state = experiment.init(jax.random.key(0)).replace(recent=jnp.array([2.0, 1.0]))
    demo = script.demo(experiment, state)
    assert demo.defaults()["setting"] == "rate_0.1"  # that of the lower loss
    assert len(demo.run(**demo.defaults())["classes"]) == 5
    with pytest.raises(UserError, match="setting is one of rate_0.1, rate_0.01, not"):
        demo.run(**{**demo.defaults(), "setting": "rate_7"})

    experiment = vae(grid__b2=(0.99, 0.9999))
    state = experiment.init(jax.random.key(0)).replace(recent=jnp.array([3.0, 2.9, 9.0, 2.0]))
    demo = script.demo(experiment, state)
    assert demo.defaults()["setting"] == "b1_0.9_b2_0.9999_rate_0.001"  # where they differ most
    order = []
    experiment.at = lambda state, i: (
        order.append(experiment.cell(i)) or (type(experiment).at(experiment, state, i))
    )
    picture = demo.run(**demo.defaults())["picture"]
    assert [cell.partition("_")[0] for cell in order] == ["corrected", "uncorrected"]
    assert picture.shape[0] == 4 * (3 * 10 + 2)  # images, corrected, not corrected
    with pytest.raises(UserError, match="setting is one of"):
        demo.run(**{**demo.defaults(), "setting": ""})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"problem": "regression"}, "problem is one of logistic"),
        ({"optimizer__name": "sfo"}, "optimizer.name is one of adam"),
        ({"grid__b2": ()}, "every key of config.grid has one value or more"),
    ],
)
def test_refusals(changed, words):
    with pytest.raises(UserError, match=words):
        build(**changed)


# What is claimed.

COSTS = {
    "logistic": {"adam": 0.1, "nesterov": 0.1, "adagrad": 0.12, "adamax": 0.11},
    "words": {"adam": 0.1, "adagrad": 0.1, "nesterov": 0.2},
    "multilayer": {
        "adam": 1e-3,
        "nesterov": 2e-3,
        "adagrad": 2e-3,
        "rmsprop": 2e-3,
        "adadelta": 2e-3,
    },
}
LOSSES = {
    "uncorrected_b1_0_b2_0.9999_rate_0.01": 1e6,
    "corrected_b1_0_b2_0.9999_rate_0.01": 110.0,
    "uncorrected_b1_0.9_b2_0.9999_rate_0.01": 190.0,
    "corrected_b1_0.9_b2_0.9999_rate_0.01": 110.0,
    "uncorrected_b1_0.9_b2_0.99_rate_0.01": 110.3,
    "corrected_b1_0.9_b2_0.99_rate_0.01": 110.0,
    "best_uncorrected": 109.0,
    "best_corrected": 108.0,
    "worst_excess": 0.5,
}


def results(losses=(), **costs):
    arms = {"vae": {f"vae/{name}": x for name, x in {**LOSSES, **dict(losses)}.items()}}
    for problem, found in COSTS.items():
        for optimizer, cost in found.items():
            arm = f"{problem}_{optimizer}"
            arms[arm] = {f"{problem}/cost": costs.get(arm, cost)}
    return Results(
        {arm: {name: np.full(3, x) for name, x in found.items()} for arm, found in arms.items()}
    )


SAME = "corrected_b1_{}_b2_0.9999_rate_0.01"


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({}, set()),
        # The correction does nothing.
        ({"losses": {f"un{SAME.format(0)}": 110.0, f"un{SAME.format(0.9)}": 110.0}}, {0, 1}),
        ({"losses": {"corrected_b1_0.9_b2_0.99_rate_0.01": 112.0}}, {2}),
        ({"losses": {"best_corrected": 109.5}}, {3}),
        ({"losses": {"worst_excess": 7.0}}, {4}),
        ({"logistic_adam": 0.2}, {5, 6}),
        ({"logistic_adamax": 0.3}, {7}),
        ({"words_adam": 0.195}, {8, 9}),
        ({"multilayer_adam": 3e-3}, {10, 11, 12, 13}),
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    verdicts = [claim.holds for claim in script.claims(results(**changed))]
    assert len(verdicts) == 14
    assert {i for i, holds in enumerate(verdicts) if not holds} == fails
