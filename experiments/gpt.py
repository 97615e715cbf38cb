"""Language Models are Few-Shot Learners (Brown et al., 2020), arXiv:2005.14165; before it, Language
Models are Unsupervised Multitask Learners (Radford et al., 2019), and Improving Language
Understanding by Generative Pre-Training (Radford et al., 2018).

Claim: a language model learns a task from the examples in its context.

The learning rate follows the tokens seen, so that it does not depend on how the batch grows.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from research import app, training
from research.core import Experiment, Learner
from research.core.legacy import OldExperiment
from research.data.text.batch_ramp import BatchRamp
from research.data.text.corpus import Corpus
from research.data.text.packing import TokenBatches
from research.decoding.complete import complete
from research.losses.next_token import next_token_loss
from research.losses.token_cross_entropy import smoothed_cross_entropy
from research.metrics import perplexity
from research.models import gpt
from research.optim.schedules import warmup_cosine
from research.papers.gpt import in_context, ngram
from research.papers.gpt.cache_error import cache_error
from research.papers.gpt.key_labels import KeyLabels
from research.papers.gpt.residual_growth import residual_growth
from research.report.claims import Claim, Paper, spread

PAPER = Paper(
    title="Language Models are Few-Shot Learners",
    authors="Radford, Narasimhan, Salimans, Sutskever; Brown et al.",
    year=2020,
    arxiv="2005.14165",
    claim="a language model learns a task from the examples in its context",
    parameters=gpt.PARAMETERS,
    curves=("loss",),
)


def build_parts(config: ConfigDict) -> tuple[gpt.GPT, BatchRamp, Corpus | KeyLabels]:
    c = config.data
    model = gpt.GPT(**config.model, dtype=jnp.dtype(config.compute_dtype))
    ramp = BatchRamp.linear(**config.batch, tokens_per_row=c.length)
    if c.names == ("key_labels",):
        return model, ramp, KeyLabels(c.num_keys, c.num_labels, c.length // 2, config.seed)
    return (
        model,
        ramp,
        Corpus(
            c.names, c.weights, c.dir, c.vocabulary, model.vocab_size, c.overlap_words, c.test_split
        ),
    )


def build(config: ConfigDict) -> Experiment:
    model, ramp, data = build_parts(config)
    o, e, length = config.optimizer, config.eval, config.data.length
    rate = warmup_cosine(o.learning_rate, o.warmup_tokens, o.decay_tokens, o.end_factor)
    tx = optax.adamw(
        lambda count: rate(ramp.tokens_before(count + 1)),
        b1=o.b1,
        b2=o.b2,
        eps=o.eps,
        weight_decay=o.weight_decay,
        mask=gpt.decayed,
    )
    solves = isinstance(data, KeyLabels)
    learner = Learner(model, tx, config.accumulate_steps, config.max_grad_norm, config.ema_decay)

    def init(key: jax.Array) -> dict:
        return {"learner": learner.init(key, jnp.zeros((1, 2), jnp.int32), train=False)}

    loss_fn = next_token_loss(learner, config.loss_chunks)

    def step(state: dict, batch: dict, key: jax.Array) -> tuple[dict, dict]:
        learned, metrics = learner.minimize(state["learner"], loss_fn, batch, key)
        return {"learner": learned}, metrics

    @jax.jit
    def losses_and_hits(variables: dict, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, _ = model.apply(variables, rows[:, :-1], train=False)
        hits = jnp.argmax(logits, axis=-1) == rows[:, 1:]
        return smoothed_cross_entropy(logits, rows[:, 1:]), hits

    def look(state: dict, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        variables = learner.eval_variables(state["learner"])
        return multihost_utils.process_allgather(losses_and_hits(variables, rows), tiled=True)

    def test_task(state: dict, key: jax.Array) -> dict[str, float]:
        """New documents, each with a mapping of its own."""
        task = KeyLabels(data.keys, data.labels, data.pairs, int(jax.random.bits(key)))
        by_shot = in_context.accuracy_by_shot(lambda r: look(state, r), task, e.documents, 3)
        by_prompt = in_context.accuracy_of_prompts(
            lambda r: look(state, r), task, e.shots, e.queries, e.draws, e.batch_rows
        )
        return {**by_shot, **by_prompt}

    def test_text(state: dict, key: jax.Array) -> dict[str, float]:
        """The first tokens of the test text."""
        tokens = data.test[: e.tokens]
        nats = perplexity.mean_loss(
            lambda r: look(state, r)[0], tokens, length, e.stride_tokens, e.batch_rows
        )
        size = len(data.vocabulary.decode(tokens).encode())
        per_byte = perplexity.per_unit(nats, len(tokens), size)
        return {"loss": nats, "perplexity": np.exp(nats), "nats_per_byte": per_byte}

    return OldExperiment(
        init=init,
        step=step,
        num_steps=ramp.num_steps,
        rules=gpt.RULES,
        source=TokenBatches(lambda: data if solves else data.rows(length, config.seed), ramp),
        evals={"test": test_task if solves else test_text},
        per_step={"tokens": ramp.rows_before(ramp.num_steps) * length // ramp.num_steps},
    )


def main(config: ConfigDict, workdir: Path) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    model, _, data = build_parts(config)
    params = state["learner"].eval_params
    if isinstance(data, KeyLabels):
        return numbers | (exact_numbers(model, params, config.seed) if config.eval.exact else {})

    s, end = config.sampling, data.vocabulary.end_of_text
    prompts = [np.append(end, data.vocabulary.encode(text)) for text in s.prompts]
    found = complete(
        model,
        params,
        prompts,
        config.seed,
        new_tokens=s.new_tokens,
        end=end,
        temperature=s.temperature,
        top_k=s.top_k,
        top_p=s.top_p,
    )
    samples = [data.vocabulary.decode([*p, *f]) for p, f in zip(prompts, found, strict=True)]
    (workdir / "samples.txt").write_text("\n\n---\n\n".join(samples), encoding="utf-8")
    if config.eval.ngram_order:
        n = config.eval.ngram_order
        counted = np.concatenate([documents.tokens for documents in data.train])
        losses = ngram.log_losses(counted, data.test[: config.eval.tokens], n, model.vocab_size)
        numbers["test/ngram_loss"] = float(np.mean(losses))
    return numbers


def exact_numbers(model: gpt.GPT, params: Any, seed: int) -> dict[str, float]:
    """What holds of any decoder, trained or not."""
    shape = 4, model.max_length
    tokens = np.random.default_rng(seed).integers(0, model.vocab_size, shape).astype(np.int32)
    deep, flat, loud, quiet = (
        residual_growth(model.clone(layers=layers, scale_residual=scale), tokens, seed)
        for scale in (True, False)
        for layers in (24, 2)
    )
    error = cache_error(model, params, tokens, (16, 11, 5, 1))
    growth = {"exact/growth_scaled": deep / flat, "exact/growth_unscaled": loud / quiet}
    return {"exact/cache_error": error, **growth}


def claims(results: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    # configs/gpt.py says what was measured, and how far from these bounds.
    found = []
    if "two_layers" in results:
        deep, flat = results["two_layers"], results["one_layer"]
        shots = np.stack([deep[f"test/shot_{n}"] for n in range(4)])
        gained = shots[1:] - np.stack([flat[f"test/shot_{n}"] for n in range(1, 4)])
        few, none = deep["test/k_23"], deep["test/k_0"]
        guessed = (shots[0] >= 0.2) & (shots[0] <= 0.3)
        rising = np.all(np.diff(shots, axis=0) >= 0, axis=0)
        found += [
            Claim(
                "labels are guessed (0.20 to 0.30) where their key is new, and known no worse "
                "each time it comes again (0.80 at the fourth)",
                "accuracy rises with examples in context (figure 1.2)",
                ", ".join(spread(shot, 2) for shot in shots),
                bool(np.all(guessed & (shots[3] >= 0.8) & rising)),
            ),
            Claim(
                "one layer less loses at least 0.04 of that at shots 1 to 3",
                "larger models make better use of examples (figure 1.2)",
                f"{', '.join(spread(gain, 2) for gain in gained)} lost",
                bool(np.all(gained >= 0.04)),
            ),
            Claim(
                "multiple choice after 23 examples is 0.4 better than after none",
                "few-shot beats zero-shot (section 3)",
                f"{spread(few, 2)} against {spread(none, 2)}",
                bool(np.all(few - none >= 0.4)),
            ),
        ]
    if "exact/cache_error" in results.get("two_layers", {}):
        error, scaled, plain = (
            deep[f"exact/{name}"] for name in ("cache_error", "growth_scaled", "growth_unscaled")
        )
        found += [
            Claim(
                "logits by the cache, prompts of four lengths, 64 tokens each: within 1e-4",
                "the same function",
                f"{error.max():.1e}",
                bool(np.all(error < 1e-4)),
            ),
            Claim(
                "24 layers add to the residual stream what 2 do, within 2 x; > 4 x unscaled",
                "scaled at the start by 1/sqrt(N) (GPT-2, section 2.3)",
                f"{spread(scaled, 2)} x, {spread(plain)} x",
                bool(np.all((0.5 < scaled) & (scaled < 2) & (plain > 4))),
            ),
        ]
    if "text" in results:
        ours, counted = results["text"]["test/loss"], results["text"]["test/ngram_loss"]
        found += [
            Claim(
                "predicts bytes better than counts of 4-grams do",
                "lower perplexity than any model before (GPT-2, table 3)",
                f"{spread(ours, 3)} nats a byte; 4-grams {counted[0]:.3f}",
                bool(np.all(ours < counted)),
            )
        ]
    return found


if __name__ == "__main__":
    app.run()
