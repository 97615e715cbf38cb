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

import research
from research import app
from research import config as configs
from research.core import Aux, Learner
from research.core.tree import count_parameters
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
    "exact/chain_growth": [1.0, 1.0],
}


def results(**changed):
    arms = {
        "transformer": GOOD,
        "no_positions": {**GOOD, "test/bleu": [20.0, 21.0]},
        "no_smoothing": {**GOOD, "valid/perplexity": [1.05, 1.06], "test/bleu": [94.0, 94.2]},
        "recurrent": {**GOOD, "test/bleu": [90.0, 92.0]},
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

    assert holding(script) == [True] * 7
    # Copying the future gives a tiny validation loss and no translation at all.
    cheat = {"test/bleu": [1.0, 2.0], "valid/loss": [0.01, 0.01], "valid/perplexity": [1.01, 1.01]}
    assert fails(transformer=cheat) == {0, 2, 4, 5, 6}
    assert fails(transformer={"valid/loss": [0.10, 0.13]}) == {1}
    assert fails(no_positions={"test/bleu": [91.0, 50.0]}) == {4}
    assert fails(no_smoothing={"test/bleu": [96.0, 95.0]}) == {6}
    assert fails(recurrent={"test/bleu": [90.0, 94.5]}) == {2}
    assert fails(transformer={"exact/chain_growth": [1.0, 3.9]}) == {3}
    alone = {"transformer": results()["transformer"]}
    assert claims(script, alone) == [True, True, True]
    # Smoothing that changes nothing at all is no smoothing.
    same = {name: [GOOD[name][0]] * 2 for name in ("valid/perplexity", "test/bleu")}
    assert fails(no_smoothing=same, transformer=same) == {5}


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


@pytest.mark.parametrize("variant", ["", "multi30k"])
def test_the_rival_is_no_smaller_and_sees_the_same_batches(script, variant, monkeypatch):
    config = configs.load_config(ROOT / "configs" / "transformer.py", variant)
    config = configs.with_overrides(config, {"data.name": "procedural", "seed": 0})
    ours = app.build(script, config)
    rival = app.build(script, configs.with_overrides(config, {"network": "recurrent"}))
    (own,), (its,) = (
        count_parameters(jax.eval_shape(e.init, jax.random.key(0))).values() for e in (ours, rival)
    )
    assert 1.0 <= its / own < 1.15
    assert ours.num_steps == rival.num_steps and ours.label_smoothing == rival.label_smoothing
    if not variant:
        for experiment in (ours, rival):
            experiment.source.open()
        jax.tree.map(np.testing.assert_array_equal, ours.source(None), rival.source(None))


def test_only_a_recurrent_network_takes_more_turns_for_longer_sentences(script):
    config = configs.load_config(ROOT / "configs" / "transformer.py", "smoke")
    growth = {}
    for network in ("transformer", "recurrent"):
        changes = {"network": network, "seed": 0}
        experiment = app.build(script, configs.with_overrides(config, changes))
        params = jax.eval_shape(experiment.init, jax.random.key(0))["learner"].params
        growth[network] = experiment.chain_growth(params, 16, 64)
    assert growth["transformer"] == 1.0 and growth["recurrent"] > 3.5


def test_the_rivals_update_is_adam_at_its_own_rate(script):
    config = configs.load_config(ROOT / "configs" / "transformer.py", "smoke")
    settings = {"network": "recurrent", "recurrent.warmup_steps": 1, "seed": 0}
    experiment = app.build(script, configs.with_overrides(config, settings))
    state = {"table": jnp.zeros(3)}
    opt_state = experiment.learner.tx.init(state)
    # Adam's first updates for a gradient that stays are the rates, whatever its size.
    for step, rate in enumerate((0.0, 1.0, 0.5 * (1 + np.cos(np.pi / 7)))):
        updates, opt_state = experiment.learner.tx.update({"table": jnp.full(3, 7.0)}, opt_state)
        expected = -config.recurrent.learning_rate * rate
        np.testing.assert_allclose(updates["table"], expected, rtol=1e-4, err_msg=str(step))
    assert experiment.learner.max_grad_norm == config.recurrent.max_grad_norm


def test_the_rival_translates_and_shows_what_it_looks_at(script, tmp_path):
    flags = ["--config", f"{ROOT}/configs/transformer.py:smoke", "--config.network=recurrent"]
    small = [f"--config.recurrent.{name}=8" for name in ("units", "embedding", "maxout")]
    steps = ["--config.num_steps=2", "--config.eval_every_steps=2"]
    assert app.main(script, [*flags, *small, *steps, "--workdir", str(tmp_path / "run")]) == 0
    run = research.load_run(tmp_path / "run")
    found = script.demo(run.experiment, run.state).run(sentence="the red dog", layer=1)
    assert set(found) == {"translation", "attention"} and found["attention"] is not None
