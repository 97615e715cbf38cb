"""Visualizing and Understanding Recurrent Networks (Karpathy, Johnson, Fei-Fei, 2015),
arXiv:1506.02078, with the released code and its text, The Unreasonable Effectiveness of Recurrent
Neural Networks (2015); networks that write by predicting are of Graves, 2013, arXiv:1308.0850.

Claim: LSTMs and GRUs predict characters better than plain recurrent networks with as many
parameters, and better than counts of n-grams, because they remember what lies far back; some of
their cells can be read.

Departures: the state is set to zero where an epoch begins; the released code carries it from the
text's end to its beginning. The n-grams are interpolated as by Witten and Bell, the paper's by
modified Kneser-Ney. Gates lie in the order i, f, g, o. The default has one layer, the paper one to
three.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict
from PIL import Image

from research import app, training
from research.core import Aux, Experiment, Learner, UserError
from research.core.partition import BATCH
from research.data.text.corpus import Corpus
from research.data.text.streams import StreamBatches, cut_streams
from research.decoding.complete import complete
from research.losses.token_cross_entropy import smoothed_cross_entropy
from research.metrics import ngram
from research.models.char_rnn import CharRNN, Trace
from research.papers.char_rnn import cells, figures
from research.papers.char_rnn.marks import bracket_distances, marks
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.text_demo import continue_demo
from research.viz import coloured_text

PAPER = Paper(
    title="Visualizing and Understanding Recurrent Networks",
    authors="Andrej Karpathy, Justin Johnson, Li Fei-Fei",
    year=2015,
    arxiv="1506.02078",
    field="language",
    claim="gated recurrent networks predict characters better than plain ones and than counts",
    parameters={
        "lstm2x128": 240_321,  # the defaults of the released code, 65 characters
        "lstm3x512": 5_421_633,
    },
    curves=("test/loss",),
    x="characters",
    method="lstm",
)


class CharacterModel(Experiment):
    """Reads a text in contiguous streams, and carries its state from each piece to the next."""

    soft_rules = (
        (r"^carry/", P(BATCH)),
        (r"(input/kernel|recurrent|decoder/kernel)$", P("fsdp", "model")),
    )

    def __init__(self, config: ConfigDict):
        self.config, data = config, config.data
        self.model = CharRNN(**config.model, dtype=jnp.dtype(config.compute_dtype))
        self.corpus = Corpus(
            (data.name,),
            (1.0,),
            data.dir,
            "characters",
            config.model.vocab_size,
            data.overlap_words,
            data.test_split,
            data.train_split,
        )
        self.assets = (self.corpus,)
        self.rows, self.length = data.rows, data.length
        self.epoch_steps = max((data.train_characters - 1) // (data.rows * data.length), 1)
        self.num_steps = config.num_epochs * self.epoch_steps
        self.source = StreamBatches(self.text, data.rows, data.length, self.epoch_steps)
        self.per_step = {"characters": data.rows * data.length}
        self.micro_batches = config.accumulate_steps
        if config.eval.chunk_length % config.eval.short_chunk_length:
            raise UserError("eval.chunk_length is a multiple of eval.short_chunk_length")

        optimizer = config.optimizer
        tx = optax.chain(
            # The released code clamps the gradient of the SUM over time: what RMSProp makes of it
            # is the same, what the clamp makes of it is not.
            optax.scale(data.length),
            optax.clip(optimizer.clip),
            # Torch's epsilon is added to the root, optax's to what is under it.
            optax.rmsprop(self.learning_rate, optimizer.rms_decay, 1e-8, eps_in_sqrt=False),
        )
        self.learner = Learner(
            self.model,
            tx,
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.jit_nats = jax.jit(self.nats, static_argnames=("chunk", "carried"))
        self.jit_trace = jax.jit(functools.partial(self.learner.apply, method="trace"))

    def learning_rate(self, count: jax.Array) -> jax.Array:
        """The rate, multiplied by `rate_decay` after each epoch from `decay_after_epochs` on."""
        optimizer = self.config.optimizer
        finished = count // self.epoch_steps
        times = jnp.maximum(finished - optimizer.decay_after_epochs + 1, 0)
        return optimizer.learning_rate * optimizer.rate_decay**times

    def text(self) -> tuple[np.ndarray, str]:
        """The characters to train on, and where they come from.

        Raises:
          UserError: there are fewer than the configuration says, or the test text is too short.
        """
        self.test_streams()
        (documents,) = self.corpus.train
        tokens, wanted = documents.tokens, self.config.data.train_characters
        if len(tokens) < wanted:
            raise UserError(
                f"{documents.origin}: {len(tokens)} characters, fewer than "
                f"data.train_characters={wanted}"
            )
        return tokens[:wanted], documents.origin

    def test_streams(self, characters: int = 0) -> np.ndarray:
        """The test text, or its first characters, as streams `[S, N + 1]`."""
        setting = self.config.eval
        tokens = self.corpus.test[: (characters or setting.characters) + 1]
        return cut_streams(tokens, setting.streams, setting.chunk_length)

    def init(self, key):
        learner = self.learner.init(key, jnp.zeros((1, 2), jnp.int32))
        carry = self.learner.apply(learner, self.rows, method="initial_carry")
        return {"learner": learner, "carry": carry}

    def loss(self, variables, batch, key):
        """-1/T sum_t log P(x_{t+1} | x_1 ... x_t); the gradient ends where the batch begins.

        `batch`: "tokens" [B, T + 1] int32, "carry" leaves [B, units].
        """
        tokens = batch["tokens"]
        logits, after = self.learner.apply(
            variables, tokens[:, :-1], batch["carry"], train=True, rngs={"dropout": key}
        )
        nats = jnp.mean(smoothed_cross_entropy(logits, tokens[:, 1:]))
        return nats, Aux({"bits": nats / jnp.log(2.0)}, extra=after["carry"])

    def step(self, state, batch, t, key):
        first = batch["first"][:, None]
        carry = jax.tree.map(lambda part: jnp.where(first, 0.0, part), state["carry"])
        batch = {"tokens": batch["tokens"], "carry": carry}
        learner, metrics, carry = self.learner.minimize_with_extra(
            state["learner"], self.loss, batch, key
        )
        metrics["learning_rate"] = self.learning_rate(t)
        return {"learner": learner, "carry": carry}, metrics

    def nats(self, variables: Any, streams: Any, *, chunk: int, carried: bool) -> jax.Array:
        """Nats [S, N] of all but the first character of streams [S, N + 1].

        They are read in pieces of `chunk`, each from the state after the one before, or from zeros.
        """
        count, size = len(streams), streams.shape[1] - 1
        pieces = lambda x: jnp.swapaxes(x.reshape(count, size // chunk, chunk), 0, 1)  # noqa: E731

        def read(carry: Any, piece: Any) -> tuple[Any, jax.Array]:
            inputs, targets = piece
            logits, after = self.learner.apply(variables, inputs, carry)
            return after["carry"] if carried else carry, smoothed_cross_entropy(logits, targets)

        zeros = self.learner.apply(variables, count, method="initial_carry")
        _, nats = jax.lax.scan(read, zeros, (pieces(streams[:, :-1]), pieces(streams[:, 1:])))
        return jnp.swapaxes(nats, 0, 1).reshape(count, size)

    def test_nats(self, state: dict, chunk: int, carried: bool) -> np.ndarray:
        """`nats` of the test text."""
        read = functools.partial(self.jit_nats, chunk=chunk, carried=carried)
        variables = self.learner.eval_variables(state["learner"])
        streams = self.test_streams()
        return training.map_batches(read, variables, list(streams), len(streams))

    def evaluate(self, state, key):
        setting = self.config.eval
        nats = float(np.mean(self.test_nats(state, setting.chunk_length, True)))
        alone = float(np.mean(self.test_nats(state, setting.short_chunk_length, False)))
        return {"test/loss": nats, "test/bits": nats / np.log(2), "test/loss_not_carried": alone}

    def trace(self, state: dict) -> tuple[Trace, str]:
        """Cells and gates of an LSTM over test streams, and their text, one after another."""
        streams = self.test_streams(self.config.eval.traced_characters)[:, :-1]
        variables = self.learner.eval_variables(state["learner"])
        trace = training.map_batches(
            lambda variables, rows: jax.tree.map(
                lambda x: jnp.swapaxes(x, 0, 1), self.jit_trace(variables, rows)
            ),
            variables,
            list(streams),
            len(streams),
        )
        by_layer = jax.tree.map(lambda x: np.swapaxes(x, 0, 1), trace)
        return by_layer, self.corpus.vocabulary.decode(streams.reshape(-1))

    def count_nats(self) -> dict[int, np.ndarray]:
        """Nats of the test characters by counts of the training text: order -> `[S N]`, NaN for
        the first few, which have nothing before them."""
        counted, _ = self.text()
        streams = self.test_streams()
        tokens = np.append(streams[:, :-1].reshape(-1), streams[-1, -1])
        found = {}
        for order in self.config.eval.ngram_orders:
            nats = ngram.log_losses(counted, tokens, order, self.config.model.vocab_size)
            found[order] = np.append(np.full(order - 2, np.nan), nats)
        return found


def main(experiment: CharacterModel, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    write_samples(experiment, state, workdir / "samples.txt")
    if config.model.cell != "lstm":
        return dict(numbers)
    return {
        **numbers,
        **against_counts(experiment, state, workdir),
        **look_at_cells(experiment, state, workdir),
    }


def write_samples(experiment: CharacterModel, state: dict, path: Path) -> None:
    """Goes on from the prompts at several temperatures."""
    vocabulary, sampling = experiment.corpus.vocabulary, experiment.config.sampling
    parts = []
    for temperature in sampling.temperatures:
        found = complete(
            experiment.model,
            state["learner"].params,
            [vocabulary.encode(prompt) for prompt in sampling.prompts],
            experiment.config.seed,
            new_tokens=sampling.new_tokens,
            end=-1,
            temperature=temperature,
        )
        for prompt, text in zip(sampling.prompts, found, strict=True):
            parts.append(f"--- temperature {temperature:g}\n{prompt}{vocabulary.decode(text)}\n")
    path.write_text("\n".join(parts), encoding="utf-8")


def against_counts(experiment: CharacterModel, state: dict, workdir: Path) -> dict[str, float]:
    """What the network knows that counts do not, closing brackets above all."""
    setting = experiment.config.eval
    counts = experiment.count_nats()
    numbers = {f"test/{n}_grams": float(np.nanmean(nats)) for n, nats in counts.items()}
    best = min(counts, key=lambda n: numbers[f"test/{n}_grams"])
    network = experiment.test_nats(state, setting.chunk_length, True).reshape(-1)
    known = ~np.isnan(counts[best])
    numbers |= cells.errors(network[known], counts[best][known])
    numbers["test/best_grams"] = numbers[f"test/{best}_grams"]

    # A target stands one place after the character that it is predicted from.
    text = experiment.corpus.vocabulary.decode(experiment.test_streams()[:, :-1].reshape(-1))
    distances = np.append(bracket_distances(text, experiment.config.data.syntax)[1:], 0)
    far = (distances >= setting.far_brackets) & known
    if far.sum() >= 20:
        curves = {"LSTM": network, f"{best}-grams": np.where(known, counts[best], 0.0)}
        figures.draw_brackets(
            workdir / "brackets.png",
            {name: cells.by_distance(nats, distances) for name, nats in curves.items()},
        )
        numbers["far_brackets/network"] = float(network[far].mean())
        numbers["far_brackets/counts"] = float(counts[best][far].mean())
    return numbers


def look_at_cells(experiment: CharacterModel, state: dict, workdir: Path) -> dict[str, float]:
    """Cells that follow a mark of the text, and how far gates are open.

    The cells of a network before its training are looked through in the same way.
    """
    config = experiment.config
    trace, text = experiment.trace(state)
    untrained, _ = experiment.trace(experiment.init(jax.random.key(config.seed)))
    now, before = np.asarray(trace.cells), np.asarray(untrained.cells)
    shape = now.shape[1:3]
    found, numbers, panels = marks(text, config.data.syntax), {}, []
    begin, end = excerpt(text, found[config.eval.shown_mark], shape[1])
    for name, mark in found.items():
        cell = cells.find_cell(now, mark.reshape(shape))
        numbers[f"cell/{name}"] = abs(cell.correlation)
        chance = cells.find_cell(before, mark.reshape(shape))
        numbers[f"cell/{name}_untrained"] = abs(chance.correlation)
        values = now[cell.layer, :, :, cell.unit].reshape(-1)[begin:end]
        title = (
            f"{name}: cell {cell.unit + 1} of layer {cell.layer + 1}, "
            f"correlation {cell.correlation:.2f}"
        )
        panels.append(coloured_text.Panel(title, text[begin:end], values))
    Image.fromarray(coloured_text.draw(panels)).save(workdir / "cells.png")
    page = coloured_text.page(panels, "Cells of an LSTM over a text it was not trained on")
    (workdir / "cells.html").write_text(page, encoding="utf-8")

    gates = {name: getattr(trace.gates, name) for name in ("write", "forget", "read")}
    figures.draw_gates(workdir / "gates.png", gates)
    closed, opened = cells.saturation(gates["forget"])
    return {
        **numbers,
        "gates/forget_open": float(opened.mean()),
        "gates/forget_closed": float(closed.mean()),
        "gates/always_remember": float(np.mean(opened > 0.9)),  # share of the cells
    }


def excerpt(text: str, mark: np.ndarray, stream: int, size: int = 700) -> tuple[int, int]:
    """Where a mark changes most, among the streams that no cell is chosen by.

    Args:
      text: all streams.
      mark: `[len(text)]`.
      stream: characters of each.
      size: characters of the excerpt, at least; it begins and ends with a line.
    """
    half = len(text) // stream // 2 * stream
    starts = [i + 1 for i in range(half, len(text) - 2 * size) if text[i] == "\n"]
    starts = starts or [half]
    begin = max(starts, key=lambda i: float(np.var(mark[i : i + size])))
    end = text.find("\n", begin + size) + 1
    return begin, end or len(text)


def demo(experiment: CharacterModel, state: dict) -> Demo:
    """Goes on from a text."""
    sampling = experiment.config.sampling
    return continue_demo(
        experiment.model,
        state["learner"].params,
        experiment.corpus.vocabulary,
        context=sampling.context_tokens,
        prompts=sampling.prompts,
        new_tokens=sampling.new_tokens,
        temperature=sampling.temperatures[0],
        top_k=0,
        top_p=1.0,
        texts_end=False,
    )


def claims(results: Results) -> list[Claim]:
    loss = results["test/loss"]
    counts = results.side_by_side("lstm", counts="test/3_grams", LSTM="test/loss")
    carry = results.side_by_side("lstm", alone="test/loss_not_carried", carried="test/loss")
    rows = [
        counts.above(
            "counts",
            "LSTM",
            by=0.15,
            claim="predicts characters better than counts of 3-grams, nats",
            paper="1.077 against 1.195 of 20-grams (War and Peace, the best network)",
            digits=3,
        ),
        *(
            loss.above(
                "rnn",
                arm,
                by=0.05,
                claim=f"{name} better than a plain network with as many parameters, nats",
                paper="in most settings of size and depth, on both texts",
                digits=3,
            )
            for arm, name in (("lstm", "an LSTM"), ("gru", "a GRU"))
        ),
        carry.above(
            "alone",
            "carried",
            by=0.15,
            claim="a state carried over pieces of 10 characters is of use, nats",
            paper="dependencies longer than the pieces of its training are learned",
            digits=3,
        ),
    ]
    rows += cell_claims(results)
    if "far_brackets/network" in results.metrics:
        brackets = results.side_by_side(
            "lstm", counts="far_brackets/counts", LSTM="far_brackets/network"
        )
        rows.append(
            brackets.above(
                "counts",
                "LSTM",
                by=0.2,
                claim="closes brackets that were opened long ago better than the best counts, nats",
                paper="better than 20-grams at the closing } of Linux, by its distance to {",
            )
        )
    return rows


def cell_claims(results: Results) -> list[Claim]:
    """Cells of the trained network, against the best of as many that were not trained."""
    followed = {
        "quotes": ("whether a string is open", 0.1),
        "comments": ("whether a comment has begun", 0.2),
        "names": ("whether a speaker is named", 0.1),
        "line": ("how long the line is", 0.05),
    }
    rows = []
    for mark, (what, by) in followed.items():
        if f"cell/{mark}" not in results.metrics:  # a text of another syntax
            continue
        both = {"trained": f"cell/{mark}", "untrained": f"cell/{mark}_untrained"}
        rows.append(
            results.side_by_side("lstm", **both).above(
                "trained",
                "untrained",
                by=by,
                claim=f"a cell follows {what}: correlation, on text that it was not chosen by",
                paper="cells that follow quotes, comments, the length of a line",
            )
        )
    return rows


if __name__ == "__main__":
    app.run()
