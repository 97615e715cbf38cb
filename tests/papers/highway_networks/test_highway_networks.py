"""The script's schedule, its paper's table, its lesions, and what breaks its claims."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app, config
from research.core.tree import count_parameters
from research.report.claims import Results

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "highway_networks.py")
configs = config.load_module(ROOT / "configs" / "highway_networks.py")


@pytest.fixture(scope="module")
def experiment():
    return app.build(script, configs.get_config("smoke"))


def test_the_optimizer_is_momentum_whose_rate_falls_after_each_epoch(experiment):
    experiment.config.optimizer.decay = 0.5
    steps = experiment.epoch_steps
    tx = app.build(script, experiment.config).learner.tx
    params = {"w": jnp.array([2.0])}
    state, velocity, weight = tx.init(params), 0.0, 2.0
    for t in range(2 * steps + 1):
        updates, state = tx.update({"w": jnp.array([0.1])}, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        velocity = 0.9 * velocity + 0.1
        weight = weight - 0.03 * 0.5 ** (t // steps) * velocity
    np.testing.assert_allclose(params["w"][0], weight, rtol=1e-5)


@pytest.mark.parametrize(
    ("variant", "values"),
    [
        # Section 3.1 of 1505.00387: 50 units with gates, 71 without; SGD with momentum, 400 epochs.
        ("paper", ("highway", 100, 50, 400, 60_000)),
        ("paper_plain", ("plain", 100, 71, 400, 60_000)),
    ],
)
def test_the_papers_table(variant, values):
    setting = configs.get_config(variant)
    model, data = setting.model, setting.data
    found = (model.block, model.depth, model.width, setting.num_epochs, data.num_train)
    assert found == values
    assert data.name == "mnist" and data.augmentation == "none"
    assert setting.optimizer.momentum == 0.9 and setting.optimizer.l2_penalty == 0.0
    assert -10 <= model.transform_bias <= -1  # what the random search draws from


def test_gated_and_plain_layers_have_as_many_parameters():
    def of_layer(block):
        counts = []
        for depth in (10, 11):
            setting = configs.get_config("smoke")
            setting.model.update(block=block, depth=depth, width=configs.WIDTH[block])
            state = jax.eval_shape(app.build(script, setting).init, jax.random.key(0))
            counts.append(sum(count_parameters(state).values()))
        return counts[1] - counts[0]

    assert of_layer("highway") == 5100 and of_layer("plain") == 5112


def test_convolutional_layout_is_of_19_layers_and_two_million_parameters():
    setting = configs.get_config("cifar10")
    layers = sum(len(widths) for widths in setting.model.stages)
    assert layers + 1 == 18  # and FitNet's fully connected layer, for which there is no gate
    published = script.PAPER.parameters["cifar19"]
    assert round(published / 1e6, 1) == 2.3


def test_lesions_are_what_a_network_without_the_layer_says(experiment):
    state = jax.jit(experiment.init)(jax.random.key(3))
    gates, errors, whole = experiment.lesions(state)
    assert gates.shape == (7, 50) and errors.shape == (7,)
    images = np.stack([experiment.images.plain(experiment.images.train[i]) for i in range(64)])
    labels = np.array([experiment.images.train[i]["label"] for i in range(64)])
    params = state.learner.params
    shorter = {**params, "layers": jax.tree.map(lambda p: np.delete(p, 2, 0), params["layers"])}
    network = experiment.network.clone(depth=7)
    logits, _ = network.apply({"params": shorter}, images * experiment.config.data.scale)
    np.testing.assert_allclose(errors[2], 100 * np.mean(logits.argmax(-1) != labels), atol=1e-4)
    assert 0 <= whole <= 100


def test_demo_takes_layers_out(experiment):
    demo = script.demo(experiment, jax.jit(experiment.init)(jax.random.key(0)))
    out = demo.run(**demo.defaults())
    np.testing.assert_allclose(sum(out["classes"].values()), 1, rtol=1e-5)
    assert out["gates"].dtype == np.uint8 and out["gates"].any()
    without = demo.run(**{**demo.defaults(), "count": 7})
    assert not without["gates"].any() and without["classes"] != out["classes"]


MEASURED = {
    "train/loss": {
        "plain_10": 0.0,
        "highway_10": 0.0,
        "plain_100": 1.4,
        "highway_100": 0.05,
        "careful_100": 0.0,
    },
    "lesion/harmless": {"highway_100": 0.8},
}


def results(**changed):
    arms: dict[str, dict[str, np.ndarray]] = {}
    for metric, values in MEASURED.items():
        for arm, value in {**values, **changed.get(metric.split("/")[1], {})}.items():
            arms.setdefault(arm, {})[metric] = np.full(3, value)
    return Results(arms)


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({}, set()),
        ({"loss": {"plain_100": 0.2}}, {0, 1, 4}),  # plain layers with a way around them after all
        ({"loss": {"highway_100": 1.4}}, {1, 2}),  # carry and transform exchanged
        ({"harmless": {"highway_100": 0.1}}, {3}),
        ({"loss": {"careful_100": 1.4}}, {4}),
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    verdicts = [claim.holds for claim in script.claims(results(**changed))]
    assert {i for i, holds in enumerate(verdicts) if not holds} == fails


def test_unknown_blocks_are_refused():
    path = ROOT / "configs" / "highway_networks.py"
    flags = ["--config", f"{path}:paper", "--config.model.block=gated"]
    with pytest.raises(app.UserError, match="model.block"):
        config.parse(flags, ROOT / "experiments" / "highway_networks.py")
