"""One weird trick for parallelizing convolutional neural networks (Krizhevsky, 2014),
arXiv:1404.5997.

Claim: data-parallel convolutions with model-parallel fully-connected layers compute the same
gradients with less communication, and let the fully-connected layers keep their small batch.

The workers are the devices along the mesh's axis "data". Departures: `augment.jitter_colour`'s;
scheme c takes every n-th image in a round, so that the number of workers changes no result.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from research import app, training
from research import config as configs
from research.core import Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import count_parameters
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages
from research.metrics.classification import cross_entropy, top_k_error, view_probabilities
from research.models.alexnet import ARCHITECTURES, Head, Trunk
from research.optim.momentum import scaled_momentum_sgd
from research.papers.one_weird_trick.class_parallel import LOSSES, top1_error
from research.papers.one_weird_trick.hybrid_parallel import SCHEMES, Hybrid, head_rules
from research.pods.equivalence import after_one_step, communication, largest_difference
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.image_demo import classify_demo, classify_views
from research.training import sharding
from research.training.program import Program

PAPER = Paper(
    title="One weird trick for parallelizing convolutional neural networks",
    authors="Alex Krizhevsky",
    year=2014,
    arxiv="1404.5997",
    field="images",
    claim="The same gradients with less communication, and small fully-connected batches.",
    parameters={"one_tower": {"trunk": 2_469_696, "head": 58_631_144}},
    curves=("loss", "error"),
    x="images",
    method="variable",
)


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      trunk: the convolutions, data-parallel.
      head: the fully-connected layers, model-parallel: their units are split over the workers.
    """

    trunk: LearnerState
    head: LearnerState


class OneWeirdTrick(Experiment):
    """Convolutions on each worker's own images, fully-connected layers on all workers' images."""

    def __init__(self, config: ConfigDict):
        self.config = config
        data, model = config.data, config.model
        if config.batch_size % config.fc_batch_size:
            raise UserError("batch_size is a multiple of fc_batch_size")
        check_choice("loss", config.loss, LOSSES)
        check_choice("model.variant", model.variant, ARCHITECTURES)
        check_choice("communication.variant", config.communication.variant, ARCHITECTURES)
        # Section 4.2, «variable batch size»: how often the fully-connected layers are updated.
        self.updates = config.batch_size // config.fc_batch_size
        self.hybrid = Hybrid(config.scheme, self.updates)
        self.images = Images(
            ImageSplits(data.name, data.image_size, data.dir),
            data.image_size,
            data.channels,
            augmentation=data.augmentation,
            train_split=data.train_split,
            test_split=data.test_split,
            statistics_images=data.statistics_images,
            short_sides=config.test.short_sides,
            crops=config.test.crops,
            num_classes=data.num_classes,
        )
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        dtype = jnp.dtype(config.compute_dtype)
        self.trunk = self._learner(
            Trunk(model.variant, model.norm.to_dict(), model.input_scale, dtype=dtype),
            config.batch_size,
        )
        self.head = self._learner(
            Head(
                model.variant, data.num_classes, model.outputs_multiple, model.dropout, dtype=dtype
            ),
            config.fc_batch_size,
        )
        self.num_steps = config.total_images // config.batch_size
        self.source = self.images.stream(config.batch_size, config.seed)
        self.rules = head_rules(config.scheme)
        self.per_step = {"images": config.batch_size}
        self.classify = jax.jit(self.probabilities)

    def _learner(self, model: nn.Module, batch_size: int) -> Learner:
        """Layers with their optimizer, whose rates follow the layers' own batch (section 5)."""
        config = self.config
        steps = config.total_images // batch_size
        tx = scaled_momentum_sgd(batch_size, steps, **config.optimizer)
        return Learner(model, tx, max_grad_norm=config.max_grad_norm)

    def init(self, key: jax.Array) -> State:
        trunk_key, head_key = jax.random.split(key)
        images = jnp.zeros((1, *self.images.shape))
        trunk = self.trunk.init(trunk_key, images)
        activations = self.trunk.apply(trunk, images)
        return State(trunk=trunk, head=self.head.init(head_key, activations))

    def loss(
        self,
        head: nn.Module,
        key: jax.Array,
        params: Any,
        activations: jax.Array,
        labels: jax.Array,
        ids: jax.Array,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean loss of some images, from a worker's own part of the fully-connected layers.

        Args:
          head: the layers, as they are split over workers.
          key: of the step.
          params: of this worker's units.
          activations: `[B, D]`, of the convolutions.
          labels: `[B]`.
          ids: `[B]`, numbers of the images in the batch: what is dropped follows from them.
        """
        keys = jax.vmap(lambda image: jax.random.fold_in(key, image))(ids)
        logits: Any = head.apply({"params": params}, activations, keys)
        loss = LOSSES[self.config.loss](logits, labels, head.axis).mean()
        return loss, {"error": top1_error(logits, labels, head.axis)}

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        on_worker = self.head.model.clone(**self.hybrid.split_units())
        loss = functools.partial(self.loss, on_worker, key)
        activations, backward = self.hybrid.trunk(
            lambda params, images: self.trunk.apply({"params": params}, images),
            state.trunk.params,
            batch["image"],
        )

        def update_head(carry: Any, update: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
            """One update of the fully-connected layers, on its part of the batch."""
            head, gradient = carry
            (value, metrics), grads, gradient = self.hybrid.head(
                loss, head.params, activations, batch["label"], gradient, update
            )
            head, norm = self.head.apply_gradients(head, grads)
            metrics = {"loss": value, **metrics, "fc_grad_norm": norm["grad_norm"]}
            return (head, gradient), metrics

        (head, gradient), metrics = jax.lax.scan(
            update_head,
            (state.head, jnp.zeros_like(activations)),
            jnp.arange(self.updates),
            unroll=True,
        )
        # Each update's loss is a mean over its own images; the convolutions' is over the batch.
        grads = backward(gradient / self.updates)
        trunk, norm = self.trunk.apply_gradients(state.trunk, grads)
        return State(trunk=trunk, head=head), {**jax.tree.map(jnp.mean, metrics), **norm}

    def probabilities(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Classes of test images, averaged over their views: `[B, K]`; and their labels `[B]`."""
        trunk, head = variables

        def predict(images: jax.Array) -> jax.Array:
            return self.head.apply(head, self.trunk.apply(trunk, images))

        return view_probabilities(predict, rows["views"]), rows["label"]

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        probabilities, labels = training.map_batches(
            self.classify,
            (self.trunk.eval_variables(state.trunk), self.head.eval_variables(state.head)),
            self.images.test_rows,
            self.images.images_in(self.config.test.batch_size),
        )
        return {
            "test/cross_entropy": cross_entropy(probabilities, labels),
            "test/error": top_k_error(probabilities, labels),
        }


def check_programs(config: ConfigDict) -> dict[str, float]:
    """Compares the schemes over all devices: gradients of a step, bytes moved at the paper's sizes.

    Returns:
      "gradients/{scheme}": largest relative difference of a gradient from that on one device;
      "megabytes/{scheme}": of the arrays in a step's collectives; "sent/{scheme}": that each device
      sends if they go round a ring; "at_once/{scheme}": of the largest activations; "workers": K.
    """

    def program(scheme: str, devices: Any = None, **overrides: Any) -> Program:
        setting = configs.with_overrides(config, {**overrides, "scheme": scheme})
        setting.fc_batch_size = setting.batch_size
        return Program(OneWeirdTrick(setting), sharding.make_mesh(setting.mesh, devices))

    def velocities(program: Program) -> dict[str, np.ndarray]:
        # After one step from rest they are the gradients, times the rate.
        return after_one_step(program, config.seed, {"label": config.data.num_classes})

    c = config.communication  # the paper's sizes
    workers = jax.device_count()
    sizes = {
        "model.variant": c.variant,
        "data.image_size": c.image_size,
        "data.num_classes": c.num_classes,
        "data.channels": 3,
        "batch_size": c.images_per_worker * workers,
    }
    expected = velocities(program("data", jax.devices()[:1]))
    numbers: dict[str, float] = {"workers": workers}
    for scheme in SCHEMES:
        numbers[f"gradients/{scheme}"] = largest_difference(
            velocities(program(scheme)), expected, "trace"
        )
        large = program(scheme, **sizes)
        traffic = communication(large)
        weights = 4 * count_parameters(large.shapes.state)["trunk"]
        numbers[f"megabytes/{scheme}"] = sum(t.bytes for t in traffic) / 1e6
        numbers[f"sent/{scheme}"] = sum(t.sent for t in traffic) / 1e6
        activations = [size for t in traffic for size in t.sizes if size != weights]
        numbers[f"at_once/{scheme}"] = max(activations) / 1e6
    return numbers


def main(experiment: OneWeirdTrick, config: ConfigDict, workdir: Path) -> dict[str, float]:
    _, numbers = training.run(experiment, config, workdir)
    if config.check_programs and jax.device_count() > 1 and jax.process_count() == 1:
        numbers |= check_programs(config)
    return numbers


def demo(experiment: OneWeirdTrick, state: State) -> Demo:
    trunk = experiment.trunk.eval_variables(state.trunk)
    head = experiment.head.eval_variables(state.head)
    classify = functools.partial(experiment.classify, (trunk, head))
    return classify_demo(experiment.kept, classify_views(experiment.kept, classify))


def claims(results: Results) -> list[Claim]:
    if "variable" not in results.arms:
        return []
    rows = []
    losses = results["test/cross_entropy"]
    for arm, factor, paper, claim in (
        ("large", 0.9, "2.678", "small fully-connected batches are better than large ones"),
        ("small", 1.1, "2.611", "and as good as small batches throughout"),
    ):
        if arm in results.arms:
            rows += [
                losses.ratio(
                    arm,
                    "variable",
                    1 / factor,
                    claim=f"{claim}: loss <= {factor} x the {arm} batch's",
                    paper=f"2.651, {paper}",
                    digits=4,
                )
            ]
    if "workers" not in results.metrics:  # one device has nothing to compare programs by
        return rows
    return rows + program_claims(results)


def program_claims(results: Results) -> list[Claim]:
    """What `check_programs` has found: exact, so that the worst seed counts."""

    def largest(name: str) -> float:
        return float(results[name]["variable"].max())

    worst = np.max([largest(f"gradients/{scheme}") for scheme in SCHEMES])
    moved = {scheme: largest(f"megabytes/{scheme}") for scheme in SCHEMES}
    part = largest("at_once/c") / largest("at_once/a")
    return [
        Claim(
            "gradients of every scheme are those of one device (relative difference < 1e-4)",
            "the same function",
            f"{worst:.1e}",
            bool(worst < 1e-4),
        ),
        Claim(
            "schemes move less than 0.75 of what data parallelism does",
            "MB a step",
            ", ".join(f"{scheme} {value:.0f}" for scheme, value in moved.items()),
            max(moved[scheme] for scheme in "abc") < 0.75 * moved["data"],
        ),
        Claim(
            "a round of scheme c gathers a K-th of what scheme a does",
            "128 / K images",
            f"1 / {1 / part:.1f}",
            abs(part * largest("workers") - 1) < 1e-3,
        ),
    ]


if __name__ == "__main__":
    app.run()
