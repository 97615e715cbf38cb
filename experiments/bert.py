"""BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding (Devlin, Chang,
Lee, Toutanova, 2018), arXiv:1810.04805.

Claim: a Transformer that predicts hidden words from both sides of them, and whether two pieces of
text belong together, knows more of a word than one that reads from left to right; with one layer
more it learns tasks from few labels.

Pre-training with two losses (section 3.1, appendix A.2), then fine-tuning of all parameters
(section 4): of a text or a pair of them, of every word, or of spans that are answers.

Departures. Of the words that are not special 15 % are chosen on average, with chance in place of
rounding; the released code rounds, and counts special tokens. The rate reaches its peak at the end
of the warm-up and falls from there in a straight line, where in the released code that line begins
at step 0. English Wikipedia stands alone in `:paper`, for BooksCorpus is not available. Not built:
features of a frozen network (section 5.3), and SWAG's multiple choice (section 4.4).
"""

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, UserError
from research.core.tree import named_leaves
from research.data.in_memory import ArrayBatches
from research.data.text.answer_spans import golden
from research.data.text.masked_words import Masking, masked_row, next_word_row
from research.data.text.segment_pairs import PairBatches, Phase, laid_out, padded_row, pairs_of
from research.data.text.wordpiece import WordPiece
from research.losses.token_cross_entropy import masked_mean, smoothed_cross_entropy
from research.metrics.text_spans import squad
from research.models import bert
from research.models.released.bert_names import released_params
from research.optim.adam import adam
from research.optim.schedules import warmup_linear
from research.papers.bert.cloze_counts import ClozeCounts
from research.papers.bert.documents import Documents
from research.papers.bert.fill_demo import fill_demo
from research.papers.bert.held_out import (
    collator_statistics,
    counted_accuracy,
    held_out_pairs,
    held_out_rows,
)
from research.papers.bert.scores import text_scores
from research.papers.bert.tasks import UNTAGGED, SpanTask, TextTask
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.training.phases import beside

PAPER = Paper(
    title="BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    authors="Devlin, Chang, Lee, Toutanova",
    year=2018,
    arxiv="1810.04805",
    field="language",
    claim="hidden words are told by both sides of them, and what is learned so helps few labels",
    parameters=bert.PRETRAINING_PARAMETERS,
    curves=("valid/masked_accuracy", "valid/next_accuracy"),
    method="bert",
)


def bert_adam(rate: optax.Schedule, config: ConfigDict) -> optax.GradientTransformation:
    """Adam as BERT's code has it: averages are not corrected for beginning at 0, and

    theta <- theta - rate (m / (sqrt(v) + eps) + decay theta),

    where neither biases nor what norms have decays.
    """
    b1, b2, eps, decay = (config[name] for name in ("b1", "b2", "eps", "weight_decay"))
    return optax.chain(
        adam(1.0, b1, b2, eps, bias_correction=False),
        optax.add_decayed_weights(-decay, mask=bert.decayed),
        optax.scale_by_learning_rate(rate, flip_sign=False),
    )


def encoder_attributes(config: ConfigDict) -> dict[str, Any]:
    """Attributes of the encoder that all phases share."""
    return {**config.model, "causal": config.pretraining.objective == "left_to_right"}


def open_documents(config: ConfigDict) -> Documents:
    data = config.data
    return Documents(
        data.name,
        data.dir,
        splits=(data.train_split, data.validation_split, data.test_split),
        feature=data.feature,
        lines=data.lines,
        made=(data.stories, data.test_stories, data.test_stories),
        vocabulary=data.vocabulary,
        vocab_size=config.model.vocab_size,
    )


class Pretraining(Experiment):
    """Hidden words and next sentences; or, as the rival of table 5, each next word."""

    rules = bert.RULES

    def __init__(self, config: ConfigDict):
        self.config, phase = config, config.pretraining
        self.documents = open_documents(config)
        self.assets = (self.documents,)
        self.masks = phase.objective == "masked"
        dtype = jnp.dtype(config.compute_dtype)
        self.model = bert.BERTPretraining(encoder_attributes(config), dtype)
        rate = warmup_linear(phase.learning_rate, phase.warmup_steps, phase.num_steps)
        self.learner = Learner(
            self.model,
            bert_adam(rate, config.optimizer),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps, self.micro_batches = phase.num_steps, config.accumulate_steps
        self.per_step = {"sequences": phase.rows}
        self.last_phase = Phase(0, phase.length, self.predictions(phase.length))
        self.source = PairBatches(
            lambda: self.documents.encoded(0),
            self.row,
            self.row_shapes(self.last_phase),
            self.phases(),
            phase.rows,
            config.seed,
            repeat_epochs=phase.repeat_epochs,
            random_share=phase.random_next_share,
            short_share=phase.short_pair_share,
        )
        self.jit_words = jax.jit(self.words)

    def predictions(self, length: int) -> int:
        """Places for predictions in a row: a little over 15 % of it, or every token."""
        if not self.masks:
            return length - 2
        phase = self.config.pretraining
        return phase.predictions if length == phase.length else phase.short_predictions

    def phases(self) -> list[Phase]:
        """Short rows first (appendix A.2): 90 % of the steps at 128 tokens, the rest at 512."""
        phase = self.config.pretraining
        short = round(phase.short_share * phase.num_steps)
        lengths = [(short, phase.short_length), (phase.num_steps - short, phase.length)]
        return [Phase(steps, n, self.predictions(n)) for steps, n in lengths if steps] or [
            self.last_phase
        ]

    @staticmethod
    def row_shapes(phase: Phase) -> dict[str, jax.ShapeDtypeStruct]:
        wide, asked = (phase.length,), (phase.predictions,)
        shapes: dict[str, Any] = {"tokens": wide, "segments": wide, "positions": asked}
        shapes |= {"targets": asked, "length": (), "label": ()}
        row = {name: jax.ShapeDtypeStruct(shape, np.int32) for name, shape in shapes.items()}
        return {**row, "weights": jax.ShapeDtypeStruct(asked, np.float32)}

    @functools.cached_property
    def masking(self) -> Masking:
        phase, vocabulary = self.config.pretraining, self.documents.vocabulary
        return Masking(
            vocabulary.size,
            vocabulary.mask,
            tuple(vocabulary.special.tolist()),
            phase.chosen_share,
            phase.masked_share,
            phase.replaced_share,
        )

    def row(self, pair, phase, rng):
        """A pair as [CLS] A [SEP] B [SEP], with what is to be predicted of it."""
        vocabulary = self.documents.vocabulary
        tokens, segments = laid_out(pair.first, pair.second, vocabulary.cls, vocabulary.sep)
        if self.masks:
            row = masked_row(tokens, self.masking, phase.predictions, rng)
        else:
            row = next_word_row(tokens, self.masking, phase.predictions)
        row = padded_row({**row, "segments": segments}, phase.length)
        return {**row, "label": np.array(pair.random, np.int32)}

    def init(self, key):
        ids = jnp.zeros((1, 2), jnp.int32)
        return {"learner": self.learner.init(key, ids, ids, jnp.full(1, 2), ids, train=False)}

    def from_released(self, arrays):
        """Weights under the names that `transformers` has for them, by path in the state."""
        params = released_params(bert.BERT(**encoder_attributes(self.config)), arrays)
        if params is None:
            return None
        return {f"learner/params/{name}": array for name, array in named_leaves(params).items()}

    def loss(self, variables, batch, key):
        """Mean nats of the hidden words plus mean nats of whether B follows A (appendix A.2).

        `batch`: "tokens", "segments" [B, T]; "positions", "targets", "weights" [B, P]; "length",
        "label" and "words", one denominator for the whole batch, [B].
        """
        (words, follows), _ = self.learner.apply(
            variables,
            batch["tokens"],
            batch["segments"],
            batch["length"],
            batch["positions"],
            train=True,
            rngs={"dropout": key},
        )
        nats = smoothed_cross_entropy(words, batch["targets"])
        word_loss = jnp.sum(nats * batch["weights"]) / batch["words"][0]
        next_loss = jnp.mean(smoothed_cross_entropy(follows, batch["label"]))
        loss = word_loss + self.config.pretraining.next_sentence_weight * next_loss
        return loss, Aux({"word_loss": word_loss, "next_loss": next_loss})

    def step(self, state, batch, t, key):
        # Rows have different numbers of words: they are counted over all devices and micro-batches
        # before anything is divided.
        words = jnp.maximum(jnp.sum(batch["weights"]), 1.0) / self.micro_batches
        batch = {**batch, "words": jnp.broadcast_to(words, batch["label"].shape)}
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def words(self, params, batch):
        """Of each row: how many words were right, their nats, and whether the label was: [B]."""
        (words, follows), _ = self.model.apply(
            {"params": params},
            batch["tokens"],
            batch["segments"],
            batch["length"],
            batch["positions"],
            train=False,
        )
        weights, targets = batch["weights"], batch["targets"]
        hits = jnp.sum((jnp.argmax(words, axis=-1) == targets) * weights, axis=1)
        nats = jnp.sum(smoothed_cross_entropy(words, targets) * weights, axis=1)
        return hits, nats, jnp.argmax(follows, axis=-1) == batch["label"]

    def held_out(self, split: int, way: str) -> list[dict[str, np.ndarray]]:
        """Rows of documents that are not learned from; see `held_out_rows`."""
        setting, length = self.config.pretraining, self.config.pretraining.length
        documents, _ = self.documents.encoded(split)
        count = self.config.eval.pairs
        pairs = held_out_pairs(documents, count, length, setting.random_next_share)
        vocabulary = self.documents.vocabulary
        return held_out_rows(pairs, way, self.masking, vocabulary, length, setting.predictions)

    def evaluate(self, state, key):
        numbers, params = {}, state["learner"].params
        for split, number in (("valid", 1), ("test", 2)):
            for way in ("masked", "visible") if self.masks else ("left",):
                rows = self.held_out(number, way)
                found = training.map_batches(self.jit_words, params, rows, self.config.eval.rows)
                hits, nats, follows = found
                total = sum(row["weights"].sum() for row in rows)
                # What is predicted from the left alone is compared with what is masked.
                name = "visible" if way == "visible" else "masked"
                numbers[f"{split}/{name}_accuracy"] = 100.0 * hits.sum() / total
                numbers[f"{split}/{name}_loss"] = nats.sum() / total
                if way == "masked":
                    numbers[f"{split}/next_accuracy"] = 100.0 * np.mean(follows)
        return numbers

    def counts(self) -> dict[str, float]:
        """What counts of neighbours find, and what the collator does to training rows."""
        documents, _ = self.documents.encoded(0)
        rows = self.held_out(2, "visible")
        numbers = {"counts/masked_accuracy": counted_accuracy(rows, ClozeCounts(documents))}
        if not self.masks:
            return numbers
        phase, rng = self.config.pretraining, np.random.default_rng(0)
        pairs = (
            pair
            for index in range(len(documents))
            for pair in pairs_of(documents, index, phase.length - 3, rng)
        )
        found = collator_statistics(
            pairs,
            self.masking,
            self.documents.vocabulary,
            phase.predictions,
            self.config.eval.collator_tokens,
        )
        return numbers | {f"collator/{name}": value for name, value in found.items()}


class FineTuning(Experiment):
    """The encoder, and one layer for a task; all of it learns (section 4)."""

    rules = bert.RULES

    def __init__(self, config: ConfigDict, task: TextTask | SpanTask, setting: ConfigDict):
        self.config, self.task, self.setting = config, task, setting
        if isinstance(task, SpanTask):
            self.kind, outputs, self.numbers = "spans", 2, False
        else:
            self.kind, outputs = task.form.kind, max(len(task.names), 1)
            self.numbers = task.label_type is np.float32
        dtype = jnp.dtype(config.compute_dtype)
        self.model = bert.BERTTask(
            encoder_attributes(config), self.kind, outputs, config.model.dropout, dtype
        )
        warmup_steps = setting.warmup_share * setting.num_steps
        rate = warmup_linear(setting.learning_rate, warmup_steps, setting.num_steps)
        self.learner = Learner(
            self.model,
            bert_adam(rate, config.optimizer),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps, self.micro_batches = setting.num_steps, config.accumulate_steps
        self.per_step = {"examples": setting.rows}
        wide = jax.ShapeDtypeStruct((setting.length,), np.int32)
        label = {"tagging": (setting.length,), "spans": (2,), "classification": ()}[self.kind]
        row = {
            "tokens": wide,
            "segments": wide,
            "length": jax.ShapeDtypeStruct((), np.int32),
            "label": jax.ShapeDtypeStruct(label, np.float32 if self.numbers else np.int32),
        }
        self.source = ArrayBatches(self.arrays, row, setting.rows, config.seed)
        self.jit_logits = jax.jit(self.logits)

    def arrays(self) -> tuple[dict[str, np.ndarray], str]:
        rows = self.task.rows("train")
        for split in ("valid", "test"):  # what is wrong with them is noticed now
            self.task.rows(split)
        origin = getattr(self.task.records("train"), "origin", "")
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}, origin

    def init(self, key):
        ids = jnp.zeros((1, 2), jnp.int32)
        return {"learner": self.learner.init(key, ids, ids, jnp.full(1, 2), train=False)}

    def warm_start(self, state, before):
        """Puts the pre-trained encoder in the place of the fresh one."""
        learner = state["learner"]
        return {"learner": learner.replace(params=bert.with_encoder(learner.params, before))}

    def loss(self, variables, batch, key):
        """Mean nats of the label, of all tags, or of an answer's start and end.

        Of a label that is a number: its mean square error. `batch`: "tokens", "segments" [B, T],
        "length" [B], "label" [B], [B, T] or [B, 2].
        """
        inputs = (batch["tokens"], batch["segments"], batch["length"])
        logits, _ = self.learner.apply(variables, *inputs, train=True, rngs={"dropout": key})
        label = batch["label"]
        if self.numbers:
            return jnp.mean(jnp.square(logits[:, 0] - label)), Aux()
        if self.kind == "spans":  # softmax over the tokens, not over the two outputs
            nats = smoothed_cross_entropy(jnp.swapaxes(logits, 1, 2), label)
            return jnp.mean(nats), Aux()
        nats = smoothed_cross_entropy(logits, jnp.maximum(label, 0))
        loss, count = masked_mean(nats, label != UNTAGGED)
        return loss, Aux(weight=count)

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def logits(self, params, batch):
        inputs = (batch["tokens"], batch["segments"], batch["length"])
        return self.model.apply({"params": params}, *inputs, train=False)[0]

    def evaluate(self, state, key):
        numbers: dict[str, float] = {}
        for split in ("train", "valid", "test") if self.kind == "spans" else ("valid", "test"):
            rows = self.task.rows(split)
            params = state["learner"].params
            found = training.map_batches(self.jit_logits, params, rows, self.config.eval.rows)
            if isinstance(self.task, SpanTask):
                records = self.task.records(split)
                answers = self.task.answers(records, found, self.setting.null_threshold)
                texts = [answer.text for answer in answers]
                scores = squad(texts, [golden(record) for record in records])
            else:
                scores = text_scores(self.task, found, rows)
            numbers |= {f"{split}/{name}": value for name, value in scores.items()}
        return numbers


def task_of(config: ConfigDict, group: str, vocabulary: WordPiece) -> TextTask | SpanTask:
    """The task that a part of the configuration describes."""
    setting = config[group]
    splits = (setting.train_split, setting.validation_split, setting.test_split)
    common: dict[str, Any] = {
        "examples": setting.examples,
        "eval_examples": setting.eval_examples,
        "length": setting.length,
        "vocabulary": vocabulary,
        "seed": config.seed,
    }
    if setting.length > config.model.max_length:
        raise UserError(f"{group}.length={setting.length} exceeds model.max_length")
    if group == "text_task":
        return TextTask(setting.name, config.data.dir, splits, **common)
    return SpanTask(
        setting.name,
        config.data.dir,
        splits,
        stride=setting.stride,
        question_length=setting.question_length,
        **common,
    )


def build(config: ConfigDict) -> Pretraining:
    """What a run is of; `main` fine-tunes it."""
    return Pretraining(config)


def main(experiment: Pretraining, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Pre-trains, then fine-tunes the same weights to each task; none comes after another."""
    state, numbers = training.run(experiment, config, workdir)
    pretrained = state["learner"].params
    numbers = {**numbers, **experiment.counts()}
    for group, name in (("text_task", "text"), ("span_task", "spans")):
        if config[group].name:
            task = task_of(config, group, experiment.documents.vocabulary)
            tuning, setting = FineTuning(config, task, config[group]), beside(config, config.seed)
            _, found = training.run(tuning, setting, workdir / group, before=pretrained)
            numbers |= {f"{name}/{metric.replace('/', '_')}": x for metric, x in found.items()}
    return numbers


def demo(experiment: Pretraining, state: dict) -> Demo:
    params, vocabulary = state["learner"].params, experiment.documents.vocabulary
    length = experiment.config.pretraining.length

    @jax.jit
    def probabilities(batch: Any) -> jax.Array:
        inputs = (batch["tokens"], batch["segments"], batch["length"], batch["positions"])
        (words, _), _ = experiment.model.apply({"params": params}, *inputs, train=False)
        return jax.nn.softmax(words[0])

    def guess(tokens: np.ndarray, segments: np.ndarray, places: np.ndarray) -> np.ndarray:
        before = 0 if experiment.masks else 1  # who reads from the left is asked one place before
        positions = np.pad(places - before, (0, length - len(places)))
        row = padded_row({"tokens": tokens, "segments": segments, "positions": positions}, length)
        found = probabilities({name: value[None] for name, value in row.items()})
        return np.asarray(found)[: len(places)]

    texts = list(experiment.config.probes) or experiment.documents.examples
    return fill_demo(guess, vocabulary, length, texts)


def claims(results: Results) -> list[Claim]:
    masked = results["test/masked_accuracy"]
    rows = [
        masked.above(
            "bert",
            "left_to_right",
            by=10.0,
            claim="both sides tell more of a word than the left one, % of held-out words right",
            paper="84.4 against 82.1 on MNLI after fine-tuning (table 5)",
            digits=1,
        ),
        results.side_by_side(
            "bert", network="test/masked_accuracy", counts="counts/masked_accuracy"
        ).above(
            "network",
            "counts",
            by=5.0,
            claim="more than its two neighbours, counted",
            paper="",
            digits=1,
        ),
        results["test/visible_accuracy"].above(
            "bert",
            "always_masked",
            by=10.0,
            claim="who is also asked for words that stand there knows those, % right",
            paper="the mixture narrows the gap to fine-tuning (appendix C.2)",
            digits=1,
        ),
    ]
    for name, low, high, said in (
        ("chosen", 14.7, 15.3, "words are chosen, %"),
        ("masked", 78.5, 81.5, "of these are masked, %"),
        ("replaced", 8.5, 11.5, "of these are another word, %"),
        ("kept", 8.5, 11.5, "of these stay, %"),
    ):
        paper = {"chosen": "15", "masked": "80"}.get(name, "10")
        rows.append(results[f"collator/{name}"].within("bert", low, high, claim=said, paper=paper))
    rows.append(
        results["test/next_accuracy"].at_least(
            "bert",
            80.0,
            claim="it tells whether a segment follows, % right",
            paper="97 to 98 (section 3.1)",
            digits=1,
        )
    )
    for metric, by, said, paper in (
        ("text/test_accuracy", 5.0, "16 labels say more after pre-training, % right", "table 1"),
        ("spans/test_f1", 5.0, "questions are answered better after it, F1", "tables 2 and 5"),
    ):
        rows.append(
            results[metric].above("bert", "from_scratch", by=by, claim=said, paper=paper, digits=1)
        )
    return rows


if __name__ == "__main__":
    app.run()
