"""One weird trick for parallelizing convolutional neural networks (Krizhevsky, 2014),
arXiv:1404.5997.

Claim: data-parallel convolutions with model-parallel fully-connected layers compute the same
gradients with less communication, and let the fully-connected layers keep their small batch.

The workers are the devices along the mesh's axis "data". Departures: `augment.jitter_colour`'s;
scheme c takes every n-th image in a round, so that the number of workers changes no result.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from research import app, data, training
from research import config as configs
from research.core import Experiment, Learner, UserError
from research.core.legacy import OldExperiment
from research.core.tree import count_parameters
from research.data.images.photographs import Photographs, opener
from research.metrics.classification import cross_entropy, top_k_error, view_probabilities
from research.models.alexnet import Head, Trunk
from research.optim.momentum import scaled_momentum_sgd
from research.papers.one_weird_trick.class_parallel import LOSSES, top1_error
from research.papers.one_weird_trick.hybrid_parallel import SCHEMES, Hybrid, head_rules
from research.pods.equivalence import after_one_step, communication, largest_difference
from research.report.claims import Claim, Paper
from research.training import sharding
from research.training.program import Program

PAPER = Paper(
    title="One weird trick for parallelizing convolutional neural networks",
    authors="Alex Krizhevsky",
    year=2014,
    arxiv="1404.5997",
    claim="The same gradients with less communication, and small fully-connected batches.",
    parameters={"one_tower": {"trunk": 2_469_696, "head": 58_631_144}},
    curves=("loss", "error"),
    x="images",
)


def make_learners(config: ConfigDict) -> tuple[Learner, Learner]:
    """The convolutions' learner and the fully-connected layers', whose rates follow their batch."""
    m, dtype = config.model, jnp.dtype(config.compute_dtype)
    trunk = Trunk(m.variant, m.norm.to_dict(), m.input_scale, dtype=dtype)
    head = Head(m.variant, config.data.num_classes, m.outputs_multiple, m.dropout, dtype=dtype)

    def learner(model: Any, batch_size: int) -> Learner:
        steps = config.total_images // batch_size
        tx = scaled_momentum_sgd(config.optimizer, batch_size, steps)
        return Learner(model, tx, max_grad_norm=config.max_grad_norm, ema_decay=config.ema_decay)

    return learner(trunk, config.batch_size), learner(head, config.fc_batch_size)


def build(config: ConfigDict) -> Experiment:
    if config.batch_size % config.fc_batch_size or config.accumulate_steps > 1:
        raise UserError("batch_size is a multiple of fc_batch_size, and accumulate_steps is 1")
    updates = config.batch_size // config.fc_batch_size
    hybrid, loss_of_rows = Hybrid(config.scheme, updates), LOSSES[config.loss]
    trunk, head = make_learners(config)
    c = config.data
    photographs = Photographs(
        opener(c.name, c.image_size, c.dir),
        c.train_split,
        c.image_size,
        c.augmentation,
        1,
        c.statistics_images,
        config.test.short_sides,
        config.test.crops,
    )
    shape = (c.image_size, c.image_size, c.channels)

    def init(key: jax.Array) -> dict[str, Any]:
        trunk_key, head_key = jax.random.split(key)
        convolutions = trunk.init(trunk_key, jnp.zeros((1, *shape)))
        activations = trunk.apply(convolutions, jnp.zeros((1, *shape)))
        return {"trunk": convolutions, "head": head.init(head_key, activations)}

    def step(state: dict, batch: Any, key: jax.Array) -> tuple[dict, dict]:
        on_worker = head.model.clone(**hybrid.split_units())

        def loss_fn(params: Any, x: jax.Array, labels: jax.Array, images: jax.Array) -> Any:
            keys = jax.vmap(lambda image: jax.random.fold_in(key, image))(images)
            logits = on_worker.apply({"params": params}, x, keys)
            loss = loss_of_rows(logits, labels, on_worker.axis).mean()
            return loss, {"error": top1_error(logits, labels, on_worker.axis)}

        activations, backward = hybrid.trunk(
            lambda params, images: trunk.apply({"params": params}, images),
            state["trunk"].params,
            batch["image"],
        )

        def fc_step(carry: Any, update: jax.Array) -> tuple[Any, dict]:
            learned, gradient = carry
            (loss, metrics), grads, gradient = hybrid.head(
                loss_fn, learned.params, activations, batch["label"], gradient, update
            )
            learned, norm = head.apply_gradients(learned, grads)
            return (learned, gradient), {"loss": loss, **metrics, "fc_grad_norm": norm["grad_norm"]}

        (fully_connected, gradient), metrics = jax.lax.scan(
            fc_step, (state["head"], jnp.zeros_like(activations)), jnp.arange(updates), unroll=True
        )
        # Each update's loss is a mean over its own images; the convolutions' is over the batch.
        convolutions, norm = trunk.apply_gradients(state["trunk"], backward(gradient / updates))
        state = {"trunk": convolutions, "head": fully_connected}
        return state, {**jax.tree.map(jnp.mean, metrics), **norm}

    def test(state: dict, key: jax.Array) -> dict[str, float]:
        predict = jax.jit(lambda t, h, x: head.apply(h, trunk.apply(t, x)))
        variables = multihost_utils.process_allgather(  # workers may be other processes
            (trunk.eval_variables(state["trunk"]), head.eval_variables(state["head"])), tiled=True
        )
        test_set = photographs.open_split(c.test_split)
        views = map(photographs.views, test_set)
        probabilities = view_probabilities(
            functools.partial(predict, *variables), views, config.test.batch_size
        )
        labels = np.array([record["label"] for record in test_set])
        return {
            "cross_entropy": cross_entropy(probabilities, labels),
            "error": top_k_error(probabilities, labels),
        }

    spec = {
        "image": jax.ShapeDtypeStruct(shape, np.float32),
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    source = data.pipeline.stream(
        photographs.open_train, spec, config.batch_size, config.seed, photographs.augmented
    )
    return OldExperiment(
        init,
        step,
        config.total_images // config.batch_size,
        source,
        {"test": test},
        head_rules(config.scheme),
        {"images": config.batch_size},
    )


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
        return Program(build(setting), sharding.make_mesh(setting.mesh, devices))

    def velocities(program: Program) -> dict[str, np.ndarray]:
        # After one step from rest they are the gradients, times the rate.
        return after_one_step(program, config.seed, {"label": config.data.num_classes})

    c, workers = config.communication, jax.device_count()
    sizes = {
        "model.variant": c.variant,
        "data.image_size": c.image_size,
        "data.num_classes": c.num_classes,
        "data.channels": 3,
        "batch_size": c.images_per_worker * workers,
    }
    expected, numbers = velocities(program("data", jax.devices()[:1])), {"workers": workers}
    for scheme in SCHEMES:
        numbers[f"gradients/{scheme}"] = largest_difference(
            velocities(program(scheme)), expected, "trace"
        )
        traffic = communication(large := program(scheme, **sizes))
        weights = 4 * count_parameters(large.shapes.state)["trunk"]
        numbers[f"megabytes/{scheme}"] = sum(t.bytes for t in traffic) / 1e6
        numbers[f"sent/{scheme}"] = sum(t.sent for t in traffic) / 1e6
        numbers[f"at_once/{scheme}"] = (
            max(size for t in traffic for size in t.sizes if size != weights) / 1e6
        )
    return numbers


def main(config: ConfigDict, workdir: Path) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    if config.check_programs and jax.device_count() > 1 and jax.process_count() == 1:
        numbers |= check_programs(config)
    return numbers


def claims(results: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    if "variable" not in results:
        return []
    # Measured means, three seeds, MNIST: variable 0.046, small 0.054, large 0.312 (digits: config).
    losses = {arm: numbers["test/cross_entropy"].mean() for arm, numbers in results.items()}
    rows = [
        Claim(
            f"{what}: loss <= {factor} x the {arm} batch's",
            f"2.651, {paper}",
            f"{losses['variable']:.4f}, {losses[arm]:.4f}",
            losses["variable"] <= factor * losses[arm],
        )
        for arm, factor, paper, what in (
            ("large", 0.9, "2.678", "small fully-connected batches are better than large ones"),
            ("small", 1.1, "2.611", "and as good as small batches throughout"),
        )
        if arm in losses
    ]
    if "workers" not in results["variable"]:
        return rows
    checked = {name: values.max() for name, values in results["variable"].items()}
    worst = np.max([checked[f"gradients/{scheme}"] for scheme in SCHEMES])
    moved = {scheme: checked[f"megabytes/{scheme}"] for scheme in SCHEMES}
    part = checked["at_once/c"] / checked["at_once/a"]
    return [
        *rows,
        Claim(
            "gradients of every scheme are those of one device (relative difference < 1e-4)",
            "the same function",
            f"{worst:.1e}",
            worst < 1e-4,
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
            abs(part * checked["workers"] - 1) < 1e-3,
        ),
    ]


if __name__ == "__main__":
    app.run()
