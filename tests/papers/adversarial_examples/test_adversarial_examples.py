"""The script's objective and update, its data, its judgement of attacks, its demo, its claims."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app, config
from research.core.errors import UserError
from research.data.dataset import Dataset
from research.losses import attacks
from research.papers.adversarial_examples import judging
from research.papers.adversarial_examples.battery import Battery, Inputs, mean_of
from research.papers.adversarial_examples.some_classes import SomeClasses
from research.report.claims import Results

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "adversarial_examples.py")
configs = config.load_module(ROOT / "configs" / "adversarial_examples.py")


def build(**changes):
    setting = configs.get_config("smoke")
    setting.update_from_flattened_dict({"sources": 0, **changes})
    return app.build(script, setting)


LINEAR = {
    "model.widths": (),
    "model.input_dropout": 0.0,
    "optimizer.name": "adam",
    "optimizer.max_squared_norm": 0.0,
}


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        # In units of 127.5 / 16 of the digits' own.
        "image": rng.uniform(0, 16 / 127.5, (16, 8, 8, 1)).astype(np.float32),
        "label": rng.integers(0, 10, 16).astype(np.int32),
    }


def cross_entropy(params, x, y):
    z = x.reshape(len(x), -1) @ params["softmax"]["kernel"] + params["softmax"]["bias"]
    return (jax.nn.logsumexp(z, -1) - z[jnp.arange(len(y)), y]).mean()


@pytest.mark.parametrize(("alpha", "clip"), [(0.5, False), (0.25, True), (0.0, False)])
def test_the_objective_is_both_losses_weighed_and_its_gradient_that_of_fixed_inputs(
    batch, alpha, clip
):
    """J~ = alpha J(x) + (1 - alpha) J(x + epsilon sign(grad_x J)), section 6."""
    experiment = build(
        **LINEAR,
        **{"train.perturbation": "fgsm", "train.alpha": alpha, "train.clip": clip},
    )
    state = experiment.init(jax.random.key(0))
    params = state.learner.params
    x, y = batch["image"] * experiment.config.data.scale, batch["label"]
    gradient = jax.grad(lambda x: cross_entropy(params, x, y))(x)
    moved = x + 0.25 * np.sign(gradient)
    moved = np.clip(moved, 0, 1) if clip else moved

    def expected(params):
        return alpha * cross_entropy(params, x, y) + (1 - alpha) * cross_entropy(params, moved, y)

    found = lambda params: experiment.loss({"params": params}, batch, jax.random.key(1))[0]  # noqa: E731
    np.testing.assert_allclose(found(params), expected(params), rtol=1e-5)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6),
        jax.grad(found)(params),
        jax.grad(expected)(params),
    )


def test_the_attack_in_training_is_without_dropout_and_on_the_true_label(batch):
    experiment = build(**{"train.perturbation": "fgsm"})
    variables = experiment.variables(experiment.init(jax.random.key(0)))["model"]
    # Weights large enough for the network to have an opinion.
    variables = jax.tree.map(lambda w: w * 5, variables)
    x, y = experiment.pixels(batch["image"]), batch["label"]
    perturbed = functools.partial(experiment.perturbed, variables, x)
    first, second = (perturbed(y, jax.random.key(i)) for i in (1, 2))
    np.testing.assert_array_equal(first, second)  # no dropout mask is drawn
    model = functools.partial(experiment.logits, variables)
    expected = attacks.fgsm(model, x, y, 0.25)
    np.testing.assert_allclose(first, expected, atol=1e-6)
    said = model(x).argmax(-1)
    assert (said != y).any()
    assert np.abs(np.asarray(attacks.fgsm(model, x, said, 0.25)) - first).max() > 0.1


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("random_sign", 0.25, 0.25), ("uniform", 0.0, 0.25)]
)
def test_noise_arms_train_on_noise_of_the_attacks_size(batch, kind, least, most):
    experiment = build(**{"train.perturbation": kind})
    x = experiment.pixels(batch["image"])
    moved = experiment.perturbed({}, x, batch["label"], jax.random.key(0)) - x
    assert least - 1e-6 <= np.abs(moved).min() and most - 0.01 <= np.abs(moved).max() <= most + 1e-6


def test_pgd_arm_trains_on_several_clipped_steps(batch):
    experiment = build(**{"train.perturbation": "pgd", "train.clip": True, "train.attack_steps": 3})
    state = experiment.init(jax.random.key(0))
    variables = experiment.variables(state)["model"]
    x, y = experiment.pixels(batch["image"]), batch["label"]
    moved = experiment.perturbed(variables, x, y, jax.random.key(3))
    start = attacks.random_starts(jax.random.key(3), x, 0.25, 1)
    model = functools.partial(experiment.logits, variables)
    z = start[0]
    for _ in range(3):
        step = 0.0625 * jnp.sign(attacks.input_gradient(model, z, y))
        z = jnp.clip(jnp.clip(z + step, x - 0.25, x + 0.25), 0, 1)
    np.testing.assert_allclose(moved, z, atol=1e-5)


def test_hidden_arm_moves_the_last_hidden_layer_against_its_gradient(batch):
    experiment = build(
        **{"train.perturbation": "hidden_fgsm", "model.dropout": 0.0, "model.input_dropout": 0.0}
    )
    state = experiment.init(jax.random.key(0))
    variables = experiment.variables(state)["model"]
    x, y = experiment.pixels(batch["image"]), batch["label"]
    h = experiment.learner.apply(variables, x)[1]["hidden"][-1]
    kernel, bias = (variables["params"]["softmax"][name] for name in ("kernel", "bias"))
    probabilities = jax.nn.softmax(h @ kernel + bias)
    gradient = (probabilities - jax.nn.one_hot(y, 10)) @ kernel.T
    expected = (h + 0.25 * jnp.sign(gradient)) @ kernel + bias
    found, _ = experiment.hidden_logits(variables, x, y, jax.random.key(0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_sources_are_other_networks_that_learn_from_images_as_they_are(batch):
    experiment = build(**LINEAR, **{"train.perturbation": "fgsm", "sources": 2})
    state = experiment.init(jax.random.key(0))
    kernels = state.sources.params["softmax"]["kernel"]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert np.abs(kernels[0] - state.learner.params["softmax"]["kernel"]).max() > 1e-3
    new, _ = jax.jit(experiment.step)(state, batch, jnp.int32(0), jax.random.key(1))
    alone = jax.tree.map(lambda s: s[1], state.sources)
    after, _ = experiment.learner.minimize(
        alone, experiment.plain_loss, batch, jax.random.split(jax.random.key(1), 3)[2]
    )
    np.testing.assert_allclose(
        new.sources.params["softmax"]["kernel"][1],
        after.params["softmax"]["kernel"],
        rtol=1e-4,
        atol=1e-6,
    )


W = jnp.asarray(np.random.default_rng(5).normal(size=(3, 4, 3)), jnp.float32)


def battery_inputs():
    x = jnp.asarray(np.random.default_rng(1).uniform(size=(30, 4)), jnp.float32)
    y = jnp.arange(30) % 3
    return Inputs(x, y, jax.random.split(jax.random.key(0), 30))


def test_transferred_attacks_are_made_on_one_network_and_shown_to_another():
    first, second, third = (lambda x, w=w: x @ w for w in W)
    inputs = battery_inputs()
    battery = Battery(attacks.cross_entropies, 0.2, 0.1, 2, 1)
    found = battery.transferred(first, [second, third], inputs)
    on_second = attacks.fgsm(second, inputs.x, inputs.y, 0.2)
    np.testing.assert_allclose(found["transfer"], first(on_second), rtol=1e-5)
    np.testing.assert_allclose(found["source_fgsm"], second(on_second), rtol=1e-5)
    on_first = attacks.fgsm(first, inputs.x, inputs.y, 0.2)
    np.testing.assert_allclose(found["transfer_back"], second(on_first), rtol=1e-5)
    mean = (jax.nn.softmax(second(inputs.x)) + jax.nn.softmax(third(inputs.x))) / 2
    np.testing.assert_allclose(jnp.exp(found["ensemble"]), mean, rtol=1e-4)
    both = functools.partial(mean_of, [second, third])
    moved = attacks.fgsm(both, inputs.x, inputs.y, 0.2)
    np.testing.assert_allclose(found["ensemble_fgsm"], both(moved), rtol=1e-4, atol=1e-5)


def test_every_attack_of_the_battery_does_more_harm_than_noise():
    model = lambda x: jnp.tanh(3 * x @ W[0])  # noqa: E731
    inputs = battery_inputs()
    battery = Battery(attacks.cross_entropies, 0.3, 0.1, 5, 2)
    logits = jax.jit(lambda inputs: battery.attacked(model, inputs))(inputs)
    losses = {k: attacks.cross_entropies(v, inputs.y).mean() for k, v in logits.items()}
    for name in ("fgsm", "fgsm_clipped", "pgd", "pgd_margin"):
        assert losses[name] > losses["random_sign"] > 0, name
    assert losses["pgd"] > losses["test"]
    # The noise of a row does not depend on the rows beside it.
    part = Inputs(inputs.x[5:9], inputs.y[5:9], inputs.keys[5:9])
    np.testing.assert_allclose(
        battery.random_signs(part), battery.random_signs(inputs)[5:9], rtol=1e-6
    )


def test_errors_and_confidence_on_mistakes():
    said = {"a": (np.array([0, 1, 2, 2]), np.array([0.9, 0.8, 0.6, 0.4]))}
    labels = np.array([0, 2, 1, 2])
    assert judging.errors(said, labels) == {"a/error": 50.0, "a/confidence": pytest.approx(70.0)}
    assert judging.errors({"a": (labels, np.ones(4))}, labels) == {"a/error": 0.0}


def test_agreement_is_over_rows_wrong_for_both():
    labels = np.array([0, 0, 0, 0, 0])
    first, second = np.array([1, 1, 2, 0, 3]), np.array([1, 2, 2, 4, 0])
    assert judging.agreement(first, second, labels) == pytest.approx(100 * 2 / 3)
    assert np.isnan(judging.agreement(labels, second, labels))


def test_linearity_is_one_for_two_lines_and_less_for_a_parabola():
    epsilons = np.linspace(-1, 1, 21)
    bent = np.where(epsilons < 0, 3.0, -1.0) * epsilons
    curved = np.stack([bent, epsilons**2], 1)[:, :, None] * np.array([1.0, 0, -1])
    found = judging.linearity(epsilons, curved + 7)
    np.testing.assert_allclose(found[0], 1.0, atol=1e-9)
    assert 0.5 < found[1] < 0.98


def test_some_classes_are_numbered_anew():
    labels = [3, 0, 7, 7, 1, 3]
    records = [{"image": np.full((2, 2), i), "label": k} for i, k in enumerate(labels)]
    whole = Dataset(records, "six", [str(k) for k in range(10)])
    some = SomeClasses(lambda split: whole, (3, 7))("train")
    assert [int(r["label"]) for r in some] == [0, 1, 1, 0]
    assert [int(r["image"][0, 0]) for r in some] == [0, 2, 3, 5]
    assert some.class_names == ("3", "7") and "classes (3, 7)" in some.origin
    assert SomeClasses(lambda split: whole, ())("train") is whole
    with pytest.raises(UserError, match="no class 9"):
        SomeClasses(lambda split: whole, (3, 9))("train")


def test_demo_moves_pixels_by_epsilon_at_most():
    experiment = build()
    state = jax.jit(experiment.init)(jax.random.key(0))
    demo = script.demo(experiment, state)
    out = demo.run(**demo.defaults())
    assert out["perturbed"].shape == out["signs"].shape == (128, 128)
    np.testing.assert_allclose(sum(out["before"].values()), 0.5, atol=0.2)  # five of ten classes
    still = demo.run(**{**demo.defaults(), "epsilon": 0.0})
    assert still["before"] == still["after"]
    with pytest.raises(UserError, match="shows nothing"):
        demo.run(**{**demo.defaults(), "picture": np.zeros((1, 9, 3), np.uint8)})


MEASURED = {
    "logistic": {"fgsm/error": 99.0},
    "softmax": {"fgsm/error": 100.0, "random_sign/error": 12.0, "fgsm/confidence": 80.0},
    "radial": {"fgsm/confidence": 10.0, "rubbish/error": 0.0},
    "standard": {
        "fgsm/error": 97.0,
        "random_sign/error": 12.0,
        "linearity/r2": 0.97,
        "test/error": 2.0,
        "test/images": 360,
        "transfer/error": 95.0,
        "transfer_back/agreement": 85.0,
        "pgd/loss_above_fgsm": 3.0,
        "ensemble_fgsm/error": 97.0,
        "rubbish/error": 90.0,
    },
    "fgsm_trained": {
        "fgsm/error": 45.0,
        "test/error": 2.0,
        "transfer/error": 60.0,
        "pgd/error": 90.0,
        "pgd/error_above_fgsm": 45.0,
    },
    "pgd_trained": {"pgd/error": 57.0},
    "sign_trained": {"fgsm/error": 97.0},
    "uniform_trained": {"fgsm/error": 97.0},
    "hidden_trained": {"fgsm/error": 97.0},
}


def verdicts(**changed):
    arms = {
        arm: {name: np.full(3, value) for name, value in {**values, **changed.get(arm, {})}.items()}
        for arm, values in MEASURED.items()
    }
    claims = script.claims(Results(arms))
    assert all(claim.holds is not None for claim in claims)
    return {i for i, claim in enumerate(claims) if not claim.holds}


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({}, set()),
        # An attack that is no more than noise.
        ({"softmax": {"fgsm/error": 12.0}, "standard": {"fgsm/error": 12.0}}, {1, 3, 6}),
        # Noise that is an attack.
        ({"standard": {"random_sign/error": 97.0}}, {4}),
        # Training that learns nothing from perturbed inputs.
        ({"fgsm_trained": {"fgsm/error": 97.0}}, {6, 8, 15, 16}),
        ({"fgsm_trained": {"test/error": 10.0}}, {7}),
        # PGD that is one step.
        ({"fgsm_trained": {"pgd/error_above_fgsm": 0.0}}, {12}),
        ({"pgd_trained": {"pgd/error": 90.0}}, {13}),
        # Labels that leak: an attack from what the network says lowers a wrong input's loss.
        ({"standard": {"pgd/loss_above_fgsm": -1.0}}, {14}),
        ({"radial": {"rubbish/error": 90.0}}, {20}),
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    assert verdicts(**changed) == fails


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--config.model.kind=cubic", "model.kind"),
        ("--config.train.alpha=1.5", "train.alpha"),
        ("--config.train.epsilon=-0.1", "train.epsilon"),
    ],
)
def test_values_that_mean_nothing_are_refused(flag, said):
    path = ROOT / "configs" / "adversarial_examples.py"
    flags = ["--config", f"{path}:paper", flag]
    with pytest.raises(app.UserError, match=said):
        config.parse(flags, ROOT / "experiments" / "adversarial_examples.py")


def test_unknown_perturbations_and_hidden_layers_that_are_not_there_are_refused():
    with pytest.raises(UserError, match="perturbation"):
        build(**{"train.perturbation": "l2"})
    with pytest.raises(UserError, match="hidden_fgsm"):
        build(**LINEAR, **{"train.perturbation": "hidden_fgsm"})
