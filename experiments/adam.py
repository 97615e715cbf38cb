"""Adam: A Method for Stochastic Optimization (Kingma and Ba, 2014), arXiv:1412.6980.

Claim: steps by moving averages of the gradient and of its square, both corrected for their start at
zero, converge as fast as Nesterov's momentum where gradients are dense and as AdaGrad where they
are sparse, and faster than either in a deep network with dropout; without the correction, averages
over long times make the first steps so large that training does not recover.

An arm may train a whole grid of settings side by side, from the same first weights on the same
batches; its number is that of the setting with the lowest cost on validation examples.

Departures: SFO, a quasi-Newton method of the deterministic part of experiment 2, is left out. The
grids are coarser than the paper's «dense» ones, and decays of the rivals are fixed. The paper does
not print the weight of the L2 penalty, the share of inputs that dropout takes from images, the
initial weights, or what is added to variances in whitening; the configuration has ours.
"""

from __future__ import annotations

import research.early  # answers --help at once

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
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
from research.core.errors import check_choice
from research.data.images.unit import UnitImages
from research.data.pipeline import steps_of
from research.losses.softmax import softmax_loss
from research.models.dense_classifier import DenseClassifier
from research.models.vae import VAE
from research.optim.adam import TemporalAverage, adam, adamax, falling
from research.papers.adam.conv_classifier import ConvClassifier
from research.papers.adam.examples import PARTS, ImageExamples, WordExamples
from research.papers.adam.figures import draw_correction
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Choice, Demo, Image, Input, Number, Probabilities, Text
from research.training.writers import read_metrics
from research.viz.image_grids import grid

PAPER = Paper(
    title="Adam: A Method for Stochastic Optimization",
    authors="Diederik P. Kingma, Jimmy Ba",
    year=2014,
    arxiv="1412.6980",
    field="images",
    claim="steps by bias-corrected averages of the gradient and its square are as good as the best "
    "rival on dense and on sparse gradients, and need the correction",
    parameters={
        "logistic": 784 * 10 + 10,
        "words": 10_000 + 1,
        "multilayer": (784 * 1000 + 1000) + (1000 * 1000 + 1000) + (1000 * 10 + 10),
        # Maps of 32, 16, 8 and 4 pixels a side.
        "convolutional": (25 * 3 * 64 + 64)
        + (25 * 64 * 64 + 64)
        + (25 * 64 * 128 + 128)
        + (4 * 4 * 128 * 1000 + 1000)
        + (1000 * 10 + 10),
        "vae": (784 * 500 + 500) + 2 * (500 * 50 + 50) + (50 * 500 + 500) + (500 * 784 + 784),
    },
    curves=("logistic/cost", "words/cost", "multilayer/cost", "convolutional/cost", "vae/cost"),
    x="examples",
    method="vae",
)

OPTIMIZERS = ("adam", "adamax", "nesterov", "adagrad", "rmsprop", "adadelta")
HIGHEST = 1e6  # a higher cost, and that of a setting that has diverged, counts as this much

# Arms of higher and of lower cost, the factor between them at least, claim, paper.
COMPARISONS = (
    (
        "logistic_nesterov",
        "logistic_adam",
        0.8,
        "softmax regression: Adam's cost is close to that of Nesterov's momentum",
        "similar convergence (figure 1, left)",
    ),
    (
        "logistic_adagrad",
        "logistic_adam",
        1.05,
        "softmax regression: AdaGrad's cost is higher",
        "both converge faster than AdaGrad (figure 1, left)",
    ),
    (
        "logistic_adam",
        "logistic_adamax",
        0.67,
        "softmax regression: AdaMax's cost is close to Adam's",
        "no figure of it",
    ),
    (
        "words_adagrad",
        "words_adam",
        0.9,
        "bags of words with dropout: Adam's cost is close to AdaGrad's",
        "as fast as AdaGrad (figure 1, right)",
    ),
    (
        "words_nesterov",
        "words_adam",
        1.05,
        "bags of words with dropout: the cost of Nesterov's momentum is higher",
        "by a large margin (figure 1, right)",
    ),
    (
        "multilayer_nesterov",
        "multilayer_adam",
        1.05,
        "network with dropout: the cost of Nesterov's momentum is higher",
        "Adam converges faster than the others (figure 2)",
    ),
    (
        "multilayer_adagrad",
        "multilayer_adam",
        1.5,
        "network with dropout: AdaGrad's cost is higher",
        "figure 2",
    ),
    (
        "multilayer_rmsprop",
        "multilayer_adam",
        1.05,
        "network with dropout: RMSProp's cost is higher",
        "figure 2",
    ),
    (
        "multilayer_adadelta",
        "multilayer_adam",
        1.05,
        "network with dropout: AdaDelta's cost is higher",
        "figure 2",
    ),
    (
        "convolutional_nesterov",
        "convolutional_adam",
        0.8,
        "convolutional network: Adam's cost is close to that of Nesterov's momentum",
        "close, Adam a little better (figure 3)",
    ),
    (
        "convolutional_adagrad",
        "convolutional_adam",
        1.05,
        "convolutional network: AdaGrad's cost is higher",
        "much slower (figure 3)",
    ),
)
CORRECTION = ("uncorrected", "corrected")

Numbers = dict[str, float]


class Setting(NamedTuple):
    """One point of a grid; of all of them, arrays `[R]`.

    Attributes:
      learning_rate: alpha.
      power: alpha_t = alpha / t^power.
      b1, b2: decays of Adam's averages.
      corrected: 1 where these are corrected for their start at 0, else 0.
    """

    learning_rate: Any
    power: Any
    b1: Any
    b2: Any
    corrected: Any


class State(flax.struct.PyTreeNode):
    """What a step changes; every leaf is `[R, ...]`, an entry for each setting.

    Attributes:
      learner: parameters and their optimizer.
      recent: moving average of the loss, by which a demo chooses.
      diverged: whether a loss or a parameter was not finite; training stays where it was before.
      average: temporal averages of the parameters, or None.
    """

    learner: LearnerState
    recent: jax.Array
    diverged: jax.Array
    average: TemporalAverage | None = None


class SideBySide(Experiment):
    """One network by one optimizer, at all settings of a grid at once."""

    def __init__(self, config: ConfigDict, model: nn.Module, num_train: int):
        self.config = config
        check_choice("optimizer.name", config.optimizer.name, OPTIMIZERS)
        points = list(itertools.product(*(config.grid[name] for name in Setting._fields)))
        if not points:
            raise UserError("every key of config.grid has one value or more")
        self.settings = Setting(*(np.array(x, np.float32) for x in zip(*points, strict=True)))
        self.num_settings = len(self.settings.learning_rate)
        first = Setting(*(float(x[0]) for x in self.settings))
        self.learner = Learner(model, self.optimizer(first), max_grad_norm=config.max_grad_norm)
        epoch_steps = steps_of(1, num_train, config.batch_size, "down")
        self.num_steps = config.num_epochs * epoch_steps
        self.per_step = {"examples": config.batch_size}
        self.jit_costs = jax.jit(self.all_costs)

    def optimizer(self, setting: Setting) -> optax.GradientTransformation:
        """The update, with alpha_t = alpha / t^power for every optimizer.

        Adam (algorithm 1), with g_t the gradient of the loss at theta_{t-1}, t from 1:

            m_t = b1 m_{t-1} + (1 - b1) g_t           m_hat = m_t / (1 - b1^t)
            v_t = b2 v_{t-1} + (1 - b2) g_t^2         v_hat = v_t / (1 - b2^t)
            theta_t = theta_{t-1} - alpha_t m_hat / (sqrt(v_hat) + eps)

        Without correction m_hat = m_t and v_hat = v_t. AdaMax (algorithm 2):

            u_t = max(b2 u_{t-1}, |g_t|)
            theta_t = theta_{t-1} - alpha_t / (1 - b1^t) m_t / u_t
        """
        o = self.config.optimizer
        rate = falling(setting.learning_rate, setting.power)
        match o.name:
            case "adam":
                return adam(
                    rate,
                    setting.b1,
                    setting.b2,
                    o.eps,
                    bias_correction=setting.corrected,
                    b1_decay=o.b1_decay,
                )
            case "adamax":
                return adamax(rate, setting.b1, setting.b2)
            case "nesterov":
                return optax.sgd(rate, o.momentum, nesterov=True)
            case "adagrad":  # Duchi et al.: the sum of squares begins at 0
                return optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-8)
            case "rmsprop":
                return optax.rmsprop(rate, o.rms_decay, eps=1e-8, momentum=o.momentum)
            case _:
                return optax.adadelta(rate, rho=o.rho, eps=1e-6)

    def init_learner(self, key: jax.Array) -> LearnerState:
        """The state of one setting."""
        raise NotImplementedError

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """f_t(theta), what is minimised."""
        raise NotImplementedError

    def costs(self, variables: Any, rows: Any) -> dict[str, jax.Array]:
        """What is reported of rows, `[B]` each, without noise that only training has."""
        raise NotImplementedError

    def init(self, key: jax.Array) -> State:
        """The same first weights for every setting."""
        one = self.init_learner(key)
        learner = jax.tree.map(lambda x: jnp.broadcast_to(x, (self.num_settings, *x.shape)), one)
        average = None
        if self.config.average_decay:
            average = jax.vmap(TemporalAverage.start)(learner.params)
        recent, diverged = jnp.zeros(self.num_settings), jnp.zeros(self.num_settings, bool)
        return State(learner, recent, diverged, average)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One step at every setting; the batch and its noise are the same for all."""

        def one(learner: LearnerState, setting: Setting) -> tuple[LearnerState, Any, jax.Array]:
            optimizer = dataclasses.replace(self.learner, tx=self.optimizer(setting))
            new, metrics = optimizer.minimize(learner, self.loss, batch, key)
            # Also where a square has become infinite that the next step would divide by.
            finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(optax.tree.norm(new.opt_state))
            finite &= jnp.isfinite(optax.tree.norm(new.params))
            kept = jax.tree.map(functools.partial(jnp.where, finite), new, learner)
            return kept, metrics["loss"], ~finite

        learner, losses, diverged = jax.vmap(one)(state.learner, self.settings)
        diverged |= state.diverged
        average = state.average
        if average is not None:
            # bar_t = decay bar_{t-1} + (1 - decay) theta_t (section 7.2).
            add = functools.partial(TemporalAverage.add, decay=self.config.average_decay)
            average = jax.vmap(add)(average, learner.params)
        losses = jnp.where(diverged, HIGHEST, jnp.minimum(losses, HIGHEST))
        recent = jnp.where(t == 0, losses, 0.95 * state.recent + 0.05 * losses)
        return State(learner, recent, diverged, average), {"loss": losses.min()}

    # Evaluation.

    def all_costs(self, variables: Any, rows: Any) -> dict[str, jax.Array]:
        """`costs` at all settings, `[B, R]`."""
        return jax.vmap(self.costs, in_axes=(0, None), out_axes=1)(variables, rows)

    def mean_costs(
        self, state: State, variables: Any, rows: Sequence[Any]
    ) -> dict[str, np.ndarray]:
        """Means over rows, `[R]`; of settings that have diverged, `HIGHEST`."""
        found = training.map_batches(self.jit_costs, variables, rows, self.config.eval.batch_size)
        lost = np.asarray(state.diverged)
        means = {name: values.mean(0, dtype=np.float64) for name, values in found.items()}
        return {name: np.where(lost, HIGHEST, np.fmin(x, HIGHEST)) for name, x in means.items()}

    def at(self, state: State, index: int) -> Any:
        """The variables of one setting."""
        variables = self.learner.eval_variables(state.learner)
        return jax.tree.map(lambda x: x[index], variables)

    def setting_name(self, index: int) -> str:
        """What tells a setting from the others of its grid."""
        labels = ("rate", "power", "b1", "b2", "corrected")
        varied = [len(self.config.grid[name]) > 1 for name in Setting._fields]
        parts = [
            f"{label}_{values[index]:g}"
            for label, values, varies in zip(labels, self.settings, varied, strict=True)
            if varies or label == "rate"
        ]
        return "_".join(parts)

    def best_first(self, state: State) -> list[int]:
        """Settings in the order of their loss of late."""
        return np.argsort(np.asarray(state.recent), kind="stable").tolist()


class Classification(SideBySide):
    """Experiments 1 to 3: logistic regression of pixels or of words, and two networks."""

    def __init__(self, config: ConfigDict):
        data, model = config.data, config.model
        splits = (data.train_split, data.validation_split, data.test_split)
        self.examples: WordExamples | ImageExamples
        if config.problem == "words":
            self.examples = WordExamples(
                data.name,
                data.dir,
                splits,
                num_words=data.num_words,
                num_train=data.num_train,
                num_classes=data.num_classes,
            )
        else:
            self.examples = ImageExamples(
                data.name,
                data.dir,
                splits,
                size=data.image_size,
                channels=data.channels,
                num_train=data.num_train,
                num_classes=data.num_classes,
                scale=data.scale,
                whitening=data.whitening,
            )
        self.assets = (self.examples,)
        layers: dict[str, Any] = {
            "dropout": model.dropout,
            "input_dropout": model.input_dropout,
            "dtype": jnp.dtype(config.compute_dtype),
        }
        network: nn.Module = DenseClassifier(data.num_classes, model.widths, **layers)
        if config.problem == "convolutional":
            network = ConvClassifier(data.num_classes, model.channels, model.widths, **layers)
        super().__init__(config, network, data.num_train)
        self.source = self.examples.stream(config.batch_size, config.seed)

    def init_learner(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.examples.shape)))

    def logits(self, variables: Any, inputs: jax.Array, **options: Any) -> jax.Array:
        """`[B, K]` of inputs `[B, ...]`, float32 pixels or uint8 words."""
        return self.learner.apply(variables, inputs.astype(jnp.float32), **options)[0]

    def penalty(self, variables: Any) -> jax.Array:
        """L2 of the weights, biases not among them."""
        kernels = [p for p in jax.tree.leaves(variables["params"]) if p.ndim > 1]
        return 0.5 * self.config.l2_penalty * optax.tree.norm(kernels, squared=True)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """Cross-entropy, with dropout, and the penalty."""
        logits = self.logits(variables, batch["input"], train=True, rngs={"dropout": key})
        loss, _ = softmax_loss(logits, batch["label"])
        return loss + self.penalty(variables), Aux()

    def costs(self, variables: Any, rows: Any) -> dict[str, jax.Array]:
        logits, labels = self.logits(variables, rows["input"]), rows["label"]
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        wrong = 100.0 * (logits.argmax(-1) != labels)
        return {"cost": nats + self.penalty(variables), "error": wrong}

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """Costs at the setting that is best on the validation part, and the training cost at all.

        Of averaged parameters the best is chosen among constant rates, as that of the last ones
        that it is compared with: a rate that falls averages by itself.
        """
        problem = self.config.problem
        found = self.judged(state, self.learner.eval_variables(state.learner))
        best = int(found["validation"]["cost"].argmin())
        numbers = {
            f"{problem}/cost": found["train"]["cost"][best],
            f"{problem}/validation_cost": found["validation"]["cost"][best],
            f"{problem}/test_error": found["test"]["error"][best],
            "chosen/learning_rate": self.settings.learning_rate[best],
            "chosen/power": self.settings.power[best],
        }
        for i, cost in enumerate(found["train"]["cost"]):
            numbers[f"cost_at/{self.setting_name(i)}"] = cost
        if state.average is not None:
            params = jax.vmap(lambda a: a.params(self.config.average_decay))(state.average)
            averaged = self.judged(state, {"params": params})
            constant = self.settings.power == 0
            for name, judged in (("last", found), ("averaged", averaged)):
                validation = np.where(constant, judged["validation"]["cost"], np.inf)
                chosen = int(validation.argmin())
                numbers[f"constant_rate/{name}_cost"] = judged["train"]["cost"][chosen]
        return {name: float(value) for name, value in numbers.items()}

    def judged(self, state: State, variables: Any) -> dict[str, dict[str, np.ndarray]]:
        """Part of the data -> "cost" and "error" `[R]`."""
        rows = self.examples.rows
        return {part: self.mean_costs(state, variables, rows(part)) for part in PARTS}


class AutoEncoding(SideBySide):
    """Experiment 4: a variational auto-encoder, with bias correction and without."""

    def __init__(self, config: ConfigDict):
        data, vae = config.data, config.vae
        self.images = UnitImages(
            data.name,
            (data.image_size, data.image_size),
            data.train_split,
            data.test_split,
            data.num_train,
            data.dir,
            data.enlarge,
        )
        self.assets = (self.images,)
        network = VAE(
            self.images.size,
            vae.latent_size,
            vae.hidden,
            activation=vae.activation,
            init_std=vae.init_std,
        )
        super().__init__(config, network, data.num_train)
        self.source = self.images.stream(config.batch_size, config.seed)

    def init_learner(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, self.images.size)))

    def bound(self, variables: Any, x: jax.Array, key: jax.Array) -> jax.Array:
        """The bound of log p(x) `[B]` (Kingma and Welling 2013, equation 10, one sample)."""
        q = self.learner.apply(variables, x, method="encode")
        p = self.learner.apply(variables, q.sample(key), method="decode")
        return -q.kl_to_standard().sum(-1) + p.log_prob(x)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        return -self.bound(variables, batch["image"], key).mean(), Aux()

    def costs(self, variables: Any, rows: Any) -> dict[str, jax.Array]:
        def one(x: jax.Array, index: jax.Array) -> jax.Array:
            key = jax.random.fold_in(jax.random.key(self.config.seed), index)
            return -self.bound(variables, x[None], key)[0]

        return {"cost": jax.vmap(one)(rows["image"], rows["index"])}

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        """Minus the bound of training images at all settings, in nats."""
        variables = self.learner.eval_variables(state.learner)
        rows = self.images.rows(self.images.train[: self.config.eval.num_images])
        costs = self.mean_costs(state, variables, rows)["cost"]
        numbers = {"vae/cost": float(costs.min())}
        return numbers | {f"vae/{self.cell(i)}": float(cost) for i, cost in enumerate(costs)}

    def cell(self, index: int) -> str:
        """A setting by name, such as "corrected_b1_0.9_b2_0.999_rate_0.01"."""
        s = Setting(*(x[index] for x in self.settings))
        how = "corrected" if s.corrected else "uncorrected"
        return f"{how}_b1_{s.b1:g}_b2_{s.b2:g}_rate_{s.learning_rate:g}"

    def by_rate(self, numbers: Mapping[str, Any]) -> dict[tuple[float, float, bool], dict]:
        """Numbers of an evaluation as `draw_correction` takes them."""
        losses: dict[tuple[float, float, bool], dict] = {}
        for i in range(self.num_settings):
            rate, _, b1, b2, corrected = (float(f"{x[i]:g}") for x in self.settings)
            losses.setdefault((b1, b2, bool(corrected)), {})[rate] = numbers[f"vae/{self.cell(i)}"]
        return losses

    def excess(self, numbers: Mapping[str, Any]) -> Numbers:
        """How much correction costs where it costs most, and the best loss of both, in nats."""
        losses = self.by_rate(numbers)
        gaps = [
            losses[b1, b2, True][rate] - cost
            for (b1, b2, corrected), costs in losses.items()
            if not corrected and (b1, b2, True) in losses
            for rate, cost in costs.items()
        ]
        numbers = {}
        for corrected, name in ((True, "best_corrected"), (False, "best_uncorrected")):
            found = [min(x.values()) for key, x in losses.items() if key[2] == corrected]
            if found:
                numbers[f"vae/{name}"] = min(found)
        return numbers | ({"vae/worst_excess": max(gaps)} if gaps else {})


PROBLEMS = {
    "logistic": Classification,
    "words": Classification,
    "multilayer": Classification,
    "convolutional": Classification,
    "vae": AutoEncoding,
}


def build(config: ConfigDict) -> SideBySide:
    check_choice("problem", config.problem, PROBLEMS)
    return PROBLEMS[config.problem](config)


def main(experiment: SideBySide, config: ConfigDict, workdir: Path) -> Numbers:
    _, numbers = training.run(experiment, config, workdir)
    if not isinstance(experiment, AutoEncoding):
        return dict(numbers)
    # The first evaluation is early in training (figure 4, left), the last at its end (right).
    first = next(r for r in read_metrics(workdir) if "vae/cost" in r)
    epochs = first["examples"] / config.data.num_train
    columns = {
        f"after {epochs:.3g} epochs": experiment.by_rate(first),
        f"after {config.num_epochs} epochs": experiment.by_rate(numbers),
    }
    if jax.process_index() == 0:
        draw_correction(workdir / "figure_4.png", columns, config.eval.highest)
    early = {k: float(v) for k, v in first.items() if k.startswith("vae/")}
    early |= experiment.excess(first)
    early = {k.replace("vae/", "early/"): value for k, value in early.items()}
    return {**numbers, **experiment.excess(numbers), **early}


def demo(experiment: SideBySide, state: State) -> Demo:
    """What a network has learned at each setting of its optimizer."""
    if isinstance(experiment, AutoEncoding):
        return correction_demo(experiment, state)
    assert isinstance(experiment, Classification)
    examples = experiment.examples
    names = {experiment.setting_name(i): i for i in experiment.best_first(state)}

    def classes(inputs: np.ndarray, setting: str) -> Mapping[str, Any]:
        if setting not in names:
            raise UserError(f"setting is one of {', '.join(names)}, not {setting!r}")
        logits = experiment.logits(experiment.at(state, names[setting]), jnp.asarray(inputs))
        shares = np.asarray(jax.nn.softmax(logits[0]), np.float64)
        best = np.argsort(-shares, kind="stable")[:5]
        return {"classes": {examples.class_names[i]: float(shares[i]) for i in best}}

    def read(text: str, setting: str) -> Mapping[str, Any]:
        assert isinstance(examples, WordExamples)
        words = examples.words(text, *examples.shape)
        if not words.any():
            raise UserError("none of these words is one that the network knows")
        return classes(words[None], setting)

    def look(picture: np.ndarray, setting: str) -> Mapping[str, Any]:
        assert isinstance(examples, ImageExamples)
        return classes(examples.inputs([examples.kept.record(picture)]), setting)

    choice = Choice("setting, that of the lowest loss first", list(names), next(iter(names)))
    inputs: dict[str, Input]
    tried: list[dict[str, Any]]
    if isinstance(examples, WordExamples):
        inputs = {"text": Text("a text", examples.texts[0], lines=8), "setting": choice}
        tried = [{"text": text} for text in examples.texts]
    else:
        pictures = [example.picture for example in examples.kept.examples]
        inputs = {"picture": Image("a picture", pictures[0]), "setting": choice}
        tried = [{"picture": picture} for picture in pictures]
    return Demo(
        title=f"What {experiment.config.optimizer.name} learns at each rate",
        says="One network was trained from the same first weights on the same batches at each "
        "setting of its optimizer.",
        inputs=inputs,
        outputs={"classes": Probabilities("the five likeliest classes")},
        run=read if isinstance(examples, WordExamples) else look,
        examples=tried,
    )


def correction_demo(experiment: AutoEncoding, state: State) -> Demo:
    """The same images by auto-encoders trained with bias correction and without."""
    examples = experiment.images.examples
    pairs: dict[str, dict[str, int]] = {}
    for i in range(experiment.num_settings):
        how, _, where = experiment.cell(i).partition("_")
        pairs.setdefault(where, {})[how] = i
    # First where the two differ most.
    recent = np.asarray(state.recent)
    gaps = {where: float(np.ptp(recent[list(pair.values())])) for where, pair in pairs.items()}
    order = sorted(pairs, key=lambda where: -gaps[where])

    def run(setting: str, number: int) -> Mapping[str, Any]:
        if setting not in pairs:
            raise UserError(f"setting is one of {', '.join(pairs)}, not {setting!r}")
        rows = [experiment.images.pictures(examples)]
        for _, i in sorted(pairs[setting].items()):  # "corrected" before "uncorrected"
            variables = experiment.at(state, i)
            q = experiment.learner.apply(variables, jnp.asarray(examples), method="encode")
            z = q.sample(jax.random.key(number))
            p = experiment.learner.apply(variables, z, method="decode")
            rows.append(experiment.images.pictures(np.nan_to_num(p.mean)))
        canvas = grid(np.concatenate(rows), len(rows))[..., 0]
        return {"picture": canvas.repeat(4, 0).repeat(4, 1)}

    return Demo(
        title="What bias correction is worth",
        says="First row: images that the auto-encoders were not trained on. Below: what one that "
        "was trained with corrected averages makes of them, and one without.",
        inputs={
            "setting": Choice("decays and rate of Adam", order, order[0]),
            "number": Number("which draw of the latents", 0, 0, 9999),
        },
        outputs={"picture": Image("images, corrected, not corrected")},
        run=run,
        examples=[{"setting": setting} for setting in order],
    )


def claims(results: Results) -> list[Claim]:
    """Compares costs on training examples, each optimizer at its best setting."""
    rows = correction_claims(results) if "vae" in results.arms else []
    return [*rows, *convergence_claims(results)]


def correction_claims(results: Results) -> list[Claim]:
    """Figure 4, at the end of training; losses are in nats."""

    def pair(b1: str, b2: str) -> Scores:
        names = {how: f"vae/{how}_b1_{b1}_b2_{b2}_rate_0.01" for how in CORRECTION}
        return results.side_by_side("vae", **names)

    unstable = "without it training is unstable where b2 is near 1 (figure 4)"
    best = {how: f"vae/best_{how}" for how in CORRECTION}
    return [
        pair("0", "0.9999").above(
            "uncorrected",
            "corrected",
            by=10.0,
            claim="auto-encoder by Adam, b1 0, b2 0.9999, alpha 0.01: loss without correction is "
            "higher",
            paper=unstable,
        ),
        pair("0.9", "0.9999").above(
            "uncorrected", "corrected", by=10.0, claim="with b1 0.9", paper=unstable
        ),
        pair("0.9", "0.99").close(
            "uncorrected",
            "corrected",
            within=1.0,
            claim="with b1 0.9 and b2 0.99 there is hardly a difference",
            paper="figure 4",
        ),
        results.side_by_side("vae", **best).above(
            "uncorrected",
            "corrected",
            claim="loss at the best setting of the grid",
            paper="the best results are those of small 1 - b2 and bias correction",
        ),
        results["vae/worst_excess"].at_most(
            "vae",
            1.0,
            claim="what correction costs in loss at that setting of the grid where it costs most",
            paper="equal or better, whatever the setting (section 6.4)",
        ),
    ]


def convergence_claims(results: Results) -> list[Claim]:
    """Figures 1 to 3: costs on training examples at the end, each optimizer at its best setting."""
    return [
        results[f"{lower.partition('_')[0]}/cost"].ratio(
            higher,
            lower,
            factor,
            claim=claim,
            paper=paper,
            rule="seed by seed",
            pairs="first weights, batches and dropout",
            digits=4,
        )
        for higher, lower, factor, claim, paper in COMPARISONS
        if {higher, lower} <= set(results.arms)
    ]


if __name__ == "__main__":
    app.run()
