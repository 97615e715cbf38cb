"""The script's optimizer, its claims, and that what breaks the idea breaks the claim."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


def load(path):
    spec = importlib.util.spec_from_file_location(f"_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load(ROOT / "experiments" / "resnet.py")
configs = load(ROOT / "configs" / "resnet.py")
# Seeds 0, 1, 2 of the default.
MEASURED = {
    "plain_20": (0.10, 0.44, 0.30),
    "plain_56": (2.26, 2.11, 2.25),
    "residual_20": (0.07, 0.11, 0.10),
    "residual_56": (0.10, 0.18, 0.09),
}


def test_the_optimizer_is_momentum_with_a_coupled_penalty_on_everything():
    config = configs.get_config("smoke")
    config.optimizer.l2_penalty = 0.5
    tx = script.make_learner(config).tx
    params = {"kernel": jnp.array([2.0]), "scale": jnp.array([1.0])}
    state, velocity, weights = tx.init(params), np.zeros(2), np.array([2.0, 1.0])
    for gradient in (0.3, -0.2, 0.1):
        updates, state = tx.update(
            jax.tree.map(lambda p, g=gradient: g + 0 * p, params), state, params
        )
        params = jax.tree.map(jnp.add, params, updates)
        velocity = 0.9 * velocity + gradient + 0.5 * weights
        weights = weights - 0.1 * velocity
    np.testing.assert_allclose([params["kernel"][0], params["scale"][0]], weights, rtol=1e-5)


def test_epoch_means_start_anew_with_every_epoch():
    config = configs.get_config("smoke")
    experiment = script.build(config)
    state = jax.jit(experiment.init)(jax.random.key(0))
    step, losses = jax.jit(experiment.step), []
    batch = {
        "image": jax.random.normal(jax.random.key(1), (16, 8, 8, 3)),
        "label": jnp.arange(16) % 10,
    }
    for t in range(11):  # an epoch has 8 steps
        state, metrics = step(state, batch, jax.random.key(t))
        losses.append(float(metrics["loss"]))
    train = experiment.evals["train"](state, jax.random.key(0))
    np.testing.assert_allclose(train["loss"], np.mean(losses[8:]), rtol=1e-5)


def results(**changed):
    values = {**MEASURED, **changed}
    return {arm: {"train/loss": np.zeros(3) + v} for arm, v in values.items()}


def test_claims_hold_for_what_was_measured():
    assert [claim.holds for claim in script.claims(results())] == [True] * 4


@pytest.mark.parametrize(
    "changed, fails",
    [
        ({"residual_56": 2.29}, {1, 2}),  # shortcuts dropped: the plain network
        ({"plain_56": 0.13}, {0, 1}),  # plain networks with shortcuts after all
        ({"residual_20": 1.2}, {3}),
        ({"residual_56": 1.2}, {2}),  # residual networks degrade too
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    verdicts = [claim.holds for claim in script.claims(results(**changed))]
    assert {i for i, holds in enumerate(verdicts) if not holds} == fails


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_every_variant_builds_with_its_published_count(variant):
    config = configs.get_config(variant)
    assert config.data.num_train // config.batch_size > 0
    if "1202" in variant:
        pytest.skip("traced by the slow test of the model")
    state = jax.eval_shape(script.build(config).init, jax.random.key(0))
    if config.published_as:
        count = sum(leaf.size for leaf in jax.tree.leaves(state["learner"].params))
        assert count == script.PAPER.parameters[config.published_as]
