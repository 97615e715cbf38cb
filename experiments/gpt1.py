"""Improving Language Understanding by Generative Pre-Training (Radford, Narasimhan, Salimans,
Sutskever, 2018).

Claim: what a language model has learned from text without labels makes it better at a task with
few labels than a network that starts from nothing.

Two phases: a language model of text (sections 3.1, 4.1), which is then fine-tuned with one linear
layer, its input laid out as in figure 1 (sections 3.2, 3.3). The task that needs no download asks
which of two endings follows a piece of text, as Story Cloze does of stories. Departure: byte-level
tokens in place of BPE on text cleaned by ftfy and spaCy.
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
from research.core import Aux, Experiment, Learner, UserError, variable_paths
from research.data import load, pipeline
from research.data.dataset import Dataset, Record
from research.data.text.batch_ramp import BatchRamp
from research.data.text.corpus import Corpus
from research.data.text.packing import TokenBatches
from research.losses.tied_cross_entropy import tied_cross_entropy
from research.models import gpt
from research.models.released.gpt_names import released_params
from research.optim.schedules import warmup_cosine, warmup_linear
from research.papers.gpt1.gpt_classifier import GPTClassifier, with_language_model
from research.papers.gpt1.judging import judge_demo
from research.papers.gpt1.language_modelling import LanguageModelling
from research.papers.gpt1.task_inputs import Marks
from research.papers.gpt1.text_tasks import FORMS, endings, questions
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo

PAPER = Paper(
    title="Improving Language Understanding by Generative Pre-Training",
    authors="Radford, Narasimhan, Salimans, Sutskever",
    year=2018,
    arxiv="",
    field="language",
    claim="pre-training on text without labels makes a task with few labels easier",
    # The language model's 116,534,784, three new tokens, and a layer with two outputs.
    parameters={"gpt1": gpt.PARAMETERS["gpt1"] + 3 * 768 + 2 * 768 + 2},
    curves=("test/accuracy", "loss"),
    method="pretrained",
)


def adamw(rate: Any, phase: ConfigDict) -> optax.GradientTransformation:
    """Adam of one phase; neither biases nor gains decay (section 4.1)."""
    return optax.adamw(
        rate,
        b1=0.9,
        b2=phase.b2,
        eps=1e-8,
        weight_decay=phase.weight_decay,
        mask=gpt.decayed,
    )


def open_corpus(config: ConfigDict) -> Corpus:
    data = config.data
    return Corpus(
        names=(data.text,),
        weights=(1.0,),
        data_dir=data.dir,
        kind=data.vocabulary,
        vocab_size=config.model.vocab_size,
        overlap_words=data.overlap_words,
        test_split="test",
    )


def pretraining(config: ConfigDict, corpus: Corpus) -> LanguageModelling:
    """The first phase. Its gradients are not clipped: `max_grad_norm` is that of fine-tuning."""
    phase, length = config.pretraining, config.data.length
    if length % config.loss_chunks:
        raise UserError(f"loss_chunks={config.loss_chunks} does not divide {length} tokens")
    model = gpt.GPT(**config.model, dtype=jnp.dtype(config.compute_dtype))
    rate = warmup_cosine(phase.learning_rate, phase.warmup_steps, phase.num_steps)
    tx = adamw(lambda count: rate(count + 1), phase)
    return LanguageModelling(
        Learner(model, tx, accumulate=config.accumulate_steps),
        TokenBatches(
            lambda: corpus.rows(length, config.seed),
            BatchRamp(((phase.rows, phase.num_steps),), length),
        ),
        num_steps=phase.num_steps,
        tokens_per_step=phase.rows * length,
        loss_chunks=config.loss_chunks,
    )


class FineTuning(Experiment):
    """A language model, pre-trained or fresh, that learns a task from labelled text."""

    rules = gpt.RULES

    def __init__(self, config: ConfigDict):
        self.data, self.seed, phase = config.data, config.seed, config.finetuning
        self.corpus = open_corpus(config)
        self.assets = (self.corpus,)
        self.form = FORMS[config.data.task]
        self.marks = Marks.after(config.model.vocab_size, config.data.length)
        # The vocabulary grows by the task's tokens, of which `extract` is the last.
        body = {**config.model, "vocab_size": self.marks.extract + 1}
        dtype = jnp.dtype(config.compute_dtype)
        self.model = GPTClassifier(body, self.form.classes, config.model.dropout, dtype)
        warmup_steps = phase.warmup_share * phase.num_steps
        rate = warmup_linear(phase.learning_rate, warmup_steps, phase.num_steps)
        self.learner = Learner(
            self.model,
            adamw(rate, phase),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.language_model = gpt.GPT(**config.model, dtype=dtype)
        self.language_weight = phase.language_weight
        self.rows = phase.rows
        self.jit_answers = jax.jit(self.answers)

        self.num_steps = phase.num_steps
        self.micro_batches = config.accumulate_steps
        sequences, length = self.form.sequences, config.data.length
        spec = {
            "tokens": jax.ShapeDtypeStruct((sequences, length), np.int32),
            "last": jax.ShapeDtypeStruct((sequences,), np.int32),
            "label": jax.ShapeDtypeStruct((), np.int32),
        }
        self.source = pipeline.stream(self.train_questions, spec, phase.rows, config.seed)
        self.per_step = {"questions": phase.rows}

    def train_questions(self) -> Dataset:
        _ = self.test_questions  # wrong ones are noticed now, and not when all training is done
        return self._read("train", self.data.train_questions)

    @functools.cached_property
    def test_questions(self) -> Dataset:
        return self._read(self.data.test_split, self.data.test_questions)

    def _read(self, split: str, max_questions: int) -> Dataset:
        """Questions of a split in random order, laid out as in figure 1."""
        data = self.data
        if data.task == "endings":
            texts = self.corpus.train_texts if split == "train" else self.corpus.test_texts
            records: Any = endings(
                texts, data.context_characters, data.ending_characters, self.seed
            )
            origin = f"endings of {self.corpus.origin}"
        else:
            records = load(data.task, split, data.dir)
            origin = records.origin
        asked = questions(records, self.form, self.corpus.vocabulary.encode, self.marks)
        chosen = np.random.default_rng(self.seed).permutation(len(asked))[:max_questions]
        return Dataset([asked[int(i)] for i in chosen], origin)

    def init(self, key):
        tokens = jnp.zeros((1, self.form.sequences, 4), jnp.int32)
        last = jnp.zeros(tokens.shape[:2], jnp.int32)
        return {"learner": self.learner.init(key, tokens, last, train=False)}

    def from_released(self, arrays):
        """Puts the released language model in the place of the fresh one.

        The task's tokens, which it does not have, begin as all of them do: N(0, init_std).
        """
        body = released_params(self.language_model, arrays)
        if body is None:
            return None
        model, rng = self.language_model, np.random.default_rng(self.seed)
        missing = self.marks.extract + 1 - model.vocab_size, model.dim
        new = model.init_std * rng.standard_normal(missing, np.float32)
        table = np.concatenate([body["embedding"], new])
        return variable_paths("learner", {"params": {"body": {**body, "embedding": table}}})

    def warm_start(self, state, before):
        """Puts the parameters of the language model in the place of the fresh ones."""
        learner = state["learner"]
        params = with_language_model(learner.params, before)
        return {"learner": learner.replace(params=params)}

    def loss(self, variables, batch, key):
        """-L3 = -(L2 + lambda L1) (equation 5).

        `batch`: "tokens" [B, A, T], "last" [B, A] and "label" [B], all int32, of B questions with A
        sequences each.
        """
        tokens, last = batch["tokens"], batch["last"]
        logits, seen = self.learner.apply(
            variables, tokens, last, train=True, rngs={"dropout": key}
        )
        # L2: the label, from the state at each sequence's last token (equations 3 and 4).
        task = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        # L1 of the same sequences: every token but the first, and nothing of the padding.
        rows = tokens.reshape(-1, tokens.shape[-1])
        hidden = seen["hidden"].reshape(*rows.shape, -1)[:, :-1]
        spoken = jnp.arange(1, rows.shape[1]) <= last.reshape(-1)[:, None]
        table = variables["params"]["body"]["embedding"]
        language = tied_cross_entropy(hidden, table, rows[:, 1:], spoken, 1)
        loss = task + self.language_weight * language
        return loss, Aux({"task_loss": task, "language_loss": language})

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def answers(self, params: Any, batch: dict) -> jax.Array:
        """The likeliest class of every question: [B]."""
        logits, _ = self.model.apply(
            {"params": params}, batch["tokens"], batch["last"], train=False
        )
        return jnp.argmax(logits, axis=-1)

    def evaluate(self, state, key):
        asked = self.test_questions
        found = training.map_batches(self.jit_answers, state["learner"].params, asked, self.rows)
        labels = np.array([question["label"] for question in asked])
        return {"test/accuracy": np.mean(found == labels)}


def main(experiment: FineTuning, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Two phases; an arm without steps of pre-training fine-tunes a network that knows nothing."""
    pretrained = None
    if config.pretraining.num_steps:
        first = pretraining(config, experiment.corpus)
        state, _ = training.run(first, config, workdir / "pretraining")
        pretrained = state["learner"].params
    _, numbers = training.run(experiment, config, workdir, before=pretrained)
    return numbers


def demo(experiment: FineTuning, state: dict) -> Demo:
    variables = {"params": state["learner"].params}

    @jax.jit
    def probabilities(question: Record) -> jax.Array:
        tokens, last = question["tokens"][None], question["last"][None]
        logits, _ = experiment.model.apply(variables, tokens, last, train=False)
        return jax.nn.softmax(logits[0])

    encode = experiment.corpus.vocabulary.encode
    return judge_demo(experiment.form, encode, experiment.marks, probabilities)


def claims(results: Results) -> list[Claim]:
    return [
        results["test/accuracy"].above(
            "pretrained",
            "from_nothing",
            by=0.08,
            claim="pre-training adds to the accuracy after fine-tuning",
            paper="14.8 points on average over nine tasks (table 5)",
        ),
    ]


if __name__ == "__main__":
    app.run()
