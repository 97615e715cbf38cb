"""The transformer's script: its objective, its claims, and bugs that its checks must see."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AbstractMesh

from research import app
from research import config as configs
from research.core import Aux, Learner
from research.models import transformer as model_module
from research.models.transformer import Transformer
from research.report.claims import Results
from research.training import sharding

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script():
    return configs.load_module(ROOT / "experiments" / "transformer.py")


def test_batches_of_the_paper_divide_over_32_chips(script):
    config = configs.load_config(ROOT / "configs" / "transformer.py", "paper")
    source = app.build(script, config).source
    for chips in (8, 16, 32):
        sharding.check_batch(source, AbstractMesh((chips, 1, 1), sharding.AXES), 1)
    tokens = np.multiply(source.row_counts, source.lengths)
    # "Approximately 25,000" (section 5.1): what is rounded off is at most 32 of the longest rows.
    assert tokens.min() > 20_000 and tokens.mean() > 23_500 and tokens.max() <= 25_000


@pytest.mark.parametrize("variant", ["paper", "big"])
def test_paper_variants_have_the_published_counts(script, variant):
    config = configs.load_config(ROOT / "configs" / "transformer.py", variant)
    state = jax.eval_shape(app.build(script, config).init, jax.random.key(0))
    count = sum(x.size for x in jax.tree.leaves(state["learner"].params))
    assert count == script.PAPER.parameters[config.published_as]
    assert jax.tree.structure(state["average"].mean) == jax.tree.structure(state["learner"].params)


def test_a_small_bucket_that_does_not_divide_is_refused_before_anything_is_written(
    script, tmp_path, capsys
):
    """Buckets of 64, 40 and 24 sentences: the largest does."""
    default = str(ROOT / "configs" / "transformer.py")
    flags = ["--config", default, "--arm=transformer", "--config.accumulate_steps=16"]
    assert app.main(script, [*flags, "--workdir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: batch of 40 ") and "\n" not in error
    assert "make data.batch_multiple a multiple of 16" in error
    assert not (tmp_path / "run").exists()


def loss_on_noise(steps=150, symbols=8):
    """Training loss, in the end, on targets that nothing predicts: at best log(symbols)."""
    model = Transformer(
        symbols + 3, layers=1, dim=32, num_heads=2, head_dim=16, hidden=32, dropout=0.0
    )
    learner = Learner(model, optax.adam(3e-3))
    source = jnp.full((32, 2), 3)

    def loss_fn(variables, target, key):
        logits, _ = learner.apply(variables, source, target, train=False)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, target)
        return losses.mean(), Aux()

    def step(state, key):
        target = jax.random.randint(key, (32, 6), 3, symbols + 3)
        state, metrics = learner.minimize(state, loss_fn, target, key)
        return state, metrics["loss"]

    keys = jax.random.split(jax.random.key(1), steps)
    state = learner.init(jax.random.key(0), source, jnp.zeros((32, 6), int), train=False)
    _, losses = jax.jit(lambda state: jax.lax.scan(step, state, keys))(state)
    return float(losses[-20:].mean())


def test_unmasked_future_shows_as_a_loss_below_the_entropy(monkeypatch):
    assert loss_on_noise() > math.log(8) - 0.02
    monkeypatch.setattr(model_module, "causal_mask", lambda n: jnp.ones((1, 1, n, n), bool))
    assert loss_on_noise() < math.log(8) - 0.5


GOOD = {
    "test/bleu": [95.0, 94.0],
    "test/dictionary_bleu": [5.0, 5.0],
    "required/bleu": [80.0, 80.0],
    "valid/loss": [0.10, 0.11],
    "valid/last_loss": [0.12, 0.12],
    "valid/perplexity": [1.11, 1.12],
}


def results(**changed):
    arms = {
        "transformer": GOOD,
        "no_positions": {**GOOD, "test/bleu": [20.0, 21.0]},
        "no_smoothing": {**GOOD, "valid/perplexity": [1.05, 1.06], "test/bleu": [94.0, 94.2]},
    }
    arms = {arm: {**numbers, **changed.get(arm, {})} for arm, numbers in arms.items()}
    return {a: {m: np.array(v) for m, v in numbers.items()} for a, numbers in arms.items()}


def claims(script, arms):
    return [claim.holds for claim in script.claims(Results(arms))]


def holding(script, **changed):
    return claims(script, results(**changed))


def test_claims_hold_for_a_faithful_run_and_name_what_fails(script):
    def fails(**changed):
        return {i for i, holds in enumerate(holding(script, **changed)) if not holds}

    assert holding(script) == [True] * 5
    # Copying the future gives a tiny validation loss and no translation at all.
    cheat = {"test/bleu": [1.0, 2.0], "valid/loss": [0.01, 0.01], "valid/perplexity": [1.01, 1.01]}
    assert fails(transformer=cheat) == {0, 2, 3, 4}
    assert fails(transformer={"valid/loss": [0.10, 0.13]}) == {1}
    assert fails(no_positions={"test/bleu": [91.0, 50.0]}) == {2}
    assert fails(no_smoothing={"test/bleu": [96.0, 95.0]}) == {4}
    alone = {"transformer": results()["transformer"]}
    assert claims(script, alone) == [True, True]
    # Smoothing that changes nothing at all is no smoothing.
    same = {name: [GOOD[name][0]] * 2 for name in ("valid/perplexity", "test/bleu")}
    assert fails(no_smoothing=same, transformer=same) == {3}


def test_validation_loss_is_the_mean_over_all_target_tokens(script):
    """Whatever the buckets, and however they are cut into batches."""
    config = configs.load_config(ROOT / "configs" / "transformer.py", "smoke")
    experiment = app.build(script, config)
    state = experiment.init(jax.random.key(0))
    params = state["learner"].params
    forward = jax.jit(functools.partial(experiment.model.apply, train=False))
    expected = []
    for source, target in experiment.text.encoded("validation"):
        inputs = (np.pad(tokens, (0, 200 - len(tokens)))[None] for tokens in (source, target))
        log_probs = jax.nn.log_softmax(forward({"params": params}, *inputs)[0][0])
        expected += [-float(log_probs[i, token]) for i, token in enumerate(target)]
    numbers = experiment.evaluate(state, None)
    assert numbers["valid/last_loss"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert numbers["valid/perplexity"] == pytest.approx(np.exp(numbers["valid/loss"]))
