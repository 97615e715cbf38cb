"""Language Models are Few-Shot Learners (Brown et al., 2020), arXiv:2005.14165; before it, Language
Models are Unsupervised Multitask Learners (Radford et al., 2019), and Improving Language
Understanding by Generative Pre-Training (Radford et al., 2018).

Claim: a language model learns a task from the examples in its context.

The learning rate follows the tokens seen, so that it does not depend on how the batch grows.
"""

import research.early  # answers --help at once

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, UserError, variable_paths
from research.data.text.batch_ramp import BatchRamp
from research.data.text.corpus import Corpus
from research.data.text.packing import Rows, TokenBatches
from research.decoding.complete import complete
from research.losses.next_token import next_token_loss
from research.losses.token_cross_entropy import smoothed_cross_entropy
from research.metrics import ngram, perplexity
from research.models import gpt
from research.models.released.gpt_names import released_params
from research.optim.schedules import warmup_cosine
from research.papers.gpt import in_context
from research.papers.gpt.cache_error import cache_error
from research.papers.gpt.key_label_demo import key_label_demo
from research.papers.gpt.key_labels import KeyLabels
from research.papers.gpt.residual_growth import residual_growth
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Demo
from research.report.text_demo import continue_demo

PAPER = Paper(
    title="Language Models are Few-Shot Learners",
    authors="Radford, Narasimhan, Salimans, Sutskever; Brown et al.",
    year=2020,
    arxiv="2005.14165",
    field="language",
    claim="a language model learns a task from the examples in its context",
    parameters=gpt.PARAMETERS,
    curves=("loss",),
    method="two_layers",
)


class GenerativePretraining(Experiment):
    """A decoder that learns to predict the next token, of a corpus or of key-label documents."""

    rules = gpt.RULES

    def __init__(self, config: ConfigDict):
        data = config.data
        self.length, self.seed = data.length, config.seed
        if data.length > config.model.max_length:
            raise UserError(
                f"data.length={data.length} is more than model.max_length={config.model.max_length}"
            )
        self.model = gpt.GPT(**config.model, dtype=jnp.dtype(config.compute_dtype))
        self.ramp = BatchRamp.linear(**config.batch, tokens_per_row=data.length)
        self.task: KeyLabels | None = None
        if data.names == ("key_labels",):
            self.task = key_labels(config)
        else:
            if config.eval.stride_tokens > data.length:
                raise UserError("eval.stride_tokens is at most data.length, or tokens are left out")
            self.corpus = Corpus(
                data.names,
                data.weights,
                data.dir,
                data.vocabulary,
                self.model.vocab_size,
                data.overlap_words,
                data.test_split,
            )
            self.assets = (self.corpus,)
        optimizer = config.optimizer
        self.rate_by_tokens = warmup_cosine(
            optimizer.learning_rate,
            optimizer.warmup_tokens,
            optimizer.decay_tokens,
            optimizer.end_factor,
        )
        tx = optax.adamw(
            self.learning_rate,
            b1=optimizer.b1,
            b2=optimizer.b2,
            eps=optimizer.eps,
            weight_decay=optimizer.weight_decay,
            mask=gpt.decayed,
        )
        self.learner = Learner(
            self.model,
            tx,
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.loss_chunks = config.loss_chunks
        if data.length % config.loss_chunks:
            raise UserError(
                f"loss_chunks={config.loss_chunks} does not divide {data.length} tokens"
            )
        self.eval, self.sampling = config.eval, config.sampling
        self.jit_nats_and_hits = jax.jit(self.nats_and_hits)

        self.num_steps = self.ramp.num_steps
        self.micro_batches = config.accumulate_steps
        self.source = TokenBatches(self.open_rows, self.ramp)
        rows = self.ramp.rows_before(self.num_steps)
        self.per_step = {"tokens": rows * self.length // self.num_steps}

    def learning_rate(self, count: jax.Array) -> jax.Array:
        """Follows the tokens seen, those of the update after `count` others included."""
        return self.rate_by_tokens(self.ramp.tokens_before(count + 1))

    def open_rows(self) -> Rows:
        if self.task is not None:
            return self.task
        self.check_text()
        return self.corpus.rows(self.length, self.seed)

    def check_text(self) -> None:
        """Refuses a test text or prompts that would fail once the model is trained.

        Raises:
          UserError: the test text is too short, or a prompt leaves no room.
        """
        tokens, order = min(len(self.corpus.test), self.eval.tokens), self.eval.ngram_order
        if tokens < max(order, 2):
            raise UserError(
                f"the test text has {tokens} tokens; choose another data.test_split, more "
                "eval.tokens or less of eval.ngram_order"
            )
        if self.model.vocab_size**order >= 2**63:
            raise UserError(
                f"eval.ngram_order={order} is too much for {self.model.vocab_size} tokens: their "
                "grams do not fit 63 bits; set it to 0"
            )
        longest = max(map(len, self.prompts()))
        if longest + self.sampling.new_tokens > self.model.max_length:
            raise UserError(
                f"a prompt of {longest} tokens and sampling.new_tokens={self.sampling.new_tokens} "
                f"do not fit model.max_length={self.model.max_length}"
            )

    def prompts(self) -> list[np.ndarray]:
        """Token ids of the texts to go on from."""
        vocabulary = self.corpus.vocabulary
        return [
            np.append(vocabulary.end_of_text, vocabulary.encode(p)) for p in self.sampling.prompts
        ]

    def init(self, key):
        return {"learner": self.learner.init(key, jnp.zeros((1, 2), jnp.int32), train=False)}

    def from_released(self, arrays):
        params = released_params(self.model, arrays)
        return params and variable_paths("learner", {"params": params})

    def loss(self, variables, batch, key):
        """-1/n sum_i log P(s_i | s_1 ... s_{i-1}) (GPT-2, equation 1).

        `batch`: "tokens" [B, T + 1] int32.
        """
        tokens = batch["tokens"]
        return next_token_loss(self.learner, variables, tokens, key, self.loss_chunks), Aux()

    def step(self, state, batch, t, key):
        learner, metrics = self.learner.minimize(state["learner"], self.loss, batch, key)
        return {"learner": learner}, metrics

    def nats_and_hits(self, params: Any, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Nats [B, T] of all but the first token of rows [B, T + 1], and which were likeliest."""
        logits, _ = self.model.apply({"params": params}, rows[:, :-1], train=False)
        hits = jnp.argmax(logits, axis=-1) == rows[:, 1:]
        return smoothed_cross_entropy(logits, rows[:, 1:]), hits

    def predict(self, state: dict, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`nats_and_hits` of any number of rows, a few at a time."""
        return training.map_batches(
            self.jit_nats_and_hits, state["learner"].params, list(rows), self.eval.batch_rows
        )

    def evaluate(self, state, key):
        if self.task is None:
            found = self.test_text(state)
        else:
            # New documents, each with a mapping of its own.
            found = self.test_task(
                state, dataclasses.replace(self.task, seed=int(jax.random.bits(key)))
            )
        return {f"test/{name}": value for name, value in found.items()}

    def test_task(self, state: dict, task: KeyLabels) -> dict[str, float]:
        """Accuracy on the labels of a task's documents, by earlier shots and by prompts."""

        def predict(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.predict(state, rows)

        return {
            **in_context.accuracy_by_shot(predict, task, self.eval.documents, max_shots=3),
            **in_context.accuracy_of_prompts(
                predict, task, self.eval.shots, self.eval.queries, self.eval.draws
            ),
        }

    def test_text(self, state: dict) -> dict[str, float]:
        """Loss on the first tokens of the test text."""
        tokens = self.corpus.test[: self.eval.tokens]
        nats = perplexity.mean_loss(
            lambda rows: self.predict(state, rows)[0], tokens, self.length, self.eval.stride_tokens
        )
        size = len(self.corpus.vocabulary.decode(tokens).encode())
        return {
            "loss": nats,
            "perplexity": np.exp(nats),
            "nats_per_byte": perplexity.per_unit(nats, len(tokens), size),
        }

    def write_samples(self, params: Any, path: Path) -> None:
        """Goes on from each of the prompts."""
        vocabulary, sampling = self.corpus.vocabulary, self.sampling
        prompts = self.prompts()
        found = complete(
            self.model,
            params,
            prompts,
            self.seed,
            new_tokens=sampling.new_tokens,
            end=vocabulary.end_of_text,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
        )
        samples = [vocabulary.decode([*p, *f]) for p, f in zip(prompts, found, strict=True)]
        path.write_text("\n\n---\n\n".join(samples), encoding="utf-8")

    def ngram_loss(self, order: int) -> float:
        """Mean nats of the same test tokens by counts of the training text."""
        counted = np.concatenate([documents.tokens for documents in self.corpus.train])
        tokens = self.corpus.test[: self.eval.tokens]
        return float(np.mean(ngram.log_losses(counted, tokens, order, self.model.vocab_size)))


def key_labels(config: ConfigDict) -> KeyLabels:
    """The key-label task of a configuration.

    Raises:
      UserError: its documents do not fit the model, or its prompts do not fit the documents.
    """
    data = config.data
    task = KeyLabels(data.num_keys, data.num_labels, data.length // 2, config.seed)
    if data.length % 2:
        raise UserError(f"data.length={data.length}: documents of pairs have an even length")
    if task.vocab_size > config.model.vocab_size:
        raise UserError(
            f"the task has {task.vocab_size} tokens, the model room for {config.model.vocab_size}; "
            f"set --config.model.vocab_size={task.vocab_size}"
        )
    # Prompts are padded to a power of two; the last token is fed to nothing.
    longest = max((1 << data.length.bit_length()) - 1, 17)
    if longest > config.model.max_length:
        raise UserError(
            f"prompts of up to {longest} tokens do not fit model.max_length="
            f"{config.model.max_length}; set --config.model.max_length={longest}"
        )
    return task


def main(experiment: GenerativePretraining, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    params = state["learner"].params
    if experiment.task is not None:
        if config.eval.exact:
            numbers = {**numbers, **decoder_checks(experiment.model, params, config.seed)}
        return numbers
    experiment.write_samples(params, workdir / "samples.txt")
    if config.eval.ngram_order:
        numbers = {**numbers, "test/ngram_loss": experiment.ngram_loss(config.eval.ngram_order)}
    return numbers


def decoder_checks(model: gpt.GPT, params: Any, seed: int) -> dict[str, float]:
    """Checks two properties that hold of any decoder, whether it is trained or not.

    Returns:
      "exact/cache_error", largest difference between logits by the cache and all at once;
      "exact/growth_scaled" and "exact/growth_unscaled", what 24 fresh layers add to the variance of
      the residual stream over what 2 do, with GPT-2's scaled start and without.
    """
    shape = 4, model.max_length
    tokens = np.random.default_rng(seed).integers(0, model.vocab_size, shape).astype(np.int32)

    def growth(layers: int, scale: bool) -> float:
        return residual_growth(model.clone(layers=layers, scale_residual=scale), tokens, seed)

    return {
        "exact/cache_error": cache_error(model, params, tokens, (16, 11, 5, 1)),
        "exact/growth_scaled": growth(24, True) / growth(2, True),
        "exact/growth_unscaled": growth(24, False) / growth(2, False),
    }


def demo(experiment: GenerativePretraining, state: dict) -> Demo:
    model, params = experiment.model, state["learner"].params
    if experiment.task is not None:
        return key_label_demo(model, params, experiment.task)
    vocabulary, sampling = experiment.corpus.vocabulary, experiment.sampling
    return continue_demo(model, params, vocabulary, context=model.max_length, **sampling)


def claims(results: Results) -> list[Claim]:
    found = []
    if "two_layers" in results.arms:
        found += in_context_claims(results)
    if "exact/cache_error" in results.metrics:
        found += decoder_claims(results)
    if "text" in results.arms:
        nats = {"counts": results["test/ngram_loss"]["text"], "GPT": results["test/loss"]["text"]}
        found.append(
            Scores("nats", nats).above(
                "counts",
                "GPT",
                claim="predicts bytes better than counts of 4-grams do",
                paper="lower perplexity than any model before (GPT-2, table 3)",
                digits=3,
            )
        )
    return found


def in_context_claims(results: Results) -> list[Claim]:
    # Whoever guesses the commonest label so far has 0.25 0.38 0.45 0.52 after 0 to 3 shots.
    shots = [results[f"test/shot_{n}"] for n in range(4)]
    gains = np.diff([shot["two_layers"] for shot in shots], axis=0).min(axis=0)
    choice = results.side_by_side(
        "two_layers", **{"23 examples": "test/k_23", "0 examples": "test/k_0"}
    )
    rises = "accuracy rises with examples in context (figure 1.2)"
    return [
        shots[0].within(
            "two_layers", 0.2, 0.3, claim="labels are guessed where their key is new", paper=rises
        ),
        shots[3].at_least("two_layers", 0.8, claim="and known at the fourth time", paper=rises),
        Scores("accuracy gained", {"two_layers": gains}).at_least(
            "two_layers",
            0.0,
            claim="and are known no worse each time the key comes again: least gain",
            paper=rises,
        ),
        *(
            shots[n].above(
                "two_layers",
                "one_layer",
                by=0.04,
                claim=f"one layer less loses some of that: after {n} of the key",
                paper="larger models make better use of examples (figure 1.2)",
            )
            for n in (1, 2, 3)
        ),
        choice.above(
            "23 examples",
            "0 examples",
            by=0.4,
            claim="multiple choice is better after examples",
            paper="few-shot beats zero-shot (section 3)",
        ),
    ]


def decoder_claims(results: Results) -> list[Claim]:
    scaled = "scaled at the start by 1/sqrt(N) (GPT-2, section 2.3)"
    return [
        results["exact/cache_error"].at_most(
            "two_layers",
            1e-4,
            claim="logits by the cache equal those of the whole, prompts of four lengths",
            paper="the same function",
            digits=7,
        ),
        results["exact/growth_scaled"].within(
            "two_layers",
            0.5,
            2.0,
            claim="24 layers add to the residual stream as many times what 2 do",
            paper=scaled,
        ),
        results["exact/growth_unscaled"].at_least(
            "two_layers", 4.0, claim="and unscaled many more", paper=scaled, digits=1
        ),
    ]


if __name__ == "__main__":
    app.run()
