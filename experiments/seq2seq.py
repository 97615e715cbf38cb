"""Sequence to Sequence Learning with Neural Networks (Sutskever, Vinyals, Le, 2014).

It is arXiv:1409.3215.

Claim: two LSTMs translate through one vector, and do better where the source is read backward.

`:cho` trains the network that came before it, the RNN Encoder-Decoder of Cho et al. (2014,
arXiv:1406.1078): one gated recurrent layer each, its context in all gates, a maxout layer.

Departures: the decoder is fed a token of its own first, not the end of the source. Without a phrase
table, the n-best lists that are rescored (section 3.3) are the first network's own, and the others
judge them. Cho et al. score the phrases of such a table; here their network is trained on
sentences, its output matrix is not factored, and the reset gate stands before the whole product.
"""

import research.early  # answers --help at once

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from research import app, training
from research.config import with_overrides
from research.core import Aux, Experiment, Learner, UserError
from research.data.text.pairs import BOS, PAD, UNK, PairBatches, bucket_lengths, map_pairs
from research.data.text.parallel import parallel_text
from research.data.text.tokenization import Words
from research.decoding.translate import (
    Translations,
    decoder_of,
    ensemble,
    n_best,
    rescored,
)
from research.losses.token_cross_entropy import smoothed_cross_entropy
from research.metrics.bleu import bleu
from research.metrics.translation import (
    bleu_by_length,
    corpus_sums,
    row_nats,
    write_translations,
)
from research.models.gru_encoder_decoder import GRUEncoderDecoder
from research.models.seq2seq import Seq2Seq
from research.optim.named import named
from research.optim.schedules import halving
from research.papers.seq2seq.sentence_map import plot_sentences
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Number, Text
from research.viz.length_curves import plot_by_length

PAPER = Paper(
    title="Sequence to Sequence Learning with Neural Networks",
    authors="Sutskever, Vinyals, Le",
    year=2014,
    arxiv="1409.3215",
    field="language",
    claim="two LSTMs translate through one vector, and better if the source is reversed",
    parameters={"seq2seq": 384_112_000, "cho": 24_224_000},
    curves=("valid/accuracy",),
    x="sentences",
    method="reversed",
)

# The paper had a layer on each of four GPUs and a quarter of the softmax on each of four others.
RULES = (
    (r"embedding$", P("model", "fsdp")),
    (r"softmax/kernel$", P("fsdp", "model")),
    (r"(input/kernel|recurrent)$", P("fsdp", "model")),
)


class SequenceToSequence(Experiment):
    """An encoder and a decoder that learn to translate."""

    rules = RULES

    def __init__(self, config: ConfigDict):
        self.config = config
        data, optimizer = config.data, config.optimizer
        if data.sentences_per_batch < 1:
            raise UserError("data.sentences_per_batch is a number of sentences, 1 or more")
        if not 1 <= config.n_best <= config.beam.beam:
            raise UserError(f"n_best is 1 to beam.beam, {config.beam.beam}, not {config.n_best}")
        self.text = parallel_text(
            data.name,
            data.dir,
            data.source,
            data.target,
            Words(data.source_vocab, data.target_vocab),
            data.procedural_train,
            data.procedural_test,
        )
        self.assets = (self.text,)
        self.lengths = bucket_lengths(data.shortest_bucket, data.longest_bucket, data.bucket_growth)
        self.model = make_network(config)
        self.learner = Learner(
            self.model,
            # Section 3.4 halves the rate each half epoch, after the fifth.
            named(
                optimizer.name,
                halving(
                    optimizer.learning_rate,
                    optimizer.halve_after_steps,
                    optimizer.halve_every_steps,
                ),
            ),
            accumulate=config.accumulate_steps,
            # Section 3.4: s = ||g||, g <- 5 g / s where s > 5.
            max_grad_norm=config.max_grad_norm,
        )
        self.decoder = decoder_of(self.model)
        self.jit_sums = jax.jit(self.sums)
        self.jit_state = jax.jit(self.sentence_state)

        self.num_steps = config.num_steps
        self.micro_batches = config.accumulate_steps
        self.source = PairBatches(
            self.text, self.lengths, 0, config.seed, sentences=data.sentences_per_batch
        )
        self.per_step = {"sentences": data.sentences_per_batch}

    def init(self, key):
        tokens = jnp.zeros((1, self.lengths[0]), jnp.int32)
        return {"learner": self.learner.init(key, tokens, tokens)}

    def loss(self, variables, batch, key):
        """-1/|S| sum over (T, S) of log p(T | S) (equation 1, sections 3.2 and 3.4).

        The sum is over all words of a sentence, and only sentences are averaged: that is what the
        learning rate and the limit of the gradient's norm are meant for.

        `batch`: "source" [B, L] and "target" [B, L] int32, padded.
        """
        source, target = batch["source"], batch["target"]
        logits, _ = self.learner.apply(variables, source, target, train=True)
        mask = target != PAD
        log_p = -jnp.sum(smoothed_cross_entropy(logits, target) * mask, axis=1)
        return -jnp.mean(log_p), Aux({"token_loss": -jnp.sum(log_p) / jnp.sum(mask)})

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def sums(self, members: tuple[Any, ...], batch: dict) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Of each target: its -log p, its number of tokens, how many were the likeliest: [B].

        `members`: parameters of the networks, whose log probabilities are averaged.
        """
        source, target = batch["source"], batch["target"]
        log_probs = jnp.zeros(())
        for params in members:
            logits, _ = self.model.apply({"params": params}, source, target)
            log_probs += jax.nn.log_softmax(logits) / len(members)
        hits = (jnp.argmax(log_probs, axis=-1) == target) & (target != PAD)
        return *row_nats(log_probs, target), jnp.sum(hits, axis=1)

    def test(self, members: tuple[Any, ...], split: str) -> dict[str, float]:
        """Cross-entropy per token of a split, and the share of tokens that were the likeliest."""
        pairs, tokens = self.text.encoded(split), self.config.beam.tokens_per_batch
        nats, counts, hits = corpus_sums(self.jit_sums, members, pairs, self.lengths, tokens)
        loss = nats.sum() / counts.sum()
        accuracy = hits.sum() / counts.sum()
        return {"loss": loss, "perplexity": np.exp(loss), "accuracy": accuracy}

    def evaluate(self, state, key):
        found = self.test((state["learner"].params,), "validation")
        return {f"valid/{name}": value for name, value in found.items()}

    def n_best(self, decoder: Any, params: Any, beam: int, count: int = 1) -> list[Translations]:
        """Hypotheses for every source of the test split, with their log probabilities."""
        sources = [source for source, _ in self.text.encoded("test")]
        setting = {**self.config.beam, "beam": beam}
        return n_best(decoder, params, sources, self.lengths, **setting, count=count)

    def rescore(
        self, found: list[Translations], members: tuple[Any, ...]
    ) -> tuple[list[np.ndarray], float]:
        """The hypotheses that a list's own scores and those of `members` agree on (section 3.3).

        Also returns the share of sentences whose first hypothesis is another one now.
        """
        sources = [source for source, _ in self.text.encoded("test")]
        pairs = [(s, t) for s, f in zip(sources, found, strict=True) for t in f.tokens]
        tokens = self.config.beam.tokens_per_batch
        nats, *_ = corpus_sums(self.jit_sums, members, pairs, self.lengths, tokens)
        ends = np.cumsum([len(f.tokens) for f in found])[:-1]
        own = zip(found, np.split(-nats, ends), strict=True)
        chosen = [rescored(hypotheses, scores) for hypotheses, scores in own]
        changed = [c is not f.tokens[0] for c, f in zip(chosen, found, strict=True)]
        return chosen, float(np.mean(changed))

    def sentence_state(self, params: Any, batch: dict) -> jax.Array:
        """What the network keeps of each source [B, L]: vectors [B, D]."""
        _, seen = self.model.apply({"params": params}, batch["source"], batch["target"])
        return seen["sentence"]


def make_network(config: ConfigDict) -> nn.Module:
    """The LSTMs of Sutskever et al., or the gated recurrent network of Cho et al."""
    sizes = {"source_vocab": config.data.source_vocab, "target_vocab": config.data.target_vocab}
    special = {"pad_id": PAD, "bos_id": BOS, "dtype": jnp.dtype(config.compute_dtype)}
    if config.network == "lstm":
        return Seq2Seq(**sizes, **config.lstm, **special)
    if config.network == "gru":
        return GRUEncoderDecoder(**sizes, **config.gru, **special, alignment=0)
    raise UserError(f"network is lstm or gru, not {config.network!r}")


def main(experiment: SequenceToSequence, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    members = [state["learner"].params]
    for number in range(1, config.members):
        # Networks of an ensemble differ in their first parameters and in the order of batches.
        setting = with_overrides(config, {"seed": config.seed + 1000 * number})
        other, _ = training.run(SequenceToSequence(setting), setting, workdir / f"member_{number}")
        members.append(other["learner"].params)
    numbers = {**numbers, **decode(experiment, members, config, workdir)}
    draw_probes(experiment, members[0], config.probes, workdir)
    return {
        **numbers,
        "required/accuracy": config.required_accuracy,
        "required/bleu": config.required_bleu,
        "required/reversal": float(config.judge_reversal),
    }


def decode(
    experiment: SequenceToSequence, members: list[Any], config: ConfigDict, workdir: Path
) -> dict[str, float]:
    """Everything about the test sentences: losses, translations, an ensemble's, rescored ones."""
    text, first = experiment.text, members[0]
    sources, lines = zip(*text.pairs("test"), strict=True)
    references = text.words(lines)

    def score(outputs: list[np.ndarray]) -> float:
        return bleu([text.decode(output) for output in outputs], references, "none").score

    alone = [experiment.test((params,), "test") for params in members]
    numbers = {f"test/{name}": value for name, value in alone[0].items()}
    greedy = experiment.n_best(experiment.decoder, first, 1)
    lists = experiment.n_best(experiment.decoder, first, config.beam.beam, config.n_best)
    gains = [b.scores[0] - g.scores[0] for b, g in zip(lists, greedy, strict=True)]
    outputs = [found.tokens[0] for found in lists]
    numbers["test/greedy_bleu"] = score([found.tokens[0] for found in greedy])
    numbers["test/bleu"] = score(outputs)
    numbers["test/beam_gain"] = float(np.mean(gains))
    # Equal but for rounding counts as found.
    numbers["test/beam_found"] = float(np.mean(np.array(gains) > -1e-3))

    if len(members) > 1:
        both = tuple(members)
        found = experiment.n_best(ensemble(experiment.decoder), both, config.beam.beam)
        numbers["test/best_member_loss"] = min(one["loss"] for one in alone)
        numbers["test/ensemble_loss"] = experiment.test(both, "test")["loss"]
        numbers["test/ensemble_bleu"] = score([f.tokens[0] for f in found])
        chosen, changed = experiment.rescore(lists, tuple(members[1:]))
        numbers["test/rescored_bleu"], numbers["test/rescored_share"] = score(chosen), changed

    hypotheses = [text.decode(output) for output in outputs]
    sizes = [len(source) - 1 for source, _ in text.encoded("test")]
    by_length = bleu_by_length(hypotheses, references, sizes, config.length_edges, "none")
    plot_by_length(workdir / "length.png", {"ours": by_length}, "words of the source", "BLEU")
    numbers |= {f"test/bleu_to_{edge}_words": value for edge, value in by_length.items()}
    write_translations(
        workdir / "translations.tsv",
        f"{config.data.name}: BLEU {numbers['test/bleu']:.2f} of words as they are (tok:none)",
        {"source": sources, "ours": hypotheses, "reference": references},
    )
    return numbers


def draw_probes(
    experiment: SequenceToSequence, params: Any, probes: tuple[str, ...], workdir: Path
) -> None:
    """Figure 2: what is kept of sentences that differ in the order of their words."""
    encoded = [experiment.text.encode_source(line) for line in probes]
    pairs = [(source, source[-1:]) for source in encoded]
    tokens = experiment.config.beam.tokens_per_batch
    states = map_pairs(experiment.jit_state, params, pairs, experiment.lengths, tokens)
    plot_sentences(workdir / "sentences.png", np.stack(states), probes)


def demo(experiment: SequenceToSequence, state: dict) -> Demo:
    config, text = experiment.config, experiment.text

    def run(sentence: str, beam: int) -> dict[str, str]:
        source = text.encode_source(sentence)
        if len(source) < 2 or np.all(source[:-1] == UNK):
            raise UserError("write a sentence with at least one word of the training sentences")
        setting = {**config.beam, "beam": int(beam)}
        params = state["learner"].params
        (found,) = n_best(
            experiment.decoder, params, [source], experiment.lengths, **setting, count=int(beam)
        )
        lines = [
            f"{score:8.2f}  {text.decode(tokens)}"
            for tokens, score in zip(found.tokens, found.scores, strict=True)
        ]
        best = text.decode(found.tokens[0])  # of a network that has learned little: no word at all
        return {"translation": best or "(no words)", "hypotheses": "\n".join(lines)}

    return Demo(
        title="Translate a sentence",
        says="One network reads the sentence and keeps a single vector of it; another one writes "
        "the translation from that vector alone.",
        inputs={
            "sentence": Text("Sentence", config.probes[0]),
            "beam": Number("Hypotheses kept at a time", 2, 1, 12),
        },
        outputs={
            "translation": Text("Translation"),
            "hypotheses": Text("The most probable ones, and their log probabilities", lines=4),
        },
        run=run,
        examples=[{"sentence": line} for line in config.probes[1:4]],
    )


def claims(results: Results) -> list[Claim]:
    arm = "reversed" if "reversed" in results.arms else results.arms[0]
    required = {name: results[f"required/{name}"][arm][0] for name in ("accuracy", "bleu")}
    found = [
        results["test/bleu"].at_least(
            arm,
            required["bleu"],
            claim="BLEU",
            paper="30.6 (WMT14 En-Fr, one network, beam of 12)",
            digits=1,
        ),
        results["test/beam_found"].at_least(
            arm,
            0.95,
            claim="the beam's translation is at least as probable as the greedy one, share",
            paper="beam search (section 3.2)",
            digits=3,
        ),
    ]
    if "test/ensemble_loss" in results.metrics:
        loss = results.side_by_side(arm, one="test/best_member_loss", ensemble="test/ensemble_loss")
        found.append(
            loss.above(
                "one",
                "ensemble",
                claim="an ensemble has a lower loss than its best member",
                paper="BLEU 30.6 to 34.8 with five (table 1)",
                rule="seed by seed",
                pairs="the same members",
                digits=3,
            )
        )
    if {"forward", "reversed"} <= set(results.arms):
        accuracy, judged = results["test/accuracy"], results["required/reversal"][arm][0] > 0
        found += [
            accuracy.above(
                "reversed",
                "forward",
                by=0.03,
                claim="a reversed source gives more accurate words",
                paper="perplexity 5.8 to 4.7, BLEU 25.9 to 30.6 (section 3.3)",
                digits=3,
                judged=judged,
            ),
            accuracy.at_least(
                "forward",
                required["accuracy"],
                claim="the other order has been learned too: accuracy of words",
                paper="BLEU 26.2 (table 1)",
                digits=3,
            ),
        ]
    return found


if __name__ == "__main__":
    app.run()
