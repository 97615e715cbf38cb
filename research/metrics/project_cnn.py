"""`project_cnn`: a small classifier trained by the project, as feature network of sample metrics.

It stands where Inception stands in published work, which needs weights that are not at hand.
Numbers made with it are NOT comparable with published FID, KID or Inception scores; its name
carries the data set and the hash of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from research.core import Aux, Experiment, Learner, LearnerState
from research.data import pipeline
from research.data.dataset import Record
from research.metrics.features import NetworkFeatures
from research.metrics.perceptual import PerceptualDistance
from research.nn.conv import Conv


class ClassifierNet(nn.Module):
    """Convolutions of stride 2 with w, 2w, 4w channels, dense 4w (the feature), dense K.

    Attributes:
      num_classes: K.
      width: w.
    """

    num_classes: int
    width: int = 16

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, K]` of images `[B, H, W, C]` in [-1, 1], "features" `[B, 4w]` and "taps".

        The taps are the convolutions' outputs `[B, h, w, c]`.
        """
        del train  # no layer differs
        x, taps = images, []
        for level in range(3):
            x = nn.relu(Conv(self.width * 2**level, 3, 2, name=f"conv{level}")(x))
            taps.append(x)
        features = nn.relu(nn.Dense(4 * self.width, name="feature")(x.reshape(len(x), -1)))
        return nn.Dense(self.num_classes, name="head")(features), {
            "features": features,
            "taps": taps,
        }


class ProjectCNN(NetworkFeatures):
    """A `FeatureNet`: `ClassifierNet` trained on a data set's training split."""

    def __init__(self, params: Any, net: ClassifierNet, name: str):
        def forward(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
            logits, maps = net.apply({"params": params}, images, train=False)
            return logits, maps["features"]

        super().__init__(f"project_cnn:{name}", params, forward)
        self._params, self._net = params, net

    def perceptual_distance(self) -> PerceptualDistance:
        """The form of LPIPS by the outputs of its convolutions, all channels weighing the same."""

        def taps(params: Any, images: jax.Array) -> Sequence[jax.Array]:
            return self._net.apply({"params": params}, images, train=False)[1]["taps"]

        return PerceptualDistance("pLPIPS", self.name, self._params, taps)


class ClassifierTraining(Experiment):
    """Trains the network by cross-entropy with Adam, rate 1e-3.

    The order of the images depends on their number and `seed` alone: with the same seed of the run
    the same arguments give the same network.

    Args:
      records: training split; "image" uint8 `[H, W, C]`, "label" 0 to K - 1; or what opens it.
      name: of the data set, for the name of the network.
      num_classes: K.
      width: w of `ClassifierNet`.
      num_steps: length of the training.
      batch_size: images in a step.
      image_shape: of an image; None where `records` are open, and it is seen in them.
      seed: of the order of the images.
    """

    def __init__(
        self,
        records: Sequence[Record] | Callable[[], Sequence[Record]],
        name: str,
        num_classes: int,
        *,
        width: int,
        num_steps: int,
        batch_size: int,
        image_shape: tuple[int, ...] | None = None,
        seed: int = 0,
    ):
        if not callable(records):
            image_shape = records[0]["image"].shape
        assert image_shape is not None
        self.name = name
        self.net = ClassifierNet(num_classes, width)
        self.learner = Learner(self.net, optax.adam(1e-3))
        self.image_shape = image_shape
        spec = {
            "image": jax.ShapeDtypeStruct(self.image_shape, np.uint8),
            "label": jax.ShapeDtypeStruct((), np.int32),
        }
        self.num_steps = num_steps
        self.source = pipeline.stream(
            records if callable(records) else lambda: records, spec, batch_size, seed
        )
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
