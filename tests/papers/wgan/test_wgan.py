"""The script's own logic: both objectives, the box, who moves when, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as configs
from research.core import UserError
from research.papers.wgan import parallel_lines
from research.report.claims import Results

ROOT = configs.Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "wgan.py"


@pytest.fixture(scope="module")
def script():
    return configs.load_module(ROOT / "experiments" / "wgan.py")


def setting(variant="smoke", arm="", **changes):
    config = configs.load_config(CONFIG, variant)
    if arm:
        config = configs.with_overrides(config, configs.arms_of(config)[arm])
    return configs.with_overrides(config, {k.replace("__", "."): v for k, v in changes.items()})


def rows(num=8):
    return {"image": np.random.default_rng(0).integers(0, 256, (num, 16, 16, 3), np.uint8)}


@pytest.fixture(scope="module")
def images(script):
    experiment = app.build(script, setting("smoke", "images_wasserstein"))
    state = jax.jit(experiment.init)(jax.random.key(0))
    return experiment, state, jax.jit(experiment.step)


def same(a, b):
    return [
        bool((x == y).all()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    ]


def test_the_generator_moves_on_schedule_and_the_critic_always(images):
    experiment, state, step = images
    for t in range(12):
        new, metrics = step(state, rows(), t, jax.random.key(t))
        due = bool(experiment.schedule.generator_moves(jnp.int32(t)))
        assert not any(same(state.critic.params, new.critic.params))
        assert all(same(state.generator.params, new.generator.params)) != due
        assert np.isfinite(metrics["generator/grad_norm"]) == due
        state = new


def test_every_parameter_of_the_critic_is_clipped_batch_norm_too(images):
    experiment, state, step = images
    assert max(abs(x).max() for x in jax.tree.leaves(state.critic.params)) > 0.9  # its scales
    new, _ = step(state, rows(), 0, jax.random.key(0))
    bound = experiment.config.clip
    assert all(abs(x).max() <= bound + 1e-7 for x in jax.tree.leaves(new.critic.params))


def test_one_update_of_a_critic_in_numpy(script):
    """RMSProp as Torch has it, then the box."""
    experiment = app.build(script, setting("smoke", "lines_wasserstein"))
    critic = jax.tree.map(lambda x: x[2], experiment.init(jax.random.key(0)).critic)
    pair = experiment.pair(jnp.float32(0.5), jax.random.key(1), 16)
    after, metrics = experiment.critic.minimize(
        critic, experiment.critic_loss, pair, jax.random.key(2)
    )
    p = jax.tree.map(np.asarray, critic.params)

    def backward(x, sign):
        """Value, and gradient of sign * E[f(x)] by the weights of the score and of layer two."""
        one = np.maximum(x @ p["dense1"]["kernel"] + p["dense1"]["bias"], 0)
        two = np.maximum(one @ p["dense2"]["kernel"] + p["dense2"]["bias"], 0)
        value = (two @ p["score"]["kernel"])[:, 0].mean()
        slope = sign * (two > 0) * p["score"]["kernel"][:, 0] / len(x)
        return value, sign * two.mean(0)[:, None], one.T @ slope

    real, fake = (np.asarray(x) for x in pair)
    (v_real, *g_real), (v_fake, *g_fake) = backward(real, -1.0), backward(fake, 1.0)
    np.testing.assert_allclose(metrics["loss"], v_fake - v_real, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(metrics["estimate"], v_real - v_fake, rtol=1e-4, atol=1e-7)
    clip, rate = experiment.config.clip, experiment.config.optimizer.learning_rate
    for name, by_real, by_fake in zip(("score", "dense2"), g_real, g_fake, strict=True):
        grad = by_real + by_fake
        moved = p[name]["kernel"] - rate * grad / (np.sqrt(0.01 * grad**2) + 1e-8)
        expected = np.clip(moved, -clip, clip)
        np.testing.assert_allclose(after.params[name]["kernel"], expected, rtol=1e-3, atol=1e-5)


def test_estimates_are_of_the_distance_and_of_jensen_and_shannon(script):
    """A perfect discriminator's is log 2, an undecided one's 0; a critic's has no ceiling."""
    critic = app.build(script, setting("smoke", "lines_wasserstein"))
    sure = jnp.full(4, 50.0)
    np.testing.assert_allclose(critic.estimate(sure, -sure), 100)
    judge = app.build(script, setting("", "lines_gan"))
    np.testing.assert_allclose(judge.estimate(sure, -sure), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(judge.estimate(0 * sure, 0 * sure), 0, atol=1e-6)
    d = 1 / (1 + np.exp(-1.0))
    expected = np.log(2) + (np.log(d) + np.log(1 - d)) / 2
    np.testing.assert_allclose(judge.estimate(jnp.ones(3), jnp.ones(3)), expected, rtol=1e-5)


def test_gradient_by_theta_is_that_of_the_critic_at_the_samples(script):
    """Of finite differences of the generator's loss, for a critic as it is."""
    experiment = app.build(script, setting("smoke", "lines_wasserstein"))
    state = experiment.init(jax.random.key(0))
    key = jax.random.key(1)
    _, slopes = experiment.measure(state.critic, key)
    keys = jax.random.split(key, 6)
    for i, theta in enumerate(parallel_lines.THETAS):
        critic = jax.tree.map(lambda x, i=i: x[i], state.critic)
        _, fake = experiment.pair(theta, keys[i], 4096)

        def loss(x, critic=critic, fake=fake):
            points = parallel_lines.line(jnp.float32(x), fake[:, 1])
            return float(-experiment.critic.apply(critic, points, train=True)[0].mean())

        by_differences = abs(loss(theta + 0.01) - loss(theta - 0.01)) / 0.02
        np.testing.assert_allclose(slopes[i], by_differences, rtol=0.05, atol=1e-4)


def test_lines_are_where_they_should_be(script):
    experiment = app.build(script, setting("smoke", "move_wasserstein"))
    state = experiment.init(jax.random.key(0))
    real, fake = experiment.real_and_fake(state.generator, None, jax.random.key(1))
    assert (real[:, 0] == 0).all() and (fake[:, 0] == 4).all()
    for y in (real[:, 1], fake[:, 1]):
        assert 0 <= y.min() < 0.2 and 0.8 < y.max() <= 1
    assert experiment.evaluate(state, jax.random.key(0)) == {"line/distance": 4.0}


def test_numbers_of_perfect_and_of_saturated_estimates():
    thetas = np.array(parallel_lines.THETAS)
    good = parallel_lines.numbers(2 * thetas, np.full(6, 2.0))
    assert good["rank_correlation"] == pytest.approx(1) and good["ratio_spread"] == 1
    assert good["least_slope"] == 2
    flat = parallel_lines.numbers(np.full(6, np.log(2)), np.zeros(6))
    assert flat["rank_correlation"] == 0 and flat["ratio_spread"] == pytest.approx(4)
    assert parallel_lines.numbers(-thetas, np.zeros(6))["ratio_spread"] == 1e6


def test_paper_variant_is_the_released_script():
    config = configs.load_config(CONFIG, "paper")
    schedule, optimizer = config.schedule, config.optimizer
    assert (config.batch_size, config.clip, config.model.latent_size) == (64, 0.01, 100)
    assert (optimizer.name, optimizer.learning_rate) == ("rmsprop", 5e-5)
    assert (schedule.usual, schedule.many, schedule.first, schedule.every) == (5, 100, 25, 500)
    dense = configs.load_config(CONFIG, "dense")
    assert (dense.model.generator, dense.model.dense_width) == ("dense", 512)
    assert configs.load_config(CONFIG, "constant_width").model.generator == "constant_width"


@pytest.mark.parametrize(
    ("variant", "changes", "said"),
    [
        ("lsun", {"data.image_size": 48}, "data.image_size 48 is not 8, 16, 32"),
        ("lsun", {"model.generator": "unet"}, "model.generator is one of dcgan"),
        ("lsun", {"model.critic": "unet"}, "model.critic is one of dcgan"),
        ("smoke", {"task": "sound"}, "task is one of lines"),
        ("smoke", {"method": "hinge"}, "method is one of wasserstein"),
        ("smoke", {"optimizer.name": "sgd"}, "optimizer.name is one of rmsprop"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(script, variant, changes, said):
    config = configs.with_overrides(configs.load_config(CONFIG, variant), changes)
    with pytest.raises(UserError, match=said):
        app.build(script, config)


def test_channels_that_the_data_has_not_are_one_line_and_nothing_written(script, tmp_path, capsys):
    flags = ["--config", f"{CONFIG}:smoke", "--arm=images_wasserstein"]
    flags += ["--config.data.channels=1", "--workdir", str(tmp_path / "run")]
    assert app.main(script, flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arm", ["lines_wasserstein", "move_wasserstein"])
def test_demo_of_lines_works_with_its_defaults(script, arm):
    experiment = app.build(script, setting("smoke", arm))
    demo = script.demo(experiment, experiment.init(jax.random.key(0)))
    values = demo.run(**demo.defaults())["values"]
    assert values.dtype == np.uint8 and values.shape == (384, 384) and values.std() > 5


def test_demo_of_images_works_with_its_defaults(script, images):
    experiment, state, _ = images
    demo = script.demo(experiment, state)
    found = demo.run(**demo.defaults())
    assert found["samples"].shape[2] == 3 and found["walk"].shape[3] == 3


def test_claims_hold_on_good_numbers_and_fail_one_by_one(script):
    arms = {
        "lines_wasserstein": {
            "lines/rank_correlation": 1.0,
            "lines/ratio_spread": 1.05,
            "lines/least_slope": 0.7,
            "lines/largest_slope": 2.0,
        },
        "lines_gan": {"lines/largest_slope": 1e-3, "lines/rank_correlation": 0.2},
        "move_wasserstein": {"line/distance": 0.05},
        "move_gan": {"line/distance": 3.9},
        "images_wasserstein": {"curve/rank_correlation": 0.9},
        "images_gan": {"curve/rank_correlation": 0.1},
    }

    def held(**changes):
        numbers = {arm: {**found, **changes.get(arm, {})} for arm, found in arms.items()}
        return [
            claim.holds
            for claim in script.claims(
                Results({a: {k: np.array([v]) for k, v in f.items()} for a, f in numbers.items()})
            )
        ]

    assert all(held())
    for arm, metric, value in (
        ("lines_wasserstein", "lines/rank_correlation", 0.94),
        ("lines_wasserstein", "lines/ratio_spread", 1.5),
        ("lines_wasserstein", "lines/least_slope", 0.1),
        ("lines_gan", "lines/largest_slope", 0.1),
        ("move_wasserstein", "line/distance", 1.0),
        ("move_gan", "line/distance", 1.0),
        ("images_gan", "curve/rank_correlation", 0.95),
    ):
        assert held(**{arm: {metric: value}}).count(False) == 1
