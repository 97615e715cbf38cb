"""The script's own logic: equation 3, who learns from what, and what each task refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research import config as configs
from research.core import UserError
from research.models import adversarial
from research.papers.wgan_gp import image_networks
from research.report.claims import Results

ROOT = configs.Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "wgan_gp.py"
SMALL = {
    "model.width": 4,
    "model.latent_size": 3,
    "batch_size": 4,
    "generator_batch_size": 4,
    "num_critic": 2,
}


@pytest.fixture(scope="module")
def script():
    return configs.load_module(ROOT / "experiments" / "wgan_gp.py")


def setting(variant="smoke", arm="", **changes):
    config = configs.load_config(CONFIG, variant)
    if arm:
        config = configs.with_overrides(config, configs.arms_of(config)[arm])
    return configs.with_overrides(config, {k.replace("__", "."): v for k, v in changes.items()})


def images(script, architecture="dcgan", method="penalty", size=8, classes=0, channels=1):
    config = configs.load_config(CONFIG, "cifar10")
    return app.build(
        script,
        configs.with_overrides(
            config,
            {
                **SMALL,
                "method": method,
                "model.architecture": architecture,
                "data.image_size": size,
                "data.channels": channels,
                "data.num_classes": classes,
            },
        ),
    )


def test_the_critics_loss_is_equation_3(script):
    experiment = app.build(script, setting(model__depth=1, penalty=10.0, batch_size=5))
    state = experiment.init(jax.random.key(0))
    key = jax.random.key(1)
    pair = experiment.real_and_fake(state.generator, None, key)
    loss, aux = experiment.critic_loss({"params": state.critic.params}, pair, key)

    p = jax.tree.map(np.asarray, state.critic.params)
    real, fake = np.asarray(pair.real), np.asarray(pair.fake)

    def f(x):
        hidden = x @ p["dense1"]["kernel"] + p["dense1"]["bias"]
        scores = np.maximum(hidden, 0) @ p["score"]["kernel"] + p["score"]["bias"]
        slope = ((hidden > 0) * p["score"]["kernel"][:, 0]) @ p["dense1"]["kernel"].T
        return scores[:, 0], slope

    u = np.asarray(jax.random.uniform(key, (5, 1)))
    _, slope = f(real + u * (fake - real))
    penalty = ((np.linalg.norm(slope, axis=1) - 1) ** 2).mean()
    expected = f(fake)[0].mean() - f(real)[0].mean() + 10 * penalty
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(aux.metrics["penalty"], penalty, rtol=1e-4)


def test_clipped_critic_stays_in_its_box_and_the_generator_does_not(script):
    small = {"model__width": 8, "clip": 0.01}
    experiment = app.build(script, setting("", "modes_clipping", **small))
    state = experiment.init(jax.random.key(0))
    state, metrics = jax.jit(experiment.step)(state, None, 0, jax.random.key(1))
    assert all(abs(x).max() <= 0.01 + 1e-7 for x in jax.tree.leaves(state.critic.params))
    assert any(abs(x).max() > 0.1 for x in jax.tree.leaves(state.generator.params))
    assert "critic/penalty" not in metrics


def test_of_a_fixed_generator_the_samples_are_data_with_unit_noise(script):
    experiment = app.build(script, setting("", "deep_penalty", batch_size=4000))
    pair = experiment.real_and_fake(None, None, jax.random.key(0))
    noise = np.asarray(pair.fake - pair.real)
    np.testing.assert_allclose(noise.std(0), 1, rtol=0.05)
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.05)


@pytest.mark.parametrize(
    "architecture",
    [
        # Of 101 layers, each traced by itself: with the slow tests.
        pytest.param(name, marks=[pytest.mark.slow] * (name == "resnet_101"))
        for name in image_networks.ARCHITECTURES
    ],
)
def test_every_architecture_makes_images_and_its_critic_sees_each_alone(script, architecture):
    """The penalty is of each image by itself: such a critic has no statistics of a batch."""
    experiment = images(script, architecture, size=16)
    state = jax.eval_shape(experiment.init, jax.random.key(0))
    assert not state.critic.variables
    z = jax.ShapeDtypeStruct((3, 3), np.float32)
    (made, _), _ = jax.eval_shape(
        lambda g, z: adversarial.apply(experiment.generator, g, z, train=True), state.generator, z
    )
    assert made.shape == (3, 16, 16, 1)
    rival = jax.eval_shape(images(script, architecture, "gan", 16).init, jax.random.key(0))
    normalised = architecture not in ("no_norm", "cifar_resnet")
    assert bool(rival.critic.variables) == normalised


@pytest.mark.slow
def test_one_step_of_the_conditional_network_moves_all_of_both(script):
    experiment = images(script, "cifar_resnet", classes=3)
    state = jax.jit(experiment.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    rows = {"image": rng.integers(0, 256, (8, 8, 8, 1), np.uint8), "label": np.arange(8) % 3}
    new, metrics = jax.jit(experiment.step)(state, rows, 0, jax.random.key(1))
    for name in ("critic", "generator"):
        old, now = (
            jax.tree_util.tree_leaves_with_path(getattr(s, name).params) for s in (state, new)
        )
        still = [
            jax.tree_util.keystr(p)
            for (p, a), (_, b) in zip(old, now, strict=True)
            if (a == b).all()
        ]
        assert still == (["['score']['bias']"] if name == "critic" else []), name
    assert np.isfinite(metrics["critic/cross_entropy"])


def test_samples_have_the_classes_of_the_data_and_the_critic_learns_them_from_data_alone(script):
    experiment = images(script, "cifar_resnet", classes=3)
    state = jax.jit(experiment.init)(jax.random.key(0))
    rows = {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.array([0, 2, 1, 2])}
    pair = jax.jit(experiment.real_and_fake)(state.generator, rows, jax.random.key(1))
    np.testing.assert_array_equal(pair.label.argmax(1), rows["label"])
    assert pair.real.min() >= -1 and pair.real.max() <= -1 + 1 / 128
    assert pair.real.std() > 1e-4  # noise of one step of the 256
    z = experiment.latents(jax.random.key(2), 500)
    assert z.shape == (500, 6)
    np.testing.assert_array_equal(np.unique(z[:, 3:].sum(1)), [1])

    @jax.jit
    def entropies(params):
        variables = {"params": params}
        _, aux = experiment.critic_loss(variables, pair, jax.random.key(3))
        _, maps = experiment.critic.apply(variables, pair.real, train=True)
        log = jax.nn.log_softmax(maps["class_logits"])
        return aux.metrics["cross_entropy"], -log[np.arange(4), rows["label"]].mean()

    np.testing.assert_allclose(*entropies(state.critic.params), rtol=1e-5)


def test_paper_variant_is_the_released_script(script):
    config = configs.load_config(CONFIG, "paper")
    optimizer = config.optimizer
    assert (config.num_steps, config.num_critic, config.penalty) == (100_000, 5, 10.0)
    assert (config.batch_size, config.generator_batch_size) == (64, 128)
    assert (optimizer.learning_rate, optimizer.b1, optimizer.b2) == (2e-4, 0.0, 0.9)
    assert (config.class_weight.critic, config.class_weight.generator) == (1.0, 0.1)
    assert (config.model.width, config.model.latent_size) == (128, 128)
    language = configs.load_config(CONFIG, "language")
    assert (language.num_critic, language.data.sequence_length) == (10, 32)
    assert (language.model.width, language.model.depth) == (512, 5)


def test_rate_falls_to_zero_for_both_players_together(script):
    """The critic makes num_critic updates where the generator makes one."""
    experiment = app.build(script, setting("cifar10", **SMALL_KEYS, num_steps=10))
    zeros = {"w": jnp.zeros(())}
    for updates, total in ((1, 10), (2, 20)):
        tx = experiment.optimizer(updates)
        state, moved = tx.init(zeros), []
        for _ in range(total + 1):
            change, state = tx.update({"w": jnp.ones(())}, state, zeros)
            moved.append(abs(float(change["w"])))
        assert moved[0] == pytest.approx(2e-4, rel=1e-3) and moved[-1] == 0.0 < moved[-2]


SMALL_KEYS = {k.replace(".", "__"): v for k, v in SMALL.items()}


@pytest.mark.parametrize(
    ("variant", "changes", "said"),
    [
        ("cifar10", {"data.image_size": 24}, "data.image_size 24 is not 8, 16, 32"),
        ("lsun_resnet_101", {"model.width": 6}, "a multiple of 4, not 6"),
        ("lsun_dcgan", {"data.num_classes": 10}, "dcgan has no classes"),
        ("cifar10", {"model.architecture": "vgg"}, "model.architecture is one of dcgan"),
        ("smoke", {"method": "hinge"}, "method is one of penalty"),
        ("smoke", {"task": "sound"}, "task is one of critic"),
        ("toy", {"data.name": "moons"}, "data.name is one of 8_gaussians"),
        ("toy", {"data.num_classes": 2}, "points have no classes"),
        ("toy", {"optimizer.name": "sgd"}, "optimizer.name is one of adam"),
        ("language", {"data.sequence_length": 3}, "data.sequence_length is at least 4"),
        ("language", {"data.num_characters": 1}, "data.num_characters is at least 2"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(script, variant, changes, said):
    config = configs.with_overrides(configs.load_config(CONFIG, variant), changes)
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        app.build(script, config)


def test_channels_that_the_data_has_not_are_one_line_and_nothing_written(script, tmp_path, capsys):
    flags = ["--config", f"{CONFIG}:cifar10", "--config.data.name=proc_faces/street"]
    flags += ["--config.data.image_size=8", "--config.data.channels=1"]
    flags += ["--config.data.train_split=train[:20]", "--config.data.test_split=test[:20]"]
    flags += ["--config.eval.num_samples=20", "--workdir", str(tmp_path / "run")]
    assert app.main(script, flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arm", ["deep_penalty", "modes_penalty"])
def test_demo_of_points_works_with_its_defaults(script, arm):
    experiment = app.build(script, setting("smoke", arm))
    demo = script.demo(experiment, experiment.init(jax.random.key(0)))
    picture = demo.run(**demo.defaults())["picture"]
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3


def test_demo_of_images_is_a_grid(script):
    experiment = images(script)
    demo = script.demo(experiment, jax.jit(experiment.init)(jax.random.key(0)))
    found = demo.run(**demo.defaults())
    assert found["picture"].dtype == np.uint8 and found["picture"].ndim == 2  # grey, as MNIST


def test_language_model_steps_and_writes(script):
    config = configs.load_config(CONFIG, "language")
    small = {"model.width": 8, "model.depth": 1, "batch_size": 4, "generator_batch_size": 4}
    config = configs.with_overrides(config, {**small, "num_critic": 2, "eval.num_samples": 50})
    experiment = app.build(script, config)
    experiment.source.open()
    assert experiment.source.origin.startswith("embedded python_reference")
    state = jax.jit(experiment.init)(jax.random.key(0))
    batch = experiment.source(state)
    assert batch["characters"].shape == (8, 32)
    new, _ = jax.eval_shape(experiment.step, state, batch, 0, jax.random.key(0))
    assert jax.tree.map(lambda x: x.shape, new) == jax.tree.map(lambda x: x.shape, state)
    demo = script.demo(experiment, state)
    lines = demo.run(**demo.defaults())["lines"].split("\n")
    assert len(lines) == 12 and {len(line) for line in lines} == {32}


def test_claims_hold_on_good_numbers_and_fail_one_by_one(script):
    above = "value/real_above_fake"
    arms = {
        "deep_penalty": {"slopes/first_to_last": 0.2, above: 0.75},
        "deep_clip_001": {"slopes/first_to_last": -12.0, "weights/at_bound": 0.95, above: 0.5},
        "modes_penalty": {"modes/covered": 25.0, "modes/high_quality": 0.8},
        "modes_clipping": {"modes/covered": 20.0, "modes/high_quality": 0.3},
    }

    def held(**changes):
        numbers = {arm: {**found, **changes.get(arm, {})} for arm, found in arms.items()}
        results = Results(
            {a: {k: np.array([v]) for k, v in found.items()} for a, found in numbers.items()}
        )
        return [claim.holds for claim in script.claims(results)]

    assert all(held())
    for arm, metric, value in (
        ("deep_penalty", "slopes/first_to_last", -3.0),
        ("deep_penalty", above, 0.6),
        ("deep_clip_001", "slopes/first_to_last", -2.0),
        ("deep_clip_001", "weights/at_bound", 0.5),
        ("modes_penalty", "modes/covered", 22.0),
        ("modes_clipping", "modes/covered", 25.0),
        ("modes_clipping", "modes/high_quality", 0.75),
    ):
        assert held(**{arm: {metric: value}}).count(False) == 1
