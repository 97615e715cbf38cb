"""Neural Machine Translation by Jointly Learning to Align and Translate (Bahdanau et al., 2014).

It is arXiv:1409.0473. Claim: a decoder that looks for the words it needs translates long sentences
as well as short ones; one that has a single vector of the sentence does not.

Departures: the decoder is fed a token of its own first, where the paper has a zero vector. Every
bias is written out, the appendix leaves them away.
"""

import research.early  # answers --help at once

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, UserError
from research.data.procedural import translation
from research.data.text.pairs import BOS, PAD, UNK, SortedBatches, bucket_lengths, map_pairs
from research.data.text.parallel import parallel_text
from research.data.text.tokenization import Words
from research.decoding.translate import Decoder, decoder_of, translate, without
from research.losses.token_cross_entropy import smoothed_cross_entropy
from research.metrics.bleu import bleu
from research.metrics.translation import (
    bleu_by_length,
    row_nats,
    token_loss,
    write_translations,
)
from research.models.gru_encoder_decoder import GRUEncoderDecoder
from research.optim.named import named
from research.papers.bahdanau_attention import alignments
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Image, Number, Text
from research.viz.attention_maps import draw_attention, plot_attention
from research.viz.length_curves import plot_by_length

PAPER = Paper(
    title="Neural Machine Translation by Jointly Learning to Align and Translate",
    authors="Bahdanau, Cho, Bengio",
    year=2014,
    arxiv="1409.0473",
    field="language",
    claim="a decoder that aligns translates long sentences as well as short ones",
    parameters={"rnnsearch": 80_443_000},
    curves=("valid/loss",),
    x="sentences",
    method="rnnsearch",
)

RULES = (
    (r"embedding$", P("model", "fsdp")),
    (r"softmax/kernel$", P("fsdp", "model")),
    (r"(input/kernel|recurrent|context_kernel|from_.*/kernel)$", P("fsdp", "model")),
)


class AlignAndTranslate(Experiment):
    """RNNsearch, or RNNencdec where the alignment model has no units."""

    rules = RULES

    def __init__(self, config: ConfigDict):
        self.config = config
        data = config.data
        if data.sentences_per_batch < 1 or data.sorted_batches < 1:
            raise UserError("data.sentences_per_batch and data.sorted_batches are 1 or more")
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
        self.model = GRUEncoderDecoder(
            data.source_vocab,
            data.target_vocab,
            **config.model,
            pad_id=PAD,
            bos_id=BOS,
            dtype=jnp.dtype(config.compute_dtype),
        )
        self.learner = Learner(
            self.model,
            named(config.optimizer.name, config.optimizer.learning_rate),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.decoder = decoder_of(self.model)
        self.jit_nats = jax.jit(self.nats)
        self.jit_alignment = jax.jit(self.alignment)

        self.num_steps = config.num_steps
        self.micro_batches = config.accumulate_steps
        self.source = SortedBatches(
            self.text, self.lengths, data.sentences_per_batch, data.sorted_batches, config.seed
        )
        self.per_step = {"sentences": data.sentences_per_batch}

    def init(self, key):
        tokens = jnp.zeros((1, self.lengths[0]), jnp.int32)
        return {"learner": self.learner.init(key, tokens, tokens)}

    def loss(self, variables, batch, key):
        """-log p(y | x) = -sum_i log p(y_i | y_1 ... y_{i-1}, x), the mean over sentences.

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

    def nats(self, params: Any, batch: dict) -> tuple[jax.Array, jax.Array]:
        """-log p of each target, and its number of tokens: [B]."""
        logits, _ = self.model.apply({"params": params}, batch["source"], batch["target"])
        return row_nats(logits, batch["target"])

    def evaluate(self, state, key):
        tokens = self.config.beam.tokens_per_batch
        pairs = self.text.encoded("validation")
        loss = token_loss(self.jit_nats, state["learner"].params, pairs, self.lengths, tokens)
        return {"valid/loss": loss, "valid/perplexity": np.exp(loss)}

    def translate(
        self, decoder: Decoder, params: Any, sources: list[np.ndarray], beam: int
    ) -> list[np.ndarray]:
        """Token ids of the translation of every source."""
        setting = {**self.config.beam, "beam": beam}
        return translate(decoder, params, sources, self.lengths, **setting)

    def alignment(self, params: Any, batch: dict) -> jax.Array:
        """The weights a_ij of each pair, given its target: [B, T, S]."""
        _, seen = self.model.apply({"params": params}, batch["source"], batch["target"])
        return seen["alignment"]

    def alignments(self, params: Any, pairs: list) -> list[np.ndarray]:
        """The weights of every pair, without padding: [T, S]."""
        tokens = self.config.beam.tokens_per_batch
        found = map_pairs(self.jit_alignment, params, pairs, self.lengths, tokens)
        return [a[: len(t), : len(s)] for a, (s, t) in zip(found, pairs, strict=True)]


def main(experiment: AlignAndTranslate, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    params = state["learner"].params
    numbers = {**numbers, **scores(experiment, params, config, workdir)}
    if experiment.model.alignment:
        numbers |= look_at_alignments(experiment, params, config, workdir)
    return {**numbers, "required/bleu": config.required_bleu, "required/gap": config.required_gap}


def scores(
    experiment: AlignAndTranslate, params: Any, config: ConfigDict, workdir: Path
) -> dict[str, float]:
    """BLEU of the test sentences: of all, of those without unknown words (table 1), by length."""
    text, pairs = experiment.text, experiment.text.encoded("test")
    sources, lines = zip(*text.pairs("test"), strict=True)
    references = text.words(lines)
    encoded = [source for source, _ in pairs]
    outputs = experiment.translate(experiment.decoder, params, encoded, config.beam.beam)
    hypotheses = [text.decode(output) for output in outputs]

    known = [i for i, pair in enumerate(pairs) if not any(UNK in side for side in pair)]
    never = without(experiment.decoder, UNK)
    again = experiment.translate(never, params, [encoded[i] for i in known], config.beam.beam)
    of_known = bleu([text.decode(o) for o in again], [references[i] for i in known], "none")

    sizes = [len(source) - 1 for source in encoded]
    short, long = (config.short_words, config.long_words)
    halves = bleu_by_length(hypotheses, references, sizes, (short, long - 1, max(sizes)), "none")
    by_length = bleu_by_length(hypotheses, references, sizes, config.length_edges, "none")
    plot_by_length(workdir / "length.png", {"ours": by_length}, "words of the source", "BLEU")
    score = bleu(hypotheses, references, "none").score
    write_translations(
        workdir / "translations.tsv",
        f"{config.data.name}: BLEU {score:.2f} of words as they are (tok:none)",
        {"source": sources, "ours": hypotheses, "reference": references},
    )
    return {
        "test/bleu": score,
        "test/bleu_known_words": of_known.score,
        "test/bleu_short": halves[short],
        "test/bleu_long": halves[max(sizes)],
        "test/kept": halves[max(sizes)] / max(halves[short], 1e-9),
        **{f"test/bleu_to_{edge}_words": value for edge, value in by_length.items()},
    }


def look_at_alignments(
    experiment: AlignAndTranslate, params: Any, config: ConfigDict, workdir: Path
) -> dict[str, float]:
    """Figure 3, and how much of the weights lies where it should."""
    text, pairs = experiment.text, experiment.text.encoded("test")
    weights = experiment.alignments(params, pairs)
    source, target = pairs[config.drawn_sentence]
    labels = text.target_tokens(target), text.source_tokens(source)
    plot_attention(workdir / "alignment.png", weights[config.drawn_sentence][None, None], *labels)
    numbers = {"test/near_diagonal": alignments.near_diagonal(weights)}
    if config.data.name == "procedural":  # the grammar says which word renders which
        true = [s.alignment for s in translation.generate(len(pairs))]
        numbers["test/on_aligned_words"] = alignments.on_aligned_words(weights, true)
        numbers["test/on_aligned_words_by_chance"] = alignments.on_aligned_words(
            [np.full_like(w, 1 / w.shape[1]) for w in weights], true
        )
    return numbers


def demo(experiment: AlignAndTranslate, state: dict) -> Demo:
    config, text = experiment.config, experiment.text
    params = state["learner"].params

    def run(sentence: str, beam: int) -> dict[str, Any]:
        source = text.encode_source(sentence)
        if len(source) < 2 or np.all(source[:-1] == UNK):
            raise UserError("write a sentence with at least one word of the training sentences")
        (output,) = experiment.translate(experiment.decoder, params, [source], int(beam))
        found: dict[str, Any] = {"translation": text.decode(output) or "(no words)"}
        if experiment.model.alignment:
            (weights,) = experiment.alignments(params, [(source, output)])
            labels = text.target_tokens(output), text.source_tokens(source)
            found["alignment"] = draw_attention(weights[None, None], *labels)
        return found

    outputs: dict[str, Any] = {"translation": Text("Translation")}
    if experiment.model.alignment:
        outputs["alignment"] = Image("Which words each word was made from")
    return Demo(
        title="Translate a sentence, and see what is looked at",
        says="A recurrent network reads the sentence both ways. Another one writes the translation "
        "and, before each of its words, decides which words of the sentence to look at.",
        inputs={
            "sentence": Text("Sentence", config.sentences[0]),
            "beam": Number("Hypotheses kept at a time", 2, 1, 12),
        },
        outputs=outputs,
        run=run,
        examples=[{"sentence": line} for line in config.sentences[1:]],
    )


def claims(results: Results) -> list[Claim]:
    bleus, kept = results["test/bleu"], results["test/kept"]
    needed = {name: results[f"required/{name}"]["rnnsearch"][0] for name in ("bleu", "gap")}
    found = [
        bleus.at_least(
            "rnnsearch",
            needed["bleu"],
            claim="BLEU",
            paper="28.45 (WMT14 En-Fr, trained until it got no better)",
            digits=1,
        ),
        bleus.above(
            "rnnsearch",
            "rnnencdec",
            by=needed["gap"],
            claim="one vector of a sentence, at its own best rate: BLEU is lower",
            paper="26.75 against 17.82 (sentences of up to 50 words, table 1)",
            digits=1,
        ),
        kept.at_least(
            "rnnsearch",
            0.6,
            claim="of the BLEU of short sentences, long ones keep",
            paper="no deterioration (figure 2)",
        ),
        kept.at_most(
            "rnnencdec",
            0.5,
            claim="of the BLEU of short sentences, long ones keep with one vector",
            paper="drops dramatically (figure 2)",
        ),
        results["test/near_diagonal"].at_least(
            "rnnsearch",
            0.5,
            claim="weight within two words of the diagonal",
            paper="largely monotonic (section 5.2.1)",
        ),
    ]
    if "test/on_aligned_words" in results.metrics:
        found.append(
            results["test/on_aligned_words"].at_least(
                "rnnsearch",
                0.5,
                claim="weight on the very words that a word renders",
                paper="agrees with intuition (section 5.2.1)",
            )
        )
    return found


if __name__ == "__main__":
    app.run()
