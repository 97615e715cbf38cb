"""Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour (Goyal, Dollar, Girshick, Noordhuis,
Wesolowski, Kyrola, Tulloch, Jia, He, 2017), arXiv:1706.02677.

Claim: with the learning rate scaled linearly and warmed up gradually, a large minibatch trains as
a small one does.

Workers are groups of `model.norm_group` images, on however many devices. A batch is taken from one
shuffle of all images (remark 4). The all-reduce is XLA's.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research import config as configs
from research.core import Aux, Experiment, Learner, LearnerState, variable_paths
from research.core.tree import count_parameters
from research.data.images.images import Images, ImageSplits, normalize
from research.data.images.kept import KeptImages
from research.data.pipeline import steps_of
from research.losses.softmax import softmax_loss
from research.metrics import epoch_means
from research.metrics.classification import test_errors, view_probabilities
from research.models.released.resnet_names import released_variables
from research.models.resnet import ResNet
from research.optim.momentum import nesterov_rate_inside, without_norms
from research.optim.schedules import warmup_and_drops
from research.papers.imagenet_1hr.workers import gradient_of_workers
from research.pods.equivalence import after_random_gradients, relative_difference
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Demo
from research.report.image_demo import classify_demo, classify_views
from research.training.writers import read_metrics

PAPER = Paper(
    title="Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
    authors="Priya Goyal, Piotr Dollár, Ross Girshick, Pieter Noordhuis, Lukasz Wesolowski, "
    "Aapo Kyrola, Andrew Tulloch, Yangqing Jia, Kaiming He",
    year=2017,
    arxiv="1706.02677",
    field="images",
    claim="With a rate scaled linearly and warmed up, large minibatches train as small ones do.",
    parameters={"resnet50": 25_557_032, "resnet101": 44_549_160},
    curves=("loss", "train/error", "test/error"),
    x="images",
    method="warmup",
)


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      learner: the network and its optimizer.
      epoch: loss and error over the epoch so far, which the claims compare at the end.
    """

    learner: LearnerState
    epoch: epoch_means.EpochMeans


class LargeMinibatchSGD(Experiment):
    """A residual network, by SGD whose rate follows the size kn of the minibatch."""

    def __init__(self, config: ConfigDict):
        self.config = config
        data = config.data
        self.images = Images(
            ImageSplits(data.name, data.image_size, data.dir, data.in_memory),
            data.image_size,
            augmentation=data.crop,
            mirror=data.mirror,
            train_split=data.train_split,
            test_split=data.test_split,
            num_train=data.num_train,
            reduce=data.reduce,
            test_size=config.test.image_size,
            short_sides=(config.test.short_side,),
            num_classes=data.num_classes,
        )
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        self.rate = self._schedule()
        self.network = ResNet(
            num_classes=data.num_classes,
            dtype=jnp.dtype(config.compute_dtype),
            **config.model,
        )
        self.learner = Learner(
            self.network,
            optax.chain(
                # L2 is a part of the gradient, not of the loss that is averaged over workers
                # (remark 1), and not on gamma and beta (section 5.1).
                optax.add_decayed_weights(config.optimizer.l2_penalty, without_norms),
                nesterov_rate_inside(  # remark 2
                    self.rate, config.optimizer.momentum, config.optimizer.momentum_correction
                ),
            ),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.epoch_steps = self.steps_in(1)
        self.num_steps = self.steps_in(config.num_epochs)
        self.source = self.images.stream(config.batch_size, config.seed)
        self.per_step = {"images": config.batch_size}
        self.micro_batches = config.accumulate_steps
        self.classify = jax.jit(self.probabilities)

    def steps_in(self, epochs: float) -> int:
        """Steps in so many epochs, the last batch full: 14,076 in the paper's 90 of ImageNet."""
        return steps_of(epochs, self.config.data.num_train, self.config.batch_size, "up")

    def _schedule(self) -> optax.Schedule:
        """Section 2.1: k times the rate for k times the batch; section 2.2: from the small one's,
        gradually."""
        s = self.config.schedule
        k = self.config.batch_size / s.reference_batch_size
        scale = {"linear": k, "sqrt": math.sqrt(k), "none": 1.0}[s.scaling]
        return warmup_and_drops(
            scale * s.learning_rate,
            s.learning_rate,
            s.warmup,
            self.steps_in(s.warmup_epochs),
            [self.steps_in(epoch) for epoch in s.drop_at_epochs],
        )

    def init(self, key: jax.Array) -> State:
        images = jnp.zeros((1, *self.images.shape))
        return State(learner=self.learner.init(key, images, train=False), epoch=epoch_means.start())

    def from_released(self, arrays: Mapping[str, Any]) -> Mapping[str, Any] | None:
        variables = released_variables(self.network, arrays)
        return variables and variable_paths("learner", variables)

    def normalized(self, images: jax.Array) -> jax.Array:
        """Uint8 `[B, S, S, 3]` as the network gets them."""
        return normalize(images, self.config.data.mean, self.config.data.deviation)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of a batch: "image" `[kn, S, S, 3]` uint8, "label" `[kn]` int32."""
        (logits, _), updated = self.learner.apply(
            variables, self.normalized(batch["image"]), train=True, mutable=["batch_stats"]
        )
        loss, error = softmax_loss(logits, batch["label"])
        return loss, Aux({"error": error}, updated)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, key)
        epoch = epoch_means.add(state.epoch, t, self.epoch_steps, metrics)
        return State(learner=learner, epoch=epoch), {**metrics, "learning_rate": self.rate(t)}

    def probabilities(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Classes of test images `[B, K]`, and their labels `[B]`."""

        def predict(images: jax.Array) -> jax.Array:
            return self.learner.apply(variables, self.normalized(images), train=False)[0]

        return view_probabilities(predict, rows["views"]), rows["label"]

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        probabilities, labels = training.map_batches(
            self.classify,
            self.learner.eval_variables(state.learner),
            self.images.test_rows,
            self.images.images_in(self.config.test.batch_size),
        )
        train, test = epoch_means.read(state.epoch), test_errors(probabilities, labels)
        return {
            **{f"train/{name}": value for name, value in train.items()},
            **{f"test/{name}": value for name, value in test.items()},
        }


def check_exactly(config: ConfigDict) -> dict[str, float]:
    """Compares gradients and momentum with their definitions.

    Returns:
      Relative differences. "exact/workers": of the gradients that workers compute, each on its own
      images, from those of the script's program. "exact/momentum": of weights after the whole
      schedule from those of `optax.sgd`, with the rate outside; "exact/uncorrected": without
      momentum correction.
    """
    # With a zero gamma nothing would reach the convolutions inside the blocks.
    experiment = LargeMinibatchSGD(configs.with_overrides(config, {"model.last_scale": 1.0}))
    by_workers, together = gradients_both_ways(experiment)
    steps, rate, momentum = experiment.num_steps, experiment.rate, config.optimizer.momentum
    outside, inside, uncorrected = (
        after_random_gradients(tx, steps, config.seed)
        for tx in (
            optax.sgd(rate, momentum, nesterov=True),
            nesterov_rate_inside(rate, momentum),
            nesterov_rate_inside(rate, momentum, correct=False),
        )
    )
    return {
        "exact/workers": relative_difference(by_workers, together),
        "exact/momentum": relative_difference(inside, outside),
        "exact/uncorrected": relative_difference(uncorrected, outside),
    }


def gradients_both_ways(experiment: LargeMinibatchSGD) -> tuple[Any, Any]:
    """The gradient of a random batch: of k workers with n images each, and of one program."""
    config, learner, shape = experiment.config, experiment.learner, experiment.images.shape
    rng = np.random.default_rng(config.seed)
    state = learner.init(jax.random.key(config.seed), jnp.zeros((1, *shape)), train=False)
    images = rng.normal(size=(config.batch_size, *shape)).astype(np.float32)
    labels = rng.integers(0, config.data.num_classes, config.batch_size)
    batch = {"image": images, "label": labels}

    def losses(params: Any, batch: Any) -> jax.Array:
        variables = {"params": params, **state.variables}
        logits = learner.apply(variables, batch["image"], train=True, mutable=["batch_stats"])[0][0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])

    by_workers = gradient_of_workers(losses, state.params, batch, config.model.norm_group)
    together = jax.jit(jax.grad(lambda params: losses(params, batch).mean()))(state.params)
    return by_workers, together


def main(experiment: LargeMinibatchSGD, config: ConfigDict, workdir: Path) -> dict[str, float]:
    # The reported numbers are medians over the last epochs (section 5.1).
    each_epoch = configs.with_overrides(config, {"eval_every_steps": experiment.epoch_steps})
    state, final = training.run(experiment, each_epoch, workdir)
    records = read_metrics(workdir)
    numbers = {}
    for name, value in final.items():
        epochs = [record[name] for record in records if name in record][-config.median_epochs :]
        numbers[name] = float(np.median(epochs or [value]))
    # What every worker sends at least, in a step.
    numbers["gradient_megabytes"] = 4e-6 * sum(count_parameters(state).values())
    if config.check_exactly:
        numbers |= check_exactly(config)
    return numbers


# What is compared with "warmup": arm, least points by which its error is higher, claim, paper.
WORSE = (
    ("no_warmup", 15, "without warm-up it is worse", "24.84, 23.74 %"),
    ("unscaled", 3, "with an unscaled rate it is worse", "41.67, 23.74 %"),
    ("gamma_one", 10, "with gamma one it is worse", "24.11, 23.74 %"),
)


def demo(experiment: LargeMinibatchSGD, state: State) -> Demo:
    variables = experiment.learner.eval_variables(state.learner)
    classify = functools.partial(experiment.classify, variables)
    return classify_demo(experiment.kept, classify_views(experiment.kept, classify))


def claims(results: Results) -> list[Claim]:
    """Compares training errors of the last epochs, whose margins stood before the runs."""
    if not {"base", "warmup"} <= set(results.arms):
        return []
    errors = results["train/error"]
    rows = [
        errors.close(
            "warmup",
            "base",
            within=12,
            claim="large batches train as small ones: training error",
            paper="23.74, 23.60 %",
            digits=1,
        )
    ]
    rows += [
        errors.above(arm, "warmup", by=least, claim=claim, paper=paper, digits=1)
        for arm, least, claim, paper in WORSE
        if arm in results.arms
    ]
    if "unscaled" in results.arms:
        test = results["test/error"]
        behind = {arm: test[arm] - test["base"].mean() for arm in ("warmup", "unscaled")}
        rows.append(
            Scores("points behind the small batch", behind).ratio(
                "unscaled",
                "warmup",
                2.0,
                claim="test error: a scaled rate leaves half of what an unscaled one loses",
                paper="0.14 and 18.1 points",
                digits=1,
            )
        )
    if "exact/workers" in results.metrics:
        rows += [
            results["exact/workers"].at_most(
                "warmup",
                1e-4,
                claim="the gradient of k workers is one program's (relative difference)",
                paper="the same function",
                digits=7,
            ),
            results["exact/momentum"].at_most(
                "warmup",
                1e-4,
                claim="a rate inside the velocity, corrected, is one outside (relative difference)",
                paper="remark 2",
                digits=7,
            ),
            results["exact/uncorrected"].at_least(
                "warmup",
                1e-2,
                claim="and uncorrected is not (relative difference)",
                paper="remark 2",
            ),
        ]
    return rows


if __name__ == "__main__":
    app.run()
