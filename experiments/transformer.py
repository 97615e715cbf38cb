"""Attention Is All You Need (Vaswani et al., 2017), arXiv:1706.03762.

Claim: a network of attention alone translates, once it is told the positions of the words.

Not here: the parsing task of section 6.3. Departure: French has byte-level BPE, not word pieces.
The paper does not say how it initialises; kernels are Glorot-uniform here.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner
from research.core.legacy import OldExperiment
from research.data.text.pairs import BOS, PAD, PairBatches, ParallelText, bucket_lengths, every_pair
from research.data.text.parallel import parallel_text
from research.decoding.translate import translate
from research.losses.token_cross_entropy import masked_mean, smoothed_cross_entropy
from research.metrics.bleu import bleu
from research.models.transformer import Transformer
from research.optim.averaging import CheckpointAverage
from research.optim.schedules import noam
from research.papers.transformer import ibm_model1
from research.report.claims import Claim, Paper, spread
from research.viz.attention_maps import plot_attention

PAPER = Paper(
    title="Attention Is All You Need",
    authors="Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin",
    year=2017,
    arxiv="1706.03762",
    claim="attention alone translates, once it is told the positions",
    parameters={"base": 63_045_632, "big": 214_171_648},
    curves=("valid/loss",),
)

# Layers are stacked: the first axis of a kernel counts them.
RULES = (
    (r"embedding$", P("model", "fsdp")),
    (r"(query|key|value|hidden_layer)/kernel$", P(None, "fsdp", "model")),
    (r"(out|output_layer)/kernel$", P(None, "model", "fsdp")),
)


def build_parts(config: ConfigDict) -> tuple[Transformer, ParallelText, list, CheckpointAverage]:
    c = config.data
    text = parallel_text(
        c.name, c.dir, c.source, c.target, c.vocab_size, c.procedural_train, c.procedural_test
    )
    model = Transformer(
        c.vocab_size, **config.model, pad_id=PAD, bos_id=BOS, dtype=jnp.dtype(config.compute_dtype)
    )
    lengths = bucket_lengths(c.shortest_bucket, c.longest_bucket, c.bucket_growth)
    average = CheckpointAverage(config.num_steps, **config.average)
    return model, text, lengths, average


def build(config: ConfigDict) -> Experiment:
    model, text, lengths, average = build_parts(config)
    source = PairBatches(
        text, lengths, config.data.tokens_per_batch, config.seed, config.data.batch_multiple
    )
    schedule = noam(config.model.dim, config.warmup_steps, config.learning_rate_factor)
    learner = Learner(
        model,
        optax.adam(schedule, b1=0.9, b2=0.98, eps=1e-9),
        config.accumulate_steps,
        config.max_grad_norm,
    )

    def init(key: jax.Array) -> dict:
        tokens = jnp.zeros((1, lengths[0]), jnp.int32)
        state = learner.init(key, tokens, tokens, train=False)
        return {"learner": state, "average": average.init(state.params)}

    def loss_fn(variables: dict, batch: dict, key: jax.Array) -> tuple:
        source, target = batch["source"], batch["target"]
        logits, _ = learner.apply(variables, source, target, train=True, rngs={"dropout": key})
        losses = smoothed_cross_entropy(logits, target, config.label_smoothing)
        loss, count = masked_mean(losses, target != PAD)
        return loss, Aux(weight=count)

    def step(state: dict, batch: dict, key: jax.Array) -> tuple[dict, dict]:
        new, metrics = learner.minimize(state["learner"], loss_fn, batch, key)
        return {"learner": new, "average": average.update(state["average"], new.params)}, metrics

    @jax.jit
    def mean_loss(params: dict, batch: dict) -> tuple[jax.Array, jax.Array]:
        source, target = batch["source"], batch["target"]
        logits, _ = model.apply({"params": params}, source, target, train=False)
        return masked_mean(smoothed_cross_entropy(logits, target), target != PAD)

    def valid(state: dict, key: jax.Array) -> dict[str, float]:
        """Cross-entropy per token, unsmoothed: of the averaged checkpoints, and of the last one."""
        pairs, last = text.encoded("validation"), state["learner"].params
        batches = [batch for _, batch in every_pair(pairs, lengths, config.data.tokens_per_batch)]

        def loss(params: dict) -> float:
            means, counts = zip(*(mean_loss(params, batch) for batch in batches), strict=True)
            return np.average(np.array(means), weights=np.array(counts))

        averaged = loss(average.params(state["average"], last))
        return {"loss": averaged, "last_loss": loss(last), "perplexity": np.exp(averaged)}

    return OldExperiment(
        init=init,
        step=step,
        num_steps=config.num_steps,
        source=source,
        evals={"valid": valid},
        rules=RULES,
        per_step={"target_positions": config.data.tokens_per_batch},
    )


def main(config: ConfigDict, workdir: Path) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)

    model, text, lengths, average = build_parts(config)
    params = jax.jit(average.params)(state["average"], state["learner"].params)
    encoded = text.encoded("test")
    outputs = translate(model, params, [source for source, _ in encoded], lengths, **config.beam)
    sources, references = zip(*text.pairs("test"), strict=True)
    hypotheses = [text.decode(output) for output in outputs]
    ours = bleu(hypotheses, references)
    # Word by word with a counted dictionary: what can be had without any grammar.
    dictionary = ibm_model1.fit(text.pairs("train")[: config.dictionary_pairs])
    by_word = bleu([ibm_model1.translate(dictionary, line) for line in sources], references)

    lines = map("\t".join, zip(sources, hypotheses, references, strict=True))
    header = f"# {config.data.name}: BLEU {ours.score:.2f} {ours.signature}"
    (workdir / "translations.tsv").write_text("\n".join([header, *lines]), encoding="utf-8")
    text.tokenizer.save(str(workdir / "tokenizer.json"))
    # What every head of every layer looks at in the source while it writes the first translation.
    source, output = encoded[0][0], outputs[0]
    see = jax.jit(lambda *inputs: model.apply(*inputs, train=False)[1]["cross_attention"])
    seen = see({"params": params}, source[None], output[None])
    maps = multihost_utils.process_allgather(seen, tiled=True)[:, 0]
    plot_attention(workdir / "attention.png", maps, text.tokens(output), text.tokens(source))
    return {
        **numbers,
        "test/bleu": ours.score,
        "test/dictionary_bleu": by_word.score,
        "test/exact": 100 * float(np.mean(np.array(hypotheses) == np.array(references))),
        "required/bleu": config.required_bleu,
    }


def claims(results: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    # configs/transformer.py says what was measured, and how far from these bounds.
    full, bag, sharp = map(results.get, ("transformer", "no_positions", "no_smoothing"))
    bleus, by_word = full["test/bleu"], full["test/dictionary_bleu"][0]
    floor = full["required/bleu"][0]
    better = full["valid/last_loss"] - full["valid/loss"]
    found = [
        Claim(
            f"BLEU at least {floor:g}, and above word-by-word translation",
            "27.3 (WMT14 En-De, base)",
            f"{spread(bleus)}; word by word {by_word:.1f}",
            bool(np.all(bleus >= max(floor, by_word))),
        ),
        Claim(
            "the average of the last checkpoints has no higher validation loss than the last",
            "used throughout (section 6.1)",
            f"{spread(better, 4)} lower",
            bool(np.all(better >= 0)),
        ),
    ]
    if bag is not None:
        lost = bleus - bag["test/bleu"]
        claim = "without positions at least 5 BLEU are lost"
        paper = "the model must be told the order (section 3.5)"
        found += [Claim(claim, paper, f"{spread(lost)} lost", bool(np.all(lost >= 5)))]
    if sharp is not None:
        gained = bleus - sharp["test/bleu"]
        raised = full["valid/perplexity"] - sharp["valid/perplexity"]
        claim = "label smoothing raises perplexity, and costs no more than 0.5 BLEU"
        paper = "perplexity 4.92 from 4.67, BLEU 25.8 from 25.3 (table 3)"
        ours = f"perplexity {spread(raised, 3)} up, BLEU {spread(gained)} up"
        holds = bool(np.all(raised > 0) and np.mean(gained) >= -0.5)
        found += [Claim(claim, paper, ours, holds)]
    return found


if __name__ == "__main__":
    app.run()
