"""Deep Residual Learning for Image Recognition (He, Zhang, Ren, Sun, 2015), arXiv:1512.03385.

Claim: plain networks train worse when they are deeper (degradation), residual ones do not.

Departures: batch normalization is over the whole batch (the paper's over the 32 images of a GPU);
the multi-scale test sees square centre crops at each scale, so that one program serves all images;
the plateaus that lower the ImageNet learning rate are of the training error.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, data, training
from research.core import Aux, Experiment, Learner, LearnerState
from research.core.legacy import OldExperiment
from research.data.dataset import Dataset
from research.data.images.photographs import Photographs
from research.data.procedural import shapes
from research.metrics import epoch_means
from research.metrics.classification import response_deviations, top_k_error, view_probabilities
from research.models.resnet import BATCH_NORM_MOMENTUM, ResNet
from research.nn.precise_batch_norm import precise_statistics
from research.optim.error_schedule import ErrorSchedule
from research.papers.resnet.layer_responses import save_responses
from research.report.claims import Claim, Paper

PAPER = Paper(
    title="Deep Residual Learning for Image Recognition",
    authors="Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
    year=2015,
    arxiv="1512.03385",
    claim="Plain networks train worse when they are deeper; residual networks do not.",
    parameters={
        "resnet18": 11_689_512,
        "resnet34": 21_797_672,
        "resnet50": 25_557_032,
        "resnet101": 44_549_160,
        "resnet152": 60_192_808,
        "resnet20": 269_722,
        "resnet32": 464_154,
        "resnet44": 658_586,
        "resnet56": 853_018,
        "resnet110": 1_727_962,
        "resnet1202": 19_421_274,
    },
    curves=("loss", "error"),
    x="images",
)


def make_learner(config: ConfigDict) -> Learner:
    """SGD with momentum and an L2 penalty, on all parameters, that is part of the gradient."""

    def momentum_sgd(learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(config.optimizer.l2_penalty),
            optax.sgd(learning_rate, config.optimizer.momentum),
        )

    model = ResNet(
        num_classes=config.data.num_classes, dtype=jnp.dtype(config.compute_dtype), **config.model
    )
    return Learner(
        model,
        optax.inject_hyperparams(momentum_sgd)(config.schedule.learning_rate),
        config.accumulate_steps,
        config.max_grad_norm,
        config.ema_decay,
    )


def make_photographs(config: ConfigDict) -> Photographs:
    def open_split(split: str) -> Dataset:
        if config.data.name == "proc_shapes":
            return shapes.load(split, config.data.image_size)
        return data.load(config.data.name, split, config.data.dir)

    return Photographs(
        open_split,
        config.data.train_split,
        config.data.image_size,
        config.data.augmentation,
        config.data.reduce,
        config.data.statistics_images,
        config.test.short_sides,
        config.test.crops,
    )


def build(config: ConfigDict) -> Experiment:
    photographs, learner = make_photographs(config), make_learner(config)
    schedule = ErrorSchedule(**config.schedule)
    shape = (config.data.image_size, config.data.image_size, 3)
    epoch_steps = config.data.num_train // config.batch_size

    def init(key: jax.Array) -> dict[str, Any]:
        return {
            "learner": learner.init(key, jnp.zeros((1, *shape)), train=True),
            "schedule": schedule.init(),
            "epoch": epoch_means.start(),
        }

    def loss_fn(variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        (logits, _), updated = learner.apply(
            variables, batch["image"], train=True, mutable=["batch_stats"]
        )
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        error = 100 * jnp.mean(logits.argmax(-1) != batch["label"])
        return loss, Aux({"error": error}, updated)

    def step(state: dict, batch: Any, key: jax.Array) -> tuple[dict, dict]:
        rate = schedule.rate(state["schedule"])
        optimizer = state["learner"].opt_state
        hyperparams = {**optimizer.hyperparams, "learning_rate": rate}
        current = state["learner"].replace(opt_state=optimizer._replace(hyperparams=hyperparams))
        current, metrics = learner.minimize(current, loss_fn, batch, key)

        # Means over the epoch so far, which the claims compare at the end of the last one.
        epoch = epoch_means.add(state["epoch"], state["schedule"]["step"], epoch_steps, metrics)
        following = schedule.update(state["schedule"], metrics["error"])
        state = {"learner": current, "schedule": following, "epoch": epoch}
        return state, {**metrics, "learning_rate": rate}

    def train(state: dict, key: jax.Array) -> dict[str, float]:
        return epoch_means.read(state["epoch"])

    def test(state: dict, key: jax.Array) -> dict[str, float]:
        variables = precise_variables(config, learner, photographs, state["learner"])
        predict = jax.jit(lambda v, x: learner.apply(v, x, train=False)[0])
        test_set = photographs.open_split(config.data.test_split)
        probabilities = view_probabilities(
            functools.partial(predict, variables),
            map(photographs.views, test_set),
            config.test.batch_size,
        )
        labels = np.array([record["label"] for record in test_set])
        return {
            "error": top_k_error(probabilities, labels, 1),
            "top5_error": top_k_error(probabilities, labels, 5),
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
        config.num_steps,
        source,
        {"train": train, "test": test},
        per_step={"images": config.batch_size},
    )


def precise_variables(
    config: ConfigDict, learner: Learner, photographs: Photographs, state: LearnerState
) -> dict[str, Any]:
    """Variables to evaluate with, their batch statistics computed anew."""
    variables = learner.eval_variables(state)

    def update(statistics: Any, images: jax.Array) -> Any:
        replaced = {**variables, "batch_stats": statistics}
        _, updated = learner.apply(replaced, images, train=True, mutable=["batch_stats"])
        return updated["batch_stats"]

    statistics = precise_statistics(
        update,
        variables["batch_stats"],
        photographs.train_batches(config.precise_batches, config.test.batch_size),
        BATCH_NORM_MOMENTUM,
    )
    return {**variables, "batch_stats": statistics}


def main(config: ConfigDict, workdir: Path) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)

    photographs, learner = make_photographs(config), make_learner(config)
    variables = precise_variables(config, learner, photographs, state["learner"])
    respond = jax.jit(lambda v, x: learner.apply(v, x, train=False)[1]["responses"])
    images = photographs.train_batches(config.response_batches, config.test.batch_size)
    deviations = response_deviations(jax.device_get(respond(variables, x)) for x in images)
    save_responses(workdir, deviations)
    return {**numbers, "responses/mean": float(np.mean(list(deviations.values())))}


def claims(results: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    # Measured, training loss of the last epoch on shapes, seeds 0, 1, 2: plain_20 0.10 0.44 0.30;
    # plain_56 2.26 2.11 2.25; residual_20 0.07 0.11 0.10; residual_56 0.10 0.18 0.09.
    depths = [int(arm.split("_")[1]) for arm in results if "_" in arm] or [0]
    low, high = min(depths), max(depths)

    def compare(what: str, paper: str, worse: str, better: str, least: float) -> Claim:
        """Training loss of the last epoch: `worse` - `better` is at least `least` on every seed."""
        first, second = results[worse]["train/loss"], results[better]["train/loss"]
        gaps = first - second
        ours = f"{first.mean():.2f}, {second.mean():.2f}; least difference {gaps.min():.2f}"
        return Claim(f"{what} ({worse} - {better} >= {least})", paper, ours, gaps.min() >= least)

    rows = [
        (
            "deeper plain networks train worse",
            "plain-34 28.5 %, plain-18 27.9 %",
            f"plain_{high}",
            f"plain_{low}",
            0.2,
        ),
        (
            "shortcuts cure it",
            "plain-34 28.5 %, ResNet-34 25.0 %",
            f"plain_{high}",
            f"residual_{high}",
            0.3,
        ),
        (
            "deeper residual networks train",
            "ResNet-18 27.9 %, ResNet-34 25.0 %",
            f"residual_{low}",
            f"residual_{high}",
            -0.25,
        ),
        (
            "shortcuts ease shallow nets",
            "ResNet-18 converges faster",
            f"plain_{low}",
            f"residual_{low}",
            0.0,
        ),
    ]
    return [compare(*r) for r in rows if r[2] != r[3] and {r[2], r[3]} <= results.keys()]


if __name__ == "__main__":
    app.run()
