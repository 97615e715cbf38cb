"""`project_cnn`: a small classifier trained by the project, as feature network of sample metrics.

It stands where Inception stands in published work, which needs weights that are not at hand.
Numbers made with it are NOT comparable with published FID, KID or Inception scores; its name
carries the data set and the hash of its weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from research.data.batches import in_batches
from research.data.images.squares import Squares
from research.metrics.features import weights_sha256
from research.nn.conv import Conv

_EVAL_BATCH = 250


class ClassifierNet(nn.Module):
    """Convolutions of stride 2 with w, 2w, 4w channels, dense 4w (the feature), dense K.

    Attributes:
        num_classes: K.
        width: w.
    """

    num_classes: int
    width: int = 16

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, K] of images [B, H, W, C] in [-1, 1], and {"features": [B, 4w]}, ReLU."""
        del train  # no layer differs
        x = images
        for level in range(3):
            x = nn.relu(Conv(self.width * 2**level, 3, 2, name=f"conv{level}")(x))
        features = nn.relu(nn.Dense(4 * self.width, name="feature")(x.reshape(len(x), -1)))
        return nn.Dense(self.num_classes, name="head")(features), {"features": features}


class ProjectCNN:
    """A `FeatureNet`: `ClassifierNet` trained on a data set's training split."""

    def __init__(self, params: Any, net: ClassifierNet, name: str):
        self.name = f"project_cnn:{name}"
        self.weights_sha256 = weights_sha256(params)
        self._params = params

        @jax.jit
        def forward(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
            logits, maps = net.apply({"params": params}, images, train=False)
            return jax.nn.softmax(logits), maps["features"]

        self._forward = forward

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities [N, K] and features [N, d] of images [N, H, W, C] in [-1, 1]."""
        return in_batches(lambda part: self._forward(self._params, part), images, _EVAL_BATCH)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self(images)[1]

    def probs(self, images: np.ndarray) -> np.ndarray:
        return self(images)[0]


_trained: dict[tuple, ProjectCNN] = {}


def train(
    data: Squares,
    config: ConfigDict,
    workdir: Path | str,
    *,
    width: int,
    num_steps: int,
    batch_size: int,
) -> ProjectCNN:
    """Trains the network (cross-entropy, Adam 1e-3, always seed 0), once in a process.

    The same arguments give the same network, so every arm and seed of a run is measured by one.

    Args:
        data: training split of `config.data.name`, with labels 0 to K - 1.
        config: of the run that asks; its mesh is used.
        workdir: for the checkpoints of this phase.
        width: w of `ClassifierNet`.
    """
    name = config.data.name
    known = (name, repr(data), width, num_steps, batch_size)
    if known in _trained:
        return _trained[known]
    net = ClassifierNet(int(data.labels().max()) + 1, width)
    learner = Learner(net, optax.adam(1e-3))
    shape = data[0]["image"].shape

    def init(key: jax.Array) -> LearnerState:
        return learner.init(key, jnp.zeros((1, *shape)), train=True)

    def loss_fn(variables: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        del key
        logits, _ = learner.apply(variables, batch["image"] / 127.5 - 1, train=True)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, Aux({"accuracy": (logits.argmax(-1) == batch["label"]).mean()})

    def step(state: LearnerState, batch: dict, key: jax.Array) -> tuple[LearnerState, dict]:
        return learner.minimize(state, loss_fn, batch, key)

    phase = config.copy_and_resolve_references()
    phase.update(
        seed=0, eval_every_steps=0, checkpoint_every_steps=0, best_metric="", accumulate_steps=1
    )
    spec = {
        "image": jax.ShapeDtypeStruct(shape, np.uint8),
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    source = pipeline.stream(lambda: data, spec, batch_size, seed=0)
    experiment = OldExperiment(init, step, num_steps, source, per_step={"images": batch_size})
    state, numbers = training.run(experiment, phase, workdir)
    _trained[known] = ProjectCNN(jax.device_get(state.params), net, name)
    return _trained[known]
