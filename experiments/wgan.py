"""Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), arXiv:1701.07875.

Claim: where data and samples do not overlap, the Jensen-Shannon divergence that a GAN's
discriminator estimates is at its ceiling and moves nothing; the earth mover's distance that a
critic with clipped weights estimates grows with the distance, moves the generator all the way, and
falls as samples of images get better.

Departures: weights are clipped after the critic's updates, as in algorithm 1 (the released code
clips before them). Dense networks begin with biases of zero. The images of the default are 8 px
wide, and the quality of samples is measured by the distance of their features (the paper looks at
them). The Jensen-Shannon estimate of an arm "gan" is that of the discriminator it trains with.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
import math
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
from scipy.stats import spearmanr

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import prefixed
from research.data.images import squares
from research.losses import gan
from research.metrics import generative
from research.metrics.features import FeatureNet
from research.models import adversarial, dcgan, dense_gan
from research.nn import fan_in
from research.optim.weight_clipping import clip_weights
from research.papers.wgan.figures import draw_distances, draw_tracking
from research.papers.wgan.schedule import CriticSchedule
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Number, Text
from research.report.latents_demo import latents_demo
from research.training.feature_network import feature_network
from research.training.writers import read_metrics
from research.viz.image_grids import save_grids

PAPER = Paper(
    title="Wasserstein GAN",
    authors="Martin Arjovsky, Soumith Chintala, Léon Bottou",
    year=2017,
    arxiv="1701.07875",
    claim="the earth mover's distance is a loss that a generator can learn from, and that tells "
    "how good its samples are",
    parameters={"lsun": {"generator": 3_576_704, "critic": 2_765_568}},
    curves=("critic/estimate", "theta"),
    x="step",
    field="generative models",
    method="images_wgan",
    without_gradient={
        "critic/score/bias": "a Wasserstein loss takes differences of scores: their bias is free"
    },
)

Numbers = dict[str, float]

# What a critic (or discriminator) and a generator minimise, by the method's name.
OBJECTIVES: dict[str, tuple[Callable, Callable]] = {
    "wgan": (gan.wasserstein_critic_loss, gan.wasserstein_generator_loss),
    "gan": (gan.bce_discriminator_loss, gan.bce_generator_loss),
    # The game's own value (Goodfellow et al. 2014, equation 1): what figure 2 is about.
    "minimax_gan": (
        gan.bce_discriminator_loss,
        functools.partial(gan.bce_generator_loss, saturating=True),
    ),
}


class State(flax.struct.PyTreeNode):
    critic: LearnerState
    generator: Any = None  # a LearnerState; None where the generator is fixed


class Pair(NamedTuple):
    """What one update of the critic learns from: data x and samples g(z), each `[B, ...]`."""

    real: jax.Array
    fake: jax.Array


class Critics(Experiment):
    """A critic f, and what it and a generator minimise. Subclasses say what it looks at."""

    critic: Learner
    generator: Learner

    def __init__(self, config: ConfigDict):
        check_choice("method", config.method, OBJECTIVES)
        self.config = config
        self.critic_objective, self.generator_objective = OBJECTIVES[config.method]
        self.num_steps = config.num_steps
        self.per_step = {"samples": config.batch_size}

    def make_critic(self, net: nn.Module) -> Learner:
        """A critic that learns; of a WGAN its weights stay in a box (algorithm 1, line 7)."""
        tx = optimizer(self.config.critic_optimizer)
        if self.config.method == "wgan":
            tx = optax.chain(tx, clip_weights(self.config.clip))
        return Learner(net, tx, max_grad_norm=self.config.max_grad_norm)

    def critic_loss(self, variables: Any, pair: Pair, key: jax.Array) -> tuple[jax.Array, Aux]:
        """E[f(g(z))] - E[f(x)], the negative of equation 3, or a discriminator's cross-entropy."""
        on_real, on_fake, updated = adversarial.discriminate_pair(self.critic, variables, *pair)
        loss = self.critic_objective(on_real, on_fake)
        return loss, Aux({"estimate": self.estimate(loss)}, updated)

    def estimate(self, loss: jax.Array) -> jax.Array:
        """The divergence that a critic's loss is an estimate of, from below.

        W(P_r, P_g) times the Lipschitz constant, or the Jensen-Shannon divergence in nats, which is
        log 2 at most: at the optimum the cross-entropy is 2 log 2 - 2 JS.
        """
        return -loss if self.config.method == "wgan" else math.log(2) - loss / 2

    def generator_loss(
        self, critic: LearnerState, variables: Any, z: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-E[f(g(z))], or what the generator of a GAN minimises."""
        fake, updated = adversarial.train_mode(self.generator, variables, z)
        (scores, _), _ = adversarial.apply(self.critic, critic, fake, train=True)
        return self.generator_objective(scores), Aux({}, updated)

    def results(self, state: State, workdir: Path) -> Numbers:
        """What the trained networks are measured by; leaves its pictures in `workdir`."""
        raise NotImplementedError

    def demo(self, state: State) -> Demo:
        """What the trained networks do for a person."""
        raise NotImplementedError


def optimizer(settings: ConfigDict) -> optax.GradientTransformation:
    """RMSProp as the released code has it, Torch's; Adam for a discriminator; or plain descent.

    With momentum, Adam's too, training with clipped weights is unstable (section 4).
    """
    name, rate = settings.name, settings.learning_rate
    check_choice("optimizer.name", name, ("rmsprop", "adam", "sgd"))
    if name == "rmsprop":
        return optax.rmsprop(rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)
    return optax.adam(rate, b1=0.5) if name == "adam" else optax.sgd(rate)


class ParallelLines(Critics):
    """Example 1: (0, u) and (theta, u), u uniform on [0, 1]; a critic for each theta.

    W is |theta|; the Jensen-Shannon divergence is log 2 wherever theta is not 0.
    """

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        self.theta = jnp.array(config.theta)
        self.critic = self.make_critic(point_critic(config))
        self.per_step = {"samples": len(config.theta) * config.batch_size}

    def init(self, key: jax.Array) -> State:
        # All begin alike, so that nothing but the distance is different.
        critic = self.critic.init(key, jnp.zeros((1, 2)), train=True)
        return State(jax.tree.map(lambda x: jnp.stack([x] * len(self.theta)), critic))

    def pair(self, theta: jax.Array, key: jax.Array) -> Pair:
        u, v = jax.random.uniform(key, (2, self.config.batch_size))
        return Pair(line(0.0, u), line(theta, v))

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of every critic."""

        def update(critic: LearnerState, theta: jax.Array) -> Any:
            pair_key, loss_key = jax.random.split(key)
            pair = self.pair(theta, pair_key)
            return self.critic.minimize(critic, self.critic_loss, pair, loss_key)

        critic, metrics = jax.vmap(update)(state.critic, self.theta)
        return State(critic), prefixed({"critic": jax.tree.map(jnp.mean, metrics)})

    def measure(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Estimates of the divergence at each theta, and their derivatives: `[K]` each."""
        u = (jnp.arange(1000) + 0.5) / 1000

        def divergence(theta: jax.Array, critic: LearnerState) -> jax.Array:
            on_real, on_fake, _ = adversarial.discriminate_pair(
                self.critic, critic, line(0.0, u), line(theta, u)
            )
            return self.estimate(self.critic_objective(on_real, on_fake))

        return jax.vmap(jax.value_and_grad(divergence))(self.theta, state.critic)

    def results(self, state: State, workdir: Path) -> Numbers:
        estimates, slopes = (np.asarray(x) for x in jax.jit(self.measure)(state))
        theta = np.asarray(self.theta)
        if jax.process_index() == 0:
            draw_distances(workdir / "distances.png", theta, estimates, slopes)
        near = estimates[theta <= 0.5] / theta[theta <= 0.5]
        numbers = {f"estimate/at_{at:g}": float(e) for at, e in zip(theta, estimates, strict=True)}
        return numbers | {
            "estimate/rank_correlation": rank_correlation(theta, estimates),
            "estimate/unevenness": float(near.max() / near.min()),
            "estimate/least": float(estimates.min()),
            "slope/least": float(slopes.min()),
            "slope/most": float(np.abs(slopes).max()),
        }

    def demo(self, state: State) -> Demo:
        estimates, slopes = (np.asarray(x) for x in jax.jit(self.measure)(state))
        theta = self.config.theta

        def run(which: int) -> dict[str, Any]:
            return {
                "estimate": f"lines at a distance of {theta[which]:g}: the estimate is "
                f"{estimates[which]:.3f}, and its derivative {slopes[which]:.3g}"
            }

        return Demo(
            title="How far are two lines apart?",
            says="A critic was trained on points of two parallel lines, for each of "
            f"{len(theta)} distances.",
            inputs={"which": Number("which distance", 0, 0, len(theta) - 1)},
            outputs={"estimate": Text("what the critic says")},
            run=run,
        )


def line(x: float | jax.Array, u: jax.Array) -> jax.Array:
    """Points (x, u) `[B, 2]` of u `[B]`."""
    return jnp.stack([jnp.broadcast_to(x, u.shape), u], -1)


def point_critic(config: ConfigDict) -> nn.Module:
    model = config.model
    return dense_gan.Critic(model.critic_width, model.critic_depth)


class Line(nn.Module):
    """The generator of example 1: z to (theta, z), with theta to be learned."""

    start: float

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Points `[B, 2]` of z `[B]`, and no maps."""
        del train
        return line(self.param("theta", nn.initializers.constant(self.start), ()), z), {}


class MovingLine(Critics):
    """Example 1 as a game: theta goes down the gradient of what the critic says."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        self.critic = self.make_critic(point_critic(config))
        self.generator = Learner(Line(config.theta[-1]), optimizer(config.generator_optimizer))
        self.game = adversarial.Game(
            self.generator,
            self.critic,
            self.pair,
            self.critic_loss,
            lambda key: jax.random.uniform(key, (config.batch_size,)),
            self.generator_loss,
            num_discriminator_steps=config.num_critic,
            unroll=False,
        )
        self.per_step = {"samples": config.num_critic * config.batch_size}

    def init(self, key: jax.Array) -> State:
        critic = self.critic.init(key, jnp.zeros((1, 2)), train=True)
        return State(critic, self.generator.init(key, jnp.zeros(1), train=True))

    def pair(self, generator: LearnerState, rows: None, key: jax.Array) -> Pair:
        u, z = jax.random.uniform(key, (2, self.config.batch_size))
        return Pair(line(0.0, u), adversarial.train_mode(self.generator, generator, z)[0])

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """n_critic updates of f, then one of theta (algorithm 1)."""
        critic, generator, metrics, _ = self.game.step(state.critic, state.generator, batch, key)
        theta = generator.params["theta"]
        return State(critic, generator), {"theta": theta, **prefixed({"critic": metrics})}

    def results(self, state: State, workdir: Path) -> Numbers:
        return {"theta/distance": abs(float(state.generator.params["theta"]))}

    def demo(self, state: State) -> Demo:
        theta = float(state.generator.params["theta"])
        return Demo(
            title="Where did the line go?",
            says="A line was moved toward another, by what a critic says of their points.",
            inputs={},
            outputs={"place": Text("where it is")},
            run=lambda: {
                "place": f"from a distance of {self.config.theta[-1]:g} it went to {theta:.3f}"
            },
        )


class ImageGAN(Critics):
    """Images (section 4); each step is an update of the critic, and the generator's follow some."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        data, model = config.data, config.model
        self.schedule = CriticSchedule(config.num_critic, **config.long_runs)
        self.num_steps = self.schedule.critic_updates(config.num_steps)  # those of the generator
        self.image_shape = (data.image_size, data.image_size, data.channels)
        self.critic = self.make_critic(image_critic(config))
        self.generator = Learner(
            image_generator(config, self.image_shape),
            optimizer(config.generator_optimizer),
            max_grad_norm=config.max_grad_norm,
        )
        self.latents = lambda key, num: jax.random.normal(key, (num, model.latent_size))
        self.game = adversarial.Game(
            self.generator,
            self.critic,
            self.pair,
            self.critic_loss,
            lambda key: self.latents(key, config.batch_size),
            self.generator_loss,
        )
        self.source = squares.stream(
            lambda: self.images.train, self.image_shape, config.batch_size, config.seed
        )
        self.net: FeatureNet | None = None  # of the distance between samples and data; see `main`

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

    def init(self, key: jax.Array) -> State:
        g, d = jax.random.split(key)
        return State(
            self.critic.init(d, jnp.zeros((1, *self.image_shape)), train=True),
            self.generator.init(g, self.latents(g, 1), train=True),
        )

    def pair(self, generator: LearnerState, rows: dict, key: jax.Array) -> Pair:
        real = rows["image"] / 127.5 - 1
        z = self.latents(key, len(real))
        return Pair(real, adversarial.train_mode(self.generator, generator, z)[0])

    def step(
        self, state: State, batch: dict, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of f, and where it is due one of g (algorithm 1)."""
        d_key, g_key = jax.random.split(key)
        critic, metrics = self.game.discriminate(state.critic, state.generator, batch, d_key)
        generator = jax.lax.cond(
            self.schedule.moves(t),
            lambda: self.game.generate(critic, state.generator, g_key)[0],
            lambda: state.generator,
        )
        return State(critic, generator), prefixed({"critic": metrics})

    def draw(self, state: State, z: jax.Array, **options: Any) -> np.ndarray:
        """Samples `[N, H, W, C]` of z `[N, Z]`; options are those of `adversarial.sample`."""
        return adversarial.draw(self.generator, state.generator, z, **options)

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """The estimate on held-out images, and how far samples are from these.

        The estimate is read from a critic near its optimum for this generator: a copy that has had
        a long run (section 3: «we can, and should, train the critic till optimality»).
        """
        num = self.config.eval.num_samples
        real, train = self.images.test.images(num), self.images.train.images(num)
        fake = self.draw(state, self.latents(jax.random.key(self.config.seed), num))
        critic = self.jit_long_run(state, self.images_to_run_on, key)
        numbers = {"held_out_estimate": self.held_out_estimate(critic, real, fake)}
        return numbers | prefixed({"samples": generative.report(real, fake, train, self.net)})

    @functools.cached_property
    def images_to_run_on(self) -> jax.Array:
        """Training images `[N, H, W, C]` for `long_run`, pixels in 0 to 255."""
        num = min(len(self.images.train), 4 * self.config.eval.num_samples)
        return jnp.asarray((self.images.train.images(num) + 1) * 127.5)

    def long_run(self, state: State, images: jax.Array, key: jax.Array) -> LearnerState:
        """The critic after many more updates, with the generator as it is."""

        def update(critic: LearnerState, key: jax.Array) -> tuple[LearnerState, None]:
            row_key, key = jax.random.split(key)
            rows = jax.random.randint(row_key, (self.config.batch_size,), 0, len(images))
            batch = {"image": images[rows]}
            return self.game.discriminate(critic, state.generator, batch, key)[0], None

        keys = jax.random.split(key, self.schedule.many)
        return jax.lax.scan(update, state.critic, keys)[0]

    @functools.cached_property
    def jit_long_run(self) -> Callable:
        return jax.jit(self.long_run)

    def held_out_estimate(self, critic: LearnerState, real: np.ndarray, fake: np.ndarray) -> float:
        """A critic's estimate over images `[N, H, W, C]`, in batches as it was trained with."""
        size = self.config.batch_size
        whole = len(real) // size * size or len(real)
        losses = [
            self.jit_critic_loss(critic, real[i : i + size], fake[i : i + size])
            for i in range(0, whole, size)
        ]
        return float(self.estimate(jnp.stack(losses).mean()))

    @functools.cached_property
    def jit_critic_loss(self) -> Callable:
        def loss(critic: LearnerState, real: jax.Array, fake: jax.Array) -> jax.Array:
            on_real, on_fake, _ = adversarial.discriminate_pair(self.critic, critic, real, fake)
            return self.critic_objective(on_real, on_fake)

        return jax.jit(loss)

    def results(self, state: State, workdir: Path) -> Numbers:
        z = self.latents(jax.random.key(self.config.seed), max(100, self.config.eval.num_samples))
        shown = self.images.train.images(self.config.eval.num_samples)
        save_grids(
            workdir,
            generative.pictures(functools.partial(self.draw, state), z, shown),
            magnify=max(1, 32 // self.image_shape[0]),
        )
        return self.tracking(workdir)

    def tracking(self, workdir: Path) -> Numbers:
        """Whether the estimate falls as samples come nearer to data, over the run's evaluations."""
        records = read_metrics(workdir)
        distance = next((k for r in records for k in r if k.startswith("samples/FID")), "")
        judged = [r for r in records if distance and distance in r]
        if len(judged) < 3:
            return {}
        estimates = np.array([r["held_out_estimate"] for r in judged])
        distances = np.array([r[distance] for r in judged])
        if jax.process_index() == 0:
            on_batches = [r for r in records if "critic/estimate" in r]
            draw_tracking(
                workdir / "tracking.png",
                {
                    "estimate": _curve(on_batches, "critic/estimate"),
                    "held-out estimate": _curve(judged, "held_out_estimate"),
                    "FID, project's network": _curve(judged, distance),
                },
            )
        return {"estimate/follows_quality": rank_correlation(estimates, distances)}

    def demo(self, state: State) -> Demo:
        return latents_demo(functools.partial(self.draw, state), self.latents)


def _curve(records: list[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r["step"] for r in records]), np.array([r[name] for r in records])


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's, of `[N]` and `[N]`; 0 where one of them never changes."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(spearmanr(x, y).statistic)


ARCHITECTURES = {
    "dcgan": "g as in DCGAN",
    "no_norm": "g without batch norm, all its maps of one width (figure 6)",
    "dense": "g of four dense layers (figure 7)",
}


def image_generator(config: ConfigDict, image_shape: tuple[int, int, int]) -> nn.Module:
    model, dtype = config.model, jnp.dtype(config.compute_dtype)
    check_choice("model.generator", model.generator, ARCHITECTURES)
    if model.generator == "dense":
        return dense_gan.Generator(
            image_shape, model.width, 4, jnp.tanh, kernel_init=fan_in.kernel_init
        )
    size, _, channels = image_shape
    dcgan.num_levels(size)  # refuses sizes that it cannot make
    options: dict[str, Any] = {}
    if model.generator == "no_norm":
        options = {"norm": "none", "use_bias": True, "tapered": False}
    return dcgan.Generator(size, channels, model.width, model.kernel, dtype=dtype, **options)


def image_critic(config: ConfigDict) -> nn.Module:
    """A DCGAN's discriminator without its sigmoid, or dense layers."""
    model = config.model
    check_choice("model.critic", model.critic, ("dcgan", "dense"))
    if model.critic == "dense":
        return dense_gan.Critic(
            model.critic_width, model.critic_depth, kernel_init=fan_in.kernel_init
        )
    dcgan.num_levels(config.data.image_size)  # refuses sizes that it cannot take
    return dcgan.Discriminator(
        model.critic_width, model.kernel, dtype=jnp.dtype(config.compute_dtype)
    )


TASKS = {"lines": ParallelLines, "moving_line": MovingLine, "images": ImageGAN}


def build(config: ConfigDict) -> Critics:
    check_choice("task", config.task, TASKS)
    if config.task != "images" and list(config.theta) != sorted(set(config.theta)):
        raise UserError("theta are distances, each larger than the one before")
    return TASKS[config.task](config)


def main(experiment: Critics, config: ConfigDict, workdir: Path) -> Numbers:
    if isinstance(experiment, ImageGAN):
        experiment.net = feature_network(
            experiment.images.train,
            config.data.name,
            config.classifier,
            config,
            workdir / "classifier",
            config.eval.network,
        )
    state, numbers = training.run(experiment, config, workdir)
    return {**numbers, **experiment.results(state, workdir)}


def demo(experiment: Critics, state: State) -> Demo:
    return experiment.demo(state)


def claims(results: Results) -> list[Claim]:
    """The default has lines and images; a data set has images alone."""
    if "lines_wgan" in results.arms:
        return [*line_claims(results), *moving_claims(results), *image_claims(results)]
    return image_claims(results) if "images_wgan" in results.arms else []


def line_claims(results: Results) -> list[Claim]:
    """Example 1, figure 1."""
    slope = results["slope/most"]
    return [
        results["estimate/rank_correlation"].at_least(
            "lines_wgan",
            1.0,
            claim="two lines: rank correlation of the critic's estimate with their distance",
            paper="W = |theta| (example 1)",
        ),
        results["estimate/unevenness"].at_most(
            "lines_wgan",
            1.2,
            claim="estimate over distance, to 1/2: the largest over the smallest",
            paper="1: proportional",
        ),
        results["slope/least"].at_least(
            "lines_wgan",
            0.3,
            claim="the least derivative of the critic's estimate, over the distances",
            paper="1 times the Lipschitz constant",
        ),
        slope.at_most(
            "lines_gan",
            0.01,
            claim="the largest derivative of a discriminator's estimate",
            paper="0 (example 1)",
            digits=4,
        ),
        results["estimate/least"].at_least(
            "lines_gan",
            0.68,
            claim="a discriminator's least estimate of the Jensen-Shannon divergence",
            paper="log 2 = 0.693, whatever the distance",
            digits=4,
        ),
    ]


def moving_claims(results: Results) -> list[Claim]:
    """The gradients of example 1, followed."""
    distance = results["theta/distance"]
    return [
        distance.at_most(
            "moving_wgan", 0.1, claim="a line that starts 4 away: where it ends", paper="0"
        ),
        distance.above(
            "moving_gan",
            "moving_wgan",
            by=1.0,
            claim="a GAN's, at the best of four rates, ends farther away",
            paper="it does not move (example 1)",
        ),
    ]


def image_claims(results: Results) -> list[Claim]:
    """Figures 3 and 4: the loss tells how good samples are."""
    return [
        results["estimate/follows_quality"].at_least(
            "images_wgan",
            0.6,
            claim="rank correlation of the estimate with the distance of samples from data",
            paper="the loss falls as samples get better (figure 3)",
        ),
    ]


if __name__ == "__main__":
    app.run()
