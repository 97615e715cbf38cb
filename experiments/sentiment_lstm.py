"""Long Short-Term Memory (Hochreiter and Schmidhuber, 1997) on the task of Semi-supervised Sequence
Learning (Dai and Le, 2015), arXiv:1511.01432: whether a review is positive.

Claim: an LSTM that reads a review word by word follows what counting words cannot; where labels are
few, it does so better if it has first learned to predict the words of texts without labels
(LM-LSTM), or to repeat them (SA-LSTM).

Departures: Adam; which optimizer the paper has could not be checked. The losses of linear gain are
divided by the sum of their weights. Dropped words are zeros, and all others are scaled up. The
cell has a forget gate (Gers et al., 2000), which that of 1997 does not. The size of the paper's
vocabulary is not known here: `:paper` has 30,000 words. Joint training (section 3) and word2vec
are left out.
"""

import research.early  # answers --help at once

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
from research.core.errors import quoted
from research.data.text.labelled import LabelledTexts, labelled_texts
from research.data.text.length_batches import LengthBatches, Row, map_rows
from research.data.text.tokenization import BOS, EOS, PAD
from research.losses.linear_gain import linear_gain
from research.losses.token_cross_entropy import masked_mean, smoothed_cross_entropy
from research.metrics import bag_of_words
from research.metrics.classification import top_k_error
from research.metrics.linear_probes import balanced_draw
from research.models.recurrent_classifier import RecurrentClassifier, WordPredictor
from research.optim.named import named
from research.papers.sentiment_lstm.verdicts import Answer, judge_demo, panels, verdicts
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.viz import coloured_text

PAPER = Paper(
    title="Long Short-Term Memory; Semi-supervised Sequence Learning",
    authors="Hochreiter, Schmidhuber; Dai, Le",
    year=2015,
    arxiv="1511.01432",
    field="language",
    claim="an LSTM judges a text by the order of its words, from few labels if it is pre-trained",
    parameters={
        # 512 numbers a word, 1024 cells, 30 hidden units, 2 classes; 30,000 words.
        "lstm1024": 30_000 * 512 + 4 * 1024 * (512 + 1024 + 1) + (1024 * 30 + 30) + (30 * 2 + 2),
    },
    curves=("valid/accuracy",),
    x="texts",
    method="lm_lstm",
)

RULES = (
    (r"embedding$", P("model", "fsdp")),
    (r"softmax/kernel$", P("fsdp", "model")),
    (r"(input/kernel|recurrent)$", P("fsdp", "model")),
)
NUM_CLASSES = 2


def open_texts(config: ConfigDict) -> LabelledTexts:
    data = config.data
    return labelled_texts(
        data.name,
        data.dir,
        (data.train_split, data.validation_split, data.test_split, data.unlabelled_split),
        data.fold,
        data.folds,
        data.procedural_train,
        data.procedural_test,
        NUM_CLASSES,
        config.model.vocab_size,
    )


def reader(config: ConfigDict) -> dict[str, Any]:
    """Attributes of the network that both phases train."""
    model = config.model
    names = ("vocab_size", "embedding", "cell", "units", "layers", "bidirectional", "forget_bias")
    dropouts = ("cell_clip", "word_dropout", "embedding_dropout", "truncate_steps")
    return {name: model[name] for name in (*names, *dropouts)}


class PreTraining(Experiment):
    """The first phase: a language model, or a sequence autoencoder, of texts without labels."""

    soft_rules = RULES

    def __init__(self, config: ConfigDict, text: LabelledTexts):
        self.config, self.text, phase = config, text, config.pretraining
        # An autoencoder reads a text, the end of it, and writes the text.
        words, self.repeats = config.data.lengths, phase.kind == "autoencoder"
        self.lengths = tuple(2 * n + 1 if self.repeats else n + 1 for n in words)
        dropped = {"word_dropout": phase.word_dropout, "embedding_dropout": 0.0}
        model = WordPredictor({**reader(config), **dropped}, jnp.dtype(config.compute_dtype))
        self.learner = Learner(
            model,
            named(config.optimizer.name, phase.learning_rate),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps, self.micro_batches = phase.num_steps, config.accumulate_steps
        self.source = LengthBatches(
            lambda: (self.rows("unlabelled"), text.part("unlabelled").origin),
            ("tokens", "target"),
            (),
            self.lengths,
            phase.batch_size,
            config.data.sorted_batches,
            config.seed,
        )
        self.per_step = {"texts": phase.batch_size}
        self.jit_nats = jax.jit(self.nats)

    def rows(self, split: str) -> list[Row]:
        """Texts as inputs and targets; where the target is `PAD`, nothing is predicted."""
        longest = self.config.data.lengths[-1]
        make = autoencoded if self.repeats else predicted
        return [make(words[-longest:]) for words in self.text.encoded(split)]

    def init(self, key):
        tokens = jnp.zeros((1, 2), jnp.int32)
        return {"learner": self.learner.init(key, tokens, jnp.full(1, 2), train=False)}

    def loss(self, variables, batch, key):
        """-1/N sum_t log p(target_t | all tokens up to t), over the N targets that there are.

        `batch`: "tokens" and "target" [B, T] int32, "length" [B].
        """
        logits, _ = self.learner.apply(
            variables, batch["tokens"], batch["length"], train=True, rngs={"dropout": key}
        )
        nats = smoothed_cross_entropy(logits, batch["target"])
        loss, count = masked_mean(nats, batch["target"] != PAD)
        return loss, Aux(weight=count)

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def nats(self, variables, batch):
        """Nats of each text's targets, how many they are, and how many were the likeliest: [B]."""
        target = batch["target"]
        logits, _ = self.learner.apply(variables, batch["tokens"], batch["length"])
        mask = target != PAD
        hits = (jnp.argmax(logits, axis=-1) == target) & mask
        nats = jnp.sum(smoothed_cross_entropy(logits, target) * mask, axis=1)
        return nats, jnp.sum(mask, axis=1), jnp.sum(hits, axis=1)

    def evaluate(self, state, key):
        rows = self.rows("validation")[: self.config.eval.texts]
        variables = self.learner.eval_variables(state["learner"])
        size = self.config.eval.batch_size
        nats, count, hits = map_rows(self.jit_nats, variables, rows, self.lengths, size)
        total = count.sum()
        return {
            "valid/word_loss": nats.sum() / total,
            "valid/words_right": 100.0 * hits.sum() / total,
        }


def predicted(words: np.ndarray) -> Row:
    """A text for a language model: each word from those before it, and then its end."""
    return {"tokens": np.array([BOS, *words]), "target": np.array([*words, EOS])}


def autoencoded(words: np.ndarray) -> Row:
    """A text for a sequence autoencoder (figure 1): read, and then written by the same network."""
    nothing = np.full(len(words), PAD)
    return {
        "tokens": np.array([*words, EOS, *words]),
        "target": np.array([*nothing, *words, EOS]),
    }


class SentimentClassifier(Experiment):
    """The second phase, or the only one: labels."""

    soft_rules = RULES

    def __init__(self, config: ConfigDict):
        self.config, model, optimizer = config, config.model, config.optimizer
        one_way = model.pooling == "last" and not model.bidirectional
        if config.linear_gain and not one_way:
            raise UserError(
                "linear_gain needs model.pooling=last, and a network that reads one way"
            )
        if config.pretraining.kind and model.bidirectional:
            raise UserError("what predicts words reads one way: set model.bidirectional=False")
        if list(config.data.lengths) != sorted(set(config.data.lengths)):
            raise UserError(f"data.lengths ascend, not {quoted(config.data.lengths)}")
        self.text = open_texts(config)
        self.assets = (self.text,)
        self.model = RecurrentClassifier(
            reader(config), NUM_CLASSES, model.pooling, model.attention, model.hidden, model.dropout
        )
        self.learner = Learner(
            self.model,
            named(optimizer.name, optimizer.learning_rate),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps, self.micro_batches = config.num_steps, config.accumulate_steps
        self.source = LengthBatches(
            self.train_rows,
            ("tokens",),
            ("label",),
            config.data.lengths,
            config.batch_size,
            config.data.sorted_batches,
            config.seed,
        )
        self.per_step = {"texts": config.batch_size}
        self.jit_logits = jax.jit(self.logits)

    def train_rows(self) -> tuple[list[Row], str]:
        """What is learned from: the last words of each text that a batch has room for."""
        longest, chosen = self.config.data.lengths[-1], self.labelled()
        words, part = self.text.encoded("train"), self.text.part("train")
        rows: list[Row] = [{"tokens": words[i][-longest:], "label": part.labels[i]} for i in chosen]
        self.rows("validation"), self.rows("test")  # what is wrong with them is noticed now
        return rows, f"{part.origin}, {len(rows)} labels"

    def labelled(self) -> np.ndarray:
        """Which training texts have labels: all, or as many of each class, drawn by the seed."""
        labels, wanted = self.text.part("train").labels, self.config.data.train_labels
        if not wanted:
            return np.arange(len(labels))
        least = NUM_CLASSES * np.bincount(labels, minlength=NUM_CLASSES).min()
        if wanted > least or wanted % NUM_CLASSES:
            raise UserError(f"data.train_labels={wanted}: an even number, {least} at most")
        return balanced_draw(labels, wanted, self.config.seed)

    def rows(self, split: str) -> list[Row]:
        """The texts of a split, whole."""
        part, words = self.text.part(split), self.text.encoded(split)
        return [{"tokens": w, "label": y} for w, y in zip(words, part.labels, strict=True)]

    def init(self, key):
        tokens = jnp.zeros((1, 2), jnp.int32)
        return {"learner": self.learner.init(key, tokens, jnp.full(1, 2), train=False)}

    def warm_start(self, state, before):
        """Puts the word vectors and the LSTM of the first phase in the place of fresh ones."""
        learner = state["learner"]
        return {"learner": learner.replace(params={**learner.params, "reader": before})}

    def loss(self, variables, batch, key):
        """-log p(label | text), from the state after the last word or from all of them.

        With linear gain (section 3) it is asked after every word, and the weight of the answer
        grows from 0 to 1. `batch`: "tokens" [B, T] int32, "length" and "label" [B].
        """
        tokens, length, label = batch["tokens"], batch["length"], batch["label"]
        inputs: dict[str, Any] = {"train": True, "rngs": {"dropout": key}}
        if not self.config.linear_gain:
            logits, _ = self.learner.apply(variables, tokens, length, **inputs)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
            return jnp.mean(losses), Aux()
        every = self.learner.apply(variables, tokens, length, method="every_word", **inputs)
        labels = jnp.broadcast_to(label[:, None], tokens.shape)
        losses = optax.softmax_cross_entropy_with_integer_labels(every, labels)
        return jnp.mean(linear_gain(losses, length)), Aux()

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def logits(self, variables, batch):
        """Logits [B, 2] of texts."""
        return self.learner.apply(variables, batch["tokens"], batch["length"])[0]

    def evaluate(self, state, key):
        numbers = {}
        variables, setting = self.learner.eval_variables(state["learner"]), self.config.eval
        for name, split in (("valid", "validation"), ("test", "test")):
            rows = self.rows(split)[: setting.texts]
            lengths = self.config.data.lengths
            found = map_rows(self.jit_logits, variables, rows, lengths, setting.batch_size)
            labels = np.array([row["label"] for row in rows])
            log_p = np.asarray(jax.nn.log_softmax(found))[np.arange(len(labels)), labels]
            numbers[f"{name}/accuracy"] = 100.0 - top_k_error(found, labels)
            numbers[f"{name}/loss"] = -float(log_p.mean())
        return numbers

    def answer(self, state: Any) -> Answer:
        """What the trained network says of texts."""
        variables = self.learner.eval_variables(state["learner"])

        @jax.jit
        def probabilities(batch: Any) -> tuple[jax.Array, jax.Array]:
            logits, seen = self.learner.apply(variables, batch["tokens"], batch["length"])
            return jax.nn.softmax(logits), seen["weights"]

        return probabilities

    def counts(self) -> dict[str, float]:
        """Test accuracies of counts of words, from the same labels."""
        train, test = self.text.part("train"), self.text.part("test")
        chosen = self.labelled()
        numbers: dict[str, float] = {}
        for order in self.config.eval.ngram_orders:
            found = bag_of_words.accuracies(
                [train.texts[i] for i in chosen],
                train.labels[chosen],
                test.texts[: self.config.eval.texts],
                test.labels[: self.config.eval.texts],
                order=order,
                words=self.text.words,
            )
            numbers |= {f"counts/{name}_{order}": value for name, value in found.items()}
        return numbers


def build(config: ConfigDict) -> SentimentClassifier:
    """What a run is of; `main` makes the phase before it."""
    return SentimentClassifier(config)


def main(experiment: SentimentClassifier, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Perhaps a phase without labels, then the labels, and what counts of words say of them."""
    before = None
    numbers: dict[str, float] = {}
    if config.pretraining.kind:
        first = PreTraining(config, experiment.text)
        state, found = training.run(first, config, workdir / "pretraining")
        before = state["learner"].params["reader"]
        numbers = {f"pretraining/{name.split('/')[1]}": value for name, value in found.items()}
    state, found = training.run(experiment, config, workdir, before=before)
    draw_verdicts(experiment, state, workdir / "verdicts.png")
    required = {f"required/{name}": float(value) for name, value in config.required.items()}
    return {**numbers, **found, **experiment.counts(), **required}


def probes(experiment: SentimentClassifier) -> list[str]:
    return list(experiment.config.probes) or experiment.text.examples


def draw_verdicts(experiment: SentimentClassifier, state: Any, path: Path) -> None:
    """Draws what the network thinks after each word of the configuration's sentences."""
    answer = experiment.answer(state)
    drawn = [panels(verdicts(answer, experiment.text, text)) for text in probes(experiment)]
    Image.fromarray(coloured_text.draw([p for both in drawn for p in both])).save(path)


def demo(experiment: SentimentClassifier, state: dict) -> Demo:
    return judge_demo(experiment.answer(state), experiment.text, probes(experiment))


def claims(results: Results) -> list[Claim]:
    arm = results.arms[0]
    names = ("counts", "reading", "over_rnn", "pretrained")
    required = {name: float(results[f"required/{name}"][arm][0]) for name in names}
    accuracy, rows = results["test/accuracy"], []
    if required["counts"]:
        rows.append(
            results["counts/nb_lr_1"].at_most(
                "lstm",
                required["counts"],
                claim="counts of words cannot tell, % right of NB-LR from the same labels",
                paper="a task that needs the order of words",
                digits=1,
            )
        )
    if required["reading"]:
        rows.append(
            accuracy.at_least(
                "bilstm" if "bilstm" in results.arms else "lstm",
                required["reading"],
                claim="an LSTM reads the order of the words, % right",
                paper="86.5 on IMDB",
                digits=1,
            )
        )
    if required["over_rnn"]:
        rows.append(
            accuracy.above(
                "lstm",
                "rnn",
                by=required["over_rnn"],
                claim="better than a plain recurrent network, % right",
                paper="gates carry what was read over long distances (1997)",
                digits=1,
            )
        )
    if required["pretrained"]:
        rows += [
            accuracy.above(
                name,
                "few_labels",
                by=required["pretrained"],
                claim=f"{what} first makes few labels go further, % right",
                paper=paper,
                digits=1,
            )
            for name, what, paper in (
                ("lm_lstm", "predicting the words of texts", "92.36 against 86.50 on IMDB"),
                ("sa_lstm", "repeating texts", "92.76 against 86.50 on IMDB"),
            )
        ]
    return rows


if __name__ == "__main__":
    app.run()
