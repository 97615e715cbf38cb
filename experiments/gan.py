"""Generative Adversarial Nets (Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair,
Courville, Bengio, 2014), arXiv:1406.2661, with the released code.

Claim: a discriminator learns p / (p + q), so that the value of the game is the Jensen-Shannon
divergence of data and samples; a generator that it teaches draws images that a Parzen window finds
the test data likely under, and that are not copies of training images. Its gradient does not vanish
where the discriminator is sure, if it maximises log D(G(z)) in place of minimising
log(1 - D(G(z))).

As the released code has it, and the paper does not: both players move from the same point, G
against the dropout masks that D has had for the same samples, and D's loss is halved.

Departures: the released configurations run until they are stopped; here they end with the epoch at
which momentum stops rising. The images of the default are 8 px wide and the networks narrow.
Inpainting and the Toronto Face Database, whose features are pre-trained, are left out.
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
from flax import linen as nn
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import prefixed
from research.losses import gan
from research.metrics import generative, parzen
from research.metrics.optimal_discriminator import optimal_discriminator, value, virtual_criterion
from research.models import adversarial, dense_gan, maxout_gan
from research.optim.momentum import maxout_sgd
from research.papers.gan.figures import draw_discriminator
from research.papers.gan.images import PaperImages
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Number, Text
from research.report.latents_demo import BATCH, latents_demo
from research.viz.image_grids import save_grids

PAPER = Paper(
    title="Generative Adversarial Nets",
    authors="Ian J. Goodfellow, Jean Pouget-Abadie, Mehdi Mirza, Bing Xu, David Warde-Farley, "
    "Sherjil Ozair, Aaron Courville, Yoshua Bengio",
    year=2014,
    arxiv="1406.2661",
    field="generative models",
    claim="a generator taught by a discriminator draws samples that test data is likely under",
    parameters={
        # The released configurations, layer by layer.
        "mnist": {
            "generator": (100 * 1200 + 1200) + (1200 * 1200 + 1200) + (1200 * 784 + 784),
            "discriminator": (784 * 1200 + 1200) + (240 * 1200 + 1200) + (240 + 1),
        },
        "cifar10": {
            "generator": (100 * 8000 + 8000)
            + (8000 * 8000 + 8000)
            + (5 * 5 * 80 * 3 + 32 * 32 * 3),
            "discriminator": (8 * 8 * 3 * 64 + 64)
            + (8 * 8 * 32 * 64 + 64)
            + (5 * 5 * 32 * 384 + 384)
            + (5 * 5 * 192 * 2500 + 2500)
            + (500 + 1),
        },
    },
    curves=("validation/log_likelihood",),
    method="gan",
)

Numbers = dict[str, float]


class State(flax.struct.PyTreeNode):
    discriminator: LearnerState
    generator: LearnerState


class Pair(NamedTuple):
    """What D learns from: data x and samples G(z), `[B, H, W, C]` each."""

    real: jax.Array
    fake: jax.Array


class Keys(NamedTuple):
    """Of one step. Both players take them from the key that they share."""

    z: jax.Array
    real_masks: jax.Array
    fake_masks: jax.Array

    @classmethod
    def of(cls, key: jax.Array) -> Keys:
        return cls(*jax.random.split(key, 3))


class AdversarialNets(Experiment):
    """The game of D and G over images: algorithm 1 with k = 1, as released."""

    def __init__(self, config: ConfigDict):
        check_choice("generator_loss", config.generator_loss, ("non_saturating", "saturating"))
        check_choice("model.latents", config.model.latents, ("gaussian", "uniform"))
        self.config = config
        data = config.data
        self.images = PaperImages(
            data.name,
            (data.image_size, data.image_size, data.channels),
            (data.train_split, data.validation_split, data.test_split),
            data.num_train,
            config.eval.num_validation,
            data.contrast,
            data.dir,
        )
        self.discriminator = self.make_learner(make_discriminator(config))
        self.generator = self.make_learner(make_generator(config, self.images.shape))
        self.game = adversarial.Game(
            self.generator,
            self.discriminator,
            self.pair,
            self.discriminator_loss,
            lambda key: self.latents(Keys.of(key).z, config.batch_size),
            self.generator_loss,
            simultaneous=True,
        )
        self.num_steps = config.num_epochs * self.epoch_steps
        self.per_step = {"images": config.batch_size}
        self.source = self.images.stream(config.batch_size, config.seed)
        self.jit_gradients = jax.jit(self.gradients)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return max(1, self.config.data.num_train // self.config.batch_size)

    def make_learner(self, net: nn.Module) -> Learner:
        """A player with the released code's SGD: a falling rate, and momentum that rises."""
        settings = self.config.optimizer
        tx = maxout_sgd(
            settings.learning_rate,
            epoch_steps=self.epoch_steps,
            rate_decay=settings.rate_divisor,
            min_rate=settings.min_rate,
            momentum_start=settings.momentum,
            momentum_end=settings.last_momentum,
            momentum_epochs=settings.momentum_epochs,
        )
        return Learner(net, tx, max_grad_norm=self.config.max_grad_norm)

    def init(self, key: jax.Array) -> State:
        d, g = jax.random.split(key)
        return State(
            self.discriminator.init(d, jnp.zeros((1, *self.images.shape)), train=False),
            self.generator.init(g, self.latents(g, 1), train=False),
        )

    def warm_start(self, state: State, before: Any) -> State:
        """Lets G begin near the mean image: `before` is the bias of its output."""
        params = state.generator.params
        out = {**params["out"], "bias": jnp.asarray(before)}
        return state.replace(generator=state.generator.replace(params={**params, "out": out}))

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        """z `[num, Z]` of mean 0 and variance 1."""
        shape = (num, self.config.model.latent_size)
        if self.config.model.latents == "gaussian":
            return jax.random.normal(key, shape)
        return jax.random.uniform(key, shape, minval=-(3**0.5), maxval=3**0.5)

    # The game.

    def pair(self, generator: LearnerState, rows: dict, key: jax.Array) -> Pair:
        real = self.images.prepared(rows["image"])
        z = self.latents(Keys.of(key).z, len(real))
        return Pair(real, self.generator.apply(generator, z, train=True)[0])

    def logits(self, discriminator: Any, x: jax.Array, masks: jax.Array) -> jax.Array:
        """D's logits `[B]` of images `[B, H, W, C]`, some of its units dropped out."""
        return self.discriminator.apply(discriminator, x, train=True, rngs={"dropout": masks})[0]

    def discriminator_loss(
        self, variables: Any, pair: Pair, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-V(D, G) / 2, V = E[log D(x)] + E[log(1 - D(G(z)))] (equation 1)."""
        keys = Keys.of(key)
        on_real = self.logits(variables, pair.real, keys.real_masks)
        on_fake = self.logits(variables, pair.fake, keys.fake_masks)
        loss = 0.5 * gan.bce_discriminator_loss(on_real, on_fake)
        shown = {"on_data": nn.sigmoid(on_real).mean(), "on_samples": nn.sigmoid(on_fake).mean()}
        return loss, Aux(shown)

    def generator_loss(
        self, discriminator: LearnerState, variables: Any, z: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E[log D(G(z))] (section 3), against the masks that D has had for these samples."""
        fake = self.generator.apply(variables, z, train=True)[0]
        logits = self.logits(discriminator, fake, Keys.of(key).fake_masks)
        saturating = self.config.generator_loss == "saturating"
        return gan.bce_generator_loss(logits, saturating=saturating), Aux({})

    def step(
        self, state: State, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of both from the same point, or of D alone where G is fixed."""
        if not self.config.generator_learns:
            d, metrics = self.game.discriminate(state.discriminator, state.generator, batch, key)
            return State(d, state.generator), prefixed({"discriminator": metrics})
        d, g, d_metrics, g_metrics = self.game.step(
            state.discriminator, state.generator, batch, key
        )
        return State(d, g), prefixed({"discriminator": d_metrics, "generator": g_metrics})

    # What it came to.

    def samples(self, state: State, z: jax.Array) -> np.ndarray:
        """G(z) `[N, H, W, C]` of latents z `[N, Z]`, in the networks' units."""
        return adversarial.draw(self.generator, state.generator, z)

    def gradients(self, state: State, key: jax.Array) -> dict[str, jax.Array]:
        """Lengths of G's gradient by both of its objectives, at the same samples and masks."""
        keys = Keys.of(key)
        z = self.latents(keys.z, self.config.eval.gradient_samples)

        def logits(params: Any) -> jax.Array:
            fake = self.generator.apply({"params": params}, z, train=True)[0]
            return self.logits(state.discriminator, fake, keys.fake_masks)

        def length(saturating: bool) -> jax.Array:
            loss = lambda p: gan.bce_generator_loss(logits(p), saturating=saturating)  # noqa: E731
            return optax.global_norm(jax.grad(loss)(state.generator.params))

        return {
            "on_samples": nn.sigmoid(logits(state.generator.params)).mean(),
            "gradient/saturating": length(True),
            "gradient/non_saturating": length(False),
        }

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """The Parzen window over samples (section 5), their spread, and G's gradients."""
        z_key, gradient_key = jax.random.split(key)
        samples = self.samples(state, self.latents(z_key, self.config.eval.num_samples))
        train, _, test = self.images.splits
        num = min(self.config.eval.num_neighbours, len(test), len(samples))
        spread = generative.pixel_metrics(test[:num], samples[:num], train)
        gradients = {k: float(v) for k, v in self.jit_gradients(state, gradient_key).items()}
        return {**self.log_likelihood(samples), **prefixed({"samples": spread}), **gradients}

    def log_likelihood(self, samples: np.ndarray) -> Numbers:
        """Of the test images, by a Parzen window over samples `[N, H, W, C]`."""
        _, validation, test = self.images.splits
        found = parzen.estimate(samples, validation, test)
        return {
            "test/log_likelihood": found.mean,
            "test/standard_error": found.standard_error,
            "validation/log_likelihood": found.validation,
            "sigma": found.sigma,
        }

    def references(self) -> Numbers:
        """The same by other samples: of a Gaussian, of G untrained, and training images."""
        num, rng = self.config.eval.num_samples, np.random.default_rng(self.config.seed)
        train = self.images.splits.train
        flat = train.reshape(len(train), -1).astype(np.float64)
        untrained = jax.jit(self.init)(jax.random.key(self.config.seed))
        if (before := self.before()) is not None:
            untrained = self.warm_start(untrained, before)
        z = self.latents(jax.random.key(self.config.seed), num)
        drawn = {
            "gaussian": rng.multivariate_normal(
                flat.mean(0), np.cov(flat, rowvar=False), num, method="eigh"
            ),
            "untrained": self.samples(untrained, z),
            "training_images": flat[rng.permutation(len(flat))[:num]],
        }
        return {
            f"reference/{name}": self.log_likelihood(samples)["test/log_likelihood"]
            for name, samples in drawn.items()
        }

    def before(self) -> np.ndarray | None:
        """What G's output begins with: the logits of the mean pixels, for a sigmoid's."""
        sigmoid = self.config.model.activations[-1] == "sigmoid"
        return self.images.marginal_logits() if sigmoid else None

    def results(self, state: State, workdir: Path) -> Numbers:
        """References, and pictures in `workdir`."""
        required = {f"required/{name}": value for name, value in self.config.required.items()}
        z = self.latents(jax.random.key(self.config.seed), 100)
        train = self.images.pictures(self.images.splits.train)
        magnify = max(1, 32 // self.config.data.image_size)
        shown = generative.pictures(functools.partial(self.draw, state), z, train)
        save_grids(workdir, shown, magnify=magnify)
        return {**self.references(), **required}

    def draw(self, state: State, z: jax.Array, **options: Any) -> np.ndarray:
        """G's pictures `[N, H, W, C]` in -1 to 1 of z `[N, Z]`."""
        drawn = adversarial.draw(self.generator, state.generator, z, **options)
        return self.images.pictures(drawn)

    def demo(self, state: State) -> Demo:
        return latents_demo(functools.partial(self.draw, state, batch_size=BATCH), self.latents)


def make_generator(config: ConfigDict, shape: tuple[int, int, int]) -> nn.Module:
    model = config.model
    deconvolution = None
    if model.grid:
        deconvolution = maxout_gan.Deconvolution(model.grid, model.grid_kernel, model.grid_stride)
    for name in model.activations:
        check_choice("model.activations", name, maxout_gan.ACTIVATIONS)
    if len(model.activations) != len(model.widths) + 1:
        raise UserError("model.activations names one for each of model.widths and the output's")
    return maxout_gan.Generator(
        shape,
        model.widths,
        model.activations,
        deconvolution,
        model.generator_init,
        dtype=jnp.dtype(config.compute_dtype),
    )


def make_discriminator(config: ConfigDict) -> nn.Module:
    model = config.model
    names = ("conv_channels", "conv_kernels", "conv_paddings", "conv_pools", "conv_pool_strides")
    columns = [model[name] for name in names]
    if len(set(map(len, columns))) > 1:
        raise UserError(f"{', '.join(f'model.{name}' for name in names)} have as many entries each")
    return maxout_gan.Discriminator(
        model.units,
        model.pieces,
        tuple(maxout_gan.Convolution(*layer) for layer in zip(*columns, strict=True)),
        model.conv_pieces,
        model.input_dropout,
        model.dropout,
        model.discriminator_init,
        dtype=jnp.dtype(config.compute_dtype),
    )


class KnownDensities(Experiment):
    """A discriminator of data N(0, 1) and samples of a fixed G(z) = mean + std z (section 4.1)."""

    def __init__(self, config: ConfigDict):
        self.config = config
        settings = config.theory
        self.num_steps = settings.num_steps
        self.per_step = {"samples": settings.batch_size}
        rate = optax.cosine_decay_schedule(settings.learning_rate, self.num_steps)
        net = dense_gan.Critic(settings.width, settings.depth)
        self.discriminator = Learner(net, optax.adam(rate), max_grad_norm=config.max_grad_norm)
        self.jit_curves = jax.jit(self.curves)

    def init(self, key: jax.Array) -> LearnerState:
        return self.discriminator.init(key, jnp.zeros((1, 1)), train=True)

    def pair(self, key: jax.Array) -> Pair:
        """Data and samples, `[B, 1]` each."""
        x, z = jax.random.normal(key, (2, self.config.theory.batch_size, 1))
        return Pair(x, self.config.theory.mean + self.config.theory.std * z)

    def loss(self, variables: Any, pair: Pair, key: jax.Array) -> tuple[jax.Array, Aux]:
        """-V(D, G) / 2 (equation 1)."""
        on_real, on_fake, _ = adversarial.discriminate_pair(self.discriminator, variables, *pair)
        return 0.5 * gan.bce_discriminator_loss(on_real, on_fake), Aux({})

    def step(
        self, state: LearnerState, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        state, metrics = self.discriminator.minimize(state, self.loss, self.pair(key), key)
        return state, prefixed({"discriminator": metrics})

    def curves(self, state: LearnerState) -> dict[str, jax.Array]:
        """Over a grid: densities of data and samples, D* and D; and the game's two values."""
        mean, std = self.config.theory.mean, self.config.theory.std
        x = jnp.linspace(min(-8.0, mean - 8 * std), max(8.0, mean + 8 * std), 4001)
        log_p = jax.scipy.stats.norm.logpdf(x)
        log_q = jax.scipy.stats.norm.logpdf(x, mean, std)
        logits = self.discriminator.apply(state, x[:, None], train=False)[0]
        optimum, found = optimal_discriminator(log_p, log_q), nn.sigmoid(logits)
        middle = (jnp.exp(log_p) + jnp.exp(log_q)) / 2
        return {
            "x": x,
            "data": jnp.exp(log_p),
            "samples": jnp.exp(log_q),
            "optimum": optimum,
            "found": found,
            "error": jnp.trapezoid(middle * jnp.abs(found - optimum), x),
            "value": value(x, log_p, log_q, logits),
            "criterion": virtual_criterion(x, log_p, log_q),
        }

    def evaluate(self, state: LearnerState, key: jax.Array) -> Numbers:
        """How far D is from p / (p + q) in the mean, V(D, G), and C(G)."""
        found = self.jit_curves(state)
        return {f"theory/{name}": float(found[name]) for name in ("error", "value", "criterion")}

    def before(self) -> None:
        return None

    def results(self, state: LearnerState, workdir: Path) -> Numbers:
        found = jax.device_get(self.jit_curves(state))
        shown = np.abs(found["x"]) < 4
        names = ("x", "data", "samples", "optimum", "found")
        if jax.process_index() == 0:
            draw_discriminator(workdir / "theory.png", *(found[name][shown] for name in names))
        return {}

    def demo(self, state: LearnerState) -> Demo:
        found = jax.device_get(self.jit_curves(state))

        def run(x: float) -> dict[str, Any]:
            here = int(np.abs(found["x"] - x).argmin())
            ours, best = found["found"][here], found["optimum"][here]
            return {"answer": f"data with a chance of {ours:.3f}; the densities say {best:.3f}"}

        return Demo(
            title="Data or sample?",
            says="A discriminator was trained on numbers from two bell curves, without being told "
            "either of them.",
            inputs={"x": Number("a number", 0.0, -4.0, 4.0, step=0.1)},
            outputs={"answer": Text("what the discriminator says")},
            run=run,
        )


Game = AdversarialNets | KnownDensities
TASKS: dict[str, Callable[[ConfigDict], Game]] = {
    "images": AdversarialNets,
    "theory": KnownDensities,
}


def build(config: ConfigDict) -> Game:
    check_choice("task", config.task, TASKS)
    return TASKS[config.task](config)


def main(experiment: Game, config: ConfigDict, workdir: Path) -> Numbers:
    state, numbers = training.run(experiment, config, workdir, experiment.before())
    return {**numbers, **experiment.results(state, workdir)}


def demo(experiment: Game, state: Any) -> Demo:
    return experiment.demo(state)


def claims(results: Results) -> list[Claim]:
    """Section 4.1, section 3, section 5: as far as their arms have been run."""
    rows: list[Claim] = []
    if "theory" in results.arms:
        rows += theory_claims(results)
    if "frozen" in results.arms:
        rows += gradient_claims(results)
    if "gan" in results.arms:
        rows += sample_claims(results)
    return rows


def theory_claims(results: Results) -> list[Claim]:
    """Proposition 1 and theorem 1."""
    game = results.side_by_side("theory", value="theory/value", criterion="theory/criterion")
    return [
        results["theory/error"].at_most(
            "theory",
            0.02,
            claim="mean distance of D(x) from p(x) / (p(x) + q(x))",
            paper="0 at the optimum (proposition 1)",
            digits=4,
        ),
        game.close(
            "value",
            "criterion",
            within=0.01,
            claim="the game's value at the trained D, and -log 4 + 2 JSD",
            paper="equal at the optimum (equation 6)",
            digits=4,
        ),
    ]


def gradient_claims(results: Results) -> list[Claim]:
    """Section 3: why G maximises log D(G(z))."""
    gradient = results.side_by_side(
        "frozen",
        non_saturating="gradient/non_saturating",
        saturating="gradient/saturating",
    )
    return [
        results["on_samples"].at_most(
            "frozen",
            0.05,
            claim="D(G(z)) of a fixed G, early in learning",
            paper="D rejects samples with high confidence (section 3)",
            digits=4,
        ),
        gradient.ratio(
            "non_saturating",
            "saturating",
            10,
            claim="length of G's gradient there",
            paper="log(1 - D(G(z))) saturates (section 3)",
            digits=4,
        ),
    ]


def sample_claims(results: Results) -> list[Claim]:
    """Section 5: the Parzen window, and figure 2."""
    estimates = results.side_by_side(
        "gan",
        gan="test/log_likelihood",
        gaussian="reference/gaussian",
        untrained="reference/untrained",
    )
    required = {name: results[f"required/{name}"]["gan"][0] for name in ("gaussian", "untrained")}
    options: dict[str, Any] = {"paper": "MNIST 225 +- 2; a deep belief net 138 +- 2", "digits": 1}
    return [
        estimates.above(
            "gan",
            "gaussian",
            by=required["gaussian"],
            claim="log-likelihood of test images by a Parzen window over samples, nats: above that "
            "by samples of a Gaussian with the training images' mean and covariance",
            **options,
        ),
        estimates.above(
            "gan",
            "untrained",
            by=required["untrained"],
            claim="the same: above that by samples of G before its training",
            **options,
        ),
        results["samples/memorisation_ratio"].at_least(
            "gan",
            0.9,
            claim="distance of samples from the nearest training image, over that of test images",
            paper="not copies of the training set (figure 2)",
        ),
        results["samples/std_ratio"].within(
            "gan",
            0.8,
            1.2,
            claim="spread of samples' pixels over that of test images",
            paper="G must not be trained too much without D: «the Helvetica scenario» (section 6)",
        ),
    ]


if __name__ == "__main__":
    app.run()
