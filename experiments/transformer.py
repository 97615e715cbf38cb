"""Attention Is All You Need (Vaswani et al., 2017), arXiv:1706.03762.

Claim: a network of attention alone translates, once it is told the positions of the words, and
better than a recurrent one of as many parameters that has seen as many tokens.

The rival is RNNsearch (Bahdanau et al., 2014), a recurrent network with attention, of this library,
on the same batches; it has its own optimizer settings (`config.recurrent`).

Not here: the parsing task of section 6.3. Departure: French has byte-level BPE, not word pieces.
The paper does not say how it initialises; kernels are Glorot-uniform here.
"""

import research.early  # answers --help at once

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, UserError
from research.core.errors import check_choice
from research.data.dataset import Rows
from research.data.text.pairs import BOS, PAD, PairBatches, bucket_lengths
from research.data.text.parallel import parallel_text
from research.data.text.tokenization import JointBPE
from research.decoding.translate import decoder_of, translate
from research.losses.token_cross_entropy import masked_mean, smoothed_cross_entropy
from research.metrics.bleu import bleu
from research.metrics.translation import row_nats, token_loss, write_translations
from research.models.gru_encoder_decoder import GRUEncoderDecoder
from research.models.transformer import Transformer
from research.optim.averaging import CheckpointAverage
from research.optim.schedules import noam, warmup_cosine
from research.papers.transformer import ibm_model1
from research.papers.transformer.sequential_operations import sequential_products
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Demo, Image, Number, Text
from research.viz.attention_maps import draw_attention, plot_attention

PAPER = Paper(
    title="Attention Is All You Need",
    authors="Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin",
    year=2017,
    arxiv="1706.03762",
    field="language",
    claim="attention alone translates, once it is told the positions",
    parameters={"base": 63_045_632, "big": 214_171_648},
    curves=("valid/loss",),
    method="transformer",
)

# Layers are stacked: the first axis of a kernel counts them.
RULES = (
    (r"embedding$", P("model", "fsdp")),
    (r"(query|key|value|hidden_layer)/kernel$", P(None, "fsdp", "model")),
    (r"(out|output_layer)/kernel$", P(None, "model", "fsdp")),
)


NETWORKS = ("transformer", "recurrent")


class AttentionIsAllYouNeed(Experiment):
    """A Transformer that learns to translate, or its recurrent rival."""

    rules = RULES

    def __init__(self, config: ConfigDict):
        self.config, data = config, config.data
        self.text = parallel_text(
            data.name,
            data.dir,
            data.source,
            data.target,
            JointBPE(data.vocab_size),
            data.procedural_train,
            data.procedural_test,
        )
        self.assets = (self.text,)
        self.lengths = bucket_lengths(data.shortest_bucket, data.longest_bucket, data.bucket_growth)
        self.tokens_per_batch = data.tokens_per_batch
        check_choice("network", config.network, NETWORKS)
        self.is_rival = config.network == "recurrent"
        self.model: Transformer | GRUEncoderDecoder
        self.model, tx = self.rival() if self.is_rival else self.transformer()
        self.check_positions(data.longest_bucket + config.beam.extra_length)
        self.learner = Learner(
            self.model,
            tx,
            accumulate=config.accumulate_steps,
            max_grad_norm=config.recurrent.max_grad_norm if self.is_rival else config.max_grad_norm,
        )
        self.label_smoothing = config.label_smoothing
        self.average = CheckpointAverage(config.num_steps, **config.average)
        self.jit_nats = jax.jit(self.nats)
        self.decoder = decoder_of(self.model)

        self.num_steps = config.num_steps
        self.micro_batches = config.accumulate_steps
        self.source = PairBatches(
            self.text,
            self.lengths,
            data.tokens_per_batch,
            config.seed,
            data.batch_multiple,
        )
        self.per_step = {"target_positions": data.tokens_per_batch}

    def transformer(self) -> tuple[Transformer, optax.GradientTransformation]:
        """The paper's network, and its optimizer (section 5.3)."""
        config = self.config
        model = Transformer(
            config.data.vocab_size,
            **config.model,
            pad_id=PAD,
            bos_id=BOS,
            dtype=jnp.dtype(config.compute_dtype),
        )
        schedule = noam(config.model.dim, config.warmup_steps, config.learning_rate_factor)
        return model, optax.adam(schedule, b1=0.9, b2=0.98, eps=1e-9)

    def rival(self) -> tuple[GRUEncoderDecoder, optax.GradientTransformation]:
        """RNNsearch for the same tokens, and Adam at a rate of its own."""
        config, recurrent = self.config, self.config.recurrent
        model = GRUEncoderDecoder(
            config.data.vocab_size,
            config.data.vocab_size,
            embedding=recurrent.embedding,
            units=recurrent.units,
            maxout=recurrent.maxout,
            alignment=recurrent.alignment,
            init_scale=recurrent.init_scale,
            pad_id=PAD,
            bos_id=BOS,
            dtype=jnp.dtype(config.compute_dtype),
        )
        schedule = warmup_cosine(recurrent.learning_rate, recurrent.warmup_steps, config.num_steps)
        return model, optax.adam(schedule)

    def check_positions(self, longest: int) -> None:
        """Refuses sequences of more tokens than a learned table of positions has rows.

        Raises:
          UserError: there would be such.
        """
        model = self.model
        if not isinstance(model, Transformer) or model.positions != "learned":
            return
        if longest > model.max_length:
            raise UserError(
                f"sequences of up to {longest} tokens, beam.extra_length included, do not fit "
                f"model.max_length={model.max_length}; set --config.model.max_length={longest}"
            )

    def init(self, key):
        tokens = jnp.zeros((1, self.lengths[0]), jnp.int32)
        learner = self.learner.init(key, tokens, tokens, train=False)
        return {"learner": learner, "average": self.average.init(learner.params)}

    def loss(self, variables, batch, key):
        """Cross-entropy per target token, labels smoothed (section 5.4).

        `batch`: "source" [B, L] and "target" [B, L] int32, padded.
        """
        source, target = batch["source"], batch["target"]
        logits, _ = self.learner.apply(variables, source, target, train=True, rngs={"dropout": key})
        losses = smoothed_cross_entropy(logits, target, self.label_smoothing)
        # Micro-batches have unlike numbers of tokens: each counts by its own.
        loss, count = masked_mean(losses, target != PAD)
        return loss, Aux(weight=count)

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        average = self.average.update(state["average"], learner.params, t)
        return {"learner": learner, "average": average}, metrics

    def nats(self, params: Any, batch: dict) -> tuple[jax.Array, jax.Array]:
        """Cross-entropy, unsmoothed, summed over each target, and its number of tokens: [B]."""
        source, target = batch["source"], batch["target"]
        logits, _ = self.model.apply({"params": params}, source, target, train=False)
        return row_nats(logits, target)

    def validation_loss(self, params: Any) -> float:
        """Cross-entropy per token of the validation pairs, unsmoothed."""
        pairs = self.text.encoded("validation")
        return token_loss(self.jit_nats, params, pairs, self.lengths, self.tokens_per_batch)

    def averaged_params(self, state: dict) -> Any:
        """The mean of the last checkpoints (section 6.1)."""
        return jax.jit(self.average.params)(state["average"], state["learner"].params)

    def evaluate(self, state, key):
        averaged = self.validation_loss(self.averaged_params(state))
        return {
            "valid/loss": averaged,
            "valid/last_loss": self.validation_loss(state["learner"].params),
            "valid/perplexity": np.exp(averaged),
        }

    def translate(self, params: Any, split: str, beam: ConfigDict) -> list[np.ndarray]:
        """Token ids of the translation of every source of a split."""
        sources = [source for source, _ in self.text.encoded(split)]
        return translate(self.decoder, params, sources, self.lengths, **beam)

    def chain_growth(self, params: Any, short: int, long: int) -> float:
        """How much longer the chain of products is in pairs of `long` tokens than of `short`."""

        def logits(params: Any, tokens: jax.Array) -> jax.Array:
            return self.model.apply({"params": params}, tokens, tokens, train=False)[0]

        lengths = [
            sequential_products(logits, params, jax.ShapeDtypeStruct((1, n), jnp.int32))
            for n in (short, long)
        ]
        return lengths[1] / lengths[0]

    def cross_attention(self, params: Any, source: np.ndarray, output: np.ndarray) -> np.ndarray:
        """What each head of each layer looks at in `source` [S] while it writes `output` [T].

        Returns weights [L, H, T, S]; the rival has one layer of one head.
        """

        def weights(params: Any, batch: dict) -> jax.Array:
            _, seen = self.model.apply(
                {"params": params}, batch["source"], batch["output"], train=False
            )
            if self.is_rival:
                return seen["alignment"][:, None, None]
            return jnp.moveaxis(seen["cross_attention"], 1, 0)

        rows = Rows({"source": source[None], "output": output[None]})
        return training.map_batches(jax.jit(weights), params, rows, 1)[0]


def main(experiment: AttentionIsAllYouNeed, config: ConfigDict, workdir: Path) -> dict[str, float]:
    longest = max(len(source) for source, _ in experiment.text.encoded("test"))
    # Sources longer than the longest bucket have buckets of twice its length, and so on.
    doublings = max(0, math.ceil(math.log2(longest / config.data.longest_bucket)))
    room = config.data.longest_bucket * 2**doublings + config.beam.extra_length
    experiment.check_positions(room)
    state, numbers = training.run(experiment, config, workdir)
    text, params = experiment.text, experiment.averaged_params(state)
    outputs = experiment.translate(params, "test", config.beam)

    sources, references = zip(*text.pairs("test"), strict=True)
    hypotheses = [text.decode(output) for output in outputs]
    ours = bleu(hypotheses, references)
    # Word by word with a counted dictionary: what can be had without any grammar.
    dictionary = ibm_model1.fit(text.pairs("train")[: config.dictionary_pairs])
    by_word = bleu([ibm_model1.translate(dictionary, line) for line in sources], references)

    write_translations(
        workdir / "translations.tsv",
        f"{config.data.name}: BLEU {ours.score:.2f} {ours.signature}",
        {"source": sources, "ours": hypotheses, "reference": references},
    )
    source, output = text.encoded("test")[0][0], outputs[0]
    maps = experiment.cross_attention(params, source, output)
    labels = text.target_tokens(output), text.source_tokens(source)
    plot_attention(workdir / "attention.png", maps, *labels)
    return {
        **numbers,
        "test/bleu": ours.score,
        "test/dictionary_bleu": by_word.score,
        "test/exact": 100 * float(np.mean(np.array(hypotheses) == np.array(references))),
        "required/bleu": config.required_bleu,
        "exact/chain_growth": experiment.chain_growth(params, 16, 64),
    }


def demo(experiment: AttentionIsAllYouNeed, state: dict) -> Demo:
    text = experiment.text
    layers = 1 if experiment.is_rival else experiment.config.model.layers
    params = experiment.averaged_params(state)

    def run(sentence: str, layer: int) -> dict[str, Any]:
        if not sentence.strip():
            raise UserError("there is no sentence to translate")
        source = text.encode_source(sentence)
        beam = experiment.config.beam
        (output,) = translate(experiment.decoder, params, [source], experiment.lengths, **beam)
        maps = experiment.cross_attention(params, source, output)[layer - 1 : layer]
        picture = draw_attention(
            maps, text.target_tokens(output), text.source_tokens(source), layer
        )
        return {"translation": text.decode(output), "attention": picture}

    return Demo(
        title="Translate a sentence",
        says="A sentence in the source language of the run; below the translation stands what each "
        "head of a layer looks at while it writes.",
        inputs={
            "sentence": Text("sentence", text.examples[0], lines=2),
            "layer": Number("attention of layer", layers, 1, layers),
        },
        outputs={
            "translation": Text("translation", lines=2),
            "attention": Image("from each word written (down) to the words read (across)"),
        },
        run=run,
        examples=[{"sentence": sentence} for sentence in text.examples],
    )


def claims(results: Results) -> list[Claim]:
    bleus = results["test/bleu"]
    floor = results["required/bleu"]["transformer"][0]
    by_word = results["test/dictionary_bleu"]["transformer"][0]
    loss = Scores(
        "valid/loss",
        {
            "last": results["valid/last_loss"]["transformer"],
            "average": results["valid/loss"]["transformer"],
        },
    )
    found = [
        bleus.at_least(
            "transformer",
            max(floor, by_word),
            claim=f"BLEU at least {floor:g}, and above word-by-word translation",
            paper="27.3 (WMT14 En-De, base)",
        ),
        loss.above(
            "last",
            "average",
            claim="the average of the last checkpoints has no higher validation loss than the last",
            paper="used throughout (section 6.1)",
            digits=4,
        ),
    ]
    if "recurrent" in results.arms:
        found.append(
            bleus.above(
                "transformer",
                "recurrent",
                claim="BLEU above that of a recurrent network with attention after equal tokens",
                paper="above all before it, 2 BLEU and more (table 2)",
                digits=1,
            )
        )
    if "exact/chain_growth" in results.metrics:
        found.append(
            results["exact/chain_growth"].at_most(
                "transformer",
                1.0,
                claim="sentences four times as long have no longer chain of products, each of "
                "which waits for the one before: times as many",
                paper="O(1), recurrent O(n) (table 1)",
                digits=2,
            )
        )
    if "no_positions" in results.arms:
        found.append(
            bleus.above(
                "transformer",
                "no_positions",
                by=5.0,
                claim="without positions BLEU is lost",
                paper="the model must be told the order (section 3.5)",
                digits=1,
            )
        )
    if "no_smoothing" in results.arms:
        found += smoothing_claims(results)
    return found


def smoothing_claims(results: Results) -> list[Claim]:
    paper = "perplexity 4.92 from 4.67, BLEU 25.8 from 25.3 (table 3)"
    return [
        results["valid/perplexity"].above(
            "transformer",
            "no_smoothing",
            by=0.005,
            claim="label smoothing raises perplexity",
            paper=paper,
            digits=3,
        ),
        results["test/bleu"].above(
            "transformer",
            "no_smoothing",
            by=-0.5,
            claim="and costs no more than half a point of BLEU",
            paper=paper,
            digits=1,
        ),
    ]


if __name__ == "__main__":
    app.run()
