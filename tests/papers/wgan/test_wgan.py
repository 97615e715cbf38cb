"""The script's own parts: what is minimised and clipped, who moves when, what is refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as configs
from research.core import UserError
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


def images(script, **changes):
    return app.build(script, setting(arm="images_wgan", **changes))


def batch_of(experiment, seed=0):
    shape = (experiment.config.batch_size, *experiment.image_shape)
    rows = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return {"image": jnp.array(rows)}


def plain_scores(params, x):
    """A critic of dense layers, in NumPy; x `[B, ...]`."""
    x, p = np.asarray(x).reshape(len(x), -1), jax.tree.map(np.asarray, params)
    for name in sorted(name for name in p if name != "score"):
        x = np.maximum(x @ p[name]["kernel"] + p[name]["bias"], 0)
    return (x @ p["score"]["kernel"] + p["score"]["bias"])[:, 0]


@pytest.mark.parametrize("method", ["wgan", "gan", "minimax_gan"])
def test_losses_are_the_papers(script, method):
    """Equation 3 and algorithm 1, or equation 1 of the GAN paper, of scores in NumPy."""
    experiment = app.build(script, setting(arm="moving_wgan", method=method))
    state = experiment.init(jax.random.key(0))
    pair = experiment.pair(state.generator, None, jax.random.key(1))
    loss, aux = experiment.critic_loss({"params": state.critic.params}, pair, jax.random.key(2))
    on_real, on_fake = (plain_scores(state.critic.params, x) for x in pair)

    z = np.asarray(pair.fake[:, 1])
    variables = {"params": state.generator.params}
    of_g, _ = experiment.generator_loss(state.critic, variables, z, jax.random.key(3))

    def log_sigmoid(x):
        return -np.log1p(np.exp(-x))

    if method == "wgan":
        expected = on_fake.mean() - on_real.mean()
        estimate, generator = -expected, -on_fake.mean()
    else:
        expected = -log_sigmoid(on_real).mean() - log_sigmoid(-on_fake).mean()
        estimate = math.log(2) - expected / 2
        generator = -log_sigmoid(on_fake).mean()
        if method == "minimax_gan":
            generator = log_sigmoid(-on_fake).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(aux.metrics["estimate"], estimate, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_g, generator, rtol=1e-5)


def test_a_discriminators_estimate_is_the_divergence_where_it_is_known(script):
    """At the optimum, log p / q, of two coins: JS in closed form; nothing is above log 2."""
    experiment = app.build(script, setting(arm="moving_wgan", method="gan"))
    p, q = np.array([0.8, 0.2]), np.array([0.3, 0.7])
    logits = np.log(p / q)
    loss = (p * np.log1p(np.exp(-logits))).sum() + (q * np.log1p(np.exp(logits))).sum()
    middle = (p + q) / 2
    js = (p * np.log(p / middle)).sum() / 2 + (q * np.log(q / middle)).sum() / 2
    np.testing.assert_allclose(experiment.estimate(loss), js, rtol=1e-12)
    assert experiment.estimate(0.0) == math.log(2)


def test_an_update_of_the_critic_is_algorithm_1(script):
    """RMSProp as in Torch (alpha 0.99, epsilon outside of the root), then the box."""
    experiment = images(script)
    state = experiment.init(jax.random.key(0))
    batch, key = batch_of(experiment), jax.random.key(1)
    pair_key, loss_key = jax.random.split(jax.random.key(2))
    pair = experiment.pair(state.generator, batch, pair_key)
    after, _ = experiment.critic.minimize(state.critic, experiment.critic_loss, pair, loss_key)
    gradient = jax.grad(lambda p: experiment.critic_loss({"params": p}, pair, key)[0])(
        state.critic.params
    )
    config = experiment.config

    def updated(w, g):
        w, g = np.asarray(w, np.float64), np.asarray(g, np.float64)
        step = config.critic_optimizer.learning_rate * g / (np.sqrt(0.01 * g**2) + 1e-8)
        return np.clip(w - step, -config.clip, config.clip)

    expected = jax.tree.map(updated, state.critic.params, gradient)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), after.params, expected
    )


def test_of_a_wgan_all_of_the_critic_stays_in_its_box_and_nothing_else(script):
    experiment = images(script, model__critic="dcgan", model__critic_width=4, data__image_size=16)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    for t in range(4):  # after the last of these the generator has moved
        state, _ = step(state, batch_of(experiment), t, jax.random.key(t))
    assert {path[-1].key for path, _ in jax.tree.leaves_with_path(state.critic.params)} > {"scale"}
    assert all(abs(x).max() <= 0.01 + 1e-7 for x in jax.tree.leaves(state.critic.params))
    assert any(abs(x).max() > 0.02 for x in jax.tree.leaves(state.generator.params))
    rival = images(script, method="gan")
    state = rival.init(jax.random.key(0))
    state, _ = jax.jit(rival.step)(state, batch_of(rival), 0, jax.random.key(1))
    assert any(abs(x).max() > 0.02 for x in jax.tree.leaves(state.critic.params))


def test_the_generator_moves_only_when_it_is_due(script):
    """4 updates of the critic before each of the first two of g, then 5; and 4 before the fifth."""
    experiment = images(script)
    assert experiment.num_steps == experiment.schedule.critic_updates(8)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    moved = []
    for t in range(25):
        before = state.generator.params
        state, _ = step(state, batch_of(experiment, t), t, jax.random.key(t))
        if any(
            (a != b).any()
            for a, b in zip(
                jax.tree.leaves(before), jax.tree.leaves(state.generator.params), strict=True
            )
        ):
            moved.append(t)
    assert moved == [3, 7, 12, 17, 21]


def test_an_estimate_is_read_after_a_long_run_with_the_generator_as_it_is(script):
    experiment = images(script)
    state = experiment.init(jax.random.key(0))
    pixels = jnp.float32(batch_of(experiment)["image"])
    after = experiment.jit_long_run(state, pixels, jax.random.key(1))
    critic = state.critic
    for key in jax.random.split(jax.random.key(1), 4):
        row_key, key = jax.random.split(key)
        rows = jax.random.randint(row_key, (16,), 0, 16)
        batch = {"image": pixels[rows]}
        critic, _ = experiment.game.discriminate(critic, state.generator, batch, key)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.params, critic.params
    )
    real = np.asarray(pixels / 127.5 - 1)
    fake = experiment.draw(state, experiment.latents(jax.random.key(2), 16))
    scores = [plain_scores(critic.params, x) for x in (real, fake)]
    expected = scores[0].mean() - scores[1].mean()
    found = experiment.held_out_estimate(critic, real, fake)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_a_line_moves_down_the_gradient(script):
    experiment = app.build(script, setting(arm="moving_wgan", num_critic=1, clip=10.0))
    state = experiment.init(jax.random.key(0))
    after, _ = jax.jit(experiment.step)(state, None, 0, jax.random.key(1))
    z = jnp.linspace(0, 1, 200)
    slope = jax.grad(
        lambda theta: (
            -experiment.critic.apply(
                after.critic, jnp.stack([jnp.full(200, theta), z], -1), train=True
            )[0].mean()
        )
    )(4.0)
    moved = after.generator.params["theta"] - state.generator.params["theta"]
    rate = experiment.config.generator_optimizer.learning_rate
    np.testing.assert_allclose(moved, -rate * slope, rtol=0.2)  # its own draws of z


def test_slopes_of_lines_are_derivatives_of_their_estimates(script):
    experiment = app.build(script, setting(arm="lines_wgan"))
    state = experiment.init(jax.random.key(0))
    estimates, slopes = experiment.measure(state)
    moved = experiment.theta + 1e-2
    experiment.theta = moved
    later, _ = experiment.measure(state)
    np.testing.assert_allclose((later - estimates) / 1e-2, slopes, rtol=0.05, atol=1e-3)


def test_a_published_network_moves_as_the_paper_has_it(script):
    config = configs.load_config(CONFIG, "paper")
    assert (config.num_critic, config.clip, config.batch_size) == (5, 0.01, 64)
    assert config.long_runs.to_dict() == {"many": 100, "first": 25, "every": 500}
    assert config.critic_optimizer.to_dict() == {"name": "rmsprop", "learning_rate": 5e-5}
    assert config.generator_optimizer.to_dict() == config.critic_optimizer.to_dict()
    assert (config.model.latent_size, config.data.image_size) == (100, 64)
    tx = script.optimizer(config.critic_optimizer)
    ours, _ = tx.update(jnp.float32(1e-6), tx.init(jnp.float32(0.0)))
    np.testing.assert_allclose(ours, -5e-5 * 1e-6 / (0.1 * 1e-6 + 1e-8), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "circles"}, "task"),
        ({"method": "hinge"}, "method"),
        ({"theta": (1.0, 0.5)}, "each larger"),
        ({"task": "images", "model.generator": "unet"}, "model.generator"),
        ({"task": "images", "model.critic": "unet"}, "model.critic"),
        ({"task": "images", "model.critic": "dcgan", "data.image_size": 9}, "not 8, 16, 32"),
        ({"critic_optimizer.name": "lion"}, "optimizer.name"),
    ],
)
def test_what_cannot_be_is_refused(script, changes, message):
    config = configs.with_overrides(configs.load_config(CONFIG, "smoke"), changes)
    with pytest.raises(UserError, match=message):
        app.build(script, config)


def test_rank_correlation(script):
    assert script.rank_correlation(np.arange(5), np.arange(5) ** 3) == pytest.approx(1)
    assert script.rank_correlation(np.arange(5), -np.arange(5)) == pytest.approx(-1)
    assert script.rank_correlation(np.arange(5), np.ones(5)) == 0


GOOD = {
    "estimate/rank_correlation": {"lines_wgan": [1.0, 1.0, 1.0], "lines_gan": [0.0] * 3},
    "estimate/unevenness": {"lines_wgan": [1.05] * 3, "lines_gan": [4.0] * 3},
    "estimate/least": {"lines_wgan": [0.2] * 3, "lines_gan": [0.69] * 3},
    "slope/least": {"lines_wgan": [0.7] * 3, "lines_gan": [0.0] * 3},
    "slope/most": {"lines_wgan": [2.0] * 3, "lines_gan": [1e-3] * 3},
    "theta/distance": {"moving_wgan": [0.05] * 3, "moving_gan": [3.0] * 3},
    "estimate/follows_quality": {"images_wgan": [0.9, 0.8, 0.7]},
}


def test_claims_hold_for_what_the_paper_found_and_fail_for_each_thing_it_did_not(script):
    def judged(**changes):
        numbers = {}
        for metric, arms in {**GOOD, **changes}.items():
            for arm, values in arms.items():
                numbers.setdefault(arm, {})[metric] = np.array(values)
        return [claim.holds for claim in script.claims(Results(numbers))]

    assert all(judged())
    for metric, arm, bad in (
        ("estimate/rank_correlation", "lines_wgan", 0.9),
        ("estimate/unevenness", "lines_wgan", 3.0),
        ("slope/least", "lines_wgan", 0.01),
        ("slope/most", "lines_gan", 0.3),
        ("estimate/least", "lines_gan", 0.3),
        ("theta/distance", "moving_wgan", 2.9),
        ("estimate/follows_quality", "images_wgan", 0.1),
    ):
        worse = {arm: list(values) for arm, values in GOOD[metric].items()}
        worse[arm][-1] = bad
        assert not all(judged(**{metric: worse})), metric
