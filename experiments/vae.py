"""Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114.

Claim: a sample of the latents that is a differentiable function of the encoder's output makes the
variational bound one that stochastic gradients climb. It gets higher than by wake-sleep, by the
score function's gradient, or by Monte Carlo EM, and superfluous latents do no harm.

Pixels are grey values in 0 to 1, which the Bernoulli decoder takes as they are, as in the paper:
bounds are not comparable with those of binarised images.

Departures: the density that is fitted to samples of the posterior (appendix D) is a Gaussian with a
full covariance, where the released code has a kernel estimate. Chains of Monte Carlo EM go on from
where they were for each datapoint; the paper does not say where they begin. The gradient of the
score function has the other images of the batch as its baseline, without which it is worse.
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
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.data.images.unit import UnitImages
from research.losses.distributions import Bernoulli, Normal, log_standard_normal
from research.metrics import latents, marginal_likelihood
from research.metrics.hamiltonian import adapted, hmc_step
from research.models.vae import VAE
from research.papers.vae.figures import manifold_latents
from research.report.claims import Claim, Paper, Results
from research.report.demo import Choice, Demo, Image, Number
from research.viz.image_grids import grid, save_grids

PAPER = Paper(
    title="Auto-Encoding Variational Bayes",
    authors="Diederik P. Kingma, Max Welling",
    year=2013,
    arxiv="1312.6114",
    field="generative models",
    claim="a reparameterised sample lets stochastic gradients climb the variational bound",
    parameters={
        # Section 5 and appendix C by layers: 500 hidden units for MNIST, 200 for Frey Face.
        "mnist20": (784 * 500 + 500) + 2 * (500 * 20 + 20) + (20 * 500 + 500) + (500 * 784 + 784),
        "frey20": (560 * 200 + 200)
        + 2 * (200 * 20 + 20)
        + (20 * 200 + 200)
        + 2 * (200 * 560 + 560),
    },
    curves=("bound",),
    x="images",
    method="aevb_10",
)

Numbers = dict[str, float]
# Margins of the claims about the bound, in nats, which depend on the data: `config.required`.
REQUIRED = ("wake_sleep", "score_function", "wide", "gap")


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      learner: decoder theta and encoder phi with their optimizer.
      chains: of Monte Carlo EM, else None: "z" `[N, Z]` of every training image, and the
        "step_size" of all.
    """

    learner: LearnerState
    chains: Any = None


class AutoEncodingVB(Experiment):
    """The AEVB algorithm (algorithm 1) by estimator (A) or (B) of the bound."""

    has_encoder = True

    def __init__(self, config: ConfigDict):
        check_choice("estimator", config.estimator, ("A", "B"))
        check_choice("dreams", config.dreams, ("samples", "means"))
        self.config = config
        data, model = config.data, config.model
        self.images = UnitImages(
            data.name,
            (data.height, data.width),
            data.train_split,
            data.test_split,
            data.num_train,
            data.dir,
            data.enlarge,
        )
        self.assets = (self.images,)
        self.net = VAE(self.images.size, **model)
        if config.eval.marginal_images and model.latent_size >= 5:
            raise UserError(
                "the marginal likelihood is estimated for fewer than 5 latents (appendix D); set "
                "--config.eval.marginal_images=0, or a smaller model.latent_size"
            )
        # Duchi et al.: the sum of squares begins at 0, the released code adds 1e-8 to it.
        adagrad = optax.adagrad(config.learning_rate, initial_accumulator_value=0.0, eps=1e-8)
        self.learner = Learner(self.net, adagrad, max_grad_norm=config.max_grad_norm)
        self.source = self.images.stream(config.batch_size, config.seed)
        self.per_step = {"images": config.batch_size * self.evaluations_per_step}
        self.num_steps = config.total_images // self.per_step["images"]
        self.jit_bounds = jax.jit(self.test_bounds)
        self.jit_marginals = jax.jit(self.test_marginals)

    @property
    def evaluations_per_step(self) -> int:
        """How often a step takes the gradient of the likelihood of each image of its batch."""
        return self.config.num_samples

    def init(self, key: jax.Array) -> State:
        return State(self.learner.init(key, jnp.zeros((1, self.images.size))))

    # The model.

    def encode(self, variables: Any, x: jax.Array) -> Normal:
        """q_phi(z|x), a Gaussian with mean mu and variances sigma^2 (equation 9)."""
        return self.learner.apply(variables, x, method="encode")

    def decode(self, variables: Any, z: jax.Array) -> Bernoulli | Normal:
        """p_theta(x|z) (appendix C)."""
        return self.learner.apply(variables, z, method="decode")

    def log_joint(self, variables: Any, x: jax.Array, z: jax.Array) -> jax.Array:
        """log p_theta(x, z) = log p(z) + log p_theta(x|z), with p(z) = N(0, I)."""
        return log_standard_normal(z) + self.decode(variables, z).log_prob(x)

    def negative_log_prior(self, variables: Any) -> jax.Array:
        """-log p(theta) / N of the prior N(0, I) on the decoder, up to a constant (section 5)."""
        theta = variables["params"]["decoder"]
        return 0.5 * optax.tree.norm(theta, squared=True) / self.config.data.num_train

    # The bound.

    def bound(self, variables: Any, x: jax.Array, key: jax.Array, num_samples: int) -> jax.Array:
        """An unbiased estimate of the bound L(theta, phi; x) `[B]` of images x `[B, D]`."""
        q = self.encode(variables, x)
        z = q.sample(key, (num_samples,))  # z = mu + sigma * epsilon, [L, B, Z]
        if self.config.estimator == "A":  # equation 6
            log_ratio = self.log_joint(variables, x, z) - q.log_prob(z)
            return log_ratio.mean(0)
        # Equations 7 and 10: the divergence in closed form.
        return -q.kl_to_standard().sum(-1) + self.decode(variables, z).log_prob(x).mean(0)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Minus the bound of the mean image and log p(theta) / N (equation 8 over N)."""
        bound = self.bound(variables, batch["image"], key, self.config.num_samples).mean()
        return -bound + self.negative_log_prior(variables), Aux({"bound": bound})

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, key)
        return state.replace(learner=learner), metrics

    # Evaluation.

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        numbers: Numbers = {}
        for split in ("test", "train"):
            images = getattr(self.images, split)
            if self.has_encoder:
                found = self.bounds_of(state, images[: self.config.eval.num_images])
                numbers |= {f"{split}/{name}": value for name, value in found.items()}
            if self.config.eval.marginal_images:
                found = self.marginals_of(state, images[: self.config.eval.marginal_images])
                numbers |= {f"{split}/{name}": value for name, value in found.items()}
        if self.has_encoder:
            numbers["overfitting"] = numbers["train/bound"] - numbers["test/bound"]
        return numbers

    def bounds_of(self, state: State, images: np.ndarray) -> Numbers:
        """Means over images `[N, D]`, in nats, and how many latents are used."""
        bounds, kl = training.map_batches(
            self.jit_bounds,
            self.learner.eval_variables(state.learner),
            self.images.rows(images),
            self.config.eval.batch_size,
        )
        return {
            "bound": float(bounds.mean()),
            "kl": float(kl.sum(-1).mean()),
            "active_latents": float(np.sum(kl.mean(0) > 0.01)),
        }

    def marginals_of(self, state: State, images: np.ndarray) -> Numbers:
        """Means of both estimates of log p(x) over images `[N, D]` (appendix D)."""
        found = training.map_batches(
            self.jit_marginals,
            self.learner.eval_variables(state.learner),
            self.images.rows(images),
            self.config.eval.marginal_batch_size,
        )
        posterior, importance = float(found.posterior.mean()), float(found.importance.mean())
        return {
            "marginal": posterior,
            "marginal_by_importance": importance,
            "estimates_apart": abs(posterior - importance),
            "hmc_acceptance": float(found.acceptance.mean()),
        }

    def row_keys(self, rows: Any) -> jax.Array:
        """A key for every row, whatever batch it is in."""
        key = jax.random.key(self.config.seed)
        return jax.vmap(functools.partial(jax.random.fold_in, key))(rows["index"])

    def test_bounds(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """The bound `[B]` of rows, and the divergence of every latent `[B, Z]`."""

        def one(x: jax.Array, key: jax.Array) -> jax.Array:
            return self.bound(variables, x[None], key, self.config.eval.num_samples)[0]

        bounds = jax.vmap(one)(rows["image"], self.row_keys(rows))
        return bounds, self.encode(variables, rows["image"]).kl_to_standard()

    def test_marginals(self, variables: Any, rows: Any) -> marginal_likelihood.Estimates:
        """Both estimates of log p(x) `[B]` of rows; chains begin at the prior's mode."""

        def one(x: jax.Array, key: jax.Array) -> marginal_likelihood.Estimates:
            return marginal_likelihood.estimate(
                key,
                lambda z: self.log_joint(variables, x, z),
                jnp.zeros(self.config.model.latent_size),
                num_samples=self.config.eval.hmc_samples,
                num_leapfrog=self.config.eval.hmc_leapfrogs,
                burn_in=self.config.eval.hmc_burn_in,
                num_weights=self.config.eval.num_weights,
            )

        return jax.vmap(one)(rows["image"], self.row_keys(rows))

    # Pictures.

    def draw(self, state: State, z: jax.Array) -> np.ndarray:
        """Means of p(x|z) of latents `[N, Z]` as pictures `[N, H, W, 1]` in -1 to 1."""
        variables = self.learner.eval_variables(state.learner)
        return self.images.pictures(self.decode(variables, z).mean)

    def posterior(self, state: State, x: np.ndarray) -> Normal:
        """q(z|x) of images `[N, D]`."""
        return self.encode(self.learner.eval_variables(state.learner), jnp.asarray(x))


class ScoreFunction(AutoEncodingVB):
    """The same bound by the gradient f(z) grad log q(z|x) (section 2.2), without z's gradient."""

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Its value is no bound; its gradient is an unbiased one of it."""
        x = batch["image"]
        q = self.encode(variables, x)
        z = jax.lax.stop_gradient(q.sample(key, (self.config.num_samples,)))
        log_p, kl = self.decode(variables, z).log_prob(x), q.kl_to_standard().sum(-1)
        # The mean of the other images is a baseline that does not depend on this one's sample.
        others = (log_p.sum(1, keepdims=True) - log_p) / (len(x) - 1)
        signal = jax.lax.stop_gradient(log_p - others)
        surrogate = jnp.mean(log_p + signal * q.log_prob(z) - kl)
        bound = jnp.mean(log_p - kl)
        return -surrogate + self.negative_log_prior(variables), Aux({"bound": bound})


class WakeSleep(AutoEncodingVB):
    """Wake-sleep (Hinton et al., 1995) with the same encoder as recognition model (section 5)."""

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Wake: theta learns x from z ~ q(z|x). Sleep: phi learns z from dreams (x, z) ~ p."""
        x, keys = batch["image"], jax.random.split(key, 3)
        q = self.encode(variables, x)
        z = jax.lax.stop_gradient(q.sample(keys[0], (self.config.num_samples,)))
        wake = self.log_joint(variables, x, z).mean()

        dream_z = jax.random.normal(keys[1], (len(x), self.config.model.latent_size))
        p = self.decode(variables, dream_z)
        dream_x = p.sample(keys[2]) if self.config.dreams == "samples" else p.mean
        sleep = self.encode(variables, jax.lax.stop_gradient(dream_x)).log_prob(dream_z).mean()

        bound = wake - jax.lax.stop_gradient(q).log_prob(z).mean()
        return -wake - sleep + self.negative_log_prior(variables), Aux({"bound": bound})


class MonteCarloEM(AutoEncodingVB):
    """Monte Carlo EM: z by Hamiltonian dynamics on p(z|x), without an encoder (appendix E)."""

    has_encoder = False

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        if config.data.num_train % config.batch_size:
            raise UserError(
                "a batch of Monte Carlo EM has no image twice: data.num_train is a multiple of "
                f"batch_size, not {config.data.num_train} and {config.batch_size}"
            )

    @property
    def evaluations_per_step(self) -> int:
        return self.config.mcem.num_leapfrog + 1 + self.config.mcem.num_updates

    def init(self, key: jax.Array) -> State:
        z_key, key = jax.random.split(key)
        latent_size = self.config.model.latent_size
        z = jax.random.normal(z_key, (self.config.data.num_train, latent_size))
        learner = self.learner.init(key, z[:1], method="decode")
        return State(learner, {"z": z, "step_size": jnp.asarray(0.2)})

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One trajectory for every image of the batch, then some updates of theta with its end."""
        e_key, m_key = jax.random.split(key)
        variables = {"params": state.learner.params}
        rows, step_size = batch["index"], state.chains["step_size"]

        def e_step(x: jax.Array, z: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            log_density = functools.partial(self.log_joint, variables, x)
            return hmc_step(key, log_density, z, step_size, self.config.mcem.num_leapfrog)

        z, acceptance = jax.vmap(e_step)(
            batch["image"], state.chains["z"][rows], jax.random.split(e_key, len(rows))
        )
        target = self.config.mcem.acceptance
        step_size = adapted(step_size, acceptance.mean(), target=target, rate=0.5)

        def m_step(learner: LearnerState, key: jax.Array) -> tuple[LearnerState, Any]:
            return self.learner.minimize(learner, self.loss, {**batch, "z": z}, key)

        keys = jax.random.split(m_key, self.config.mcem.num_updates)
        learner, metrics = jax.lax.scan(m_step, state.learner, keys)
        chains = {"z": state.chains["z"].at[rows].set(z), "step_size": step_size}
        more = {"acceptance": acceptance.mean(), "step_size": step_size}
        return State(learner, chains), {**jax.tree.map(lambda m: m[-1], metrics), **more}

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Minus log p(x, z) of the mean image, z from its posterior, and log p(theta) / N."""
        log_joint = self.log_joint(variables, batch["image"], batch["z"]).mean()
        return -log_joint + self.negative_log_prior(variables), Aux({"log_joint": log_joint})


class FullVB(AutoEncodingVB):
    """Variational Bayes of the decoder's parameters too (appendix F).

    q_phi(theta) is a Gaussian with independent entries: "decoder" holds its means,
    "decoder_log_var" its log variances. A model is evaluated with the means.
    """

    def init(self, key: jax.Array) -> State:
        state = super().init(key).learner
        means = state.params["decoder"]
        log_vars = jax.tree.map(lambda m: jnp.full_like(m, self.config.full_vb.log_var), means)
        params = {**state.params, "decoder_log_var": log_vars}
        return State(state.replace(params=params, opt_state=self.learner.tx.init(params)))

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Minus the bound over N (equations 21 to 24), theta drawn anew for every image."""
        params, x = variables["params"], batch["image"]
        mu, log_var = params["decoder"], params["decoder_log_var"]

        def one(x: jax.Array, key: jax.Array) -> jax.Array:
            theta_key, z_key = jax.random.split(key)
            theta = optax.tree.random_like(theta_key, mu)  # zeta ~ N(0, I)
            theta = jax.tree.map(lambda m, s, zeta: m + jnp.exp(s / 2) * zeta, mu, log_var, theta)
            drawn = {"params": {"encoder": params["encoder"], "decoder": theta}}
            return self.bound(drawn, x[None], z_key, self.config.num_samples)[0]

        bound = jax.vmap(one)(x, jax.random.split(key, len(x))).mean()
        kl = sum(
            Normal(m, s).kl_to_standard().sum()
            for m, s in zip(jax.tree.leaves(mu), jax.tree.leaves(log_var), strict=True)
        )
        kl_per_image = kl / self.config.data.num_train
        return -bound + kl_per_image, Aux({"bound": bound, "kl_theta": kl_per_image})


METHODS = {
    "aevb": AutoEncodingVB,
    "score_function": ScoreFunction,
    "wake_sleep": WakeSleep,
    "mcem": MonteCarloEM,
    "full_vb": FullVB,
}


def build(config: ConfigDict) -> AutoEncodingVB:
    check_choice("method", config.method, METHODS)
    return METHODS[config.method](config)


def main(experiment: AutoEncodingVB, config: ConfigDict, workdir: Path) -> Numbers:
    state, numbers = training.run(experiment, config, workdir)
    z = jax.random.normal(jax.random.key(config.seed), (100, config.model.latent_size))
    grids = {"samples": (experiment.draw(state, z), 10)}
    if config.model.latent_size == 2:
        grids["manifold"] = (experiment.draw(state, manifold_latents(20)), 20)
    if experiment.has_encoder:
        x = experiment.images.examples
        seen = experiment.draw(state, experiment.posterior(state, x).mean)
        grids["reconstructions"] = (np.concatenate([experiment.images.pictures(x), seen]), 2)
    save_grids(workdir, grids)
    return {**numbers, **{f"required/{name}": value for name, value in config.required.items()}}


def demo(experiment: AutoEncodingVB, state: State) -> Demo:
    """Reconstructs an image, walks from one to another, and draws new ones."""
    examples = experiment.images.examples
    whats = ["reconstruction", "walk"] if experiment.has_encoder else []
    whats += ["samples", *["manifold"] * (experiment.config.model.latent_size == 2)]

    def reconstruction(first: int, number: int) -> tuple[np.ndarray, int]:
        q = experiment.posterior(state, examples[first : first + 1])
        z = q.sample(jax.random.key(number), (9,))[:, 0]
        given = experiment.images.pictures(examples[first])
        return np.concatenate([given, experiment.draw(state, q.mean), experiment.draw(state, z)]), 1

    def walk(first: int, last: int) -> tuple[np.ndarray, int]:
        mean = experiment.posterior(state, examples[[first, last]]).mean
        way = experiment.draw(state, latents.walk(mean[:1], mean[1:], 9)[0])
        ends = experiment.images.pictures(examples[[first, last]])
        return np.concatenate([ends[:1], way, ends[1:]]), 1

    def run(what: str, first: int, last: int, number: int) -> Mapping[str, Any]:
        if what not in whats:
            raise UserError(f"what is drawn is one of {', '.join(whats)}, not {what!r}")
        if what == "reconstruction":
            images, rows = reconstruction(first, number)
        elif what == "walk":
            images, rows = walk(first, last)
        elif what == "manifold":
            images, rows = experiment.draw(state, manifold_latents(20)), 20
        else:
            z = jax.random.normal(jax.random.key(number), (50, experiment.config.model.latent_size))
            images, rows = experiment.draw(state, z), 5
        magnify = max(1, 56 // images.shape[1])
        return {"picture": grid(images.repeat(magnify, 1).repeat(magnify, 2), rows)[..., 0]}

    most = len(examples) - 1
    return Demo(
        title="Walk through a latent space",
        says="An encoder has learned to write an image down as a few numbers, a decoder to draw it "
        "from them. Reconstruction: an image that it was not trained on, what the decoder makes of "
        "its numbers, and of nine draws around them. Walk: from one image to another. Samples: "
        "images that nobody drew.",
        inputs={
            "what": Choice("what is drawn", whats, whats[0]),
            "first": Number("the image, or where the walk begins", 0, 0, most),
            "last": Number("where the walk ends", min(5, most), 0, most),
            "number": Number("which draws: another number, other draws", 0, 0, 9999),
        },
        outputs={"picture": Image("what the decoder draws")},
        run=run,
        examples=[{"what": what} for what in whats],
    )


def claims(results: Results) -> list[Claim]:
    """Compares bounds of one model by several methods (figure 2), and log p(x) (figure 3)."""
    return [*bound_claims(results), *marginal_claims(results)]


def bound_claims(results: Results) -> list[Claim]:
    """Figure 2, section 2.2, and «superfluous latent variables did not result in overfitting»."""
    if not {"wake_sleep_10", "score_function_10", "aevb_10"} <= set(results.arms):
        return []
    bound = results["test/bound"]
    required = {name: results[f"required/{name}"]["aevb_10"][0] for name in REQUIRED}
    rows = [
        bound.above(
            f"aevb_{size}",
            f"wake_sleep_{size}",
            by=required["wake_sleep"],
            claim=f"test bound with {size} latents, nats: above wake-sleep",
            paper="AEVB is faster and ends higher for every number of latents (figure 2)",
        )
        for size in (3, 5, 10, 20, 200)
        if f"wake_sleep_{size}" in results.arms
    ]
    rows += [
        bound.above(
            "aevb_10",
            "score_function_10",
            by=required["score_function"],
            claim="test bound, nats: above the same by the score function's gradient",
            paper="its variance is very high and impractical (section 2.2)",
        ),
        results["overfitting"].at_most(
            "aevb_10",
            required["gap"],
            claim="training bound less test bound, nats",
            paper="close (figure 2)",
        ),
    ]
    if "aevb_200" in results.arms:
        rows += [
            bound.above(
                "aevb_200",
                "aevb_10",
                by=-required["wide"],
                claim="test bound, nats: 190 superfluous latents cost little",
                paper="no overfitting (section 5)",
            ),
            results["overfitting"].at_most(
                "aevb_200",
                required["gap"],
                claim="training bound less test bound with 200 latents, nats",
                paper="superfluous latents did not result in overfitting (section 5)",
            ),
        ]
    return rows


def marginal_claims(results: Results) -> list[Claim]:
    """Figure 3: log p(x) after equally many training samples evaluated."""
    rows: list[Claim] = []
    for size in ("", "_50000"):
        ours = f"marginal_aevb{size}"
        if ours not in results.arms:
            continue
        marginal = results["test/marginal_by_importance"]
        for rival, words in (("wake_sleep", "wake-sleep"), ("mcem", "Monte Carlo EM")):
            rows.append(
                marginal.above(
                    ours,
                    f"marginal_{rival}{size}",
                    by=results[f"required/marginal_{rival}"][ours][0],
                    claim=f"log p(x) of test images, nats: above {words}",
                    paper="AEVB converges faster and ends higher (figure 3)",
                )
            )
        rows.append(
            results["test/estimates_apart"].at_most(
                ours,
                0.5,
                claim="both estimates of log p(x) agree, nats",
                paper="good below 5 latents (appendix D)",
            )
        )
    return rows


if __name__ == "__main__":
    app.run()
