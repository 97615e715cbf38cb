"""Now anyone can train ImageNet in 18 minutes (Howard, Shaw, Bulatov, 2018), fast.ai and DIU;
a post and the released code, no paper.

Claim: a network trained on small images first and on large ones at last is better than one trained
on large images throughout, for the same number of pixels; whole images tell it more than squares.

A phase of images and batches of one size is a run of its own, with a program of its own. Where the
released code reads smaller copies of ImageNet, images are scaled down to those' size when read.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState
from research.data.dataset import Dataset, Lazy, Record
from research.data.images.images import Images, ImageSplits, normalize
from research.data.images.kept import KeptImages
from research.data.pipeline import steps_of
from research.losses.softmax import softmax_loss
from research.metrics.classification import test_errors
from research.models.resnet import ResNet
from research.optim.loss_scale import scale_gradient
from research.optim.momentum import without_norms
from research.papers.imagenet_18min.canvases import CanvasSplits
from research.papers.imagenet_18min.rate_phases import RatePhase, rate_by_step
from research.papers.imagenet_18min.rectangular import (
    crop_shape,
    fit,
    rectangular_crops,
    square_crops,
)
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.image_demo import classify_demo
from research.training.phases import run_phases

PAPER = Paper(
    title="Now anyone can train ImageNet in 18 minutes",
    authors="Jeremy Howard, Andrew Shaw, Yaroslav Bulatov",
    year=2018,
    arxiv="",
    field="images",
    claim="Small images first and large ones last train better than large ones throughout, for the "
    "same pixels; testing on whole images beats testing on squares.",
    parameters={"resnet50": 25_557_032},
    curves=("loss", "error", "test/error"),
    x="pixels",
    method="progressive",
)


class Phase(NamedTuple):
    """Images and batches of one size, as a line of `config.phases` gives them.

    Attributes:
      start: epoch that the phase begins at.
      size: side of a training image, and short side of a test image.
      worker_batch_size: images of each worker in a step.
      min_area: smallest share of the image in a resized crop.
      stored_side: short side of the copies that are read; 0 for images as they are.
      rectangular: whether the test during training is on rectangles.
    """

    start: float
    size: int
    worker_batch_size: int
    min_area: float = 0.08
    stored_side: int = 0
    rectangular: bool = False


class State(flax.struct.PyTreeNode):
    """What a step changes: the network and its optimizer."""

    learner: LearnerState


class ProgressiveResizing(Experiment):
    """One phase of images of one size.

    Args:
      config: of all phases.
      index: number of the phase.
      open_split: the images, where an earlier phase has opened them.
    """

    def __init__(
        self,
        config: ConfigDict,
        index: int = 0,
        open_split: Callable[[str], Dataset] | None = None,
    ):
        self.config = config
        data = config.data
        self.open_split = open_split or image_splits(config)
        phase, end = phases_of(config)[index]
        self.current = phase
        self.images = Images(
            self.open_split,
            phase.size,
            augmentation=data.crop,
            mirror=data.mirror,
            min_area=phase.min_area,
            train_split=data.train_split,
            test_split=data.test_split,
            num_train=data.num_train,
            reduce=data.reduce,
            stored_side=phase.stored_side,
            num_classes=data.num_classes,
        )
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        batch_size = phase.worker_batch_size * config.workers
        # As in the released code, an epoch leaves out what does not fill a batch; a phase has whole
        # epochs, or as many steps as come closest to them.
        epoch_steps = steps_of(1, data.num_train, batch_size, "down")
        rate_phases = [RatePhase(*rate) for rate in config.rate_phases]
        self.rate = rate_by_step(rate_phases, phase.start, epoch_steps)
        # Statistics are over each worker's own images.
        self.learner = self._learner(phase.worker_batch_size if config.workers > 1 else 0)
        self.num_steps = round((end - phase.start) * epoch_steps)
        self.source = self.images.stream(batch_size, config.seed * 100 + index)
        self.per_step = {"images": batch_size, "pixels": batch_size * phase.size**2}
        self.micro_batches = config.accumulate_steps
        self.classify = jax.jit(self.logits)  # compiled once for every shape of images

    def _learner(self, norm_group: int) -> Learner:
        """SGD with momentum; L2 not on gamma and beta (the released code's `--no-bn-wd`)."""
        config = self.config
        model = ResNet(
            num_classes=config.data.num_classes,
            dtype=jnp.dtype(config.compute_dtype),
            norm_group=norm_group,
            **config.model,
        )
        tx = optax.chain(
            optax.add_decayed_weights(config.optimizer.l2_penalty, without_norms),
            optax.sgd(self.rate, config.optimizer.momentum),
        )
        return Learner(
            model, tx, accumulate=config.accumulate_steps, max_grad_norm=config.max_grad_norm
        )

    def phase(self, index: int) -> ProgressiveResizing:
        """The experiment of any phase, on the same images."""
        return ProgressiveResizing(self.config, index, self.open_split)

    def init(self, key: jax.Array) -> State:
        images = jnp.zeros((1, *self.images.shape))
        return State(learner=self.learner.init(key, images, train=False))

    def warm_start(self, state: State, before: State) -> State:
        """Goes on with the weights and the momentum of the phase before."""
        # The optimizer counts the steps of all phases, the schedule those of this one.
        opt_state = optax.tree.set(before.learner.opt_state, count=0)
        return State(learner=before.learner.replace(opt_state=opt_state))

    def normalized(self, images: jax.Array) -> jax.Array:
        """Uint8 `[B, H, W, 3]` as the network gets them."""
        return normalize(images, self.config.data.mean, self.config.data.deviation)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of a batch: "image" `[B, S, S, 3]` uint8, "label" `[B]` int32.

        Scaled between the loss and the float32 master weights, which the model casts to
        `compute_dtype`.
        """
        scale = self.config.loss_scale
        params = scale_gradient(variables["params"], 1 / scale)
        (logits, _), updated = self.learner.apply(
            {**variables, "params": params},
            self.normalized(batch["image"]),
            train=True,
            mutable=["batch_stats"],
        )
        loss, error = softmax_loss(logits, batch["label"])
        return scale_gradient(loss, scale), Aux({"error": error}, updated)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, key)
        return State(learner=learner), {**metrics, "learning_rate": self.rate(t)}

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        found = self.errors(state, self.current.size, self.current.rectangular)
        return {f"test/{name}": value for name, value in found.items()}

    def errors(self, state: State, size: int, rectangular: bool) -> dict[str, float]:
        """Errors over the test set, each image counted once.

        Args:
          state: of this phase.
          size: short side of test images, in pixels.
          rectangular: whether images are tested on in shapes near their own, or as squares.
        """
        batch_size = self.config.test.batch_size
        crops = (
            rectangular_crops(self.test_shapes, batch_size, size)
            if rectangular
            else square_crops(len(self.images.test), size)
        )
        outputs = [
            training.map_batches(
                self.classify,
                self.learner.eval_variables(state.learner),
                Lazy(images, functools.partial(self.test_row, shape=shape)),
                batch_size,
            )
            for shape, images in crops.items()
        ]
        logits, labels = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
        return test_errors(logits, labels)

    @functools.cached_property
    def test_shapes(self) -> np.ndarray:
        """(height, width) of every test image: `[N, 2]`."""

        def shape_of(record: Record) -> Record:
            return {"shape": np.array(self.images.read(record).shape[:2], np.int32)}

        rows = Lazy(self.images.test, shape_of)
        batch_size = self.config.test.batch_size
        return training.map_batches(lambda _, rows: rows["shape"], {}, rows, batch_size)

    def test_row(self, index: int, shape: tuple[int, int]) -> dict[str, Any]:
        """Test image number `index`, its middle in a shape, and its label."""
        record = self.images.test[index]
        image = fit(self.images.read(record), shape, self.config.test.margin)
        return {"image": image, "label": np.int32(record["label"])}

    def logits(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Logits of test images `[B, K]`, and their labels `[B]`."""
        # Running statistics serve: a batch of test images need not divide into workers' groups.
        model = self.learner.model.clone(norm_group=0)
        logits, _ = model.apply(variables, self.normalized(rows["image"]), train=False)
        return logits, rows["label"]


def phases_of(config: ConfigDict) -> list[tuple[Phase, float]]:
    """The phases, and the epochs at which they end."""
    phases = [Phase(*phase) for phase in config.phases]
    ends = [phase.start for phase in phases[1:]] + [config.num_epochs]
    return list(zip(phases, ends, strict=True))


def image_splits(config: ConfigDict) -> Callable[[str], Dataset]:
    """The images, or canvases that they are placed on."""
    data = config.data
    images = ImageSplits(
        data.name, data.stored_size, data.dir, in_memory=data.in_memory and not data.canvas_longs
    )
    if not data.canvas_longs:
        return images
    counts = {data.train_split: data.num_train, data.test_split: data.num_test}
    return CanvasSplits(images, counts, data.stored_size, data.canvas_longs)


def main(experiment: ProgressiveResizing, config: ConfigDict, workdir: Path) -> dict[str, float]:
    phases = phases_of(config)
    last, state, _ = run_phases(
        lambda index: experiment.phase(index) if index else experiment,
        len(phases),
        config,
        workdir,
    )
    assert isinstance(last, ProgressiveResizing)
    numbers: dict[str, float] = {}
    for name, rectangular in (("square", False), ("rectangular", True)):
        found = last.errors(state, config.test.size, rectangular)
        numbers |= {f"{name}/{metric}": value for metric, value in found.items()}
    pixels = sum((end - phase.start) * phase.size**2 for phase, end in phases)
    return {**numbers, "epochs_of_pixels": pixels / config.test.size**2}


def demo(experiment: ProgressiveResizing, state: State) -> Demo:
    """Classifies a picture at the size of the last tests, in a shape near its own."""
    test = experiment.config.test
    variables = experiment.learner.eval_variables(state.learner)

    def classify(record: Record) -> jax.Array:
        image = experiment.images.read(record)
        crop = fit(image, crop_shape(image.shape[1] / image.shape[0], test.size), test.margin)
        rows = {"image": crop[None], "label": np.zeros(1, np.int32)}
        return jax.nn.softmax(experiment.classify(variables, rows)[0][0])

    return classify_demo(experiment.kept, classify)


def claims(results: Results) -> list[Claim]:
    """Compares test errors."""
    rows = []
    errors = results["square/error"]
    if "fixed" in results.arms:
        rows += [
            errors.above(
                "fixed",
                "progressive",
                by=1.5,
                claim="for the same pixels, growing images are better than large ones throughout",
                paper="93 % top-5 in 18 minutes",
                digits=1,
            )
        ]
    for arm, claim in (
        ("no_last", "without the last phase at full size it is worse"),
        ("small", "on half-size images alone it is worse"),
    ):
        if arm in results.arms:
            rows += [
                errors.above(
                    arm,
                    "progressive",
                    by=8.0,
                    claim=claim,
                    paper="the last phase is at 288 pixels",
                    digits=1,
                )
            ]
    if "canvases" in results.arms:
        views = results.side_by_side(
            "canvases", squares="square/error", rectangles="rectangular/error"
        )
        rows += [
            views.above(
                "squares",
                "rectangles",
                by=2.0,
                claim="rectangles are better to test on than squares",
                paper="rectangular validation",
                digits=1,
            )
        ]
    return rows


if __name__ == "__main__":
    app.run()
