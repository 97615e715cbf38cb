"""The training of a network on images: of a child by itself, or of what a search has found."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from research import training
from research.core import Aux, Experiment, Learner, LearnerState
from research.losses.softmax import softmax_loss
from research.metrics.classification import top_k_error, view_probabilities
from research.papers.evolution_nas.images import ImageTask


def sgd(
    rate: float, num_steps: int, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """SGD with Nesterov's momentum and weight decay; its rate falls along half a cosine."""
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.sgd(optax.cosine_decay_schedule(rate, num_steps), momentum, nesterov=True),
    )


def image_loss(
    learner: Learner, task: ImageTask, inputs: tuple, variables: Any, batch: Any, key: jax.Array
) -> tuple[jax.Array, Aux]:
    """Cross-entropy of images "image" `[B, H, W, C]` with their "label" `[B]`.

    Args:
      learner, task: of the network and of the images.
      inputs: what the network takes beside images, such as its cells.
      variables, batch, key: as of every loss.
    """
    images = task.scaled(batch["image"])
    logits, updated = learner.apply(variables, images, *inputs, train=True, mutable=["batch_stats"])
    loss, error = softmax_loss(logits, batch["label"])
    return loss, Aux({"error": error}, updated)


class TrainingState(flax.struct.PyTreeNode):
    """A network and its optimizer."""

    learner: LearnerState


class ImageTraining(Experiment):
    """One network, trained on a task's training images.

    Args:
      task: the images.
      network: `(images, *inputs, train) -> logits`.
      tx: its optimizer.
      num_steps, batch_size, seed: of its training.
      test_batch_size: images that are judged at once.
      max_grad_norm: see `Learner`.
      initial: weights by path that it begins with, such as those it inherits; None for fresh ones.
    """

    def __init__(
        self,
        task: ImageTask,
        network: nn.Module,
        tx: optax.GradientTransformation,
        num_steps: int,
        batch_size: int,
        seed: int,
        test_batch_size: int,
        max_grad_norm: float = 0.0,
        initial: Mapping[str, Any] | None = None,
    ):
        self.task, self.initial = task, initial
        self.assets = (task.kept,)
        self.learner = Learner(network, tx, max_grad_norm=max_grad_norm)
        self.num_steps = num_steps
        self.source = task.images.stream(batch_size, seed)
        self.per_step = {"images": batch_size}
        self.test_batch_size = test_batch_size
        self.classify = jax.jit(self.probabilities)

    def init(self, key: jax.Array) -> TrainingState:
        return TrainingState(self.learner.init(key, jnp.zeros((1, *self.task.images.shape))))

    def inputs(self, state: Any) -> tuple:
        """What the network takes beside images."""
        return ()

    def step(
        self, state: Any, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array]]:
        loss = functools.partial(image_loss, self.learner, self.task, self.inputs(state))
        learner, metrics = self.learner.minimize(state.learner, loss, batch, key)
        return state.replace(learner=learner), metrics

    def variables(self, state: Any) -> Any:
        """What `probabilities` takes."""
        return self.learner.eval_variables(state.learner), self.inputs(state)

    def probabilities(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Classes `[B, K]` of images, and their labels `[B]`."""
        learned, inputs = variables

        def predict(images: jax.Array) -> jax.Array:
            return self.learner.apply(learned, self.task.scaled(images), *inputs)

        return view_probabilities(predict, rows["views"]), rows["label"]

    def accuracy(self, state: Any, split: str) -> float:
        """Percent of the images of "valid" or "test" that are classified correctly."""
        rows, variables = self.task.rows(split), self.variables(state)
        found = training.map_batches(self.classify, variables, rows, self.test_batch_size)
        return 100 - top_k_error(*found)

    def evaluate(self, state: Any, key: jax.Array) -> dict[str, float]:
        """The validation accuracy: what a child is judged by."""
        return {"valid/accuracy": self.accuracy(state, "valid")}
