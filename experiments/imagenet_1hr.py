"""Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour (Goyal, Dollar, Girshick, Noordhuis,
Wesolowski, Kyrola, Tulloch, Jia, He, 2017), arXiv:1706.02677.

Claim: with the learning rate scaled linearly and warmed up gradually, a large minibatch trains as
a small one does.

Workers are groups of `model.norm_group` images, on however many devices. A batch is taken from one
shuffle of all images (remark 4). The all-reduce is XLA's.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, data, training
from research import config as configs
from research.core import Aux, Experiment, Learner
from research.core.legacy import OldExperiment
from research.core.tree import count_parameters
from research.data.images.crops import Crops, normalize
from research.data.images.photographs import opener
from research.metrics import epoch_means
from research.metrics.classification import top_k_error, view_probabilities
from research.models.resnet import ResNet
from research.optim.momentum import nesterov_rate_inside, without_norms
from research.optim.schedules import warmup_and_drops
from research.papers.imagenet_1hr.workers import gradient_of_workers
from research.pods.equivalence import after_random_gradients, relative_difference
from research.report.claims import Claim, Paper
from research.training.writers import read_metrics

PAPER = Paper(
    title="Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
    authors="Priya Goyal, Piotr Dollár, Ross Girshick, Pieter Noordhuis, Lukasz Wesolowski, "
    "Aapo Kyrola, Andrew Tulloch, Yangqing Jia, Kaiming He",
    year=2017,
    arxiv="1706.02677",
    claim="With a rate scaled linearly and warmed up, large minibatches train as small ones do.",
    parameters={"resnet50": 25_557_032, "resnet101": 44_549_160},
    curves=("loss", "train/error", "test/error"),
    x="images",
)

EXACT = ("workers", "momentum", "uncorrected")  # what `check_exactly` compares


def steps_of(config: ConfigDict, epochs: float) -> int:
    return math.ceil(epochs * config.data.num_train / config.batch_size)


def make_schedule(config: ConfigDict) -> optax.Schedule:
    """Section 2.1: the rate grows with the batch; section 2.2: from the small batch's."""
    s = config.schedule
    ratio = config.batch_size / s.reference_batch_size
    scale = {"linear": ratio, "sqrt": math.sqrt(ratio), "none": 1.0}[s.scaling]
    return warmup_and_drops(
        scale * s.learning_rate,
        s.learning_rate,
        s.warmup,
        steps_of(config, s.warmup_epochs),
        [steps_of(config, epoch) for epoch in s.drop_at_epochs],
    )


def make_learner(config: ConfigDict) -> Learner:
    """Nesterov's momentum, corrected (remark 2); L2 as part of the gradient, not of the loss that
    is averaged over workers (remark 1), and not on gamma and beta (section 5.1)."""
    o = config.optimizer
    tx = optax.chain(
        optax.add_decayed_weights(o.l2_penalty, without_norms),
        nesterov_rate_inside(make_schedule(config), o.momentum, o.momentum_correction),
    )
    model = ResNet(
        num_classes=config.data.num_classes, dtype=jnp.dtype(config.compute_dtype), **config.model
    )
    return Learner(model, tx, config.accumulate_steps, config.max_grad_norm, config.ema_decay)


def build(config: ConfigDict) -> Experiment:
    c, learner = config.data, make_learner(config)
    crops = Crops(c.image_size, c.crop, mirror=c.mirror, reduce=c.reduce)
    opened = opener(c.name, c.image_size, c.dir)
    open_split = functools.cache(
        lambda split: opened(split).in_memory() if c.in_memory else opened(split)
    )
    shape, epoch_steps = (c.image_size, c.image_size, 3), steps_of(config, 1)

    def init(key: jax.Array) -> dict[str, Any]:
        return {
            "learner": learner.init(key, jnp.zeros((1, *shape)), train=False),
            "epoch": epoch_means.start(),
            "step": jnp.zeros((), jnp.int32),
        }

    def loss_fn(variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        images = normalize(batch["image"], c.mean, c.deviation)
        (logits, _), updated = learner.apply(variables, images, train=True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        error = 100 * jnp.mean(logits.argmax(-1) != batch["label"])
        return loss, Aux({"error": error}, updated)

    def step(state: dict, batch: Any, key: jax.Array) -> tuple[dict, dict]:
        current, metrics = learner.minimize(state["learner"], loss_fn, batch, key)
        epoch = epoch_means.add(state["epoch"], state["step"], epoch_steps, metrics)
        rate = make_schedule(config)(state["step"])
        state = {"learner": current, "epoch": epoch, "step": state["step"] + 1}
        return state, {**metrics, "learning_rate": rate}

    def train(state: dict, key: jax.Array) -> dict[str, float]:
        return epoch_means.read(state["epoch"])

    @jax.jit
    def predict(variables: Any, images: jax.Array) -> jax.Array:
        return learner.apply(variables, normalize(images, c.mean, c.deviation), train=False)[0]

    def test(state: dict, key: jax.Array) -> dict[str, float]:
        records, t = open_split(c.test_split), config.test
        views = ([crops.centre(r, t.image_size, t.short_side)[None]] for r in records)
        variables = jax.device_get(learner.eval_variables(state["learner"]))
        scores = view_probabilities(functools.partial(predict, variables), views, t.batch_size)
        labels = np.array([record["label"] for record in records])
        return {"error": top_k_error(scores, labels), "top5_error": top_k_error(scores, labels, 5)}

    spec = {
        "image": jax.ShapeDtypeStruct(shape, np.uint8),
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    source = data.pipeline.stream(
        lambda: open_split(c.train_split), spec, config.batch_size, config.seed, crops.augmented
    )
    return OldExperiment(
        init,
        step,
        steps_of(config, config.num_epochs),
        source,
        {"train": train, "test": test},
        per_step={"images": config.batch_size},
    )


def check_exactly(config: ConfigDict) -> dict[str, float]:
    """Relative differences: "exact/workers" of the gradients that workers compute, each on its own
    images, from those of the script's program; "exact/momentum" of weights after the whole schedule
    from those of `optax.sgd`, with the rate outside; "exact/uncorrected", without correction."""
    c, o = config.data, config.optimizer
    # With a zero gamma nothing would reach the convolutions inside the blocks.
    learner = make_learner(configs.with_overrides(config, {"model.last_scale": 1.0}))
    rng, shape = np.random.default_rng(config.seed), (c.image_size, c.image_size, 3)
    state = learner.init(jax.random.key(config.seed), jnp.zeros((1, *shape)), train=False)
    images = rng.normal(size=(config.batch_size, *shape)).astype(np.float32)
    batch = {"image": images, "label": rng.integers(0, c.num_classes, config.batch_size)}

    def losses(params: Any, batch: Any) -> jax.Array:
        variables = {"params": params, **state.variables}
        logits = learner.apply(variables, batch["image"], train=True, mutable=["batch_stats"])[0][0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])

    by_workers = gradient_of_workers(losses, state.params, batch, config.model.norm_group)
    together = jax.jit(jax.grad(lambda params: losses(params, batch).mean()))(state.params)
    steps, rate = steps_of(config, config.num_epochs), make_schedule(config)
    outside, inside, uncorrected = (
        after_random_gradients(tx, steps, config.seed)
        for tx in (
            optax.sgd(rate, o.momentum, nesterov=True),
            nesterov_rate_inside(rate, o.momentum),
            nesterov_rate_inside(rate, o.momentum, correct=False),
        )
    )
    pairs = (by_workers, together), (inside, outside), (uncorrected, outside)
    return {
        f"exact/{name}": relative_difference(*pair) for name, pair in zip(EXACT, pairs, strict=True)
    }


def main(config: ConfigDict, workdir: Path) -> dict[str, float]:
    # The reported numbers are medians over the last epochs (section 5.1).
    config = configs.with_overrides(config, {"eval_every_steps": steps_of(config, 1)})
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    for name in numbers:
        epochs = [r[name] for r in read_metrics(workdir) if name in r][-config.median_epochs :]
        numbers[name] = float(np.median(epochs or [numbers[name]]))
    # What every worker sends at least, in a step.
    numbers["gradient_megabytes"] = 4e-6 * sum(count_parameters(state).values())
    return {**numbers, **(check_exactly(config) if config.check_exactly else {})}


def claims(results: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    # The margins stood before the runs, whose numbers are in the configuration file.
    if not {"base", "warmup"} <= results.keys():
        return []
    rows = []

    def compare(what: str, paper: str, a: str, b: str, least: float, most: float = 100) -> None:
        """Training error of the last epochs: `least` <= `a` - `b` <= `most` on every seed."""
        if {a, b} <= results.keys():
            first, second = results[a]["train/error"], results[b]["train/error"]
            low, high = (first - second).min(), (first - second).max()
            ours = f"{first.mean():.1f}, {second.mean():.1f}; {low:.1f} to {high:.1f} apart"
            rows.append(Claim(f"{what} ({a} - {b})", paper, ours, low >= least and high <= most))

    compare("large batches train as small ones, +-12", "23.74, 23.60 %", "warmup", "base", -12, 12)
    compare("without warm-up it is worse by 15", "24.84, 23.74 %", "no_warmup", "warmup", 15)
    compare("with an unscaled rate it is worse by 3", "41.67, 23.74 %", "unscaled", "warmup", 3)
    compare("with gamma one it is worse by 10", "24.11, 23.74 %", "gamma_one", "warmup", 10)
    if "exact/workers" in results["warmup"]:
        workers, momentum, uncorrected = (
            results["warmup"][f"exact/{name}"].max() for name in EXACT
        )
        rows += [
            Claim(
                "the gradient of k workers is one program's (relative difference < 1e-4)",
                "the same function",
                f"{workers:.1e}",
                workers < 1e-4,
            ),
            Claim(
                "a rate inside the velocity, corrected, is one outside (< 1e-4; without > 1e-2)",
                "remark 2",
                f"{momentum:.1e}; {uncorrected:.2f}",
                momentum < 1e-4 and uncorrected > 1e-2,
            ),
        ]
    return rows


if __name__ == "__main__":
    app.run()
