"""`project_cnn`: a small classifier trained by the project, as the feature network of sample metrics.

It stands where Inception stands in published work, which needs weights that are not at hand. Numbers
made with it are NOT comparable with published FID, KID or Inception scores; its name carries the
data set and the hash of its weights.
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
from research.data import pipeline
from research.metrics.features import weights_sha256
from research.nn.conv import Conv
from research.training import Aux, Learner, LearnerState

_EVAL_BATCH = 500


class ClassifierNet(nn.Module):
    """conv3x3 w-w, pool, 2w-2w, pool, 4w, global mean, dense 4w (the feature), dense K.

    Attributes:
        num_classes: K.
        width: w; 32 in the project's specification.
    """

    num_classes: int
    width: int = 32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool
                 ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, K] of images [B, H, W, C] in [-1, 1], and {"features": [B, 4w]}, ReLU."""
        del train  # no layer differs
        x, w = images, self.width
        for i, features in enumerate((w, w, 2 * w, 2 * w, 4 * w)):
            if i in (2, 4):
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = nn.relu(Conv(features, 3, name=f"conv{i}")(x))
        features_ = nn.relu(nn.Dense(4 * w, name="feature")(x.mean((1, 2))))
        return nn.Dense(self.num_classes, name="head")(features_), {"features": features_}


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
        parts = []
        for start in range(0, len(images), _EVAL_BATCH):
            parts.append(jax.device_get(
                self._forward(self._params, images[start:start + _EVAL_BATCH])))
        probs, features = (np.concatenate(p) for p in zip(*parts, strict=True))
        return probs, features

    def features(self, images: np.ndarray) -> np.ndarray:
        return self(images)[1]

    def probs(self, images: np.ndarray) -> np.ndarray:
        return self(images)[0]


_trained: dict[tuple, ProjectCNN] = {}


def train(images: np.ndarray, labels: np.ndarray, name: str, config: ConfigDict,
          workdir: Path | str, *, width: int, num_steps: int, batch_size: int) -> ProjectCNN:
    """Trains the network (cross-entropy, Adam 1e-3, always seed 0), once in a process.

    The same arguments give the same network, so every arm and seed of a run is measured by one.

    Args:
        images: uint8 [N, H, W, C], the training split.
        labels: [N], 0 to K - 1.
        name: of the data set.
        config: of the run that asks; its mesh is used.
        workdir: for the checkpoints of this phase.
        width: w of `ClassifierNet`.
    """
    known = (name, images.shape, width, num_steps, batch_size)
    if known in _trained:
        return _trained[known]
    net = ClassifierNet(int(labels.max()) + 1, width)
    learner = Learner(net, optax.adam(1e-3))

    def init(key: jax.Array) -> LearnerState:
        return learner.init(key, jnp.zeros((1, *images.shape[1:])), train=True)

    def loss_fn(variables: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        del key
        logits, _ = learner.apply(variables, batch["image"] / 127.5 - 1, train=True)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, Aux({"accuracy": (logits.argmax(-1) == batch["label"]).mean()})

    phase = config.copy_and_resolve_references()
    phase.update(seed=0, eval_every_steps=0, checkpoint_every_steps=0, best_metric="",
                 accumulate_steps=1)
    source = pipeline.arrays({"image": images, "label": labels.astype(np.int32)}, batch_size, seed=0)
    state = training.run(
        training.Experiment(init, lambda state, batch, key: learner.minimize(
            state, loss_fn, batch, key), num_steps, source, per_step={"images": batch_size}),
        phase, workdir)
    _trained[known] = ProjectCNN(jax.device_get(state.params), net, name)
    return _trained[known]
