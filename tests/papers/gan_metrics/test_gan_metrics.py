"""The study: disturbances, sets of which it is known what is wrong, and what claims ask for."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import config
from research.core.errors import UserError
from research.data.images import squares
from research.metrics import fid
from research.metrics.perceptual import PerceptualDistance
from research.models.inception_2015 import Inception2015
from research.papers.gan_metrics import disturbances
from research.papers.gan_metrics.linear_sampler import LinearSampler
from research.report.claims import Results

FOLDER = Path(__file__).resolve().parents[3]
script = config.load_module(FOLDER / "experiments" / "gan_metrics.py")


def setting(variant="smoke"):
    return config.load_config(FOLDER / "configs" / "gan_metrics.py", variant)


def pictures(num=40, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (num, 8, 8, 1)).astype(np.float32)


# Disturbances.


@pytest.mark.parametrize("name", disturbances.DISTURBANCES)
def test_nothing_is_changed_at_strength_0_and_more_with_every_strength(name):
    images = np.clip(0.7 * pictures(200), -1, 1)
    kept = images.copy()
    changes = []
    for strength in (0.0, 0.25, 0.5, 0.75):
        found = disturbances.DISTURBANCES[name](images, strength, np.random.default_rng(1))
        assert found.shape == images.shape and np.abs(found).max() <= 1
        changes.append(float(((found - images) ** 2).mean()))
    np.testing.assert_array_equal(images, kept)
    assert changes[0] == pytest.approx(0, abs=1e-12)
    assert (np.diff(changes) > 0).all()


def test_noise_is_mixed_in():
    still = np.zeros((50, 8, 8, 1), np.float32)
    found = disturbances.noise(still + 0.5, 0.2, np.random.default_rng(0))
    np.testing.assert_allclose(found.mean(), 0.8 * 0.5, atol=0.01)
    np.testing.assert_allclose(found.std(), 0.2, rtol=0.05)


def test_salt_and_pepper_are_as_frequent_and_hit_all_channels_of_a_pixel():
    grey = np.zeros((100, 8, 8, 3), np.float32)
    found = disturbances.salt_and_pepper(grey, 0.3, np.random.default_rng(0))
    np.testing.assert_allclose([(found == 1).mean(), (found == -1).mean()], 0.15, atol=0.02)
    assert (found.min(-1) == found.max(-1)).all()


def test_a_patch_has_its_size_and_lies_anywhere():
    white = np.ones((200, 8, 8, 1), np.float32)
    erased = disturbances.patch(white, 0.5, np.random.default_rng(0)) == -1
    np.testing.assert_array_equal(erased.sum((1, 2, 3)), 16)
    assert erased.any(0).all() and not erased.all(0).any()


# Straight and bent latents.


def test_bent_latents_are_distributed_as_straight_ones_and_give_the_same_samples():
    images = pictures(100)
    straight, bent = LinearSampler(images, 4), LinearSampler(images, 4, turns=0.3)
    z = straight.latents(jax.random.key(0), 20_000)
    np.testing.assert_array_equal(straight.factors(z), z)
    w = np.asarray(bent.factors(z))
    assert np.abs(w - z).max() > 1
    np.testing.assert_allclose(w.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(w.T), np.eye(4), atol=0.04)
    pairs = [np.asarray(v).reshape(-1, 2, 2) for v in (w, z)]
    np.testing.assert_allclose(*(np.linalg.norm(v, axis=-1) for v in pairs), rtol=1e-4)


def test_samples_have_the_moments_of_the_images():
    images = pictures(300)
    sampler = LinearSampler(images, 64)
    fake = sampler(sampler.latents(jax.random.key(0), 20_000), jax.random.key(1))
    assert fake.shape == (20_000, 8, 8, 1)
    np.testing.assert_allclose(fake.mean(0), images.mean(0), atol=0.05)
    flat = fake.reshape(-1, 64), images.reshape(-1, 64)
    np.testing.assert_allclose(np.cov(flat[0].T), np.cov(flat[1].T), atol=0.03)


# The study, through pixels.


class Pixels:
    """Features are pixels; classes by the label that is written into the first one."""

    name, weights_sha256 = "pixels", "0" * 64

    def features(self, images):
        return images.reshape(len(images), -1)[:, 1:9]

    def probs(self, images):
        return np.eye(10)[np.round((images[:, 0, 0, 0] + 1) * 5).astype(int) % 10]


@pytest.fixture(scope="module")
def study():
    def records(num, seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (num, 8, 8, 1)).astype(np.uint8)
        labels = np.arange(num) % 10
        images[:, 0, 0, 0] = np.round(labels / 5 * 127.5)
        return squares.Squares(
            [{"image": x, "label": y} for x, y in zip(images, labels, strict=True)], 8
        )

    options = setting()
    images = squares.HeldOut(records(1000, 0), records(60, 1))
    distance = PerceptualDistance("pLPIPS", "pixels", 1.0, lambda _, images: [images])
    return script.Study(Pixels(), distance, images, options)


def test_chosen_images_are_of_the_classes_that_are_asked_for(study):
    chosen = study.choose((2, 7))
    assert chosen.shape == (60, 8, 8, 1)
    shown = Pixels().probs(chosen).argmax(1)
    np.testing.assert_array_equal(np.bincount(shown, minlength=10)[[2, 7]], 30)
    assert len(np.unique(chosen.reshape(60, -1), axis=0)) == 60  # none twice
    few = study.images._replace(train=study.images.train.choose(np.arange(50)))
    with pytest.raises(UserError, match="class 0 has 5 training images, where 6 are judged"):
        script.Study(Pixels(), study.distance, few, setting()).choose(range(10))


def test_classes_that_are_left_are_counted_by_the_score_alone(study):
    numbers = study.dropped_modes()
    assert 4 < numbers["modes_10/IS"] < 6.01  # splits are of six images
    assert numbers["modes_1/IS"] == pytest.approx(1)
    assert numbers["modes/IS_error"] == pytest.approx(1 - numbers["modes_10/IS"] / 10)
    halved = numbers["modes_1/FID"] / numbers["modes_10/FID"]
    assert numbers["modes/FID_half_over_whole"] == pytest.approx(halved)
    # Ten images, over and over: the score is that of all classes, recall tells.
    assert numbers["repeated/IS"] == pytest.approx(numbers["modes_10/IS"], rel=0.2)
    assert numbers["repeated/recall"] == 0 and numbers["repeated/coverage"] < 0.8


def test_halves_of_one_set_have_a_bias_that_the_kernel_distance_lacks(study, tmp_path):
    numbers = study.bias(tmp_path)
    assert numbers["halves/FID_most"] > numbers["halves/FID_least"] > 0
    assert numbers["halves/KID_errors_from_0"] < 5
    assert (tmp_path / "bias.png").is_file()


def test_the_least_rise_is_over_the_last_value():
    found = [{"FID": f, "KID": k} for f, k in ((1.0, 0.0), (3.0, 2.0), (11.0, 1.0))]
    steps = script.rises("noise", found)
    assert steps["noise/FID_least_rise"] == pytest.approx(2 / 11)
    assert steps["noise/KID_least_rise"] == pytest.approx(-1)  # it fell


def test_known_answers_are_those_of_the_closed_form():
    options = setting()
    options.gaussians.update({"dim": 6, "num_samples": 4000, "smallest": 50})
    found = script.known_answers(options)
    assert found["gaussians/few"] > 0.05 > abs(found["gaussians/all"])
    assert found["gaussians/infinity_error"] < 0.03
    # N(0, S) and N(0, 4 S) in closed form.
    covariance = np.cov(np.random.default_rng(0).normal(size=(6, 50)))
    zero = np.zeros(6)
    expected = np.trace(covariance)
    np.testing.assert_allclose(
        fid.frechet_distance(zero, covariance, zero, 4 * covariance), expected, rtol=1e-6
    )


# The experiment.


def test_the_network_has_its_published_parameters_and_needs_no_data_to_be_built():
    experiment = script.SampleMetrics(setting("mnist"))
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    count = sum(x.size for x in jax.tree.leaves(shapes.params))
    assert count == script.PAPER.parameters["project_cnn_28"] == 89_546
    image = jnp.zeros((1, 299, 299, 3))
    inception = jax.eval_shape(Inception2015().init, jax.random.key(0), image)["params"]
    expected = script.PAPER.parameters["inception_2015"]
    assert sum(x.size for x in jax.tree.leaves(inception)) == expected


def test_a_network_that_is_not_there_is_refused_before_any_training(tmp_path, monkeypatch):
    monkeypatch.delenv("LANDMARKS_DATA", raising=False)
    options = setting()
    options.eval.network = "inception_2015"
    with pytest.raises(UserError, match="'inception_2015' needs its released weights"):
        script.main(script.SampleMetrics(options), options, tmp_path)
    assert not list(tmp_path.iterdir())


def numbers_that_hold():
    """What a study of a good network reports, as far as rows ask for it."""
    values = {
        f"{d}/{m}_least_rise": 0.02 for d in disturbances.DISTURBANCES for m in ("FID", "KID")
    }
    values |= {"noise_1/FID": 19.0, "floor/FID": 5.0, "floor/IS": 9.4}
    values |= {"blur_2/precision": 0.9, "blur_2/recall": 0.4}
    values |= {"patch_2/precision": 0.35, "patch_2/recall": 0.9}
    values |= {"modes/IS_error": 0.07, "modes_1/recall": 0.08, "modes_1/coverage": 0.1}
    values |= {"modes_1/precision": 0.85, "modes_1/density": 0.9}
    values |= {"repeated/IS": 9.7, "repeated/FID": 220.0, "repeated/recall": 0.0}
    values |= {"halves/FID_most": 50.0, "halves/FID_least": 6.0}
    values |= {"halves/FID_infinity_share": 0.01, "halves/KID_errors_from_0": 2.0}
    values |= {"straight/FID": 33.5, "bent/FID": 34.0, "straight/PPL": 5.0, "bent/PPL": 170.0}
    named = {f"{name}[stub]": np.array([value] * 3) for name, value in values.items()}
    plain = {"gaussians/few": 0.1, "gaussians/infinity_error": 0.01}
    plain |= {"straight/separability": 1.0, "bent/separability": 14.0}
    return named | {name: np.array([value] * 3) for name, value in plain.items()}


def test_a_metric_that_falls_fails_its_row():
    rows = script.claims(Results({"trained": numbers_that_hold()}))
    assert rows and all(row.holds for row in rows)
    for name, value in {
        "noise/FID_least_rise": -0.1,
        "blur/KID_least_rise": -0.1,
        "modes_1/recall": 0.9,
        "halves/KID_errors_from_0": 20.0,
        "bent/PPL": 1.0,
    }.items():
        numbers = numbers_that_hold()
        (key,) = (k for k in numbers if k.startswith(f"{name}[") or k == name)
        numbers[key] = np.array([value] * 3)
        assert not all(row.holds for row in script.claims(Results({"trained": numbers})))
