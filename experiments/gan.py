"""Generative Adversarial Nets (Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair,
Courville, Bengio, 2014), arXiv:1406.2661.

Claim: against a fixed generator the best discriminator is p / (p + q), and the game's value is
then -log 4 + 2 JSD(p || q); a generator that plays it learns to sample from data, with a likelihood
under a Parzen window above that of a Gaussian fitted to the data.

Departures: the default's images are scikit-learn's digits of 8 x 8, and its networks narrower. The
Toronto Face Database is not to be had.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, data, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import prefixed
from research.losses import gan
from research.metrics import generative, neighbours
from research.metrics.parzen import parzen
from research.models import adversarial, maxout_gan
from research.optim.momentum import scheduled_momentum_sgd
from research.papers.gan import theory
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Number
from research.report.image_demo import image_demo
from research.viz.image_grids import save_grids

PAPER = Paper(
    title="Generative Adversarial Nets",
    authors="Ian J. Goodfellow et al.",
    year=2014,
    arxiv="1406.2661",
    claim="the best D is p / (p + q); a generator that plays against it learns to sample from data",
    parameters={"mnist": {"generator": 2_503_984, "discriminator": 1_231_441}},
    curves=("discriminator/loss",),
    x="step",
)

Numbers = dict[str, float]
GAUSSIAN_MARGIN, UNTRAINED_MARGIN = 5, 10  # nats


class State(flax.struct.PyTreeNode):
    discriminator: LearnerState
    generator: Any = None  # a LearnerState; None where the samples have a density of their own


class TanhNet(nn.Module):
    """x to a logit through two layers of tanh units.

    Attributes:
      width: units of a layer.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits `[B]` of x `[B, 1]`, and no maps."""
        del train
        for i in (1, 2):
            x = jnp.tanh(nn.Dense(self.width, name=f"dense{i}")(x))
        return nn.Dense(1, name="logit")(x)[:, 0], {}


class Densities(Experiment):
    """D against samples of a known density q: what it comes to is p / (p + q) (proposition 1)."""

    def __init__(self, config: ConfigDict):
        self.config = config
        self.num_steps = config.num_steps
        self.per_step = {"samples": config.batch_size}
        rate = optax.cosine_decay_schedule(config.optimizer.learning_rate, config.num_steps)
        self.discriminator = Learner(
            TanhNet(config.model.discriminator_width),
            optax.adam(rate),
            max_grad_norm=config.max_grad_norm,
        )
        self.p, self.q = theory.normal(0.0, 1.0), theory.normal(1.5, 0.7)

    def init(self, key: jax.Array) -> State:
        return State(self.discriminator.init(key, jnp.zeros((1, 1)), train=True))

    def pair(self, key: jax.Array, num: int) -> tuple[jax.Array, jax.Array]:
        """Data of p = N(0, 1) and samples of q = N(1.5, 0.7^2), `[num, 1]` each."""
        real, fake = jax.random.normal(key, (2, num, 1))
        return real, 1.5 + 0.7 * fake

    def discriminator_loss(self, variables: Any, pair: Any, key: jax.Array) -> Any:
        """-V(D, G) (equation 1), whose value at the best D is log 4 - 2 JSD."""
        logits = [adversarial.train_mode(self.discriminator, variables, x)[0] for x in pair]
        return gan.bce_discriminator_loss(*logits), Aux({})

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        pair = self.pair(key, self.config.batch_size)
        discriminator, metrics = self.discriminator.minimize(
            state.discriminator, self.discriminator_loss, pair, key
        )
        return State(discriminator), prefixed({"discriminator": metrics})

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """Means under (p + q) / 2 by quadrature: of |D - D*|, and the value V(D, G)."""
        x = theory.GRID
        logits, _ = adversarial.train_mode(
            self.discriminator, state.discriminator, jnp.asarray(x[:, None], jnp.float32)
        )
        logit = np.asarray(logits, np.float64)
        d = 1 / (1 + np.exp(-logit))
        p, q = self.p(x), self.q(x)
        best = np.where(p + q > 1e-12, p / np.maximum(p + q, 1e-300), d)
        value = np.trapezoid(-p * np.logaddexp(0, -logit) - q * np.logaddexp(0, logit), x)
        expected = theory.virtual_criterion(self.p, self.q)
        return {
            "density/error": float(np.trapezoid(abs(d - best) * (p + q) / 2, x)),
            "density/value": float(value),
            "density/value_error": float(abs(value - expected)),
        }


class AdversarialNets(Experiment):
    """Both players on images (algorithm 1, k = 1)."""

    def __init__(self, config: ConfigDict):
        self.config = config
        self.num_steps = config.num_steps
        self.per_step = {"images": config.batch_size}
        self.num_pixels = config.data.image_size**2 * config.data.channels
        self.generator, self.discriminator = self.players()
        # The released code moves both from one point; G is told apart by D with the very masks.
        self.game = adversarial.Game(
            self.generator,
            self.discriminator,
            self.real_and_fake,
            self.discriminator_loss,
            lambda key: self.latents(self.keys(key)[0], config.batch_size),
            self.generator_loss,
            simultaneous=True,
        )
        shape = (config.data.image_size,) * 2 + (config.data.channels,)
        self.image_shape = shape
        self.source = data.pipeline.stream(
            lambda: self.splits["train"],
            jax.ShapeDtypeStruct((self.num_pixels,), np.float32),
            config.batch_size,
            config.seed,
            transform=lambda record, rng: pixels(record, config.data.contrast),
        )

    def players(self) -> tuple[Learner, Learner]:
        """Dense networks, or for CIFAR-10 convolutional ones."""
        config, model = self.config, self.config.model
        check_choice("model.architecture", model.architecture, ("dense", "convolutional"))
        if model.architecture == "dense":
            generator: nn.Module = maxout_gan.Generator(self.num_pixels, model.generator_width)
            discriminator: nn.Module = maxout_gan.Discriminator(
                model.discriminator_width, model.pieces
            )
        else:
            if self.num_pixels != 32 * 32 * 3:
                raise UserError("the convolutional networks are of images of 32 x 32 x 3")
            if model.discriminator_width % 8:
                raise UserError("model.discriminator_width of convolutions is a multiple of 8")
            generator = maxout_gan.ConvGenerator(model.generator_width)
            discriminator = maxout_gan.ConvDiscriminator(model.discriminator_width)
        limit = config.max_grad_norm
        return (
            Learner(generator, self.optimizer(), max_grad_norm=limit),
            Learner(discriminator, self.optimizer(), max_grad_norm=limit),
        )

    def optimizer(self) -> optax.GradientTransformation:
        """A rate that falls by a constant factor, a momentum that rises with the epochs."""
        config = self.config.optimizer

        def rate(count: Any) -> jax.Array:
            falling = config.learning_rate * jnp.exp(-count * math.log(config.decay_factor))
            return jnp.maximum(falling, config.least_rate)

        def momentum(count: Any) -> jax.Array:
            epoch = count / config.steps_per_epoch
            share = jnp.clip(epoch / (config.rising_epochs - 1), 0, 1)
            return config.momentum + share * (config.last_momentum - config.momentum)

        return scheduled_momentum_sgd(rate, momentum)

    @functools.cached_property
    def splits(self) -> dict[str, Any]:
        """Records to train on, to choose the window by, and to judge by.

        Raises:
          UserError: a set is missing or too small.
        """
        named = self.config.data
        splits = {
            name: data.load(named.name, split, named.dir)
            for name, split in (
                ("train", named.train_split),
                ("validation", named.validation_split),
                ("test", named.test_split),
            )
        }
        for name in ("validation", "test"):
            if len(splits[name]) < 2:
                raise UserError(f"data.{name}_split has fewer than two images")
        return splits

    def keys(self, key: jax.Array) -> jax.Array:
        """Of latents, of dropout on data and of dropout on samples, the same for both players."""
        return jax.random.split(key, 3)

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        """z `[num, Z]`, uniform with a variance of one."""
        return maxout_gan.uniform_latents(key, num, self.config.model.latent_size)

    def init(self, key: jax.Array) -> State:
        g, d = jax.random.split(key)
        x = jnp.zeros((1, self.num_pixels))
        return State(
            self.discriminator.init(d, x, train=True),
            self.generator.init(g, self.latents(g, 1), train=True),
        )

    def real_and_fake(self, generator: LearnerState, rows: jax.Array, key: jax.Array) -> Any:
        """Data x and as many samples G(z), `[B, N]` each."""
        fake, _ = adversarial.train_mode(
            self.generator, generator, self.latents(self.keys(key)[0], len(rows))
        )
        return rows, fake

    def discriminate(self, variables: Any, x: jax.Array, dropout_key: jax.Array) -> jax.Array:
        """D's logits `[B]` in training."""
        logits, _ = self.discriminator.apply(
            variables, x, train=True, rngs={"dropout": dropout_key}
        )
        return logits

    def discriminator_loss(
        self, variables: Any, pair: tuple[jax.Array, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-(E[log D(x)] + E[log(1 - D(G(z)))]) / 2, of equation 1."""
        _, on_real_key, on_fake_key = self.keys(key)
        on_real = self.discriminate(variables, pair[0], on_real_key)
        on_fake = self.discriminate(variables, pair[1], on_fake_key)
        loss = gan.bce_discriminator_loss(on_real, on_fake) / 2
        says = {"real": nn.sigmoid(on_real).mean(), "fake": nn.sigmoid(on_fake).mean()}
        return loss, Aux(says)

    def generator_loss(
        self, discriminator: LearnerState, variables: Any, z: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E[log D(G(z))]: "the same fixed point but much stronger gradients early" (section 3)."""
        fake, _ = adversarial.train_mode(self.generator, variables, z)
        logits = self.discriminate(discriminator, fake, self.keys(key)[2])
        return gan.bce_generator_loss(logits, saturating=self.config.saturating), Aux({})

    def warm_start(self, state: State, before: jax.Array) -> State:
        """G's first samples have the mean brightness of the data, pixel by pixel.

        Args:
          state: from `init`.
          before: mean training image `[N]`.
        """
        assert state.generator is not None
        if self.config.model.architecture != "dense":  # its last layer knows no place
            return state
        mean = jnp.clip(before, 1e-3, 1 - 1e-3)
        params = dict(state.generator.params)
        params["pixels"] = {**params["pixels"], "bias": jnp.log(mean) - jnp.log1p(-mean)}
        return state.replace(generator=state.generator.replace(params=params))

    def step(
        self, state: State, batch: jax.Array, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        discriminator, generator, d_metrics, g_metrics = self.game.step(
            state.discriminator, state.generator, batch, key
        )
        metrics = prefixed({"discriminator": d_metrics, "generator": g_metrics})
        return State(discriminator, generator), metrics

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """Log-likelihood of test images under a window of samples (table 1)."""
        num = self.config.eval.num_samples
        fake = self.samples(state, key, num)
        found = parzen(fake, self.read("validation", 1000), self.read("test"))
        return prefixed({"parzen": found})

    def samples(self, state: State, key: jax.Array, num: int) -> np.ndarray:
        """G's pixels `[num, N]`, as data has them."""
        return adversarial.draw(self.generator, state.generator, self.latents(key, num))

    def as_images(self, flat: np.ndarray) -> np.ndarray:
        """Pixels `[N, D]` as pictures `[N, H, W, C]` in [-1, 1]."""
        images = flat.reshape(-1, *self.image_shape)
        # With contrast normalised they have a deviation of one: three of them are shown.
        return np.clip(images / 3, -1, 1) if self.config.data.contrast else 2 * images - 1

    def draw(self, state: State, z: jax.Array) -> np.ndarray:
        """Pictures `[N, H, W, C]` in [-1, 1] of z `[N, Z]`."""
        return self.as_images(adversarial.draw(self.generator, state.generator, z))

    @functools.cache  # noqa: B019  (one object a run)
    def read(self, split: str, most: int | None = None) -> np.ndarray:
        """Pixels `[N, D]` of a split, in 0 to 1; of its first images where there are more."""
        records = self.splits[split]
        num = len(records) if most is None else min(most, len(records))
        return np.stack([pixels(records[i], self.config.data.contrast) for i in range(num)])

    def references(self, key: jax.Array) -> Numbers:
        """Log-likelihoods by other samples, as many as G's.

        Of training images; of a Gaussian with the data's mean and covariance; of the mean image;
        and of G before training.
        """
        num = self.config.eval.num_samples
        rng = np.random.default_rng(self.config.seed)
        train, judged = self.read("train"), (self.read("validation", 1000), self.read("test"))
        untrained = self.warm_start(jax.jit(self.init)(key), jnp.asarray(train.mean(0)))
        gaussian = rng.multivariate_normal(
            train.mean(0), np.cov(train, rowvar=False), num, method="eigh"
        )
        samples = {
            "training_images": train[rng.permutation(len(train))[:num]],
            "gaussian": gaussian,
            "mean_image": train.mean(0, keepdims=True),
            "untrained": self.samples(untrained, key, num),
        }
        return {name: parzen(x, *judged)["log_likelihood"] for name, x in samples.items()}

    def report(self, state: State) -> Numbers:
        """References, and whether samples are copies of training images."""
        key = jax.random.key(self.config.seed)
        test = self.read("test")
        fake = self.samples(state, key, len(test))
        return prefixed(
            {
                "reference": self.references(key),
                "samples": {
                    "std_ratio": generative.std_ratio(test, fake),
                    "memorisation_ratio": neighbours.memorisation_ratio(
                        fake, test, self.read("train")
                    ),
                },
            }
        )

    def pictures(self, state: State, workdir: Path) -> None:
        z = self.latents(jax.random.key(self.config.seed), 100)
        train = self.as_images(self.read("train"))
        grids = generative.pictures(functools.partial(self.draw, state), z, train)
        save_grids(workdir, grids, magnify=max(1, 32 // self.config.data.image_size))


class LossChoice(AdversarialNets):
    """Both losses of a generator that D rejects: D alone is trained (section 3).

    Where D(G(z)) = d for all z, the gradient of -log d is (1 - d) / d times that of log(1 - d).
    """

    def step(
        self, state: State, batch: jax.Array, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        discriminator, metrics = self.game.discriminate(
            state.discriminator, state.generator, batch, key
        )
        return state.replace(discriminator=discriminator), prefixed({"discriminator": metrics})

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """Norms of the generator's gradient by both losses, without dropout, and mean D(G(z))."""
        z = self.latents(key, 500)

        @jax.jit
        def norms(state: State) -> tuple[jax.Array, jax.Array, jax.Array]:
            def loss(params: Any, saturating: bool) -> tuple[jax.Array, jax.Array]:
                fake, _ = self.generator.apply({"params": params}, z, train=False)
                logits, _ = self.discriminator.apply(state.discriminator, fake, train=False)
                value = gan.bce_generator_loss(logits, saturating=saturating)
                return value, nn.sigmoid(logits).mean()

            gradient = jax.grad(loss, has_aux=True)
            live, d = gradient(state.generator.params, False)
            dying, _ = gradient(state.generator.params, True)
            return optax.global_norm(live), optax.global_norm(dying), d

        live, dying, d = map(float, norms(state))
        return {
            "choice/fake": d,
            "choice/gradient_ratio": live / max(dying, 1e-30),
            "choice/expected_ratio": (1 - d) / max(d, 1e-30),
        }


def pixels(record: Any, contrast: float = 0.0) -> np.ndarray:
    """Pixels `[N]` of a record's image, float32: of uint8, or of digits' 0 to 16.

    Args:
      record: with an "image".
      contrast: 0 for pixels in 0 to 1; otherwise the length of an image less its mean, the global
        contrast normalisation of the released CIFAR-10 configuration (55, a deviation of one).
    """
    image = np.asarray(record["image"])
    largest = 255 if image.dtype == np.uint8 else 16
    flat = (image.reshape(-1) / np.float32(largest)).astype(np.float32)
    if not contrast:
        return flat
    flat -= flat.mean()
    return contrast * flat / max(float(np.linalg.norm(flat)), 1e-8)


TASKS: dict[str, Callable[[ConfigDict], Experiment]] = {
    "densities": Densities,
    "images": AdversarialNets,
    "loss_choice": LossChoice,
}


def build(config: ConfigDict) -> Any:
    check_choice("task", config.task, TASKS)
    return TASKS[config.task](config)


def main(experiment: Any, config: ConfigDict, workdir: Path) -> Numbers:
    if isinstance(experiment, Densities):
        return dict(training.run(experiment, config, workdir)[1])
    mean = jnp.asarray(experiment.read("train").mean(0))
    state, numbers = training.run(experiment, config, workdir, mean)
    if config.task == "loss_choice":
        return dict(numbers)
    experiment.pictures(state, workdir)
    return {**numbers, **experiment.report(state)}


def demo(experiment: Any, state: State) -> Demo:
    if isinstance(experiment, Densities):
        return density_demo(experiment, state)
    draw = functools.partial(experiment.draw, state)
    return image_demo(draw, experiment.latents, experiment.config.data.name)


def density_demo(experiment: Densities, state: State) -> Demo:
    """D at a place, beside the best one."""

    def run(x: float) -> dict[str, float]:
        logits, _ = experiment.discriminator.apply(
            state.discriminator, jnp.full((1, 1), x), train=False
        )
        place = np.array([x])
        best = theory.optimal_discriminator(experiment.p, experiment.q, place)
        return {"d": float(nn.sigmoid(logits[0])), "best": float(best[0])}

    return Demo(
        title="Data, or a sample?",
        says="Data is drawn from N(0, 1) and samples from N(1.5, 0.7^2). The network says how "
        "likely a number is to be data; beside it stands what the densities say.",
        inputs={"x": Number("x", 0.75, -4, 5, 0.01)},
        outputs={
            "d": Number("D(x)", 0.5, 0, 1, 0.001),
            "best": Number("p / (p + q)", 0.5, 0, 1, 0.001),
        },
        run=run,
    )


def claims(results: Results) -> list[Claim]:
    """The default has its theory, the choice of losses and digits; a data set has its images."""
    rows = []
    if "densities" in results.arms:
        rows += theory_claims(results)
    if "images" in results.arms:
        rows += image_claims(results)
    return rows


def theory_claims(results: Results) -> list[Claim]:
    """Propositions and sections 3 and 4."""
    return [
        results["density/error"].at_most(
            "densities",
            0.02,
            claim="mean of |D - p / (p + q)|",
            paper="0 at the optimum (proposition 1)",
            digits=4,
        ),
        results["density/value_error"].at_most(
            "densities",
            0.01,
            claim="|V(D, G) - (-log 4 + 2 JSD)|",
            paper="0 at the optimum (theorem 1)",
            digits=4,
        ),
        results["choice/fake"].at_most(
            "loss_choice", 0.05, claim="D(G(z)) of a generator that is not trained", paper=""
        ),
        results["choice/gradient_ratio"].at_least(
            "loss_choice",
            10,
            claim="gradient of -log D over that of log(1 - D) there",
            paper="much stronger gradients early (section 3)",
            digits=0,
        ),
    ]


def image_claims(results: Results) -> list[Claim]:
    """Table 1's measure, against other samples of as many."""
    likelihood = results.side_by_side(
        "images",
        G="parzen/log_likelihood",
        gaussian="reference/gaussian",
        untrained="reference/untrained",
    )
    text = "log-likelihood in nats"
    return [
        likelihood.above("G", "gaussian", by=GAUSSIAN_MARGIN, claim=text, paper="225 on MNIST"),
        likelihood.above("G", "untrained", by=UNTRAINED_MARGIN, claim=text, paper=""),
        results["samples/memorisation_ratio"].at_least(
            "images",
            0.9,
            claim="distance of samples to training images over that of test images to them",
            paper="not memorised (figure 2)",
        ),
    ]


if __name__ == "__main__":
    app.run()
