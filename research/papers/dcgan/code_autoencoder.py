"""The de-noising ReLU autoencoder whose codes find near-duplicate images: 3072-128-3072.

Source: Radford, Metz, Chintala 2015, arXiv:1511.06434, section 4.1.1. Trained on 32x32 images.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from research import training
from research.core import Aux, Learner, LearnerState
from research.core.legacy import OldExperiment
from research.data import pipeline
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
        """Reconstructions like `images` [B, 32, 32, 3], and {"code": [B, code]}."""
        x = images.reshape(len(images), -1)
        size = x.shape[-1]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        code = nn.relu(nn.Dense(self.code, name="encode")(x))
        return nn.Dense(size, name="decode")(code).reshape(images.shape), {"code": code}


def unique_images(data: Squares, config: ConfigDict, workdir: Path | str) -> np.ndarray | None:
    """Indices of the images that are left when near-duplicates are removed; None for all.

    Trains the autoencoder (mean squared error, Adam 1e-3) on the images at 32x32 and keeps the
    first image of each code.

    Args:
        data: the images, at any size.
        config: of the run that asks; `deduplicate_steps` is the length of the training, 0 to
            remove nothing.
        workdir: for the checkpoints of this phase.
    """
    if not config.deduplicate_steps:
        return None
    learner = Learner(CodeAutoencoder(), optax.adam(1e-3))
    data = Squares(data.records, _SIZE)
    shape = data[0]["image"].shape
    # Without the mean image, on which all agree, every code unit splits the images.
    mean = data.images(min(_MEAN_OF, len(data))).mean(0)

    def init(key: jax.Array) -> LearnerState:
        return learner.init(key, jnp.zeros((1, *shape)), train=False)

    def loss_fn(variables: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        images = batch["image"] / 127.5 - 1 - mean
        restored, _ = learner.apply(variables, images, train=True, rngs={"dropout": key})
        return jnp.mean((restored - images) ** 2), Aux()

    def step(state: LearnerState, batch: dict, key: jax.Array) -> tuple[LearnerState, dict]:
        return learner.minimize(state, loss_fn, batch, key)

    @jax.jit
    def code(state: LearnerState, images: jax.Array) -> jax.Array:
        return learner.apply(state, images - mean, train=False)[1]["code"]

    phase = config.copy_and_resolve_references()
    phase.update(eval_every_steps=0, checkpoint_every_steps=0, best_metric="", accumulate_steps=1)
    spec = {"image": jax.ShapeDtypeStruct(shape, np.uint8)}
    source = pipeline.stream(lambda: data, spec, _BATCH, config.seed)
    experiment = OldExperiment(
        init, step, config.deduplicate_steps, source, per_step={"images": _BATCH}
    )
    state = jax.device_get(training.run(experiment, phase, workdir)[0])
    codes = []
    for start in range(0, len(data), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(data)))
        codes.append(threshold(np.asarray(code(state, data.choose(rows).images()))))
    return first_of_each(np.concatenate(codes))
