"""The DCGAN pair: a generator and a discriminator of strided convolutions and batch norm.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 3 and figure 1. Architecture rules:
strided and fractionally-strided convolutions instead of pooling, batch norm everywhere but on G's
output and D's input, no hidden dense layers, ReLU in G with a tanh output, leaky ReLU in D.

    paper, and the released Theano model    width 128, kernel 5, 64 px
    torch variant                           width 64, kernel 4, 64 px

With `width` nf and 64 px, G is z -> dense -> 4x4x8nf -> 4nf@8 -> 2nf@16 -> nf@32 -> image@64, and D
mirrors it: nf@32 -> ... -> 8nf@4 -> one logit from the flattened 4x4 map. Other sizes drop or
add levels.

Batch norm: with `train=True` a batch is normalised by its own statistics (and "batch_stats" holds
running ones); `train=False` uses the running ones. The released code samples with the statistics
of the batch of samples. The running ones make an image depend on its own z alone, so latent
arithmetic and walks, whose batches are all but copies of one z, need them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from research.core import Learner, LearnerState
from research.data.batches import in_batches
from research.nn.conv import Conv, ConvTranspose

_BASE = 4  # side of the smallest map
_weights = nn.initializers.normal(0.02)

Variables = Mapping[str, Any]


def _scale_init(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
) -> jax.Array:
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


def _norm(name: str, train: bool, dtype: DTypeLike | None) -> nn.BatchNorm:
    # Momentum 0.9: the networks change fast, so statistics older than tens of steps are wrong.
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=dtype,
        scale_init=_scale_init,
        name=name,
    )


def num_levels(image_size: int) -> int:
    """How many stride-2 layers lead from 4x4 to `image_size`.

    Raises:
        ValueError: `image_size` is not 8, 16, 32, 64, ...
    """
    levels = math.log2(image_size / _BASE)
    if levels < 1 or levels != int(levels):
        raise ValueError(f"image_size {image_size} is not 8, 16, 32, 64 or a larger power of two")
    return int(levels)


def leaky_relu(x: jax.Array) -> jax.Array:
    """max(x, 0.2 x)."""
    return nn.leaky_relu(x, 0.2)


def uniform_latents(key: jax.Array, num: int, size: int) -> jax.Array:
    """z [num, size], each entry uniform on [-1, 1]."""
    return jax.random.uniform(key, (num, size), minval=-1, maxval=1)


class Generator(nn.Module):
    """z to image.

    Attributes:
        image_size: pixels on a side of the output.
        channels: of the output.
        width: channels of the last hidden layer (nf); each layer before has twice as many.
        kernel: side of the convolutions.
        use_bias: the published models have none.
        first_norm: "channel" normalises the 4x4 map per channel; "unit" each of its units, as the
            released Theano model does (16,384 scales at width 128).
        dtype: of the computation.
    """

    image_size: int = 64
    channels: int = 3
    width: int = 128
    kernel: int = 5
    use_bias: bool = False
    first_norm: Literal["channel", "unit"] = "channel"
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(
        self, z: jax.Array, *, train: bool, keep: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Images of latents.

        Args:
            z: [B, Z].
            train: normalise by the statistics of this batch.
            keep: layer name to [C], factors on that layer's feature maps; 0 removes a map
                everywhere (section 6.3.2, "forgetting to draw certain objects").

        Returns:
            Images [B, H, W, channels] in [-1, 1], float32, and the hidden activations after ReLU:
            "map0" [B, 4, 4, C], "map1" [B, 8, 8, C/2], ...
        """
        levels = num_levels(self.image_size)
        features = self.width * 2 ** (levels - 1)
        x = nn.Dense(
            _BASE * _BASE * features,
            use_bias=self.use_bias,
            dtype=self.dtype,
            kernel_init=_weights,
            name="project",
        )(z)
        if self.first_norm == "unit":
            x = _norm("norm0", train, self.dtype)(x)
        x = x.reshape(-1, _BASE, _BASE, features)
        if self.first_norm == "channel":
            x = _norm("norm0", train, self.dtype)(x)
        maps: dict[str, jax.Array] = {}
        for level in range(levels):
            x = nn.relu(x)
            if keep is not None and f"map{level}" in keep:
                x = x * keep[f"map{level}"].astype(x.dtype)
            maps[f"map{level}"] = x
            last = level == levels - 1
            features = self.channels if last else features // 2
            x = ConvTranspose(
                features,
                self.kernel,
                2,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=_weights,
                name=f"up{level + 1}",
            )(x)
            if not last:
                x = _norm(f"norm{level + 1}", train, self.dtype)(x)
        return jnp.tanh(x.astype(jnp.float32)), maps


class Discriminator(nn.Module):
    """Image to one logit: is it data?

    Attributes:
        width: channels of the first layer (nf); each later layer has twice as many.
        kernel: side of the convolutions.
        use_bias: the published models have none.
        nonlinearity: of the hidden layers; `guided_leaky_relu` shows what they see.
        dtype: of the computation.
    """

    width: int = 128
    kernel: int = 5
    use_bias: bool = False
    nonlinearity: Callable[[jax.Array], jax.Array] = leaky_relu
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits of images.

        Args:
            images: [B, H, H, C] in [-1, 1].
            train: normalise by the statistics of this batch.

        Returns:
            Logits [B], float32, and the activations of all convolutions: "map1" [B, H/2, H/2, nf]
            to the last, [B, 4, 4, .].
        """
        x, maps = images, {}
        for level in range(1, num_levels(images.shape[1]) + 1):
            x = Conv(
                self.width * 2 ** (level - 1),
                self.kernel,
                2,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=_weights,
                name=f"down{level}",
            )(x)
            if level > 1:
                x = _norm(f"norm{level}", train, self.dtype)(x)
            x = maps[f"map{level}"] = self.nonlinearity(x)
        x = x.reshape(len(x), -1)
        logit = nn.Dense(
            1, use_bias=self.use_bias, dtype=self.dtype, kernel_init=_weights, name="logit"
        )(x)
        return logit[:, 0].astype(jnp.float32), maps


def train_mode(
    learner: Learner, variables: LearnerState | dict[str, Any], x: jax.Array
) -> tuple[jax.Array, Variables]:
    """Output of G or D with x normalised by its own batch statistics, and updated collections."""
    (out, _), updated = learner.apply(variables, x, train=True, mutable=["batch_stats"])
    return out, updated


@functools.partial(jax.jit, static_argnames=("generator", "statistics"))
def _sample(
    generator: Generator, variables: Variables, keep: Any, statistics: str, z: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    out, _ = generator.apply(
        variables, z, train=statistics == "batch", keep=keep, mutable=["batch_stats"]
    )
    return out


def sample(
    generator: Generator,
    variables: Variables,
    z: jax.Array,
    *,
    statistics: Literal["running", "batch"] = "running",
    keep: Mapping[str, jax.Array] | None = None,
    batch_size: int = 250,
) -> np.ndarray:
    """Images float32 [N, H, W, C] in [-1, 1] of latents z [N, Z], on the host.

    Args:
        statistics: "running" ones, or those of each `batch_size` samples as in the released code.
        keep: see `Generator`.
    """
    return in_batches(
        lambda part: _sample(generator, variables, keep, statistics, part)[0],
        z,
        min(batch_size, len(z)) if statistics == "batch" else batch_size,
    )


def discriminate_pair(
    discriminator: Discriminator, variables: Variables, real: jax.Array, fake: jax.Array
) -> tuple[jax.Array, jax.Array, Variables]:
    """D in training on a batch of data and a batch of samples, each normalised by itself.

    In one mixed batch the statistics would carry the labels from one half to the other. The
    running statistics follow the data only: they serve D as a feature extractor of data.

    Args:
        discriminator: D.
        variables: "params" and "batch_stats".
        real, fake: [B, H, W, C].

    Returns:
        Logits [B] on data, logits [B] on samples, updated collections.
    """
    (real_logits, _), updated = discriminator.apply(
        variables, real, train=True, mutable=["batch_stats"]
    )
    (fake_logits, _), _ = discriminator.apply(variables, fake, train=True, mutable=["batch_stats"])
    return real_logits, fake_logits, updated


def pooled_maps(discriminator: Discriminator, variables: Variables, images: jax.Array) -> jax.Array:
    """D as a feature extractor (section 5.1): the activations of all its convolutions, each
    max-pooled to 4x4, flattened and concatenated.

    The batch norms use the statistics of `images`, so that an untrained D is normalised too; give
    batches of hundreds, drawn alike.

    Args:
        images: [B, H, H, C] in [-1, 1].

    Returns:
        [B, 16 nf (2^levels - 1)]; 28,672 features for 32 px images at width 256.
    """
    (_, maps), _ = discriminator.apply(variables, images, train=True, mutable=["batch_stats"])
    pooled = [
        x.reshape(len(x), _BASE, x.shape[1] // _BASE, _BASE, -1, x.shape[-1]).max((2, 4))
        for x in maps.values()
    ]
    return jnp.concatenate([x.reshape(len(x), -1) for x in pooled], -1)


_pooled_maps = jax.jit(pooled_maps, static_argnames="discriminator")


def features(
    discriminator: Discriminator,
    variables: Variables,
    images: np.ndarray,
    *,
    batch_size: int = 500,
) -> np.ndarray:
    """`pooled_maps` of images [N, H, H, C], in batches, on the host: float32 [N, F]."""
    size = min(batch_size, len(images))
    return in_batches(lambda part: _pooled_maps(discriminator, variables, part), images, size)
