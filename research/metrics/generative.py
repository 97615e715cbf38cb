"""What a generative model's samples are measured by, and the pictures to judge them by eye."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from research.metrics import fid, latents, manifold, neighbours, path_length, perceptual
from research.metrics.features import FeatureNet, metric_name
from research.metrics.perceptual import PerceptualDistance


def judge(
    sampler: path_length.Draw,
    z: jax.Array,
    key: jax.Array,
    real: np.ndarray,
    train: np.ndarray,
    net: FeatureNet,
    distance: PerceptualDistance,
    *,
    space: path_length.Space = "z",
    num_paths: int = 1000,
    faces: bool = False,
) -> dict[str, float]:
    """Everything that a generator is judged by, in one call.

    Args:
      sampler: latents `[N, Z]` and a key for its noise inputs to images `[N, H, W, C]` in [-1, 1].
      z: latents `[N, Z]`.
      key: of noise inputs, and of paths.
      real: held-out data, as many images `[N, H, W, C]` in [-1, 1].
      train: images that the generator was trained on.
      net: that FID, KID, Inception score and neighbours are seen through.
      distance: of images, for path lengths and diversity.
      space: of the latents, for path lengths.
      num_paths: in the latents; 0 leaves path lengths out.
      faces: see `perceptual_path_length`.

    Returns:
      `report`, with its neighbourhood metrics, diversity over that of the data, and path lengths.
      Every metric that a network has a part in carries the network's name.
    """
    noise_key, path_key, *end_keys = jax.random.split(key, 4)
    fake = np.asarray(sampler(z, noise_key))
    numbers = report(real, fake, train, net) | neighbourhood_metrics(real, fake, net)
    spread = perceptual.diversity(fake, distance) / perceptual.diversity(real, distance)
    numbers[metric_name(f"{distance.kind}_diversity_ratio", distance)] = spread
    if num_paths:
        ends = [jax.random.choice(end_key, z, (num_paths,)) for end_key in end_keys]
        samplings: tuple[path_length.Sampling, ...] = ("full", "end")
        for sampling in samplings:
            name = f"PPL_{space}_{sampling}_by_{distance.kind}"
            numbers[metric_name(name, distance)] = path_length.perceptual_path_length(
                sampler,
                distance,
                (ends[0], ends[1]),
                path_key,
                space=space,
                sampling=sampling,
                faces=faces,
            )
    return numbers


def report(
    real: np.ndarray, fake: np.ndarray, train: np.ndarray, net: FeatureNet | None
) -> dict[str, float]:
    """What the samples of any generative model (GAN, VAE, flow, diffusion) are measured by.

    Args:
      real: held-out data `[N, H, W, C]` in [-1, 1].
      fake: as many samples.
      train: images that the model was trained on.
      net: that features are seen through; None leaves `network_metrics` out.

    Returns:
      `pixel_metrics` and `network_metrics`.
    """
    numbers = pixel_metrics(real, fake, train)
    if net is not None:
        numbers |= network_metrics(real, fake, net)
    return numbers


def pixel_metrics(real: np.ndarray, fake: np.ndarray, train: np.ndarray) -> dict[str, float]:
    """Moments and nearest neighbours; arguments as of `report`.

    Returns:
      "std_ratio" of samples to held-out data, and "memorisation_ratio" to the training images.
    """
    memory = neighbours.memorisation_ratio(fake, real, train)
    return {"std_ratio": std_ratio(real, fake), "memorisation_ratio": memory}


def network_metrics(real: np.ndarray, fake: np.ndarray, net: FeatureNet) -> dict[str, float]:
    """FID, KID, Inception score, precision, recall and mode coverage, named after `net`.

    Not comparable with published numbers unless `net` is the network of the publication; depends on
    the number of images. Arguments as of `report`.
    """
    real_features, fake_features = net.features(real), net.features(fake)
    real_probs, fake_probs = net.probs(real), net.probs(fake)
    precision, recall = manifold.precision_recall(real_features, fake_features)
    subset = min(1000, len(real), len(fake))
    values = {
        "FID": fid.fid(real_features, fake_features),
        "KID": fid.kid(real_features, fake_features, subset_size=subset)[0],
        "IS": fid.inception_score(fake_probs)[0],
        "precision": precision,
        "recall": recall,
        "coverage": class_coverage(real_probs, fake_probs),
    }
    return {metric_name(name, net): value for name, value in values.items()}


def neighbourhood_metrics(
    real: np.ndarray, fake: np.ndarray, net: FeatureNet, *, k: int = 5
) -> dict[str, float]:
    """Density and coverage of Naeem et al., and the median realism of samples, named after `net`.

    Their "knn_coverage" is of data by samples; "coverage" of `network_metrics` is of classes.
    Arguments as of `report`; `k` is the number of neighbours of density and coverage.
    """
    real_features, fake_features = net.features(real), net.features(fake)
    density, coverage = manifold.density_coverage(real_features, fake_features, k=k)
    values = {
        "knn_density": density,
        "knn_coverage": coverage,
        "realism": float(np.median(manifold.realism(real_features, fake_features))),
    }
    return {metric_name(name, net): value for name, value in values.items()}


def pictures(
    draw: Callable[[jax.Array], np.ndarray], z: jax.Array, train: np.ndarray
) -> dict[str, tuple[np.ndarray, int]]:
    """Pictures of a generator: name -> images and rows of their grid.

    A hundred samples; eight walks of ten points between two latents, where jumps would betray
    memorised images; ten samples above the training images nearest to them.

    Args:
      draw: latents `[N, Z]` to images `[N, H, W, C]` in [-1, 1].
      z: at least a hundred latents `[M, Z]`.
      train: training images `[K, H, W, C]`.
    """
    fake = draw(z[:100])
    walks = latents.walk(z[:8], z[8:16]).reshape(80, -1)
    index, _ = neighbours.nearest(fake[:10], train)
    return {
        "samples": (fake, 10),
        "walk": (draw(walks), 8),
        "nearest_training_images": (np.concatenate([fake[:10], train[index]]), 2),
    }


def class_coverage(real_probs: np.ndarray, fake_probs: np.ndarray, min_share: float = 0.2) -> float:
    """Share of the classes that samples show at least `min_share` times as often as data does.

    With ten balanced classes: the share of classes that make up 2 % of the samples or more.

    Args:
      real_probs, fake_probs: class probabilities `[N, K]` and `[M, K]`.
    """
    num_classes = real_probs.shape[1]
    real, fake = (
        np.bincount(p.argmax(1), minlength=num_classes) / len(p) for p in (real_probs, fake_probs)
    )
    return float((fake >= min_share * real)[real > 0].mean())


def std_ratio(real: np.ndarray, fake: np.ndarray) -> float:
    """Standard deviation of samples over that of data, each taken per pixel and averaged.

    Args:
      real, fake: `[N, H, W, C]`.
    """
    return float(fake.std(0).mean() / real.std(0).mean())
