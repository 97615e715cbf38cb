"""Deep Residual Learning for Image Recognition (He, Zhang, Ren, Sun, 2015), arXiv:1512.03385.

Claim: plain networks train worse when they are deeper (degradation), residual ones do not.

Departures: in the default batch normalization is over the whole batch (the paper's over a GPU's
images, `model.norm_group`: 32 on ImageNet, 64 on CIFAR-10, as the variants have it); the
multi-scale test sees square centre crops at each scale, so that one program serves all images; the
plateaus that lower the ImageNet learning rate are of the training error.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
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
from research.core import Aux, Experiment, Learner, LearnerState, variable_paths
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages
from research.data.pipeline import steps_of
from research.losses.softmax import softmax_loss
from research.metrics import epoch_means
from research.metrics.classification import response_deviations, test_errors, view_probabilities
from research.models.released.resnet_names import released_variables
from research.models.resnet import BATCH_NORM_MOMENTUM, ResNet
from research.nn.precise_batch_norm import PreciseStatistics
from research.optim.error_schedule import ErrorSchedule, ScheduleState
from research.papers.resnet.layer_responses import save_responses
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.image_demo import classify_demo, classify_views

PAPER = Paper(
    title="Deep Residual Learning for Image Recognition",
    authors="Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
    year=2015,
    arxiv="1512.03385",
    field="images",
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
    method="residual_56",
)


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      learner: the network and its optimizer.
      schedule: what the learning rate follows.
      epoch: loss and error over the epoch so far, which the claims compare at the end.
    """

    learner: LearnerState
    schedule: ScheduleState
    epoch: epoch_means.EpochMeans


class DeepResidualLearning(Experiment):
    """A plain or residual network on images, by SGD whose rate follows the training error."""

    def __init__(self, config: ConfigDict):
        self.config = config
        data = config.data
        self.images = Images(
            ImageSplits(data.name, data.image_size, data.dir),
            data.image_size,
            augmentation=data.augmentation,
            train_split=data.train_split,
            test_split=data.test_split,
            num_train=data.num_train,
            reduce=data.reduce,
            statistics_images=data.statistics_images,
            short_sides=config.test.short_sides,
            crops=config.test.crops,
            num_classes=data.num_classes,
        )
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        self.schedule = ErrorSchedule(**config.schedule)
        self.network = ResNet(
            num_classes=data.num_classes,
            dtype=jnp.dtype(config.compute_dtype),
            **config.model,
        )
        self.learner = Learner(
            self.network,
            optax.chain(
                # L2 is a part of the gradient that momentum sees, and on all parameters.
                optax.add_decayed_weights(config.optimizer.l2_penalty),
                optax.inject_hyperparams(optax.sgd, static_args="momentum")(
                    learning_rate=config.schedule.learning_rate,
                    momentum=config.optimizer.momentum,
                ),
            ),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps = config.num_steps
        self.source = self.images.stream(config.batch_size, config.seed)
        self.per_step = {"images": config.batch_size}
        self.micro_batches = config.accumulate_steps
        # The last batch of an epoch, where it is not full, counts to the next one.
        self.epoch_steps = steps_of(1, data.num_train, config.batch_size, "down")

        self.classify = jax.jit(self.probabilities)
        self.respond = jax.jit(self.responses)
        self.precise_statistics = PreciseStatistics(self.batch_statistics, BATCH_NORM_MOMENTUM)

    def init(self, key: jax.Array) -> State:
        images = jnp.zeros((1, *self.images.shape))
        return State(
            learner=self.learner.init(key, images, train=False),
            schedule=self.schedule.init(),
            epoch=epoch_means.start(),
        )

    def from_released(self, arrays: Mapping[str, Any]) -> Mapping[str, Any] | None:
        variables = released_variables(self.network, arrays)
        return variables and variable_paths("learner", variables)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy of a batch: "image" `[B, S, S, 3]` float32, "label" `[B]` int32."""
        (logits, _), updated = self.learner.apply(
            variables, batch["image"], train=True, mutable=["batch_stats"]
        )
        loss, error = softmax_loss(logits, batch["label"])
        return loss, Aux({"error": error}, updated)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        rate = self.schedule.rate(state.schedule, t)
        learner = self.learner.set_hyperparams(state.learner, learning_rate=rate)
        learner, metrics = self.learner.minimize(learner, self.loss, batch, key)
        state = State(
            learner=learner,
            schedule=self.schedule.update(state.schedule, t, metrics["error"]),
            epoch=epoch_means.add(state.epoch, t, self.epoch_steps, metrics),
        )
        return state, {**metrics, "learning_rate": rate}

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        train = epoch_means.read(state.epoch)
        probabilities, labels = training.map_batches(
            self.classify,
            self.precise_variables(state),
            self.images.test_rows,
            self.images.images_in(self.config.test.batch_size),
        )
        test = test_errors(probabilities, labels)
        return {
            **{f"train/{name}": value for name, value in train.items()},
            **{f"test/{name}": value for name, value in test.items()},
        }

    def precise_variables(self, state: State) -> dict[str, Any]:
        """Variables to evaluate with: batch statistics anew, as for the released models."""
        variables = self.learner.eval_variables(state.learner)
        batches = self.images.train_batches(
            self.config.precise_batches, self.config.test.batch_size
        )
        return {**variables, "batch_stats": self.precise_statistics(variables, batches)}

    def batch_statistics(self, variables: Any, images: jax.Array) -> Any:
        """The running statistics after one more batch."""
        # Over all images at once, however few of them training normalizes by.
        model = self.network.clone(norm_group=0)
        _, updated = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return updated["batch_stats"]

    def probabilities(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Classes of test images, averaged over their views: `[B, K]`; and their labels `[B]`."""

        def predict(images: jax.Array) -> jax.Array:
            return self.learner.apply(variables, images, train=False)[0]

        return view_probabilities(predict, rows["views"]), rows["label"]

    def responses(self, variables: Any, images: jax.Array) -> dict[str, jax.Array]:
        """Each layer's output after batch normalization (section 4.2, «Analysis»)."""
        return self.learner.apply(variables, images, train=False)[1]["responses"]


def main(experiment: DeepResidualLearning, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)

    variables = experiment.precise_variables(state)
    batches = experiment.images.train_batches(config.response_batches, config.test.batch_size)
    deviations = response_deviations(
        jax.device_get(experiment.respond(variables, images)) for images in batches
    )
    save_responses(workdir, deviations)  # figure 7
    return {**numbers, "responses/mean": float(np.mean(list(deviations.values())))}


def demo(experiment: DeepResidualLearning, state: State) -> Demo:
    variables = experiment.learner.eval_variables(state.learner)
    classify = functools.partial(experiment.classify, variables)
    return classify_demo(experiment.kept, classify_views(experiment.kept, classify))


def claims(results: Results) -> list[Claim]:
    """Compares the training loss of the last epoch."""
    depths = sorted({int(arm.split("_")[1]) for arm in results.arms if "_" in arm})
    if not depths:  # one network alone
        return []
    low, high = depths[0], depths[-1]
    loss = results["train/loss"]
    rows = {
        "degradation": loss.above(
            f"plain_{high}",
            f"plain_{low}",
            by=0.2,
            claim="deeper plain networks train worse",
            paper="plain-34 28.5 %, plain-18 27.9 %",
        ),
        "cure": loss.above(
            f"plain_{high}",
            f"residual_{high}",
            by=0.3,
            claim="shortcuts cure it",
            paper="plain-34 28.5 %, ResNet-34 25.0 %",
        ),
        "depth": loss.above(
            f"residual_{low}",
            f"residual_{high}",
            by=-0.25,
            claim="deeper residual networks train",
            paper="ResNet-18 27.9 %, ResNet-34 25.0 %",
        ),
        "ease": loss.above(
            f"plain_{low}",
            f"residual_{low}",
            claim="shortcuts ease shallow nets",
            paper="ResNet-18 converges faster",
        ),
    }
    if low == high:  # one depth alone is not compared with another
        del rows["degradation"], rows["depth"]
    return list(rows.values())


if __name__ == "__main__":
    app.run()
