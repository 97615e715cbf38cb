"""The game's updates, what begins them, how samples are judged, and the released configurations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from configs.gan import get_config
from research import app, config
from research.core import UserError
from research.core.tree import count_parameters
from research.report.claims import Results

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "gan.py")

BATCH = 6


def build(**changed):
    """The smoke variant's game, with parameters that all matter."""
    setting = get_config("smoke")
    setting.batch_size = BATCH
    setting.model.update(generator_init=1.0, discriminator_init=1.0)
    with setting.unlocked():
        for key, value in changed.items():
            *path, last = key.split("__")
            functools.reduce(getattr, path, setting)[last] = value
    return app.build(script, setting)


def pixels(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (BATCH, 8, 8, 1), np.uint8)


def plain_generator(params, z):
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    h = np.asarray(z, np.float64)
    for name in ("dense1", "dense2"):
        h = np.maximum(h @ p[name]["kernel"] + p[name]["bias"], 0)
    return 1 / (1 + np.exp(-(h @ p["out"]["kernel"] + p["out"]["bias"])))


def masked_logits(experiment, params, x, key):
    return experiment.discriminator.model.apply(
        {"params": params}, x, train=True, rngs={"dropout": key}
    )[0]


def log_sigmoid(x):
    return -np.log1p(np.exp(-np.asarray(x, np.float64)))


# One step.


def test_losses_are_equation_1_halved_and_log_d():
    experiment = build()
    state = experiment.init(jax.random.key(0))
    key = jax.random.key(1)
    z_key, real_masks, fake_masks = jax.random.split(key, 3)
    z = jax.random.normal(z_key, (BATCH, 4))
    fake = jnp.float32(plain_generator(state.generator.params, z).reshape(BATCH, 8, 8, 1))
    d = state.discriminator.params
    on_real = masked_logits(experiment, d, pixels() / np.float32(255), real_masks)
    on_fake = masked_logits(experiment, d, fake, fake_masks)

    pair = experiment.pair(state.generator, {"image": pixels()}, key)
    np.testing.assert_allclose(pair.fake, fake, rtol=1e-4, atol=1e-6)
    loss, aux = experiment.discriminator_loss({"params": d}, pair, key)
    expected = -0.5 * (log_sigmoid(on_real).mean() + log_sigmoid(-on_fake).mean())
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(
        aux.metrics["on_samples"], np.exp(log_sigmoid(on_fake)).mean(), rtol=1e-4
    )
    variables = {"params": state.generator.params}
    found, _ = experiment.generator_loss(state.discriminator, variables, z, key)
    np.testing.assert_allclose(found, -log_sigmoid(on_fake).mean(), rtol=1e-4)
    rival = build(generator_loss="saturating")
    found, _ = rival.generator_loss(state.discriminator, variables, z, key)
    np.testing.assert_allclose(found, log_sigmoid(-on_fake).mean(), rtol=1e-4)


def test_a_step_moves_both_from_the_same_point_with_the_same_samples_and_masks():
    """Two steps of pylearn2's SGD in NumPy, on gradients that are taken at one point."""
    changes = {"learning_rate": 1.0, "rate_divisor": 2.0, "momentum_epochs": 2}
    changes = {f"optimizer__{name}": value for name, value in changes.items()}
    experiment = build(**changes, data__num_train=BATCH)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    tree = jax.tree.map
    params = [tree(np.asarray, player.params) for player in (state.discriminator, state.generator)]
    velocity = [tree(np.zeros_like, p) for p in params]
    for t, momentum in enumerate((0.5, 0.7)):  # each step is an epoch
        key = jax.random.key(7 + t)
        game_key, _ = jax.random.split(key)  # `adversarial.Game` has one for G alone, not used
        z_key, real_masks, fake_masks = jax.random.split(game_key, 3)
        z = jax.random.normal(z_key, (BATCH, 4))
        real = jnp.float32(pixels(t)) / 255

        def samples(g, z=z):
            return experiment.generator.model.apply({"params": g}, z, train=True)[0]

        def d_loss(d, g, real=real, masks=(real_masks, fake_masks)):
            on_real = masked_logits(experiment, d, real, masks[0])
            on_fake = masked_logits(experiment, d, samples(g), masks[1])
            return 0.5 * (jax.nn.softplus(-on_real).mean() + jax.nn.softplus(on_fake).mean())

        def g_loss(g, d, masks=fake_masks):
            return jax.nn.softplus(-masked_logits(experiment, d, samples(g), masks)).mean()

        d, g = params
        grads = jax.grad(d_loss)(d, g), jax.grad(g_loss)(g, d)
        rate = 1.0 / 2**t
        velocity = [
            tree(lambda v, g, m=momentum, r=rate: m * v - r * np.asarray(g), v, grad)
            for v, grad in zip(velocity, grads, strict=True)
        ]
        params = [tree(np.add, p, v) for p, v in zip(params, velocity, strict=True)]
        state, _ = step(state, {"image": pixels(t)}, t, key)
    for found, expected in zip((state.discriminator, state.generator), params, strict=True):
        tree(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            found.params,
            expected,
        )


def test_a_fixed_generator_does_not_move():
    experiment = build(generator_learns=False)
    state = experiment.init(jax.random.key(0))
    after, _ = jax.jit(experiment.step)(state, {"image": pixels()}, 0, jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, after.generator, state.generator)
    before, bias = (s.discriminator.params["logit"]["bias"] for s in (state, after))
    assert before != bias


def test_gradients_of_both_objectives_differ_as_one_minus_d_to_d():
    """Of a D that says the same of all samples, exactly."""
    experiment = build(eval__gradient_samples=50)
    state = experiment.init(jax.random.key(0))
    d = jax.tree.map(lambda p: 1e-3 * p, state.discriminator.params)
    d["logit"]["bias"] = jnp.array([-4.0])
    state = state.replace(discriminator=state.discriminator.replace(params=d))
    found = experiment.gradients(state, jax.random.key(1))
    chance = 1 / (1 + np.exp(4.0))
    np.testing.assert_allclose(found["on_samples"], chance, rtol=1e-3)
    ratio = found["gradient/non_saturating"] / found["gradient/saturating"]
    np.testing.assert_allclose(ratio, (1 - chance) / chance, rtol=1e-3)


@pytest.mark.parametrize("name", ["gaussian", "uniform"])
def test_latents_have_variance_1(name):
    z = np.asarray(build(model__latents=name).latents(jax.random.key(0), 20_000))
    np.testing.assert_allclose(z.std(0), 1.0, atol=0.02)
    np.testing.assert_allclose(z.mean(0), 0.0, atol=0.03)
    kurtosis = stats.kurtosis(z.ravel())
    np.testing.assert_allclose(kurtosis, 0.0 if name == "gaussian" else -1.2, atol=0.06)


def test_untrained_samples_are_near_the_mean_image():
    experiment = build(model__generator_init=1e-4)
    state = experiment.warm_start(experiment.init(jax.random.key(0)), experiment.before())
    samples = experiment.samples(state, experiment.latents(jax.random.key(1), 9))
    mean = experiment.images.splits.train.mean(0, dtype=np.float64)
    np.testing.assert_allclose(samples, np.repeat(mean[None], 9, 0), atol=1e-3)
    assert build(model__activations=("relu", "relu", "linear")).before() is None


# What it came to.


def test_samples_are_judged_by_test_images_and_sigma_by_validation_images(monkeypatch):
    experiment = build()
    seen = {}

    def estimate(samples, validation, test):
        seen.update(samples=samples, validation=validation, test=test)
        return script.parzen.Estimate(1.0, 2.0, 3.0, 4.0)

    monkeypatch.setattr(script.parzen, "estimate", estimate)
    numbers = experiment.log_likelihood(np.zeros((5, 8, 8, 1)))
    train, validation, test = experiment.images.splits
    assert seen["validation"] is validation and seen["test"] is test and len(validation) == 50
    assert numbers["test/log_likelihood"] == 1.0 and numbers["validation/log_likelihood"] == 3.0
    rows = {image.tobytes() for image in train}
    assert not rows & {image.tobytes() for image in (*validation, *test)}


def test_references_are_samples_of_a_gaussian_of_an_untrained_generator_and_training_images(
    monkeypatch,
):
    experiment = build(eval__num_samples=4000)
    drawn = []

    def log_likelihood(samples):
        drawn.append(np.asarray(samples).reshape(len(samples), -1))
        return {"test/log_likelihood": float(len(drawn))}

    monkeypatch.setattr(experiment, "log_likelihood", log_likelihood)
    assert experiment.references() == {
        "reference/gaussian": 1.0,
        "reference/untrained": 2.0,
        "reference/training_images": 3.0,
    }
    gaussian, untrained, images = drawn
    train = experiment.images.splits.train.reshape(100, -1)
    assert len(gaussian) == len(untrained) == 4000
    np.testing.assert_allclose(gaussian.mean(0), train.mean(0), atol=0.03)
    np.testing.assert_allclose(np.cov(gaussian.T), np.cov(train.T), atol=0.015)
    np.testing.assert_allclose(np.sort(images, 0), np.sort(train, 0), atol=1e-6)


# The theory.


def theory(**changed):
    setting = config.with_overrides(get_config("smoke"), {"task": "theory"})
    setting.theory.update(**changed)
    return app.build(script, setting)


def test_a_discriminator_that_is_the_optimum_has_no_error_and_the_criterions_value():
    experiment = theory()
    state = experiment.init(jax.random.key(0))

    class Best:
        @staticmethod
        def apply(state, x, train):
            p, q = (stats.norm(mean, std).logpdf(x) for mean, std in ((0.0, 1.0), (1.5, 0.7)))
            return jnp.asarray(p - q)[:, 0], {}

    experiment.discriminator = Best
    found = experiment.curves(state)
    np.testing.assert_allclose(found["error"], 0.0, atol=1e-5)
    np.testing.assert_allclose(found["value"], found["criterion"], atol=1e-4)
    np.testing.assert_allclose(found["criterion"], -np.log(4) + 2 * 0.2878, atol=1e-3)


def test_the_theorys_discriminator_learns_from_data_and_samples():
    experiment = theory(batch_size=4000)
    pair = experiment.pair(jax.random.key(0))
    for found, (mean, std) in ((pair.real, (0.0, 1.0)), (pair.fake, (1.5, 0.7))):
        np.testing.assert_allclose((found.mean(), found.std()), (mean, std), atol=0.06)
    state = experiment.init(jax.random.key(1))
    on_real, on_fake = (experiment.discriminator.apply(state, x, train=True)[0] for x in pair)
    loss, _ = experiment.loss({"params": state.params}, pair, jax.random.key(2))
    expected = -0.5 * (log_sigmoid(on_real).mean() + log_sigmoid(-on_fake).mean())
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


# Images.


def test_images_are_pixels_in_0_to_1_or_normalised():
    images = build().images
    x = np.asarray(images.prepared(pixels()))
    np.testing.assert_allclose(x, pixels() / 255, rtol=1e-6)
    np.testing.assert_allclose(images.pictures(x), pixels() / 127.5 - 1, atol=1e-6)
    normalised = build(data__contrast=55.0).images.prepared(pixels())
    np.testing.assert_allclose(np.linalg.norm(normalised.reshape(BATCH, -1), axis=1), 55, rtol=1e-5)


def test_marginal_logits_are_finite_where_no_image_has_ink():
    images = build().images
    logits = images.marginal_logits().reshape(8, 8)
    mean = images.splits.train.mean(0, dtype=np.float64)[..., 0]
    assert (mean == 0).any() and np.isfinite(logits).all()
    np.testing.assert_allclose(1 / (1 + np.exp(-np.float64(logits))), mean, atol=2e-7)


# The released configurations.


def test_the_released_configuration_for_mnist():
    """`mnist.yaml`."""
    setting = get_config("paper")
    model, optimizer = setting.model, setting.optimizer
    assert (model.latent_size, model.latents) == (100, "gaussian")
    assert (model.widths, model.activations) == ((1200, 1200), ("relu", "relu", "sigmoid"))
    assert (model.units, model.pieces, model.conv_channels) == ((240, 240), 5, ())
    assert (model.generator_init, model.discriminator_init) == (0.05, 0.005)
    assert (model.input_dropout, model.dropout) == (0.2, 0.5)
    assert optimizer.to_dict() == {
        "learning_rate": 0.1,
        "rate_divisor": 1.000004,
        "min_rate": 1e-6,
        "momentum": 0.5,
        "last_momentum": 0.7,
        "momentum_epochs": 250,
    }
    data = setting.data
    assert (setting.batch_size, data.name, data.num_train) == (100, "mnist", 50_000)
    assert (data.train_split, data.validation_split) == ("train[:50000]", "train[50000:]")
    assert (setting.eval.num_samples, setting.eval.num_validation) == (10_000, 1000)
    assert setting.generator_learns and setting.generator_loss == "non_saturating"
    experiment = app.build(script, setting)
    assert (experiment.epoch_steps, experiment.num_steps) == (500, 125_000)
    counts = count_parameters(jax.eval_shape(experiment.init, jax.random.key(0)))
    assert counts == {"generator": 2_503_984, "discriminator": 1_231_441}


def test_the_released_configuration_for_cifar10():
    """`cifar10_convolutional.yaml`."""
    setting = get_config("cifar10")
    model, data = setting.model, setting.data
    assert (model.widths, model.activations) == ((8000, 8000), ("relu", "sigmoid", "linear"))
    assert (model.grid, model.grid_kernel, model.grid_stride) == (10, 5, 3)
    layers = (model.conv_channels, model.conv_kernels, model.conv_paddings)
    assert layers == ((32, 32, 192), (8, 8, 5), (4, 3, 3))
    assert (model.conv_pools, model.conv_pool_strides) == ((4, 4, 2), (2, 2, 2))
    assert (model.conv_pieces, model.units, model.pieces) == (2, (500,), 5)
    assert (setting.batch_size, setting.optimizer.learning_rate) == (128, 0.004)
    assert (data.num_train, data.contrast, data.validation_split) == (40_000, 55.0, "train[40000:]")
    experiment = app.build(script, setting)
    assert experiment.before() is None
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    assert state.generator.params["out_bias"].shape == (32, 32, 3)


# What is refused, and what it does for a person.


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"task": "words"}, "task"),
        ({"generator_loss": "hinge"}, "generator_loss"),
        ({"model__latents": "binary"}, "latents"),
        ({"model__activations": ("relu", "tanh", "sigmoid")}, "model.activations"),
        ({"model__activations": ("relu", "sigmoid")}, "one for each"),
        ({"model__conv_channels": (8,)}, "as many entries"),
    ],
)
def test_refusals(changed, words):
    with pytest.raises(UserError, match=words):
        build(**changed)


def test_too_few_images_are_refused():
    with pytest.raises(UserError, match="data.num_train is 90, but .* has 100"):
        build(data__num_train=90).source.open()
    with pytest.raises(UserError, match="eval.num_validation is at most 237, .* not 300"):
        build(eval__num_validation=300).source.open()
    with pytest.raises(UserError, match="is empty"):
        build(data__validation_split="train[1437:]").source.open()


def test_demos_say_what_was_learned():
    experiment = theory()
    demo = script.demo(experiment, experiment.init(jax.random.key(0)))
    assert "the densities say 1.000" in demo.run(x=-2.0)["answer"]
    assert "the densities say 0.35" in demo.run(x=1.0)["answer"]


# The claims.

MEASURED = {
    "theory": {"theory/error": 0.004, "theory/value": -0.811, "theory/criterion": -0.8108},
    "frozen": {
        "on_samples": 0.01,
        "gradient/non_saturating": 1.0,
        "gradient/saturating": 0.01,
    },
    "gan": {
        "test/log_likelihood": 200.0,
        "reference/gaussian": 30.0,
        "reference/untrained": -60.0,
        "samples/memorisation_ratio": 1.0,
        "samples/std_ratio": 1.0,
        "required/gaussian": 30.0,
        "required/untrained": 90.0,
    },
}


def results(**changed):
    arms = {}
    for arm, numbers in MEASURED.items():
        numbers = {**numbers, **changed.get(arm, {})}
        arms[arm] = {name: np.full(3, value) for name, value in numbers.items()}
    return Results(arms)


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({}, set()),
        ({"theory": {"theory/error": 0.3}}, {0}),
        ({"theory": {"theory/value": -1.386}}, {1}),
        ({"frozen": {"on_samples": 0.5}}, {2}),  # a discriminator that does not learn
        ({"frozen": {"gradient/saturating": 1.0}}, {3}),  # one objective under two names
        ({"gan": {"test/log_likelihood": 45.0}}, {4}),
        ({"gan": {"test/log_likelihood": -60.0}}, {4, 5}),  # a generator that does not learn
        ({"gan": {"samples/memorisation_ratio": 0.1}}, {6}),  # copies
        ({"gan": {"samples/std_ratio": 0.1}}, {7}),  # one sample for all z
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    verdicts = [claim.holds for claim in script.claims(results(**changed))]
    assert {i for i, holds in enumerate(verdicts) if not holds} == fails
