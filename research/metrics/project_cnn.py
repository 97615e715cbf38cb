"""`project_cnn`: a small classifier trained by the project, as feature network of sample metrics.

It stands where Inception stands in published work, which needs weights that are not at hand.
Numbers made with it are NOT comparable with published FID, KID or Inception scores; its name
carries the data set and the hash of its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from research.core import Aux, Experiment, Learner, LearnerState
from research.data import pipeline
from research.data.batches import in_batches
from research.data.dataset import Record
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
        """Logits `[B, K]` of images `[B, H, W, C]` in [-1, 1], and "features" `[B, 4w]`."""
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
        """Probabilities `[N, K]` and features `[N, d]` of images `[N, H, W, C]` in [-1, 1]."""
        return in_batches(lambda part: self._forward(self._params, part), images, _EVAL_BATCH)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self(images)[1]

    def probs(self, images: np.ndarray) -> np.ndarray:
        return self(images)[0]


class ClassifierTraining(Experiment):
    """Trains the network by cross-entropy with Adam, rate 1e-3.

    The order of the images depends on nothing but their number: with the same seed of the run the
    same arguments give the same network.

    Args:
      records: training split; "image" uint8 `[H, W, C]`, "label" 0 to K - 1.
      name: of the data set, for the name of the network.
      num_classes: K.
      width: w of `ClassifierNet`.
      num_steps: length of the training.
      batch_size: images in a step.
    """

    def __init__(
        self,
        records: Sequence[Record],
        name: str,
        num_classes: int,
        *,
        width: int,
        num_steps: int,
        batch_size: int,
    ):
        self.name = name
        self.net = ClassifierNet(num_classes, width)
        self.learner = Learner(self.net, optax.adam(1e-3))
        self.image_shape = records[0]["image"].shape
        spec = {
            "image": jax.ShapeDtypeStruct(self.image_shape, np.uint8),
            "label": jax.ShapeDtypeStruct((), np.int32),
        }
        self.num_steps = num_steps
        self.source = pipeline.stream(lambda: records, spec, batch_size, seed=0)
        self.per_step = {"images": batch_size}

    def init(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.image_shape)), train=True)

    def loss(self, variables: dict, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of "label" `[B]` for "image" `[B, H, W, C]`, uint8."""
        logits, _ = self.learner.apply(variables, batch["image"] / 127.5 - 1, train=True)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, Aux({"accuracy": (logits.argmax(-1) == batch["label"]).mean()})

    def step(
        self, state: LearnerState, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[LearnerState, dict]:
        return self.learner.minimize(state, self.loss, batch, key)

    def network(self, state: LearnerState) -> ProjectCNN:
        """The feature network of a final state."""
        return ProjectCNN(jax.device_get(state.params), self.net, self.name)
