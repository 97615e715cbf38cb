"""What the networks of any generative adversarial net do, in training and after it.

A network here is a module, or its `Learner`, that is called as `network(x, train=...)` and returns
its output and its maps by name. Whatever collections it has beside the parameters are updated:
batch statistics, the vectors of spectral norm, or none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from research.core import Learner, LearnerState
from research.data.batches import in_batches

Variables = Mapping[str, Any]
Network = nn.Module | Learner  # a learner is applied to its state as a module to its variables


def _apply(
    network: Network, variables: LearnerState | Variables, x: jax.Array, **inputs: Any
) -> tuple[tuple[jax.Array, dict[str, jax.Array]], Variables]:
    """The network's output and maps, and its updated collections."""
    if isinstance(variables, LearnerState):
        collections = list(variables.variables)
    else:
        collections = [name for name in variables if name != "params"]
    apply: Any = network.apply
    return apply(variables, x, **inputs, mutable=collections)


def train_mode(
    network: Network, variables: LearnerState | Variables, x: jax.Array
) -> tuple[jax.Array, Variables]:
    """Output of a network in training, where x is normalised by its own batch statistics.

    Returns:
      The output, and the updated collections.
    """
    (out, _), updated = _apply(network, variables, x, train=True)
    return out, updated


def discriminate_pair(
    discriminator: Network,
    variables: LearnerState | Variables,
    real: jax.Array,
    fake: jax.Array,
) -> tuple[jax.Array, jax.Array, Variables]:
    """D in training on a batch of data and a batch of samples, each normalised by itself.

    In one mixed batch the statistics would carry the labels from one half to the other. The
    running statistics follow the data only: they serve D as a feature extractor of data.

    Args:
      discriminator: D.
      variables: its parameters and other collections.
      real, fake: `[B, H, W, C]`.

    Returns:
      Logits `[B]` on data, logits `[B]` on samples, updated collections.
    """
    real_logits, updated = train_mode(discriminator, variables, real)
    fake_logits, _ = train_mode(discriminator, variables, fake)
    return real_logits, fake_logits, updated


@functools.partial(jax.jit, static_argnames=("generator", "statistics"))
def generate(
    generator: nn.Module, variables: Variables, z: jax.Array, statistics: str, inputs: Variables
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """One batch of `sample`, on the device: images `[B, H, W, C]`, and the generator's maps."""
    out, _ = _apply(generator, variables, z, train=statistics == "batch", **inputs)
    return out


def sample(
    generator: nn.Module,
    variables: Variables,
    z: jax.Array,
    *,
    statistics: Literal["running", "batch"] = "running",
    batch_size: int = 250,
    **inputs: Any,
) -> np.ndarray:
    """Images of latents, on the host.

    Args:
      generator: G.
      variables: its parameters and other collections.
      z: `[N, Z]`.
      statistics: of batch norm: the "running" ones, or those of each `batch_size` samples.
      batch_size: latents in one call.
      **inputs: other arguments of G, such as `keep` of `models.dcgan.Generator`.

    Returns:
      float32 `[N, H, W, C]` in [-1, 1].
    """
    if statistics == "batch":  # a batch that is filled up would change its statistics
        batch_size = min(batch_size, len(z))
    return in_batches(
        lambda part: generate(generator, variables, part, statistics, inputs)[0], z, batch_size
    )


def pooled_maps(
    discriminator: nn.Module, variables: Variables, images: jax.Array, grid: int = 4
) -> jax.Array:
    """D as a feature extractor (Radford et al. 2015, arXiv:1511.06434, section 5.1).

    The activations of all its maps, each max-pooled to a grid, flattened and concatenated. Batch
    norms use the statistics of `images`, so that an untrained D is normalised too; give batches of
    hundreds, drawn alike.

    Args:
      discriminator: D, all of whose maps are squares with a side that divides by `grid`.
      variables: its parameters and other collections.
      images: `[B, H, H, C]` in [-1, 1].
      grid: cells on a side.

    Returns:
      `[B, grid^2 F]`, F being the channels of all maps; 28,672 features of a DCGAN of width 256 for
      images of 32 px.
    """
    (_, maps), _ = _apply(discriminator, variables, images, train=True)
    pooled = [
        x.reshape(len(x), grid, x.shape[1] // grid, grid, -1, x.shape[-1]).max((2, 4))
        for x in maps.values()
    ]
    return jnp.concatenate([x.reshape(len(x), -1) for x in pooled], -1)


_pooled_maps = jax.jit(pooled_maps, static_argnames=("discriminator", "grid"))


def features(
    discriminator: nn.Module,
    variables: Variables,
    images: np.ndarray,
    *,
    batch_size: int = 500,
) -> np.ndarray:
    """`pooled_maps` of images `[N, H, H, C]`, in batches, on the host: float32 `[N, F]`."""
    size = min(batch_size, len(images))
    return in_batches(lambda part: _pooled_maps(discriminator, variables, part), images, size)
