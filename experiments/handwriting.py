"""Generating Sequences With Recurrent Neural Networks (Graves, 2013), arXiv:1308.0850, sections 4
and 5: handwriting.

Claim: a recurrent network that predicts the next point of a pen as a mixture of densities writes;
one that also slides a soft window over a text writes that text. What it writes gets more legible,
and less varied, when samples are biased towards the likely, and it goes on in the hand of a line
that it was primed with.

Departures: IAM-OnDB asks for a registration, so that the default has procedural pen strokes, short
lines of few letters; `:own` reads files of lines. Weights start as is usual for LSTMs, with open
forget gates, and the window moves by 0.05 symbols a point at first. The default has Adam and a
floor of the deviations; `:paper` has the paper's RMSProp and none. Weight noise learns its
deviations by the gradient through the sample (Kingma and Welling, 2013), where Graves (2011) has
squared gradients for the curvature.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, UserError
from research.data.in_memory import ArrayBatches
from research.losses.distributions import Bernoulli
from research.losses.mixture_density import PlanarMixture
from research.losses.weight_noise import NoisyWeights, WeightPosterior
from research.nn.soft_window import has_left
from research.optim.centered_rmsprop import centered_rmsprop
from research.papers.handwriting import figures, measures
from research.papers.handwriting.lines import Line, Lines
from research.papers.handwriting.network import HandwritingNetwork, Reading
from research.report.claims import Claim, Paper, Results
from research.report.demo import Choice, Demo, Drawing, Image, Number, Text
from research.viz import pen_strokes

PAPER = Paper(
    title="Generating Sequences With Recurrent Neural Networks",
    authors="Alex Graves",
    year=2013,
    arxiv="1308.0850",
    field="generative models",
    claim="a recurrent network with a soft window over a text writes the text by hand",
    parameters={
        "prediction3x400": 3_368_121,
        "prediction1x900": 3_366_121,
        "synthesis3x400": 3_653_751,  # 57 symbols, 10 bumps
    },
    curves=("valid/nats",),
    x="lines",
    method="synthesis",
)

NOBODY = "nobody"  # a hand that the demo does not prime


class Written(NamedTuple):
    """Samples.

    Attributes:
      points: `[B, T, 3]`.
      live: `[B, T]` bool, False after the end of a line.
      weights: phi after each point `[B, T, U + 1]`.
      variance: half the squared distance to a second sample of the same offset `[B, T]`, the
        expectation of which is the variance.
    """

    points: jax.Array
    live: jax.Array
    weights: jax.Array
    variance: jax.Array


class Handwriting(Experiment):
    """The prediction network, or the synthesis network where the window has bumps."""

    soft_rules = ((r"(input/kernel|output/kernel|recurrent|from_window)$", P("fsdp", "model")),)

    def __init__(self, config: ConfigDict):
        self.config, data = config, config.data
        self.lines = Lines(
            data.name,
            data.dir,
            data.letters,
            data.letters_per_line,
            {"train": data.train_lines, "validation": data.valid_lines, "test": data.test_lines},
            data.num_writers,
            data.num_new_writers,
            data.max_points,
            data.max_symbols,
        )
        self.assets = (self.lines,)
        model = dict(config.model)
        self.std_floor = model.pop("std_floor")
        # The loss is the mean of a batch of lines, the paper's bounds are of the loss of a line.
        clips = {name: model.pop(name) / config.batch_size for name in ("lstm_clip", "output_clip")}
        self.network = HandwritingNetwork(data.num_symbols, **model, **clips)
        self.num_steps = config.num_steps
        self.learner = self.make_learner(self.network, config.optimizer.learning_rate)
        row = {
            "points": jax.ShapeDtypeStruct((data.max_points, 3), np.float32),
            "length": jax.ShapeDtypeStruct((), np.int32),
            "text": jax.ShapeDtypeStruct((data.max_symbols,), np.int32),
            "symbols": jax.ShapeDtypeStruct((), np.int32),
        }
        self.source = ArrayBatches(self.train_arrays, row, config.batch_size, config.seed)
        self.per_step = {"lines": config.batch_size}
        self.jit_nats = jax.jit(self.nats)
        self.jit_write = jax.jit(self.write, static_argnames="steps")
        self.jit_read = jax.jit(self.read)

    def make_learner(self, model: nn.Module, learning_rate: float) -> Learner:
        """A model with the optimizer of the configuration."""
        setting = self.config.optimizer
        rate: Any = learning_rate
        if setting.cosine:
            rate = optax.cosine_decay_schedule(learning_rate, self.num_steps)
        if setting.name == "adam":
            tx = optax.adam(rate)
        else:  # equations 38 to 45
            tx = optax.chain(
                centered_rmsprop(1.0, 0.95, 0.95, 1e-4),
                optax.trace(0.9),
                optax.scale_by_learning_rate(rate, flip_sign=False),
            )
        return Learner(model, tx, max_grad_norm=self.config.max_grad_norm)

    def train_arrays(self) -> tuple[dict[str, np.ndarray], str]:
        """The lines to learn from, and where they come from.

        Raises:
          UserError: they have more letters than the network.
        """
        arrays = self.lines.arrays("train")
        known, wanted = len(self.lines.symbols), self.config.data.num_symbols
        if known != wanted:
            raise UserError(
                f"{self.lines.origin}: {known} letters, but data.num_symbols={wanted}; set it to "
                f"{known}"
            )
        for split in ("validation", "test"):  # what is wrong with them is noticed now
            self.lines.arrays(split)
        return arrays, self.lines.origin

    def init(self, key):
        return {"learner": self.learner.init(key, *self.example)}

    def initial_params(self, key: jax.Array) -> Any:
        return self.network.init(key, *self.example)["params"]

    @property
    def example(self) -> tuple[jax.Array, jax.Array]:
        """A point and a letter."""
        return jnp.zeros((1, 1, 3)), jnp.zeros((1, 1), jnp.int32)

    @property
    def demo_text(self) -> str:
        return self.config.demo_text or self.lines.primes[0].text

    def variables(self, state: Any) -> Any:
        """What a trained network writes with."""
        return self.learner.eval_variables(state["learner"])

    # The model.

    def run_network(self, variables: Any, *inputs: Any) -> Reading:
        return cast(Reading, self.network.apply(variables, *inputs))

    def predict(
        self, outputs: jax.Array, bias: float | jax.Array = 0.0
    ) -> tuple[PlanarMixture, Bernoulli]:
        """Pr(x_{t+1} | y_t) from y^_t [..., 1 + 6 M] (equations 17 to 22, 61 and 62)."""
        mixture = PlanarMixture.from_outputs(outputs[..., 1:], self.std_floor)
        # e = 1 / (1 + exp(e^)): a large e^ says that the stroke goes on.
        return mixture.biased(bias), Bernoulli(-outputs[..., :1])

    def read(self, variables: Any, rows: Any) -> tuple[Reading, jax.Array]:
        """Reads lines; the first input is the null vector. Also log Pr(x_{t+1} | y_t) [B, T]."""
        points = rows["points"]
        inputs = jnp.concatenate([jnp.zeros_like(points[:, :1]), points[:, :-1]], axis=1)
        reading = self.run_network(variables, inputs, rows["text"])
        mixture, pen = self.predict(reading.outputs)
        log_p = mixture.log_prob(points[..., :2]) + pen.log_prob(points[..., 2:])
        return reading, log_p

    def loss(self, variables, batch, key):
        """-log Pr(x) = -sum_t log Pr(x_{t+1} | y_t), the mean over lines (equation 26).

        `batch`: "points" [B, T, 3], "length" [B], "text" [B, U] int32.
        """
        _, log_p = self.read(variables, batch)
        there = jnp.arange(log_p.shape[1]) < batch["length"][:, None]
        nats = -jnp.sum(jnp.where(there, log_p, 0.0), axis=1)
        return jnp.mean(nats), Aux({"nats": jnp.sum(nats) / jnp.sum(there)})

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    # Writing.

    def write(self, variables: Any, rows: Any, *, steps: int) -> Written:
        """Samples lines point by point (sections 5.3 to 5.5).

        Args:
          variables: of the network.
          rows: "text" [B, U] and "symbols" [B]; "bias" b [B]; what goes before, "prefix" [B, P, 3]
            with "prefix_length" [B]: the null vector, and after it the points of a line whose text
            begins "text" where the sample is primed with it; "index" [B] decides the noise.
          steps: points, at most.
        """
        text, bias = rows["text"], rows["bias"]
        begun = self.run_network(variables, rows["prefix"], text, None, rows["prefix_length"])
        last = rows["prefix_length"][:, None, None] - 1
        outputs = jnp.take_along_axis(begun.outputs, last, axis=1)[:, 0]
        fold = functools.partial(jax.random.fold_in, jax.random.key(self.config.seed))
        row_keys = jax.vmap(fold)(rows["index"])

        def body(carry: Any, t: jax.Array) -> tuple[Any, Any]:
            state, outputs, ended = carry
            mixture, pen = self.predict(outputs, bias)
            keys = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, t), 3))(row_keys)
            offset, again = (jax.vmap(PlanarMixture.sample)(mixture, keys[:, i]) for i in (0, 1))
            end = jax.vmap(Bernoulli.sample)(pen, keys[:, 2])
            point = jnp.concatenate([offset, end], axis=-1)
            found = self.run_network(variables, point[:, None], text, state)
            weights = found.weights[:, 0]
            variance = 0.5 * jnp.sum((offset - again) ** 2, axis=-1)
            after = ended
            if self.network.bumps:
                after = ended | has_left(weights, rows["symbols"])
            carry = found.state, found.outputs[:, 0], after
            return carry, Written(point, ~ended, weights, variance)

        ended = jnp.zeros(len(text), bool)
        _, written = jax.lax.scan(body, (begun.state, outputs, ended), jnp.arange(steps))
        return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), written)

    def row_to_write(
        self, text: str, bias: float, index: int, prime: Line | None = None
    ) -> dict[str, Any]:
        """What `write` is given to write a text, in the hand of a line or of nobody."""
        lines, data = self.lines, self.config.data
        before = prime.text if prime else ""
        numbers = np.full(2 * data.max_symbols, -1, np.int32)
        numbers[: len(before) + len(text)] = [
            *map(lines.symbols.index, before),
            *lines.encode(text),
        ]
        prefix = np.zeros((1 + data.max_points, 3), np.float32)
        count = 1
        if prime:
            count += len(prime.offsets)
            prefix[1:count] = lines.normal(prime.offsets)
        return {
            "text": numbers,
            "symbols": np.int32(len(before) + len(text)),
            "bias": np.float32(bias),
            "prefix": prefix,
            "prefix_length": np.int32(count),
            "index": np.int32(index),
        }

    def written(self, state: Any, rows: list[dict[str, Any]], size: int = 0) -> Written:
        """`write` of rows, `size` at a time, as NumPy arrays; twice as many points as a line has
        at most."""
        write = functools.partial(self.jit_write, steps=2 * self.config.data.max_points)
        size = size or self.config.eval.batch_size
        return training.map_batches(write, self.variables(state), rows, size)

    def strokes(self, written: Written, row: int, primed: bool = False) -> list[np.ndarray]:
        """The strokes of a sample, without those of its prime."""
        points = np.asarray(written.points[row])[np.asarray(written.live[row])]
        # After a prime the first offset is the way from the prime's last point.
        return self.lines.strokes(points[1:] if primed and len(points) > 1 else points)

    # Evaluation.

    def nats(self, variables: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
        """Nats of lines [B], and squared errors of the mixtures' means [B], in pen units."""
        reading, log_p = self.read(variables, rows)
        there = jnp.arange(log_p.shape[1]) < rows["length"][:, None]
        mixture, _ = self.predict(reading.outputs)
        errors = jnp.sum((mixture.expected() - rows["points"][..., :2]) ** 2, axis=-1)
        nats, errors = (jnp.sum(jnp.where(there, x, 0.0), axis=1) for x in (-log_p, errors))
        return nats, errors

    def evaluate(self, state, key):
        numbers: dict[str, float] = {}
        for name, split in (("valid", "validation"), ("test", "test"), ("new", "new_writers")):
            if self.lines.splits[split]:
                rows = [self.lines.row(line) for line in self.lines.splits[split]]
                numbers |= {f"{name}/{k}": v for k, v in self.numbers_of(state, rows).items()}
        texts = [row["text"] for row in (self.lines.row(x) for x in self.lines.splits["test"])]
        rows = [
            {**self.lines.row(line), "text": texts[(i + 1) % len(texts)]}
            for i, line in enumerate(self.lines.splits["test"])
        ]
        numbers["test/nats_of_other_texts"] = self.numbers_of(state, rows)["nats"]
        return numbers

    def numbers_of(self, state: Any, rows: list[dict[str, Any]]) -> dict[str, float]:
        """Nats and squared error of a point, nats of a line, the mean over lines."""
        size = self.config.eval.batch_size
        nats, errors = training.map_batches(self.jit_nats, self.variables(state), rows, size)
        points = sum(int(row["length"]) for row in rows)
        return {
            "nats": float(nats.sum() / points),
            "line_nats": float(nats.mean()),
            "squared_error": float(errors.sum() / points),
        }


class AdaptiveWeightNoise(Handwriting):
    """Retrains a finished network with a Gaussian posterior for every weight (section 4.2)."""

    def __init__(self, config: ConfigDict):
        super().__init__(config)
        self.num_steps = config.weight_noise.num_steps
        self.learner = self.make_learner(
            NoisyWeights(self.initial_params, config.weight_noise.std),
            config.weight_noise.learning_rate,
        )

    def init(self, key):
        return {"learner": self.learner.init(key)}

    def warm_start(self, state, before):
        """Puts the network that was trained without noise in the place of a fresh one."""
        learner = state["learner"]
        return {"learner": learner.replace(params={**learner.params, "mean": before})}

    def variables(self, state):
        return {"params": state["learner"].params["mean"]}

    def loss(self, variables, batch, key):
        """The description length of a line: its nats, and its share of those of the weights."""
        posterior = WeightPosterior(**variables["params"])
        nats, aux = super().loss({"params": posterior.sample(key)}, batch, key)
        weights = posterior.kl_to_fitted_prior() / self.config.data.train_lines
        return nats + weights, aux._replace(metrics={**aux.metrics, "weight_nats": weights})


def build(config: ConfigDict) -> Handwriting:
    """What a run is of; with weight noise, `main` makes the phase before it."""
    return (AdaptiveWeightNoise if config.weight_noise.num_steps else Handwriting)(config)


def main(experiment: Handwriting, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Trains, perhaps in two phases; then writes, and measures what was written."""
    before = None
    numbers = {f"required/{name}": float(value) for name, value in config.required.items()}
    if config.weight_noise.num_steps:
        first, found = training.run(Handwriting(config), config, workdir / "deterministic")
        before = first["learner"].params
        numbers |= {f"deterministic/{name}": value for name, value in found.items()}
    state, found = training.run(experiment, config, workdir, before=before)
    numbers |= found
    draw_predictions(experiment, state, workdir)
    if not experiment.network.bumps:
        draw_unconditional(experiment, state, workdir)
        return numbers
    draw_biases(experiment, state, workdir)
    return {**numbers, **what_is_written(experiment, state), **primed(experiment, state, workdir)}


def what_is_written(experiment: Handwriting, state: Any) -> dict[str, float]:
    """Whether samples of the test texts end, vary, and can be read, without and with a bias."""
    setting, lines = experiment.config.eval, experiment.lines
    chosen = lines.splits["test"][: setting.samples]
    texts = [line.text for line in chosen]
    numbers = read_back(experiment, "written/real_read", texts, [line.strokes for line in chosen])
    for bias in setting.biases:
        rows = [experiment.row_to_write(text, bias, i) for i, text in enumerate(texts)]
        written = experiment.written(state, rows)
        strokes = [experiment.strokes(written, i) for i in range(len(rows))]
        ratio = written.live.sum(1) / np.array([len(line.offsets) for line in chosen])
        numbers |= {
            f"written/ends_{bias:g}": 100.0 * float(np.mean((ratio >= 0.5) & (ratio <= 2.0))),
            f"written/length_{bias:g}": float(np.mean(ratio)),
            f"written/variance_{bias:g}": float(written.variance[written.live].mean()),
            **read_back(experiment, f"written/read_{bias:g}", texts, strokes),
        }
    return numbers


def read_back(
    experiment: Handwriting, name: str, texts: list[str], strokes: list[Any]
) -> dict[str, float]:
    """How many lines look most like their own text, among some others, in %."""
    lines = experiment.lines
    if not lines.has_templates:
        return {}
    shown = [list(dict.fromkeys([text, *texts])) for text in texts]
    choices = [group[: experiment.config.eval.candidates] for group in shown]
    templates = [[lines.template(text) for text in group] for group in choices]
    found = measures.most_alike(strokes, templates)
    return {name: 100.0 * float(np.mean(found == 0))}


def primed(experiment: Handwriting, state: Any, workdir: Path) -> dict[str, float]:
    """Whether samples that are primed with a writer's line have the writer's slant."""
    setting, lines = experiment.config.eval, experiment.lines
    if len(lines.primes) < 3:
        return {}  # too few hands to tell apart
    texts = [line.text for line in lines.splits["test"][: setting.primed_texts]]
    by_writer: dict[int, list[float]] = {}
    for line in lines.splits["train"]:
        by_writer.setdefault(line.writer, []).append(measures.slant(line.strokes))
    true = [float(np.mean(by_writer[prime.writer])) for prime in lines.primes]
    numbers = {}
    for name, with_prime in (("primed", True), ("unprimed", False)):
        rows = [
            experiment.row_to_write(text, setting.primed_bias, i, prime if with_prime else None)
            for i, (prime, text) in enumerate((p, t) for p in lines.primes for t in texts)
        ]
        written = experiment.written(state, rows)
        strokes = [experiment.strokes(written, i, with_prime) for i in range(len(rows))]
        slants = np.reshape([measures.slant(s) for s in strokes], (len(true), len(texts)))
        numbers[f"written/{name}_slant"] = float(np.corrcoef(true, slants.mean(1))[0, 1])
        if with_prime:
            shown = [
                row
                for i, prime in enumerate(lines.primes[: setting.shown])
                for row in (
                    (f"prime: {prime.text}", prime.strokes),
                    (texts[0], strokes[i * len(texts)]),
                )
            ]
            figures.draw_rows(workdir / "primed", shown)
    return numbers


def draw_predictions(experiment: Handwriting, state: Any, workdir: Path) -> None:
    """Draws what is predicted of a test line, and where the window is while it is read."""
    line = experiment.lines.splits["test"][0]
    row = {k: jnp.asarray(v)[None] for k, v in experiment.lines.row(line).items()}
    reading, _ = experiment.jit_read(experiment.variables(state), row)
    count, (mean, std) = len(line.offsets), experiment.lines.scale
    mixture, _ = experiment.predict(reading.outputs[0, :count])
    mixture = mixture._replace(
        mean=mixture.mean * std + mean, log_std=mixture.log_std + np.log(std)
    )
    figures.draw_density(workdir / "density", mixture, line)
    if experiment.network.bumps:
        seen = np.asarray(reading.weights)[0, :count, : len(line.text) + 1]
        figures.draw_window(workdir / "window", seen, line)


def draw_unconditional(experiment: Handwriting, state: Any, workdir: Path) -> None:
    """Draws what a network without a window writes of itself (section 4.3)."""
    text = experiment.lines.splits["test"][0].text
    count = experiment.config.eval.shown
    rows = [experiment.row_to_write(text, 0.0, i) for i in range(count)]
    written = experiment.written(state, rows)
    shown = [("", experiment.strokes(written, i)) for i in range(count)]
    figures.draw_rows(workdir / "unconditional", shown)


def draw_biases(experiment: Handwriting, state: Any, workdir: Path) -> None:
    """Draws a text three times with each bias (section 5.4), and other texts without one."""
    text = experiment.demo_text
    biases = (0.0, 0.1, 0.15, 0.5, 1.0, 2.0, 5.0, 10.0)  # as in the paper
    rows = [experiment.row_to_write(text, bias, i) for i, bias in enumerate(biases)]
    written = experiment.written(state, rows)
    shown = [(f"b = {bias:g}", experiment.strokes(written, i)) for i, bias in enumerate(biases)]
    figures.draw_rows(workdir / "biases", shown)
    texts = [x.text for x in experiment.lines.splits["test"][: experiment.config.eval.shown]]
    rows = [experiment.row_to_write(text, 0.0, i) for i, text in enumerate(texts)]
    written = experiment.written(state, rows)
    shown = [(text, experiment.strokes(written, i)) for i, text in enumerate(texts)]
    figures.draw_rows(workdir / "samples", shown)


def demo(experiment: Handwriting, state: Any) -> Demo:
    """Writes a text in a hand; without a window, whatever comes."""
    hands = {f"writer {prime.writer + 1}": prime for prime in experiment.lines.primes}
    reads = bool(experiment.network.bumps)

    def run(bias: float, hand: str, noise: int, text: str = experiment.demo_text) -> dict[str, Any]:
        prime = hands.get(hand)
        row = experiment.row_to_write(text, bias, noise, prime)
        written = experiment.written(state, [row], 1)
        rows = [("", experiment.strokes(written, 0, prime is not None))]
        return {"picture": pen_strokes.picture(rows), "drawing": pen_strokes.svg(rows)}

    says = "A recurrent network says where the pen goes next, again and again"
    window = ", while a window slides over your text"
    return Demo(
        title="Write a text by hand" if reads else "Write something by hand",
        says=f"{says}{window if reads else ''}. It goes on in the hand of a writer, or in one that "
        "it makes up.",
        inputs={
            **({"text": Text("Text", experiment.demo_text)} if reads else {}),
            "bias": Number("Bias: 0 is varied, more is neat", 1.0, 0.0, 10.0, 0.1),
            "hand": Choice("Hand", (NOBODY, *hands), NOBODY),
            "noise": Number("Which of many samples", 0, 0, 999),
        },
        outputs={"picture": Image("Handwriting"), "drawing": Drawing("The same as curves")},
        run=run,
        examples=[{"hand": hand} for hand in list(hands)[:2]],
    )


def claims(results: Results) -> list[Claim]:
    if "weight_noise" in results.arms:  # the variant of this name
        return [
            results["test/nats"].above(
                "longer",
                "weight_noise",
                claim="as many more steps without weight noise: nats of a point",
                paper="-1096.9 against -1128.2 nats a line",
            )
        ]
    return [*claims_about_prediction(results), *claims_about_samples(results)]


def claims_about_prediction(results: Results) -> list[Claim]:
    nats = results["test/nats"]
    texts = results.side_by_side("synthesis", others="test/nats_of_other_texts", own="test/nats")
    return [
        nats.at_most(
            "synthesis",
            required(results, "nats"),
            claim="nats of a point of new lines by known writers",
            paper="-1096.9 nats a line, IAM-OnDB",
        ),
        texts.above(
            "others",
            "own",
            by=0.8,
            claim="it follows the text: nats of a point with the texts of other lines",
            paper="writes the text that it is given (section 5.3)",
        ),
        nats.above(
            "prediction",
            "synthesis",
            by=0.1,
            claim="without a window over the text, at its own best rate: nats of a point",
            paper="-1041.0 against -1096.9 nats a line",
        ),
        nats.above(
            "single_gaussian",
            "synthesis",
            by=0.2,
            claim="with one Gaussian, at its own best rate: nats of a point",
            paper="mixtures of 20 (section 4.1)",
        ),
    ]


def claims_about_samples(results: Results) -> list[Claim]:
    numbers = functools.partial(results.side_by_side, "synthesis")
    rows = [
        results["written/ends_0"].at_least(
            "synthesis",
            80.0,
            claim="lines that end by the window, after half to twice the true number of points, %",
            paper="phi(t, U + 1) > phi(t, u) for all u (section 5.3)",
            digits=1,
        ),
        numbers(unbiased="written/variance_0", biased="written/variance_2").ratio(
            "unbiased",
            "biased",
            2.0,
            claim="a bias of 2 makes samples vary less: variance of a step",
            paper="less varied as the bias grows (section 5.4)",
            digits=3,
        ),
    ]
    if required(results, "read"):
        rows.append(
            results["written/read_2"].at_least(
                "synthesis",
                required(results, "read"),
                claim="lines written with a bias of 2 that look most like their text of ten, %",
                paper="easier to read as the bias grows (section 5.4)",
                digits=1,
            )
        )
    if required(results, "slant"):
        rows.append(
            numbers(primed="written/primed_slant", free="written/unprimed_slant").above(
                "primed",
                "free",
                by=required(results, "slant"),
                claim="primed with a line, it goes on in its hand: correlation of the slant",
                paper="goes on in the style of the prime (section 5.5)",
            )
        )
    return rows


def required(results: Results, name: str) -> float:
    """A margin of the configuration, which depends on the data."""
    return float(results[f"required/{name}"]["synthesis"][0])


if __name__ == "__main__":
    app.run()
