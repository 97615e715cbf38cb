"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
(Radford, Metz, Chintala, 2015), arXiv:1511.06434.

Claim: trained on images without labels, the discriminator's features hold more of what the images
show than the pixels or the same network untrained do, and arithmetic on the generator's latents is
arithmetic on concepts.

Departures: samples use the running statistics of batch norm (released code: those of the batch,
which near-copies of one z would break); FID with both is reported. Glasses are removed in place of
windows, boxed as in the most similar training image. Width 16 learns with Adam 1e-3, not 2e-4.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.tree import prefixed
from research.data.images import squares
from research.losses import gan
from research.metrics import generative, linear_probes
from research.metrics.features import FeatureNet
from research.models import adversarial, dcgan
from research.papers.dcgan import face_concepts
from research.papers.dcgan.code_autoencoder import CodeTraining
from research.papers.dcgan.guided_responses import guided_responses, second_highest
from research.report import latents_demo
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Demo
from research.training.feature_network import check_network, feature_network
from research.training.phases import beside
from research.viz.image_grids import save_grids

PAPER = Paper(
    title="Unsupervised Representation Learning with Deep Convolutional GANs",
    authors="Alec Radford, Luke Metz, Soumith Chintala",
    year=2015,
    arxiv="1511.06434",
    field="generative models",
    claim="discriminator features beat pixels and an untrained network; latent arithmetic works",
    parameters={
        "paper": {"generator": 18_855_040, "discriminator": 17_232_768},
        "theano_faces": {"generator": 18_885_760, "discriminator": 17_232_768},
        "torch": {"generator": 3_576_704, "discriminator": 2_765_568},
    },
    curves=("discriminator/loss", "generator/loss"),
    x="images",
)

Numbers = dict[str, float]


class Data(NamedTuple):
    """Images to train on and to judge by, and those that the probe is trained and tested with."""

    train: squares.Squares
    test: squares.Squares
    probe_train: squares.Squares | None
    probe_test: squares.Squares | None


class State(flax.struct.PyTreeNode):
    generator: LearnerState
    discriminator: LearnerState


class DCGAN(Experiment):
    """The game of a generator G and a discriminator D, both convolutional (section 3)."""

    def __init__(self, config: ConfigDict):
        if config.concepts and not config.classifier.num_steps:
            raise UserError("concepts are seen by the classifier; set classifier.num_steps")
        if config.concepts and config.eval.network != "project_cnn":
            raise UserError("concepts are seen by the project's network: eval.network=project_cnn")
        self.config = config
        size, channels = config.data.image_size, config.data.channels
        self.image_shape = (size, size, channels)
        conv = {
            "width": config.model.width,
            "kernel": config.model.kernel,
            "dtype": jnp.dtype(config.compute_dtype),
        }
        first_norm = config.model.first_norm
        self.generator_net = dcgan.Generator(size, channels, first_norm=first_norm, **conv)
        self.discriminator_net = dcgan.Discriminator(**conv)
        self.generator = self.make_learner(self.generator_net)
        self.discriminator = self.make_learner(self.discriminator_net)
        # D against the present G, then G against the new D, each on latents of its own.
        self.game = adversarial.Game(
            self.generator,
            self.discriminator,
            self.real_and_fake,
            self.discriminator_loss,
            lambda key: self.latents(key, config.batch_size),
            self.generator_loss,
        )

        self.num_steps = config.total_images // config.batch_size
        self.per_step = {"images": config.batch_size}
        self.micro_batches = config.accumulate_steps
        self.train_on(None)

    def make_learner(self, model: nn.Module) -> Learner:
        config = self.config
        # The released code's L2 penalty is part of the gradient that Adam sees.
        penalty = optax.add_decayed_weights(config.l2_penalty)
        return Learner(
            model,
            optax.chain(penalty, optax.adam(config.learning_rate, b1=config.adam_b1)),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )

    @functools.cached_property
    def data(self) -> Data:
        """All images, opened (the procedural ones: rendered) on first use.

        Raises:
          UserError: a data set is missing, or has too few images.
        """
        data, probe = self.config.data, self.config.probe
        held_out = squares.load_held_out(
            data.name,
            data.train_split,
            data.test_split,
            data.image_size,
            data.dir,
            self.config.eval.num_images,
        )
        probed: list[squares.Squares | None] = [None, None]
        if probe.num_labels:
            probed = [
                squares.load(probe.data, split, data.image_size, data.dir)
                for split in (probe.train_split, probe.test_split)
            ]
        return Data(*held_out, *probed)

    def train_on(self, kept: np.ndarray | None) -> None:
        """Makes the training images those with the indices `kept`; None for all of them."""
        self.source = squares.stream(
            lambda: self.data.train.choose(kept),  # what G is judged by is opened, too
            self.image_shape,
            self.config.batch_size,
            self.config.seed,
        )

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        """z `[num, Z]`, each entry uniform on [-1, 1]."""
        return dcgan.uniform_latents(key, num, self.config.model.latent_size)

    def init(self, key: jax.Array) -> State:
        g, d = jax.random.split(key)
        return State(
            generator=self.generator.init(g, self.latents(g, 1), train=True),
            discriminator=self.discriminator.init(d, jnp.zeros((1, *self.image_shape)), train=True),
        )

    def real_and_fake(
        self, generator: LearnerState, batch: dict, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Data x and as many samples G(z), `[B, H, W, C]` each."""
        real = batch["image"] / 127.5 - 1  # to the range of tanh; no other pre-processing
        fake, _ = adversarial.train_mode(self.generator, generator, self.latents(key, len(real)))
        return real, fake

    def discriminator_loss(
        self, variables: Any, pair: tuple[jax.Array, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E[log D(x)] - E[log(1 - D(G(z)))], on data x and samples G(z), `[B, H, W, C]` each."""
        real, fake = pair
        # A batch of each: in a mixed one the statistics would tell D which is which.
        on_real, on_fake, updated = adversarial.discriminate_pair(
            self.discriminator, variables, real, fake
        )
        loss = gan.bce_discriminator_loss(on_real, on_fake)
        return loss, Aux({"real": on_real.mean(), "fake": on_fake.mean()}, updated)

    def generator_loss(
        self, discriminator: LearnerState, variables: Any, z: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E[log D(G(z))] for latents z `[B, Z]`: not log(1 - D), which would vanish early on."""
        fake, updated = adversarial.train_mode(self.generator, variables, z)
        logits, _ = adversarial.train_mode(self.discriminator, discriminator, fake)
        return gan.bce_generator_loss(logits), Aux({}, updated)

    def step(
        self, state: State, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        discriminator, generator, d_metrics, g_metrics = self.game.step(
            state.discriminator, state.generator, batch, key
        )
        metrics = prefixed({"discriminator": d_metrics, "generator": g_metrics})
        return State(generator, discriminator), metrics

    def draw(self, state: State, z: jax.Array, **options: Any) -> np.ndarray:
        """G's images `[N, H, W, C]` of z `[N, Z]`; `options` are those of `adversarial.sample`."""
        return adversarial.draw(self.generator, state.generator, z, **options)

    def features(self, state: State, images: np.ndarray) -> np.ndarray:
        """D's features `[N, F]` of images `[N, H, W, C]` (section 5.1)."""
        variables = self.discriminator.eval_variables(state.discriminator)
        return adversarial.features(self.discriminator_net, variables, images)


def main(experiment: DCGAN, config: ConfigDict, workdir: Path) -> Numbers:
    check_network(config.eval.network, config.data.dir)
    experiment.train_on(unique_images(experiment, config, workdir / "deduplicate"))
    state, _ = training.run(experiment, config, workdir)

    net = feature_network(
        experiment.data.train,
        config.data.name,
        config.classifier,
        config,
        workdir / "classifier",
        config.eval.network,
    )
    train = experiment.data.train.images(config.eval.num_images)
    z = experiment.latents(jax.random.key(config.seed), 2 * config.eval.num_images)
    groups = sample_metrics(experiment, state, z, train, net)
    shown = pictures(experiment, state, z, train)
    if config.probe.num_labels:
        groups["probe"] = probe_accuracies(experiment, state)
    if config.concepts:
        assert net is not None
        variables = experiment.generator.eval_variables(state.generator)
        studied, more = face_concepts.study(
            functools.partial(experiment.draw, state),
            second_highest(experiment.generator_net, variables),
            net,
            experiment.data.train,
            z,
            config.seed,
        )
        groups, shown = groups | studied, shown | more
    save_grids(workdir, shown)
    return prefixed(groups)


def unique_images(experiment: DCGAN, config: ConfigDict, workdir: Path) -> np.ndarray | None:
    """Indices of the training images without near-duplicates (section 4.1.1); None for all."""
    if not config.deduplicate_steps:
        return None
    codes = CodeTraining(experiment.data.train.records, config.deduplicate_steps, config.seed)
    state, _ = training.run(codes, beside(config, config.seed), workdir)
    return codes.unique_images(state)


def sample_metrics(
    experiment: DCGAN, state: State, z: jax.Array, train: np.ndarray, net: FeatureNet | None
) -> dict[str, Numbers]:
    """Samples against held-out images and training images `[N, H, W, C]`, as many of each."""
    num = len(train)
    test = experiment.data.test.images(num)
    fake = experiment.draw(state, z[:num])
    groups = {"samples": generative.report(test, fake, train, net)}
    if net is not None:
        fake = experiment.draw(state, z[:num], statistics="batch")
        groups["samples_batch_statistics"] = generative.network_metrics(test, fake, net)
    return groups


def probe_accuracies(experiment: DCGAN, state: State) -> Numbers:
    """Linear SVMs on pixels, an untrained D's features and D's, with few labels (section 5)."""
    config, data = experiment.config, experiment.data
    assert data.probe_train is not None and data.probe_test is not None
    untrained = jax.jit(experiment.init)(jax.random.key(config.seed))
    return linear_probes.accuracies(
        {
            "pixels": linear_probes.pixels,
            "untrained": functools.partial(experiment.features, untrained),
            "trained": functools.partial(experiment.features, state),
        },
        data.probe_train.examples(),
        data.probe_test.examples(),
        num_labels=config.probe.num_labels,
        num_draws=config.probe.num_draws,
    )


def pictures(
    experiment: DCGAN, state: State, z: jax.Array, train: np.ndarray
) -> dict[str, tuple[np.ndarray, int]]:
    """Images and rows of their grid, by name; the last shows what D's features respond to."""
    shown = generative.pictures(functools.partial(experiment.draw, state), z, train)
    variables = experiment.discriminator.eval_variables(state.discriminator)
    responses = guided_responses(experiment.discriminator_net, variables, train)
    grid = responses.reshape(-1, *train.shape[1:])
    return {**shown, "discriminator_features": (grid, len(responses))}


def demo(experiment: DCGAN, state: State) -> Demo:
    draw = functools.partial(experiment.draw, state, batch_size=latents_demo.BATCH)
    return latents_demo.latents_demo(draw, experiment.latents)


def claims(results: Results) -> list[Claim]:
    """Samples are judged in every arm, features on the street, latents in the studio.

    A run on another data set has one arm, of which is judged what it reports.
    """
    arms, reported = results.arms, results.metrics
    contrast = results["samples/std_ratio"]
    rows = [
        contrast.within(
            arm, 0.8, 1.2, claim="contrast of samples over that of the data", paper="by eye"
        )
        for arm in arms
    ]
    if "street" in arms or "probe/trained_100" in reported:
        coverage = results.named("samples/coverage")
        rows += [
            coverage.at_least(arm, 0.8, claim="share of the classes that are drawn", paper="by eye")
            for arm in arms
        ]
        rows += feature_claims(results, "street" if "street" in arms else arms[0])
    if "studio" in arms or "arithmetic/success" in reported:
        rows += latent_claims(results, "studio" if "studio" in arms else arms[0])
    return rows


def feature_claims(results: Results, arm: str) -> list[Claim]:
    """Points of accuracy with 100 labels."""
    accuracy = {
        name: 100 * results[f"probe/{name}_100"][arm] for name in ("trained", "pixels", "untrained")
    }
    points = Scores("accuracy in %", accuracy)
    return [
        points.above(
            "trained",
            "pixels",
            by=5,
            claim="100 labels: D's features beat pixels",
            paper="CIFAR-10 82.8 % against 80.6 % (k-means)",
            digits=1,
        ),
        points.above(
            "trained",
            "untrained",
            by=1.5,
            claim="100 labels: D's features beat those of an untrained D",
            paper="",
            digits=1,
        ),
    ]


def latent_claims(results: Results, arm: str) -> list[Claim]:
    """Arithmetic on latents, and the removal of feature maps."""
    success, base = results["arithmetic/success"], results["arithmetic/base"]
    after, control = results["removal/after"][arm], results["removal/control"][arm]
    glasses = Scores("share with glasses", {"half of other maps": control / 2, "after": after})
    return [
        success.at_least(
            arm,
            0.6,
            claim="man with glasses - man + woman is a woman with glasses",
            paper="by eye",
        ),
        base.at_most(arm, 0.3, claim="a random z is a woman with glasses", paper=""),
        glasses.above(
            "half of other maps",
            "after",
            claim="dropping the maps that draw glasses removes them; other maps do not",
            paper="by eye",
        ),
        results["removal/dropped"].at_most(
            arm, 0.25, claim="share of maps that are dropped for it", paper="few (section 6.3.2)"
        ),
        results["removal/same_marker"].at_least(
            arm, 0.9, claim="share of faces whose sex is kept", paper="by eye"
        ),
    ]


if __name__ == "__main__":
    app.run()
