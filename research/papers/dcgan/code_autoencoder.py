"""The de-noising ReLU autoencoder whose codes find near-duplicate images: 3072-128-3072.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 4.1.1. Trained on 32x32 images.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from research.core import Aux, Experiment, Learner, LearnerState
from research.data import pipeline
from research.data.dataset import Record
from research.data.images.squares import Squares
from research.papers.dcgan.deduplicate import first_of_each, threshold

_SIZE, _BATCH = 32, 128
_MEAN_OF = 2000  # images that the mean image is taken over


class CodeAutoencoder(nn.Module):
    """Dropped-out pixels -> ReLU code -> pixels.

    Attributes:
      code: number of code units.
      dropout: share of the inputs set to zero in training.
    """

    code: int = 128
    dropout: float = 0.5

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Reconstructions like `images` `[B, 32, 32, 3]`, and {"code": `[B, code]`}."""
        x = images.reshape(len(images), -1)
        size = x.shape[-1]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        code = nn.relu(nn.Dense(self.code, name="encode")(x))
        return nn.Dense(size, name="decode")(code).reshape(images.shape), {"code": code}


class CodeTraining(Experiment):
    """Trains the autoencoder (mean squared error, Adam 1e-3) on images at 32x32.

    Args:
      records: the images, at any size.
      num_steps: length of the training.
      seed: of the order of the images.
    """

    def __init__(self, records: Sequence[Record], num_steps: int, seed: int):
        self.images = Squares(records, _SIZE)
        # Without the mean image, on which all agree, every code unit splits the images.
        self.mean = self.images.images(min(_MEAN_OF, len(self.images))).mean(0)
        self.learner = Learner(CodeAutoencoder(), optax.adam(1e-3))
        spec = {"image": jax.ShapeDtypeStruct(self.mean.shape, np.uint8)}
        self.num_steps = num_steps
        self.source = pipeline.stream(lambda: self.images, spec, _BATCH, seed)
        self.per_step = {"images": _BATCH}

    def init(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.mean.shape)), train=False)

    def loss(self, variables: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Mean squared error of the reconstruction of "image" `[B, 32, 32, 3]`, uint8."""
        images = batch["image"] / 127.5 - 1 - self.mean
        restored, _ = self.learner.apply(variables, images, train=True, rngs={"dropout": key})
        return jnp.mean((restored - images) ** 2), Aux()

    def step(
        self, state: LearnerState, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[LearnerState, dict]:
        return self.learner.minimize(state, self.loss, batch, key)

    def code(self, state: LearnerState, images: jax.Array) -> jax.Array:
        """Activations `[B, 128]` of the code units; images `[B, 32, 32, 3]` in [-1, 1]."""
        return self.learner.apply(state, images - self.mean, train=False)[1]["code"]

    def unique_images(self, state: LearnerState) -> np.ndarray:
        """Indices, ascending, of the first image of each binary code."""
        code, state = jax.jit(self.code), jax.device_get(state)
        codes = []
        for start in range(0, len(self.images), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(self.images)))
            activations = code(state, self.images.choose(rows).images())
            codes.append(threshold(np.asarray(activations)))
        return first_of_each(np.concatenate(codes))
