"""ImageNet Classification with Deep Convolutional Neural Networks (Krizhevsky, Sutskever, Hinton,
2012), with its dropout: Improving neural networks by preventing co-adaptation of feature detectors
(Hinton, Srivastava, Krizhevsky, Sutskever, Salakhutdinov, 2012), arXiv:1207.0580.

Claim: networks of rectified linear units learn several times faster than those of tanh; dropout
makes them err less on new images.

The two towers are convolutions in two groups; on a mesh with `model` = 2, devices of their own.
Departures: the error that the rate follows is measured on a few held-out images at every step,
where the authors looked at it; `augment.jitter_colour`'s.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from research import app, data
from research import config as configs
from research.core import Aux, Experiment, Learner, UserError
from research.core.legacy import OldExperiment
from research.data.images.photographs import Photographs, opener
from research.metrics.classification import cross_entropy, top_k_error, view_probabilities
from research.models.alexnet import ARCHITECTURES, TOWER_RULES, AlexNet, apply_towers
from research.optim.error_schedule import ErrorSchedule
from research.optim.momentum import momentum_sgd
from research.papers.alexnet.dropout_sgd import dropout_sgd, rising
from research.papers.alexnet.error_target import run_to_error
from research.pods.equivalence import after_one_step, largest_difference
from research.report.claims import Claim, Paper
from research.training import sharding
from research.training.program import Program

PAPER = Paper(
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    authors="Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton",
    year=2012,
    arxiv="",
    claim="Rectified linear units learn faster than tanh; dropout lowers the error on new images.",
    parameters={"two_towers": 60_965_224, "one_tower": 62_378_344},
    curves=("error", "loss"),
    x="images",
)
HELD_OUT = "held_out_"


def make_learner(config: ConfigDict) -> Learner:
    """The network, and the training of the one paper or of the other, rates to be set."""
    o, m = config.optimizer, config.model

    def alexnet_sgd(learning_rate: Any) -> optax.GradientTransformation:
        return momentum_sgd(
            lambda _: learning_rate,
            lambda _: o.bias_rate * learning_rate,
            o.momentum,
            o.weight_decay,
        )

    rates = {"learning_rate": config.schedule.learning_rate}
    if o.rule == "alexnet":
        tx = optax.inject_hyperparams(alexnet_sgd)(**rates)
    elif o.rule == "dropout":
        tx = optax.inject_hyperparams(dropout_sgd, static_args="max_squared_norm")(
            momentum=o.rising.start, max_squared_norm=o.max_squared_norm, **rates
        )
    else:
        raise UserError(f"optimizer.rule is alexnet or dropout, not {o.rule!r}")
    model = AlexNet(
        num_classes=config.data.num_classes,
        dtype=jnp.dtype(config.compute_dtype),
        **{**m, "norm": m.norm.to_dict()},
    )
    return Learner(model, tx, config.accumulate_steps, config.max_grad_norm, config.ema_decay)


def steps_of(config: ConfigDict, epochs: float) -> int:
    return round(epochs * config.data.num_train / config.batch_size)


def build(config: ConfigDict) -> Experiment:
    c, o, learner, schedule = (
        config.data,
        config.optimizer,
        make_learner(config),
        ErrorSchedule(**config.schedule),
    )
    if config.mesh.model not in (1, ARCHITECTURES[config.model.variant].towers):
        raise UserError(f"mesh.model is 1 or the number of towers of {config.model.variant!r}")
    photographs = Photographs(
        opener(c.name, c.image_size, c.dir),
        c.train_split,
        c.image_size,
        c.augmentation,
        c.reduce,
        c.statistics_images,
        config.test.short_sides,
        config.test.crops,
    )
    shape, epoch_steps = (c.image_size, c.image_size, c.channels), steps_of(config, 1)

    def init(key: jax.Array) -> dict[str, Any]:
        return {"learner": learner.init(key, jnp.zeros((1, *shape))), "schedule": schedule.init()}

    def loss_fn(variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        rows = jnp.arange(len(batch["label"]))
        keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
        logits = apply_towers(learner.model, variables["params"], batch["image"], keys)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, Aux({"error": error_of(logits, batch["label"])})

    def step(state: dict, batch: Any, key: jax.Array) -> tuple[dict, dict]:
        rates = {"learning_rate": schedule.rate(state["schedule"])}
        if o.rule == "dropout":
            epoch = state["schedule"]["step"] // epoch_steps
            rates["learning_rate"] *= o.rate_decay**epoch
            rates["momentum"] = rising(epoch, **o.rising)
        tx = state["learner"].opt_state
        now = state["learner"].replace(
            opt_state=tx._replace(hyperparams={**tx.hyperparams, **rates})
        )
        images = {name: batch[name] for name in ("image", "label")}
        new, metrics = learner.minimize(now, loss_fn, images, key)

        seen = metrics["error"]
        if config.held_out_rows:  # as they were before the step
            logits = apply_towers(learner.model, now.params, batch[f"{HELD_OUT}image"])
            seen = metrics["held_out_error"] = error_of(logits, batch[f"{HELD_OUT}label"])
        state = {"learner": new, "schedule": schedule.update(state["schedule"], seen)}
        return state, {**metrics, **rates}

    def test(state: dict, key: jax.Array) -> dict[str, float]:
        variables = multihost_utils.process_allgather(  # towers may be on other processes
            learner.eval_variables(state["learner"]), tiled=True
        )
        test_set = photographs.open_split(c.test_split)
        probabilities = view_probabilities(
            functools.partial(jax.jit(learner.apply), variables),
            map(photographs.views, test_set),
            config.test.batch_size,
        )
        labels = np.array([record["label"] for record in test_set])
        return {
            "cross_entropy": cross_entropy(probabilities, labels),
            "images": len(labels),
            "error": top_k_error(probabilities, labels),
            "top5_error": top_k_error(probabilities, labels, 5),
        }

    def held_out(record: Any, rng: np.random.Generator) -> Any:
        return {**record, "image": photographs.plain(record)}

    spec = {
        "image": jax.ShapeDtypeStruct(shape, np.float32),
        "label": jax.ShapeDtypeStruct((), np.int32),
    }
    streams = {
        "": data.pipeline.stream(
            photographs.open_train, spec, config.batch_size, config.seed, photographs.augmented
        )
    }
    if config.held_out_rows:
        streams[HELD_OUT] = data.pipeline.stream(
            lambda: photographs.open_split(c.held_out_split),
            spec,
            config.held_out_rows,
            config.seed,
            held_out,
        )
    return OldExperiment(
        init,
        step,
        steps_of(config, config.num_epochs),
        data.pipeline.MergedStreams(streams),
        {"test": test},
        TOWER_RULES,
        {"images": config.batch_size},
    )


def error_of(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return 100 * jnp.mean(logits.argmax(-1) != labels)


def check_towers(config: ConfigDict) -> float:
    """Two towers on two devices against two groups on one, dropout on: the largest relative
    difference of a weight's change in a step."""

    def velocities(towers: int) -> dict[str, np.ndarray]:
        setting = configs.with_overrides(
            config,
            {
                "model.variant": config.check_towers,
                "model.dropout": 0.5,
                "held_out_rows": 0,
                "mesh.data": 1,
                "mesh.model": towers,
            },
        )
        mesh, limits = sharding.make_mesh(setting.mesh, jax.devices()[:towers]), {"label": 10}
        return after_one_step(Program(build(setting), mesh), config.seed, limits)

    return largest_difference(velocities(2), velocities(1), "trace")


def main(config: ConfigDict, workdir: Path) -> dict[str, float]:
    every, end = config.stop_at_target_every_epochs, config.num_epochs
    experiment, state, numbers, steps = run_to_error(
        lambda epochs: build(configs.with_overrides(config, {"num_epochs": epochs})),
        [*(np.arange(every, end, every).tolist() if every else ()), end],
        config.target_error,
        config,
        workdir,
    )
    # A run that does not get there counts as its whole length.
    numbers["epochs_to_target"] = steps * config.batch_size / config.data.num_train
    if config.check_towers and jax.device_count() > 1 and jax.process_count() == 1:
        numbers["towers_difference"] = check_towers(config)
    return numbers


def claims(results: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    rows = []  # what was measured stands in the configuration file
    epochs = [
        sorted(
            (n["epochs_to_target"].mean(), arm)
            for arm, n in results.items()
            if arm.startswith(name)
        )
        for name in ("relu", "tanh")
    ]
    if all(epochs):
        (fast, relu), (slow, tanh) = (arms[0] for arms in epochs)
        rows.append(
            Claim(
                "tanh takes >= 1.5 x the epochs of ReLU to 25 % training error, "
                "each at its best rate",
                "six times",
                f"{tanh} {slow:.1f}, {relu} {fast:.1f}",
                slow >= 1.5 * fast,
            )
        )
    if {"dropout", "no_dropout"} <= results.keys():
        enough = results["dropout"]["test/images"].min() >= 1000  # for errors to be told apart
        for metric, unit in (("error", " %"), ("cross_entropy", "")):
            with_it, without = (
                results[arm][f"test/{metric}"].mean() for arm in ("dropout", "no_dropout")
            )
            rows.append(
                Claim(
                    f"dropout lowers the test {metric.replace('_', '-')} by >= 15 %",
                    "160 to 110 of 10,000",
                    f"{without:.3g} to {with_it:.3g}{unit}, by "
                    f"{100 - 100 * with_it / without:.0f} %",
                    with_it <= 0.85 * without if enough or metric != "error" else None,
                )
            )
    return rows + [
        Claim(
            "towers on two devices are grouped convolutions (relative difference < 1e-4)",
            "the same function",
            f"{n['towers_difference'].max():.1e}",
            n["towers_difference"].max() < 1e-4,
        )
        for n in results.values()
        if "towers_difference" in n
    ]


if __name__ == "__main__":
    app.run()
