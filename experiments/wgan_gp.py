"""Improved Training of Wasserstein GANs (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017),
arXiv:1704.00028.

Claim: a critic whose gradients are drawn to length one learns where one with clipped weights fails:
its gradients reach the first of twelve layers, its weights are not pushed to the bounds, and the
generator that it teaches finds all modes of a mixture.

Departures: the toys' data is drawn anew for every step, where the released code reads a fixed set
of 100,000 points; the networks of the default are narrower (64 units, not 512). Samples of images
use the running statistics of batch norm (released code: those of the batch). DCGANs begin as the
DCGAN paper's do, without biases before a batch norm (released code: He's weights, biases anywhere).
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
import PIL.Image
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import prefixed
from research.data.images import squares
from research.data.procedural import planar
from research.losses import gan
from research.metrics import generative
from research.metrics.modes import mode_metrics
from research.models import adversarial, dense_gan
from research.optim.weight_clipping import clip_weights
from research.papers.wgan_gp import critic_study, image_networks, text_networks
from research.papers.wgan_gp.characters import CharacterRows, ngram_divergences
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Image, Number, Text
from research.report.latents_demo import latents_demo
from research.training.feature_network import check_network, feature_network
from research.viz.image_grids import save_grids

PAPER = Paper(
    title="Improved Training of Wasserstein GANs",
    authors="Ishaan Gulrajani, Faruk Ahmed, Martin Arjovsky, Vincent Dumoulin, Aaron Courville",
    year=2017,
    arxiv="1704.00028",
    claim="a penalty on the critic's gradient trains what weight clipping does not",
    parameters={"cifar10": {"generator": 1_218_307, "critic": 1_055_115}},
    curves=("critic/distance",),
    x="step",
    field="generative models",
    without_gradient={
        "critic/score/bias": "a Wasserstein loss takes differences of scores: their bias is free"
    },
)

Numbers = dict[str, float]

# What a critic and a generator minimise, by the method's name. The last two are the rivals that
# share the harness in figure 2; clipping has the losses of the penalty.
OBJECTIVES: dict[str, tuple[Callable, Callable]] = {
    "penalty": (gan.wasserstein_critic_loss, gan.wasserstein_generator_loss),
    "clipping": (gan.wasserstein_critic_loss, gan.wasserstein_generator_loss),
    "gan": (gan.bce_discriminator_loss, gan.bce_generator_loss),
    "least_squares": (gan.least_squares_discriminator_loss, gan.least_squares_generator_loss),
}


class State(flax.struct.PyTreeNode):
    critic: LearnerState
    generator: Any = None  # a LearnerState; None where the generator is fixed


class Pair(NamedTuple):
    """What one update of the critic learns from.

    Attributes:
      real: data x `[B, ...]`.
      fake: samples G(z), as many.
      label: classes of the data, one-hot `[B, K]`; K is 0 where there are none.
    """

    real: jax.Array
    fake: jax.Array
    label: jax.Array


class ImprovedWGAN(Experiment):
    """A critic f and a generator G (algorithm 1). Subclasses say what data and networks are."""

    generator_net: Any
    critic_net: Any

    def __init__(self, config: ConfigDict):
        check_choice("method", config.method, OBJECTIVES)
        self.config = config
        self.num_steps = config.num_steps
        self.critic_objective, self.generator_objective = OBJECTIVES[config.method]
        self.make_networks()
        critic_tx = self.optimizer(config.num_critic)
        if config.method == "clipping":
            critic_tx = optax.chain(critic_tx, clip_weights(config.clip))
        self.critic = Learner(self.critic_net, critic_tx, max_grad_norm=config.max_grad_norm)
        self.generator = Learner(
            self.generator_net, self.optimizer(1), max_grad_norm=config.max_grad_norm
        )
        self.game = adversarial.Game(
            self.generator,
            self.critic,
            self.real_and_fake,
            self.critic_loss,
            lambda key: self.latents(key, config.generator_batch_size),
            self.generator_loss,
            num_discriminator_steps=config.num_critic,
            unroll=config.unroll_critic,
        )
        self.micro_batches = config.num_critic
        self.per_step = {"samples": config.num_critic * config.batch_size}

    def make_networks(self) -> None:
        """Sets `generator_net` and `critic_net`."""
        raise NotImplementedError

    def data(self, rows: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Data `[B, ...]` and its classes, one-hot `[B, K]`."""
        raise NotImplementedError

    def optimizer(self, updates_per_step: int) -> optax.GradientTransformation:
        """Adam, or RMSProp for clipping: with momentum that is unstable (WGAN, section 4)."""
        config = self.config.optimizer
        check_choice("optimizer.name", config.name, ("adam", "rmsprop"))
        rate = config.learning_rate
        if config.linear_decay:
            rate = optax.linear_schedule(rate, 0.0, updates_per_step * self.num_steps)
        if config.name == "adam":
            return optax.adam(rate, b1=config.b1, b2=config.b2)
        return optax.rmsprop(rate, decay=config.rmsprop_decay, eps=config.rmsprop_epsilon)

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        """z `[num, Z + K]`: standard normal, and behind it a random class, one-hot, of K."""
        z_key, class_key = jax.random.split(key)
        z = jax.random.normal(z_key, (num, self.config.model.latent_size))
        classes = self.config.data.num_classes
        if not classes:
            return z
        label = jax.random.randint(class_key, (num,), 0, classes)
        return jnp.concatenate([z, jax.nn.one_hot(label, classes)], -1)

    def init(self, key: jax.Array) -> State:
        g, d = jax.random.split(key)
        z = self.latents(g, 1)
        generator = self.generator.init(g, z, train=True)
        (fake, _), _ = jax.eval_shape(
            functools.partial(adversarial.apply, self.generator, train=True), generator, z
        )
        critic = self.critic.init(d, jnp.zeros(fake.shape), train=True)
        return State(critic, generator)

    def real_and_fake(self, generator: Any, rows: Any, key: jax.Array) -> Pair:
        """Data x and as many samples G(z), of the same classes."""
        data_key, z_key = jax.random.split(key)
        real, label = self.data(rows, data_key)
        z = self.latents(z_key, len(real))
        z = jnp.concatenate([z[:, : z.shape[1] - label.shape[1]], label], -1)
        fake, _ = adversarial.train_mode(self.generator, generator, z)
        return Pair(real, fake, label)

    def critic_loss(self, variables: Any, pair: Pair, key: jax.Array) -> tuple[jax.Array, Aux]:
        """E[f(G(z))] - E[f(x)] + lambda E[(|grad f(x^)| - 1)^2], equation 3.

        With classes, the cross-entropy of those of the data is added (AC-GAN, section 5.5).
        """
        # A batch of each: in a mixed one a rival's batch norm would tell f which is which.
        (on_real, maps), updated = adversarial.apply(self.critic, variables, pair.real, train=True)
        (on_fake, _), _ = adversarial.apply(self.critic, variables, pair.fake, train=True)
        loss = self.critic_objective(on_real, on_fake)
        metrics = {"distance": on_real.mean() - on_fake.mean()}
        if self.config.method == "penalty":
            penalty = gan.gradient_penalty(
                lambda x: self.critic.apply(variables, x, train=True)[0], pair.real, pair.fake, key
            )
            loss += self.config.penalty * penalty
            metrics["penalty"] = penalty
        if self.config.data.num_classes:
            entropy = optax.softmax_cross_entropy(maps["class_logits"], pair.label).mean()
            loss += self.config.class_weight.critic * entropy
            metrics["cross_entropy"] = entropy
        return loss, Aux(metrics, updated)

    def generator_loss(
        self, critic: LearnerState, variables: Any, z: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E[f(G(z))], and with classes the cross-entropy of those that were asked for."""
        fake, updated = adversarial.train_mode(self.generator, variables, z)
        (scores, maps), _ = adversarial.apply(self.critic, critic, fake, train=True)
        loss = self.generator_objective(scores)
        if classes := self.config.data.num_classes:
            entropy = optax.softmax_cross_entropy(maps["class_logits"], z[:, -classes:]).mean()
            loss += self.config.class_weight.generator * entropy
        return loss, Aux({}, updated)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """n_critic updates of f, then one of G (algorithm 1)."""
        critic, generator, c_metrics, g_metrics = self.game.step(
            state.critic, state.generator, batch, key
        )
        return State(critic, generator), prefixed({"critic": c_metrics, "generator": g_metrics})

    def draw(self, state: State, z: jax.Array, **options: Any) -> np.ndarray:
        """G's samples `[N, ...]` of z `[N, Z + K]`; options are those of `adversarial.sample`."""
        return adversarial.draw(self.generator, state.generator, z, **options)

    def results(self, state: State, workdir: Path) -> Numbers:
        """What the trained networks are measured by; leaves its pictures in `workdir`."""
        raise NotImplementedError

    def demo(self, state: State) -> Demo:
        """What the trained networks do for a person."""
        raise NotImplementedError


class PointGAN(ImprovedWGAN):
    """Points in the plane (figure 1a, and the appendix's toy data)."""

    def make_networks(self) -> None:
        model = self.config.model
        if self.config.data.num_classes:
            raise UserError("points have no classes; set data.num_classes=0")
        self.points = planar.make(self.config.data.name)
        self.generator_net = dense_gan.Generator((2,), model.width, model.depth)
        self.critic_net = dense_gan.Critic(model.width, model.depth)

    def data(self, rows: None, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch_size = self.config.batch_size
        return self.points.sample(key, batch_size), jnp.zeros((batch_size, 0))

    def results(self, state: State, workdir: Path) -> Numbers:
        z = self.latents(jax.random.key(self.config.seed), self.config.eval.num_samples)
        fake = self.draw(state, z)
        if jax.process_index() == 0:
            picture = self.picture(state, fake)
            PIL.Image.fromarray(picture).save(workdir / "samples.png")
        if self.points.modes is None:
            return {}
        return prefixed({"modes": mode_metrics(fake, self.points.modes, self.points.deviation)})

    def picture(self, state: State, fake: np.ndarray) -> np.ndarray:
        """The critic's level sets, data and samples `[N, 2]`: uint8 `[H, W, 3]`."""
        real = self.points.sample(jax.random.key(self.config.seed), 1000)
        surface = critic_study.value_surface(self.critic, state.critic)
        return critic_study.surface_picture(surface, np.asarray(real), fake)

    def demo(self, state: State) -> Demo:
        def run(samples: int, draws: int) -> dict[str, Any]:
            fake = self.draw(state, self.latents(jax.random.key(draws), samples))
            return {"picture": self.picture(state, fake)}

        return Demo(
            title="Points of a generator",
            says=f"A generator has learned to place points as {self.config.data.name} does "
            "(orange: data, green: its samples). Lines join places that the critic finds equally "
            "likely to be data.",
            inputs={
                "samples": Number("samples", 1000, 1, 10_000),
                "draws": Number("which draws: another number, others", 0, 0, 999),
            },
            outputs={"picture": Image("samples, data and level sets of the critic")},
            run=run,
        )


class FixedGenerator(PointGAN):
    """A critic against data with unit Gaussian noise on it (section 3.2, figure 1)."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        self.micro_batches = 1
        self.per_step = {"samples": config.batch_size}

    def init(self, key: jax.Array) -> State:
        return State(self.critic.init(key, jnp.zeros((1, 2)), train=True))

    def real_and_fake(self, generator: Any, rows: None, key: jax.Array) -> Pair:
        data_key, noise_key = jax.random.split(key)
        real, label = self.data(rows, data_key)
        return Pair(real, real + jax.random.normal(noise_key, real.shape), label)

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of f."""
        critic, metrics = self.game.discriminate(state.critic, None, batch, key)
        return State(critic), prefixed({"critic": metrics})

    def results(self, state: State, workdir: Path) -> Numbers:
        pair = self.real_and_fake(None, None, jax.random.key(self.config.seed))
        slopes = critic_study.layer_slopes(self.critic, state.critic, pair.real, pair.fake)
        weights = critic_study.weights(state.critic.params)
        if jax.process_index() == 0:
            picture = self.picture(state, np.zeros((0, 2)))
            PIL.Image.fromarray(picture).save(workdir / "value_surface.png")
            name = self.config.method
            critic_study.draw_layers(workdir / "layers.png", {name: slopes}, {name: weights})
        numbers = {"slopes/first_to_last": critic_study.first_to_last(slopes)}
        numbers |= {f"slopes/layer_{i}": slope for i, slope in enumerate(slopes, 1)}
        if self.config.method == "clipping":
            numbers["weights/at_bound"] = critic_study.share_at_bound(weights, self.config.clip)
        on_real, on_fake = (self.critic.apply(state.critic, x, train=True)[0] for x in pair[:2])
        numbers["value/real_above_fake"] = critic_study.share_above(on_real, on_fake)
        return numbers

    def demo(self, state: State) -> Demo:
        def run(draws: int) -> dict[str, Any]:
            pair = self.real_and_fake(None, None, jax.random.key(draws))
            return {"picture": self.picture(state, np.asarray(pair.fake))}

        return Demo(
            title="What a critic has learned",
            says=f"A critic tells {self.config.data.name} (orange) from the same points with noise "
            "on them (green). Lines join places of equal value.",
            inputs={"draws": Number("which draws of the noise", 0, 0, 999)},
            outputs={"picture": Image("level sets of the critic")},
            run=run,
        )


class ImageGAN(ImprovedWGAN):
    """Images (sections 5.1 to 5.3, 5.5)."""

    def make_networks(self) -> None:
        config = self.config
        data, model = config.data, config.model
        image_networks.check(model.architecture, data.image_size, model.width, data.num_classes)
        self.image_shape = (data.image_size, data.image_size, data.channels)
        self.generator_net, self.critic_net = image_networks.make(
            model.architecture,
            self.image_shape,
            model.width,
            num_classes=data.num_classes,
            # A penalty is of each image by itself: the critic has layer norm where its rivals have
            # batch norm (section 4).
            critic_norm="layer" if config.method == "penalty" else "batch",
            dtype=jnp.dtype(config.compute_dtype),
        )
        self.source = squares.stream(
            lambda: self.images.train,
            self.image_shape,
            config.num_critic * config.batch_size,
            config.seed,
            labels=bool(data.num_classes),
        )

    @functools.cached_property
    def images(self) -> squares.HeldOut:
        """All images, opened on first use; UserError where a set is missing or too small."""
        data = self.config.data
        return squares.load_held_out(
            data.name,
            data.train_split,
            data.test_split,
            data.image_size,
            data.dir,
            self.config.eval.num_samples,
        )

    def data(self, rows: dict, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Images in [-1, 1], their 256 values made continuous by noise of one step."""
        images = rows["image"]
        real = 2 * (images / 256 - 0.5) + jax.random.uniform(key, images.shape) / 128
        classes = self.config.data.num_classes
        label = jax.nn.one_hot(rows["label"], classes) if classes else jnp.zeros((len(real), 0))
        return real, label

    def results(self, state: State, workdir: Path) -> Numbers:
        config, train = self.config, self.images.train
        net = feature_network(
            train,
            config.data.name,
            config.classifier,
            config,
            workdir / "classifier",
            config.eval.network,
        )
        num = config.eval.num_samples
        z = self.latents(jax.random.key(config.seed), num)
        fake = self.draw(state, z)
        shown = train.images(num)
        save_grids(
            workdir, generative.pictures(functools.partial(self.draw, state), z, shown), magnify=2
        )
        return prefixed(
            {"samples": generative.report(self.images.test.images(num), fake, shown, net)}
        )

    def demo(self, state: State) -> Demo:
        draw = functools.partial(self.draw, state)
        return latents_demo(draw, self.latents)


class TextGAN(ImprovedWGAN):
    """Lines of characters: G's softmax goes to the critic as it is (section 5.4)."""

    def make_networks(self) -> None:
        data, model = self.config.data, self.config.model
        self.rows = CharacterRows(data.name, data.dir, data.sequence_length, data.num_characters)
        self.generator_net = text_networks.Generator(
            data.sequence_length, data.num_characters, model.width, model.depth
        )
        self.critic_net = text_networks.Critic(model.width, model.depth)
        self.source = self.rows.stream(
            self.config.num_critic * self.config.batch_size, self.config.seed
        )

    def data(self, rows: dict, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        real = jax.nn.one_hot(rows["characters"], self.config.data.num_characters)
        return real, jnp.zeros((len(real), 0))

    def lines(self, state: State, z: jax.Array) -> list[str]:
        """The likeliest character at every place of samples."""
        return self.rows.decode(self.draw(state, z).argmax(-1))

    def results(self, state: State, workdir: Path) -> Numbers:
        z = self.latents(jax.random.key(self.config.seed), self.config.eval.num_samples)
        fake = self.lines(state, z)
        if jax.process_index() == 0:
            (workdir / "samples.txt").write_text("\n".join(fake), encoding="utf-8")
        real, held_out = (self.rows.lines(split, len(fake)) for split in ("train", "test"))
        return prefixed(
            {
                "samples": ngram_divergences(fake, held_out),
                "data": ngram_divergences(real, held_out),
            }
        )

    def demo(self, state: State) -> Demo:
        def run(draws: int) -> dict[str, Any]:
            lines = self.lines(state, self.latents(jax.random.key(draws), 12))
            return {"lines": "\n".join(lines)}

        return Demo(
            title="Write lines, all characters at once",
            says=f"A generator that has seen {self.config.data.name} writes rows of "
            f"{self.config.data.sequence_length} characters, without a model of the next one.",
            inputs={"draws": Number("which draws: another number, others", 0, 0, 9999)},
            outputs={"lines": Text("twelve rows", lines=12)},
            run=run,
        )


TASKS = {"critic": FixedGenerator, "points": PointGAN, "images": ImageGAN, "text": TextGAN}


def build(config: ConfigDict) -> ImprovedWGAN:
    check_choice("task", config.task, TASKS)
    return TASKS[config.task](config)


def main(experiment: ImprovedWGAN, config: ConfigDict, workdir: Path) -> Numbers:
    check_network(config.eval.network, config.data.dir)
    state, numbers = training.run(experiment, config, workdir)
    return {**numbers, **experiment.results(state, workdir)}


def demo(experiment: ImprovedWGAN, state: State) -> Demo:
    return experiment.demo(state)


def claims(results: Results) -> list[Claim]:
    """The default compares critics and toy generators; a data set has arms of its own."""
    if "deep_penalty" in results.arms:
        return [*critic_claims(results), *mode_claims(results)]
    if "penalty" in results.arms:
        return image_claims(results)
    return []  # one setting alone


def critic_claims(results: Results) -> list[Claim]:
    """Twelve layers, on the Swiss roll (figure 1b)."""
    slopes = results["slopes/first_to_last"]
    text = "log10 of the gradient at the first layer over that at the last"
    return [
        slopes.within("deep_penalty", -1, 1, claim=f"penalty: {text}", paper="about 0 (figure 1b)"),
        # Slopes alone are as good before any training.
        results["value/real_above_fake"].above(
            "deep_penalty",
            "deep_clip_001",
            by=0.15,
            claim="share of pairs of which the critic values the data more",
            paper="",
        ),
        slopes.at_most(
            "deep_clip_001", -6, claim=f"clipped at 0.01: {text}", paper="vanishes (figure 1b)"
        ),
        results["weights/at_bound"].at_least(
            "deep_clip_001",
            0.9,
            claim="clipped at 0.01: share of the weights at the bounds",
            paper="two peaks (figure 1b)",
        ),
    ]


def mode_claims(results: Results) -> list[Claim]:
    """A generator of 25 Gaussians."""
    return [
        results["modes/covered"].at_least(
            "modes_penalty", 23, claim="25 Gaussians: modes covered", paper="not on a learned G"
        ),
        results["modes/covered"].above(
            "modes_penalty",
            "modes_clipping",
            by=1,
            claim="25 Gaussians: modes covered, more than by clipping",
            paper="not on a learned G",
            digits=0,
        ),
        results["modes/high_quality"].above(
            "modes_penalty",
            "modes_clipping",
            by=0.1,
            claim="25 Gaussians: share of samples within 4 deviations of a mode",
            paper="not on a learned G",
        ),
    ]


def image_claims(results: Results) -> list[Claim]:
    """One architecture, four methods (figure 2)."""
    distance = results.named("samples/FID")
    return [
        distance.ratio(
            rival,
            "penalty",
            1.0,
            claim=f"FID by the project's network: {rival} is no better than the penalty",
            paper="only the penalty trains every architecture (figure 2)",
            digits=1,
        )
        for rival in results.arms
        if rival != "penalty"
    ]


if __name__ == "__main__":
    app.run()
