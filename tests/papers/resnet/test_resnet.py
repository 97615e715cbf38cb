"""The script's optimizer, its claims, and that what breaks the idea breaks the claim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as flags
from research.data.images import augment
from research.data.procedural import shapes
from research.report.claims import MissingResult, Results
from tests.training.toy import ROOT

script = flags.load_module(ROOT / "experiments" / "resnet.py")
CONFIG = ROOT / "configs" / "resnet.py"
configs = flags.load_module(CONFIG)
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
    tx = app.build(script, config).learner.tx
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
    experiment = app.build(script, config)
    state = jax.jit(experiment.init)(jax.random.key(0))
    step, losses = jax.jit(experiment.step), []
    batch = {
        "image": jax.random.normal(jax.random.key(1), (16, 8, 8, 3)),
        "label": jnp.arange(16) % 10,
    }
    for t in range(11):  # an epoch has 8 steps
        state, metrics = step(state, batch, jnp.int32(t), jax.random.key(t))
        losses.append(float(metrics["loss"]))
    train = script.epoch_means.read(state.epoch)
    np.testing.assert_allclose(train["loss"], np.mean(losses[8:]), rtol=1e-5)


def results(**changed):
    values = {**MEASURED, **changed}
    return Results({arm: {"train/loss": np.zeros(3) + v} for arm, v in values.items()})


def test_claims_hold_for_what_was_measured():
    # That shortcuts ease shallow networks holds for one seed against the same, not for every seed.
    assert [claim.holds for claim in script.claims(results())] == [True, True, True, False]


@pytest.mark.parametrize(
    "changed, fails",
    [
        ({"residual_56": 2.29}, {1, 2, 3}),  # shortcuts dropped: the plain network
        ({"plain_56": 0.13}, {0, 1, 3}),  # plain networks with shortcuts after all
        ({"residual_20": 1.2}, {3}),
        ({"plain_20": 0.12}, set()),
        ({"residual_56": 1.2}, {2, 3}),  # residual networks degrade too
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    verdicts = [claim.holds for claim in script.claims(results(**changed))]
    assert {i for i, holds in enumerate(verdicts) if not holds} == fails


def test_a_missing_arm_is_no_verdict():
    with pytest.raises(MissingResult, match="residual_56"):
        numbers = {arm: {"train/loss": np.zeros(1)} for arm in ("plain_20", "plain_56")}
        script.claims(Results(numbers))
    assert script.claims(Results({"main": {"train/loss": np.zeros(1)}})) == []


def test_two_runs_build_and_draw_and_average_once_each(tmp_path, monkeypatch):
    """One experiment a run, its two splits drawn once, the mean image computed once."""
    built, drawn, means = [], [], []
    init, load, mean = script.DeepResidualLearning.__init__, shapes.load, augment.per_pixel_mean

    def counted_init(self, config):
        built.append(config.model.residual)
        init(self, config)

    monkeypatch.setattr(script.DeepResidualLearning, "__init__", counted_init)
    monkeypatch.setattr(shapes, "load", lambda *args: drawn.append(args) or load(*args))
    monkeypatch.setattr(augment, "per_pixel_mean", lambda *args: means.append(1) or mean(*args))
    short = ("num_steps=2", "precise_batches=1", "response_batches=1", "eval_every_steps=1")
    overrides = [f"--config.{setting}" for setting in short]
    code = app.main(
        script, ["--config", f"{CONFIG}:smoke", "--workdir", str(tmp_path / "run"), *overrides]
    )
    assert code == 0
    assert built == [False, True]
    assert sorted(split for split, _ in drawn) == ["test[:64]"] * 2 + ["train[:128]"] * 2
    assert len(means) == 2


@pytest.mark.parametrize("variant", list(configs.VARIANTS))
def test_every_variant_builds_with_its_published_count(variant):
    config = configs.get_config(variant)
    assert config.data.num_train // config.batch_size > 0
    if "1202" in variant:
        pytest.skip("traced by the slow test of the model")
    state = jax.eval_shape(app.build(script, config).init, jax.random.key(0))
    if config.published_as:
        count = sum(leaf.size for leaf in jax.tree.leaves(state.learner.params))
        assert count == script.PAPER.parameters[config.published_as]
