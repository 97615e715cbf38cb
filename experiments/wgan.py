"""Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), arXiv:1701.07875.

Claim: the value of a critic with clipped weights grows with the distance of samples from data, has
a gradient wherever the samples are, and follows their quality through training; that of a
discriminator saturates.

Departures: a listing of the paper clips after an update, the released code before one; here after
it. On parallel lines the discriminator's generator has the minimax loss, whose value the
Jensen-Shannon divergence is. The default's networks and images are small, its rates larger.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from research.losses import gan
from research.metrics import fid, generative
from research.metrics.features import FeatureNet, metric_name
from research.metrics.rank_correlation import rank_correlation
from research.models import adversarial, dcgan, dense_gan
from research.optim.weight_clipping import clip_weights
from research.papers.wgan import parallel_lines
from research.papers.wgan.schedule import CriticSchedule
from research.report.claims import Claim, Paper, Results
from research.report.demo import Choice, Demo, Image
from research.report.image_demo import image_demo
from research.training.feature_network import feature_network
from research.training.writers import read_metrics
from research.viz.image_grids import save_grids

PAPER = Paper(
    title="Wasserstein GAN",
    authors="Martin Arjovsky, Soumith Chintala, Leon Bottou",
    year=2017,
    arxiv="1701.07875",
    claim="the critic's value tells how far samples are from data, with a gradient everywhere",
    parameters={"lsun": {"generator": 3_576_704, "critic": 2_765_568}},
    curves=("critic/estimate",),
    x="step",
    field="generative models",
)

Numbers = dict[str, float]
LOG_2 = float(np.log(2))


class State(flax.struct.PyTreeNode):
    critic: LearnerState
    generator: Any = None  # a LearnerState; None where nothing is generated


class WassersteinGAN(Experiment):
    """What a critic f and a generator g_theta minimise. Subclasses say when, and on what."""

    def __init__(self, config: ConfigDict):
        check_choice("method", config.method, ("wasserstein", "gan"))
        self.config = config

    def make_players(self, generator: Any, critic: Any, generator_tx: Any = None) -> None:
        """Sets both learners, and the game that they play."""
        config = self.config
        critic_tx = self.optimizer()
        if config.method == "wasserstein":  # algorithm 1, line 7
            critic_tx = optax.chain(critic_tx, clip_weights(config.clip))
        limit = config.max_grad_norm
        self.critic = Learner(critic, critic_tx, max_grad_norm=limit)
        self.generator = Learner(generator, generator_tx or self.optimizer(), max_grad_norm=limit)
        self.game = adversarial.Game(
            self.generator,
            self.critic,
            self.real_and_fake,
            self.critic_loss,
            lambda key: self.latents(key, config.batch_size),
            self.generator_loss,
            num_discriminator_steps=config.schedule.usual,
            unroll=False,
        )

    def optimizer(self) -> optax.GradientTransformation:
        """RMSProp: with momentum the critic is unstable, for its loss is non-stationary."""
        config = self.config.optimizer
        check_choice("optimizer.name", config.name, ("rmsprop", "adam"))
        if config.name == "adam":
            return optax.adam(config.learning_rate, b1=config.b1)
        # As Torch has it: the epsilon outside of the root.
        return optax.rmsprop(config.learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        """z `[num, Z]`, standard normal."""
        return jax.random.normal(key, (num, self.config.model.latent_size))

    def data(self, rows: Any, key: jax.Array) -> jax.Array:
        """Data x `[B, ...]`."""
        raise NotImplementedError

    def real_and_fake(
        self, generator: LearnerState, rows: Any, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Data x and as many samples g_theta(z)."""
        data_key, z_key = jax.random.split(key)
        real = self.data(rows, data_key)
        z = self.latents(z_key, len(real))
        fake, _ = adversarial.train_mode(self.generator, generator, z)
        return real, fake

    def critic_loss(
        self, variables: Any, pair: tuple[jax.Array, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """E[f(g_theta(z))] - E[f(x)] (algorithm 1, line 5), or a discriminator's cross-entropy."""
        # A batch of each: in a mixed one the statistics would tell f which is which.
        on_real, on_fake, updated = adversarial.discriminate_pair(self.critic, variables, *pair)
        estimate = self.estimate(on_real, on_fake)
        if self.config.method == "wasserstein":
            loss = gan.wasserstein_critic_loss(on_real, on_fake)
        else:
            loss = gan.bce_discriminator_loss(on_real, on_fake)
        return loss, Aux({"estimate": estimate}, updated)

    def estimate(self, on_real: jax.Array, on_fake: jax.Array) -> jax.Array:
        """Of K W(P_r, P_theta) (equation 3, some K), or by a discriminator of JS (equation 4)."""
        if self.config.method == "wasserstein":
            return on_real.mean() - on_fake.mean()
        return LOG_2 - gan.bce_discriminator_loss(on_real, on_fake) / 2

    def generator_objective(self, on_fake: jax.Array) -> jax.Array:
        """-E[f(g_theta(z))] (algorithm 1, line 10)."""
        if self.config.method == "wasserstein":
            return gan.wasserstein_generator_loss(on_fake)
        return gan.bce_generator_loss(on_fake, saturating=self.config.saturating)

    def generator_loss(
        self, critic: LearnerState, variables: Any, z: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        fake, updated = adversarial.train_mode(self.generator, variables, z)
        on_fake, _ = adversarial.train_mode(self.critic, critic, fake)
        return self.generator_objective(on_fake), Aux({}, updated)


class Lines(WassersteinGAN):
    """A critic for each of six distances of two parallel lines (example 1), all trained at once."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        self.num_steps = config.critic_steps
        self.per_step = {"samples": config.batch_size}
        self.thetas = jnp.array(parallel_lines.THETAS)
        # The bias of the score falls out of Wasserstein losses, and would have no gradient.
        critic = dense_gan.Critic(config.model.width, 2, use_bias=config.method == "gan")
        self.make_players(None, critic)

    def init(self, key: jax.Array) -> State:
        # One critic six times: the K of equation 3 depends on where training begins.
        critic = self.critic.init(key, jnp.zeros((1, 2)), train=True)
        return State(jax.tree.map(lambda x: jnp.stack([x] * len(self.thetas)), critic))

    def pair(self, theta: jax.Array, key: jax.Array, num: int) -> tuple[jax.Array, jax.Array]:
        """Points `[num, 2]` of both lines."""
        real, fake = jax.random.uniform(key, (2, num))
        return parallel_lines.line(jnp.zeros(()), real), parallel_lines.line(theta, fake)

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of every critic."""

        def update(critic: LearnerState, theta: jax.Array, k: jax.Array) -> Any:
            pair = self.pair(theta, k, self.config.batch_size)
            return self.critic.minimize(critic, self.critic_loss, pair, k)

        keys = jax.random.split(key, len(self.thetas))
        critic, metrics = jax.vmap(update)(state.critic, self.thetas, keys)
        return State(critic), prefixed({"critic": {k: v.mean() for k, v in metrics.items()}})

    @functools.partial(jax.jit, static_argnums=0)
    def measure(self, critics: LearnerState, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Estimates and absolute gradients by theta `[6]`, of critics `[6, ...]`."""

        def one(critic: LearnerState, theta: jax.Array, k: jax.Array) -> Any:
            real, fake = self.pair(theta, k, 4096)
            on_real, on_fake, _ = adversarial.discriminate_pair(self.critic, critic, real, fake)

            def loss(theta: jax.Array) -> jax.Array:
                moved = parallel_lines.line(theta, fake[:, 1])
                return self.generator_objective(
                    adversarial.train_mode(self.critic, critic, moved)[0]
                )

            return self.estimate(on_real, on_fake), jnp.abs(jax.grad(loss)(theta))

        return jax.vmap(one)(critics, self.thetas, jax.random.split(key, len(self.thetas)))

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        estimates, slopes = map(np.asarray, self.measure(state.critic, key))
        return prefixed({"lines": parallel_lines.numbers(estimates, slopes)})

    def pictures(self, state: State, workdir: Path) -> None:
        estimates, slopes = map(np.asarray, self.measure(state.critic, jax.random.key(0)))
        parallel_lines.draw(workdir / "lines.png", estimates, slopes)


class MovingLine(WassersteinGAN):
    """A line that is drawn to another by gradients through the critic: theta is learned."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        self.num_steps = config.generator_steps
        self.per_step = {"samples": config.batch_size * config.schedule.usual}
        critic = dense_gan.Critic(config.model.width, 2, use_bias=config.method == "gan")
        shift = parallel_lines.Shift(parallel_lines.THETAS[-1])
        self.make_players(shift, critic, optax.sgd(config.optimizer.theta_rate))

    def init(self, key: jax.Array) -> State:
        return State(
            self.critic.init(key, jnp.zeros((1, 2)), train=True),
            self.generator.init(key, jnp.zeros((1, 1)), train=True),
        )

    def latents(self, key: jax.Array, num: int) -> jax.Array:
        return jax.random.uniform(key, (num, 1))

    def data(self, rows: None, key: jax.Array) -> jax.Array:
        z = jax.random.uniform(key, (self.config.batch_size,))
        return parallel_lines.line(jnp.zeros(()), z)

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        critic, generator, c_metrics, g_metrics = self.game.step(
            state.critic, state.generator, batch, key
        )
        metrics = {**g_metrics, "theta": generator.params["theta"]}
        return State(critic, generator), prefixed({"critic": c_metrics, "generator": metrics})

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        return {"line/distance": abs(float(state.generator.params["theta"]))}

    def pictures(self, state: State, workdir: Path) -> None:
        """Nothing but the learning curve."""


class Images(WassersteinGAN):
    """Images (section 4). A step is one update of the critic, and at times one of the generator."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        data, model = config.data, config.model
        try:
            dcgan.num_levels(data.image_size)
        except ValueError as error:
            raise UserError(f"data.{error}") from error
        check_choice("model.generator", model.generator, ("dcgan", "constant_width", "dense"))
        check_choice("model.critic", model.critic, ("dcgan", "dense"))
        self.image_shape = (data.image_size, data.image_size, data.channels)
        self.make_players(*self.networks())
        self.schedule = CriticSchedule(**config.schedule)
        self.num_steps = self.schedule.total(config.generator_steps)
        self.per_step = {"images": config.batch_size}
        self.net: FeatureNet | None = None
        self.source = squares.stream(
            lambda: self.images.train, self.image_shape, config.batch_size, config.seed
        )

    def networks(self) -> tuple[Any, Any]:
        """Generator and critic; G without batch norm has all maps of one width (figure 6)."""
        model = self.config.model
        size, _, channels = self.image_shape
        conv: dict[str, Any] = {
            "width": model.width,
            "kernel": 4,
            "dtype": jnp.dtype(self.config.compute_dtype),
        }
        generator: Any = dense_gan.Generator(self.image_shape, model.dense_width, 4, jnp.tanh)
        if model.generator == "dcgan":
            generator = dcgan.Generator(size, channels, **conv)
        elif model.generator == "constant_width":
            generator = dcgan.Generator(
                size, channels, norm="none", tapered=False, use_bias=True, **conv
            )
        if model.critic == "dense":
            use_bias = self.config.method == "gan"
            return generator, dense_gan.Critic(model.dense_width, 4, use_bias=use_bias)
        return generator, dcgan.Discriminator(**conv)

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
            self.config.eval.num_images,
        )

    def init(self, key: jax.Array) -> State:
        g, d = jax.random.split(key)
        return State(
            self.critic.init(d, jnp.zeros((1, *self.image_shape)), train=True),
            self.generator.init(g, self.latents(g, 1), train=True),
        )

    def data(self, rows: dict, key: jax.Array) -> jax.Array:
        return rows["image"] / 127.5 - 1

    def step(
        self, state: State, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of f (lines 3 to 7); if enough were made, one of g_theta (lines 9 to 11)."""
        d_key, g_key = jax.random.split(key)
        critic, metrics = self.game.discriminate(state.critic, state.generator, batch, d_key)

        def move(generator: LearnerState) -> tuple[LearnerState, jax.Array]:
            moved, found = self.game.generate(critic, generator, g_key)
            return moved, found["grad_norm"]

        generator, norm = jax.lax.cond(
            self.schedule.generator_moves(t),
            move,
            lambda generator: (generator, jnp.float32(jnp.nan)),
            state.generator,
        )
        return State(critic, generator), prefixed(
            {"critic": metrics, "generator": {"grad_norm": norm}}
        )

    def draw(self, state: State, z: jax.Array, **options: Any) -> np.ndarray:
        """Images `[N, H, W, C]` of z `[N, Z]`; options are those of `adversarial.sample`."""
        return adversarial.draw(self.generator, state.generator, z, **options)

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """The critic's estimate on many images, and how good samples are by other measures."""
        num = self.config.eval.num_images
        z_key, _ = jax.random.split(key)
        fake = self.draw(state, self.latents(z_key, num))
        train = self.train_images
        on_real, on_fake = (self._scores(state.critic, x) for x in (train, fake))
        numbers = {"quality/estimate": float(self.estimate(on_real, on_fake))}
        if self.net is not None:
            distance = fid.fid(self.test_features, self.net.features(fake))
            numbers[f"quality/{metric_name('FID', self.net)}"] = distance
        return numbers

    def report(self, state: State) -> Numbers:
        """What finished samples are measured by."""
        z = self.latents(jax.random.key(self.config.seed), self.config.eval.num_images)
        numbers = generative.report(
            self.test_images, self.draw(state, z), self.train_images, self.net
        )
        return prefixed({"samples": numbers})

    @functools.cached_property
    def train_images(self) -> np.ndarray:
        """Training images to compare with: float32 `[num_images, H, W, C]`."""
        return self.images.train.images(self.config.eval.num_images)

    @functools.cached_property
    def test_images(self) -> np.ndarray:
        """As many held-out ones."""
        return self.images.test.images(self.config.eval.num_images)

    @functools.cached_property
    def test_features(self) -> np.ndarray:
        """Their features."""
        assert self.net is not None
        return self.net.features(self.test_images)

    @functools.partial(jax.jit, static_argnums=0)
    def _scores(self, critic: LearnerState, images: jax.Array) -> jax.Array:
        return adversarial.train_mode(self.critic, critic, images)[0]

    def pictures(self, state: State, workdir: Path) -> None:
        z = self.latents(jax.random.key(self.config.seed), 100)
        draw = functools.partial(self.draw, state)
        save_grids(workdir, generative.pictures(draw, z, self.train_images), magnify=2)


TASKS: dict[str, Callable[[ConfigDict], WassersteinGAN]] = {
    "lines": Lines,
    "moving_line": MovingLine,
    "images": Images,
}


def build(config: ConfigDict) -> Any:
    check_choice("task", config.task, TASKS)
    return TASKS[config.task](config)


def main(experiment: Any, config: ConfigDict, workdir: Path) -> Numbers:
    if isinstance(experiment, Images):
        experiment.net = feature_network(
            experiment.images.train,
            config.data.name,
            config.classifier,
            config,
            workdir / "classifier",
        )
    state, numbers = training.run(experiment, config, workdir)
    if jax.process_index() == 0:
        experiment.pictures(state, workdir)
    if not isinstance(experiment, Images):
        return numbers
    numbers = {**numbers, **experiment.report(state)}
    if experiment.net is not None and config.eval_every_steps:
        numbers["curve/rank_correlation"] = follows_quality(workdir)
    return numbers


def follows_quality(workdir: Path) -> float:
    """Rank correlation, over the evaluations of a run, of the estimate and the FID (figure 3)."""
    curve = [
        (record["quality/estimate"], value)
        for record in read_metrics(workdir)
        for name, value in record.items()
        if name.startswith("quality/FID[")
    ]
    estimates, distances = np.array(curve).T
    return rank_correlation(estimates, distances)


def demo(experiment: Any, state: State) -> Demo:
    if isinstance(experiment, Images):
        draw = functools.partial(experiment.draw, state)
        return image_demo(draw, experiment.latents, experiment.config.data.name)
    return lines_demo(experiment, state)


def lines_demo(experiment: Lines | MovingLine, state: State) -> Demo:
    """The value of critics over the plane between two lines."""

    def run(theta: str) -> dict[str, Any]:
        critic = state.critic
        if isinstance(experiment, Lines):
            index = [f"{x:g}" for x in parallel_lines.THETAS].index(theta)
            critic = jax.tree.map(lambda x: x[index], critic)
        axis = np.linspace(-1, 5, 96, dtype=np.float32)
        points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
        scores = np.asarray(
            adversarial.train_mode(experiment.critic, critic, jnp.asarray(points))[0]
        )
        scaled = 255 * (scores - scores.min()) / max(float(np.ptp(scores)), 1e-12)
        picture = PIL.Image.fromarray(scaled.reshape(96, 96)[::-1].astype(np.uint8))
        return {"values": np.asarray(picture.resize((384, 384)))}

    options = tuple(f"{theta:g}" for theta in parallel_lines.THETAS)
    return Demo(
        title="What a critic says of the plane",
        says="Data lies on the line x = 0, samples on x = theta, both with y from 0 to 1. Bright "
        "is what the critic takes for data. The plane is shown from -1 to 5 each way.",
        inputs={"theta": Choice("theta of the samples", options, options[-1])},
        outputs={"values": Image("the critic's values")},
        run=run,
    )


def claims(results: Results) -> list[Claim]:
    """The default compares values on lines and on images; a data set has its images alone."""
    rows = []
    if "lines_wasserstein" in results.arms:
        rows += line_claims(results)
    if "images_wasserstein" in results.arms:
        rows += image_claims(results)
    return rows


def line_claims(results: Results) -> list[Claim]:
    """Example 1, where the distance is theta."""
    order, distance = results["lines/rank_correlation"], results["line/distance"]
    return [
        order.at_least(
            "lines_wasserstein",
            1.0 - 1e-9,
            claim="lines: rank correlation of the critic's estimate with theta",
            paper="W = |theta| (example 1)",
        ),
        results["lines/ratio_spread"].at_most(
            "lines_wasserstein",
            1.2,
            claim="lines: largest over least of estimate / theta, for theta up to 1/2",
            paper="W = |theta| (example 1)",
        ),
        results["lines/least_slope"].at_least(
            "lines_wasserstein",
            0.3,
            claim="lines: least gradient by theta",
            paper="1 (figure 1)",
        ),
        results["lines/largest_slope"].at_most(
            "lines_gan",
            0.01,
            claim="lines: largest gradient by theta, of a discriminator",
            paper="0: JS is log 2 everywhere (figure 1)",
            digits=4,
        ),
        distance.at_most(
            "move_wasserstein",
            0.1,
            claim="a line 4 apart comes to the other by the critic's gradient: distance left",
            paper="theta_t converges to 0 (example 1)",
        ),
        distance.at_least(
            "move_gan",
            2.0,
            claim="the same by a discriminator's: distance left",
            paper="no gradient (example 1)",
        ),
    ]


def image_claims(results: Results) -> list[Claim]:
    """Whether the loss tells how good samples are (figures 3 and 4)."""
    follows = results["curve/rank_correlation"]
    rows = [
        follows.at_least(
            "images_wasserstein",
            0.6,
            claim="rank correlation of the critic's estimate and the FID through training",
            paper="the estimate follows quality (figure 3)",
        )
    ]
    if "images_gan" in results.arms:
        rows.append(
            follows.above(
                "images_wasserstein",
                "images_gan",
                claim="it is higher than that of a discriminator's estimate of JS",
                paper="JS correlates poorly (figure 4)",
            )
        )
    return rows


if __name__ == "__main__":
    app.run()
