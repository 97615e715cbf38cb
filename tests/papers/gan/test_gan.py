"""The script's own logic: simultaneous updates, shared masks, schedules, theory, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as configs
from research.core import UserError
from research.core.tree import count_parameters
from research.papers.gan import theory
from research.report.claims import Results

ROOT = configs.Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "gan.py"


@pytest.fixture(scope="module")
def script():
    return configs.load_module(ROOT / "experiments" / "gan.py")


def setting(variant="smoke", arm="images", **changes):
    config = configs.load_config(CONFIG, variant)
    config = configs.with_overrides(config, configs.arms_of(config)[arm])
    return configs.with_overrides(config, {k.replace("__", "."): v for k, v in changes.items()})


@pytest.fixture(scope="module")
def nets(script):
    experiment = app.build(script, setting())
    return experiment, experiment.init(jax.random.key(0))


def test_both_players_move_from_one_point_with_the_same_samples_and_masks(nets):
    """One update in NumPy's words: v <- p v - rate g, from gradients at the old parameters."""
    experiment, state = nets
    x = np.random.default_rng(0).uniform(0, 1, (20, 64)).astype(np.float32)
    key = jax.random.key(1)
    new, metrics = jax.jit(experiment.step)(state, x, 0, key)
    used = jax.random.split(key, 2)[0]
    z_key, real_key, fake_key = jax.random.split(used, 3)
    z = experiment.latents(z_key, 20)

    def discriminate(params, images, mask):
        return experiment.discriminator.apply(
            {"params": params}, images, train=True, rngs={"dropout": mask}
        )[0]

    def generate(params):
        return experiment.generator.apply({"params": params}, z, train=True)[0]

    def d_loss(params):
        on_real = jax.nn.sigmoid(discriminate(params, x, real_key))
        on_fake = discriminate(params, generate(state.generator.params), fake_key)
        return -(jnp.log(on_real).mean() + jnp.log(1 - jax.nn.sigmoid(on_fake)).mean()) / 2

    def g_loss(params):
        fake = discriminate(state.discriminator.params, generate(params), fake_key)
        return -jnp.log(jax.nn.sigmoid(fake)).mean()

    for name, loss in (("discriminator", d_loss), ("generator", g_loss)):
        old = getattr(state, name).params
        value, grads = jax.value_and_grad(loss)(old)
        np.testing.assert_allclose(metrics[f"{name}/loss"], value, rtol=1e-5)
        expected = jax.tree.map(lambda w, g: w - 0.1 * g, old, grads)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            getattr(new, name).params,
            expected,
        )


def test_rate_and_momentum_follow_the_released_schedules(script):
    experiment = app.build(script, setting("paper"))
    tx = experiment.optimizer()
    zeros = {"w": jnp.zeros(())}
    (velocity, _), ones = tx.init(zeros), {"w": jnp.ones(())}
    for count in (0, 1000, 500 * 125, 500 * 249, 10**8):
        before = {"w": jnp.ones(())}
        change, _ = tx.update(ones, (before, jnp.int32(count)), zeros)
        rate = max(0.1 / 1.000004**count, 1e-6)
        momentum = 0.5 + 0.2 * min(count / 500 / 249, 1)
        np.testing.assert_allclose(change["w"], momentum - rate, rtol=1e-4)
    assert float(velocity["w"]) == 0


def test_dropout_is_of_the_discriminator_and_keeps_the_mean(nets):
    experiment, state = nets
    x = jnp.ones((4, 64))
    apply = experiment.discriminator.apply
    a = apply(state.discriminator, x, train=True, rngs={"dropout": jax.random.key(0)})[0]
    b = apply(state.discriminator, x, train=True, rngs={"dropout": jax.random.key(1)})[0]
    assert (a != b).all()
    z = experiment.latents(jax.random.key(0), 4)
    first, second = (
        experiment.generator.apply(state.generator, z, train=t)[0] for t in (True, False)
    )
    np.testing.assert_array_equal(first, second)


def test_latents_have_a_variance_of_one(nets):
    z = np.asarray(nets[0].latents(jax.random.key(0), 5000))
    assert abs(z).max() <= np.sqrt(3) and abs(z.var() - 1) < 0.02


def test_first_samples_have_the_brightness_of_the_data(nets):
    experiment, state = nets
    mean = np.linspace(0, 1, 64)
    state = experiment.warm_start(state, jnp.asarray(mean, jnp.float32))
    fake = experiment.samples(state, jax.random.key(0), 500).mean(0)
    np.testing.assert_allclose(fake, mean, atol=0.05)


def test_convolutional_networks_have_the_released_shapes(script):
    """33 and 16, 15 and 7, 9 and 5 pixels: 4,800 features before the dense maxout."""
    experiment = app.build(script, setting("cifar10", "main"))
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    d = state.discriminator.params
    assert d["maxout4"]["pieces"]["kernel"].shape == (5 * 5 * 192, 2500)
    assert state.generator.params["pixels"]["kernel"].shape == (5, 5, 80, 3)
    dense = (100 * 8000 + 8000) + (8000 * 8000 + 8000)
    assert count_parameters(state)["generator"] == dense + 5 * 5 * 80 * 3 + 3
    rows = jax.ShapeDtypeStruct((128, 3072), np.float32)
    new, _ = jax.eval_shape(experiment.step, state, rows, 0, jax.random.key(0))
    assert jax.tree.map(lambda x: x.shape, new) == jax.tree.map(lambda x: x.shape, state)


def test_contrast_is_normalised_as_released(script):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    flat = script.pixels({"image": image}, 55.0)
    assert abs(flat.mean()) < 1e-4
    np.testing.assert_allclose(np.linalg.norm(flat), 55, rtol=1e-5)
    plain = script.pixels({"image": image})
    np.testing.assert_allclose(plain, image.reshape(-1) / 255, rtol=1e-6)
    digits = script.pixels({"image": np.full((8, 8), 16.0, np.float32)})
    assert (digits == 1).all()


def test_theory_of_known_densities():
    p, q = theory.normal(0, 1), theory.normal(1.5, 0.7)
    assert theory.jensen_shannon(p, p) == pytest.approx(0, abs=1e-9)
    far = theory.normal(9, 0.1)
    assert theory.jensen_shannon(theory.normal(-9, 0.1), far) == pytest.approx(np.log(2))
    assert theory.jensen_shannon(p, q) == pytest.approx(theory.jensen_shannon(q, p))
    x = np.array([0.3])
    assert theory.optimal_discriminator(p, p, x) == pytest.approx(0.5)
    # The value of the game at D*, summed over samples, is the virtual criterion.
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, 200_000), rng.normal(1.5, 0.7, 200_000)
    best = theory.optimal_discriminator
    value = np.log(best(p, q, real)).mean() + np.log(1 - best(p, q, fake)).mean()
    assert theory.virtual_criterion(p, q) == pytest.approx(value, abs=0.01)


def test_the_best_discriminator_has_no_error(script, monkeypatch):
    """The measure itself: of D* it is 0, of an undecided one it is not."""
    experiment = app.build(script, setting("smoke", "densities"))
    state = experiment.init(jax.random.key(0))

    def perfect(*args):
        x = theory.GRID
        # The logit of p / (p + q) written out, for both vanish far away.
        log_p = -0.5 * x**2
        log_q = -0.5 * ((x - 1.5) / 0.7) ** 2 - np.log(0.7)
        return jnp.asarray(log_p - log_q), {}

    monkeypatch.setattr(script.adversarial, "train_mode", perfect)
    found = experiment.evaluate(state, jax.random.key(0))
    assert found["density/error"] < 1e-4 and found["density/value_error"] < 1e-3
    undecided = lambda *args: (jnp.zeros(len(theory.GRID)), {})  # noqa: E731
    monkeypatch.setattr(script.adversarial, "train_mode", undecided)
    found = experiment.evaluate(state, jax.random.key(0))
    assert found["density/error"] > 0.2
    assert found["density/value"] == pytest.approx(-np.log(4), abs=1e-3)


def test_gradients_of_both_losses_differ_as_section_3_says(script):
    experiment = app.build(script, setting("smoke", "loss_choice"))
    state = experiment.init(jax.random.key(0))
    params = dict(state.discriminator.params)
    params["logit"] = {**params["logit"], "bias": jnp.full(1, -4.0)}  # it rejects everything
    state = state.replace(discriminator=state.discriminator.replace(params=params))
    found = experiment.evaluate(state, jax.random.key(1))
    assert found["choice/fake"] == pytest.approx(1 / (1 + np.exp(4)), rel=0.05)
    assert found["choice/gradient_ratio"] == pytest.approx(found["choice/expected_ratio"], rel=0.1)
    batch = np.full((20, 64), 0.5, np.float32)
    new, _ = experiment.step(state, batch, 0, jax.random.key(2))
    assert all(
        (a == b).all()
        for a, b in zip(
            jax.tree.leaves(state.generator.params),
            jax.tree.leaves(new.generator.params),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("variant", "changes", "said"),
    [
        ("cifar10", {"data.image_size": 28}, "are of images of 32 x 32 x 3"),
        ("cifar10", {"model.discriminator_width": 12}, "a multiple of 8"),
        ("smoke", {"model.architecture": "vgg"}, "model.architecture is one of dense"),
        ("smoke", {"task": "sound"}, "task is one of densities"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(script, variant, changes, said):
    config = configs.with_overrides(configs.load_config(CONFIG, variant), changes)
    with pytest.raises(UserError, match=said):
        app.build(script, config)


def test_images_of_another_size_are_one_line_and_nothing_written(script, tmp_path, capsys):
    flags = ["--config", f"{CONFIG}:smoke", "--arm=images", "--config.data.image_size=28"]
    assert app.main(script, [*flags, "--workdir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert not (tmp_path / "run").exists()


def test_demos_work_with_their_defaults(script, nets):
    experiment, state = nets
    found = (demo := script.demo(experiment, state)).run(**demo.defaults())
    assert found["samples"].shape[2] == 3 and found["walk"].shape[0] == 24
    theory_of = app.build(script, setting("smoke", "densities"))
    demo = script.demo(theory_of, theory_of.init(jax.random.key(0)))
    found = demo.run(**demo.defaults())
    assert 0 < found["d"] < 1 and found["best"] == pytest.approx(
        theory.normal(0, 1)(0.75) / (theory.normal(0, 1)(0.75) + theory.normal(1.5, 0.7)(0.75))
    )


def test_claims_hold_on_good_numbers_and_fail_one_by_one(script):
    arms = {
        "densities": {"density/error": 0.003, "density/value_error": 0.001},
        "loss_choice": {"choice/fake": 0.01, "choice/gradient_ratio": 90.0},
        "images": {
            "parzen/log_likelihood": 100.0,
            "reference/gaussian": 50.0,
            "reference/untrained": 0.0,
            "samples/memorisation_ratio": 1.0,
        },
    }

    def held(**changes):
        numbers = {arm: {**found, **changes.get(arm, {})} for arm, found in arms.items()}
        results = {a: {k: np.array([v]) for k, v in f.items()} for a, f in numbers.items()}
        return [claim.holds for claim in script.claims(Results(results))]

    assert all(held())
    for arm, metric, value in (
        ("densities", "density/error", 0.05),
        ("densities", "density/value_error", 0.05),
        ("loss_choice", "choice/fake", 0.2),
        ("loss_choice", "choice/gradient_ratio", 3.0),
        ("images", "reference/gaussian", 100.0),
        ("images", "reference/untrained", 100.0),
        ("images", "samples/memorisation_ratio", 0.3),
    ):
        assert held(**{arm: {metric: value}}).count(False) == 1
