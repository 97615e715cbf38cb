"""Sample metrics carry their network's name; collapse is seen."""

import jax
import jax.numpy as jnp
import numpy as np

from research.metrics import generative
from research.metrics.perceptual import PerceptualDistance


class Stub:
    """Features are the pixels; the class is the brightest channel."""

    name, weights_sha256 = "stub:noise", "abcdef0123"

    def features(self, images):
        return images.reshape(len(images), -1)

    def probs(self, images):
        means = images.mean((1, 2))
        return np.eye(means.shape[1])[means.argmax(1)]


def noise(seed, num=200):
    return np.random.default_rng(seed).normal(0, 0.5, (num, 2, 2, 3))


def test_names_carry_the_network():
    numbers = generative.network_metrics(noise(0), noise(1), Stub())
    assert set(numbers) == {
        f"{m}[stub:noise@abcdef]" for m in ("FID", "KID", "IS", "precision", "recall", "coverage")
    }


def test_report_is_of_pixels_and_of_the_network_where_there_is_one():
    real, fake, train = noise(0), noise(1), noise(2)
    pixels = generative.report(real, fake, train, None)
    assert set(pixels) == {"std_ratio", "memorisation_ratio"}
    assert 0.9 < pixels["memorisation_ratio"] < 1.1  # new noise, as held-out noise is
    assert generative.report(real, train, train, None)["memorisation_ratio"] < 1e-3  # copies
    both = generative.report(real, fake, train, Stub())
    assert both == pixels | generative.network_metrics(real, fake, Stub())


def test_one_call_judges_a_sampler():
    distance = PerceptualDistance("pLPIPS", "stub:noise", 1.0, lambda _, images: [images])

    def sampler(z, key):
        rng = np.random.default_rng(int(jax.random.bits(key)))
        return np.asarray(z).reshape(-1, 2, 2, 3) + 0.01 * rng.normal(size=(1, 2, 2, 3))

    z = jnp.asarray(noise(1).reshape(200, 12))
    real, train = noise(0), noise(2)
    found = generative.judge(
        sampler, z, jax.random.key(0), real, train, Stub(), distance, space="w", num_paths=50
    )
    named = {k.split("[")[0] for k in found}
    assert {"FID", "KID", "IS", "precision", "recall", "coverage", "knn_density"} <= named
    assert {"knn_coverage", "realism", "memorisation_ratio", "pLPIPS_diversity_ratio"} <= named
    assert {"PPL_w_full_by_pLPIPS", "PPL_w_end_by_pLPIPS"} <= named
    plain = {k for k in found if "[" not in k}
    assert plain == {"std_ratio", "memorisation_ratio"}  # all others say whose they are
    assert all(np.isfinite(v) for v in found.values())
    (spread,) = (v for k, v in found.items() if k.startswith("pLPIPS_diversity_ratio"))
    assert 0.8 < spread < 1.25
    less = generative.judge(
        sampler, z, jax.random.key(0), real, train, Stub(), distance, num_paths=0
    )
    assert not any("PPL" in k for k in less)


def test_neighbourhoods_of_data_itself():
    real = noise(0)
    found = generative.neighbourhood_metrics(real, real, Stub())
    assert found["knn_density[stub:noise@abcdef]"] == 1
    assert found["knn_coverage[stub:noise@abcdef]"] == 1


def test_collapse_is_seen():
    real, one_mode = noise(0), np.broadcast_to(noise(1, 1), (200, 2, 2, 3))
    collapsed = one_mode + 0.01 * noise(2)
    good, bad = (generative.network_metrics(real, fake, Stub()) for fake in (noise(1), collapsed))
    value = {k.split("[")[0]: (good[k], bad[k]) for k in good}
    assert value["coverage"][0] == 1 and value["coverage"][1] < 0.4
    assert value["recall"][0] > 0.6 and value["recall"][1] < 0.2
    assert value["FID"][1] > 10 * value["FID"][0]
    assert 0.9 < generative.std_ratio(real, noise(1)) < 1.1
    assert generative.std_ratio(real, collapsed) < 0.1


def test_a_rare_class_must_be_shown_a_fifth_as_often_as_in_the_data():
    real = np.eye(2)[(np.arange(100) < 10).astype(int)]  # 10 % of the second class
    for share, covered in ((0.03, 1), (0.01, 0.5)):
        fake = np.eye(2)[(np.arange(1000) < 1000 * share).astype(int)]
        assert generative.class_coverage(real, fake) == covered
    assert generative.class_coverage(real, real) == 1


def test_pictures_show_walks_from_one_latent_to_another():
    z = jnp.asarray(np.random.default_rng(0).normal(size=(100, 12)))
    pictures = generative.pictures(
        lambda z: np.asarray(z).reshape(-1, 2, 2, 3), z, np.asarray(z).reshape(-1, 2, 2, 3)[::-1]
    )
    walk, rows = pictures["walk"]
    walk = walk.reshape(rows, 10, 12)
    np.testing.assert_allclose(walk[:, 0], z[:8], rtol=1e-5)
    np.testing.assert_allclose(walk[:, -1], z[8:16], rtol=1e-5)
    both = pictures["nearest_training_images"][0]
    np.testing.assert_allclose(both[:10], both[10:])  # here every sample is a training image
