"""What the figures of DCGAN look at: G's second highest layer, and what D's features respond to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.data.batches import in_batches
from research.models.adversarial import Variables, generate
from research.models.dcgan import Discriminator, Generator, num_levels
from research.papers.dcgan.guided import guided_leaky_relu, response_gradients


class Layer(NamedTuple):
    """A hidden layer of a generator.

    Attributes:
      name: of its maps.
      maps: function from latents `[N, Z]` to its activations `[N, h, h, C]`, on the host.
    """

    name: str
    maps: Callable[[jax.Array], np.ndarray]


def second_highest(generator: Generator, variables: Variables) -> Layer:
    """G's second highest hidden layer, in which the paper looks for windows.

    That is 256@16 of the 64 px network, which the paper's count of 200 removed maps agrees with.
    """
    name = f"map{num_levels(generator.image_size) - 2}"

    def maps(z: jax.Array) -> np.ndarray:
        return np.asarray(generate(generator, variables, z, "running", {})[1][name])

    return Layer(name, maps)


def guided_responses(
    discriminator: Discriminator,
    variables: Variables,
    images: np.ndarray,
    *,
    num_features: int = 6,
    num_images: int = 5,
) -> np.ndarray:
    """What the first features of the last convolution respond to (figure 5).

    Args:
      images: `[N, H, H, C]` in [-1, 1], to choose from.

    Returns:
      `[num_features, 2 num_images, H, H, C]`: the images with the strongest response, each followed
      by its guided gradient, scaled to [-1, 1].
    """
    guided = discriminator.clone(nonlinearity=guided_leaky_relu)

    @jax.jit
    def maps(x: jax.Array) -> jax.Array:
        _, activations = guided.apply(variables, x, train=False)
        return list(activations.values())[-1]

    peaks = in_batches(maps, images, min(250, len(images))).max((1, 2))
    rows = []
    for channel in range(num_features):
        strongest = images[np.argsort(-peaks[:, channel])[:num_images]]
        gradients = np.asarray(response_gradients(maps, jnp.asarray(strongest), channel))
        gradients = gradients / (np.abs(gradients).max((1, 2, 3), keepdims=True) + 1e-12)
        rows.append(np.stack([strongest, gradients], 1).reshape(-1, *images.shape[1:]))
    return np.stack(rows)
