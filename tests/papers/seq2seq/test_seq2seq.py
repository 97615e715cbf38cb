"""The script of Sutskever et al.: its update, its schedule, its ensembles, its claims."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research.config import load_config, load_module, with_overrides
from research.core import UserError
from research.data.text.pairs import PAD, UNK
from research.decoding.translate import Translations
from research.papers.seq2seq.sentence_map import plot_sentences, principal_components
from research.report.claims import Results

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "seq2seq.py")
configure = functools.partial(load_config, ROOT / "configs" / "seq2seq.py")


@functools.cache
def smoke():
    """The experiment with the paper's optimizer, and its first state."""
    config = with_overrides(configure("smoke"), {"optimizer.name": "sgd"})
    config.optimizer.update(learning_rate=0.7, halve_after_steps=1, halve_every_steps=1)
    experiment = app.build(SCRIPT, config)
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


def log_p(experiment, params, source, target):
    """log p(T | S) of one pair, padded or not."""
    logits, _ = experiment.model.apply({"params": params}, source[None], target[None])
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits[0]), target[:, None], axis=1)[:, 0]
    return jnp.sum(picked * (target != PAD))


@pytest.mark.parametrize("limit", [5.0, 0.5])
def test_one_update_is_that_of_section_3_4(limit):
    """g = grad / B of the sum over sentences and words; 5 g / s where s = ||g|| > 5; SGD."""
    experiment, state = smoke()
    learner = experiment.learner
    object.__setattr__(learner, "max_grad_norm", limit)
    batch = experiment.source(None)
    before = state["learner"].params
    now, metrics = jax.jit(experiment.step)(state, batch, 0, jax.random.key(0))
    pairs = list(zip(batch["source"], batch["target"], strict=True))

    @jax.jit
    @jax.grad
    def gradient(params, source, target):
        return -log_p(experiment, params, source, target)

    grads = [gradient(before, *map(jnp.asarray, pair)) for pair in pairs]
    g = jax.tree.map(lambda *parts: np.sum(parts, axis=0) / len(pairs), *grads)
    s = np.sqrt(sum(np.sum(leaf**2) for leaf in jax.tree.leaves(g)))
    assert float(metrics["grad_norm"]) == pytest.approx(s, rel=1e-4)
    assert 0.5 < s < 5.0, "one of the two limits is met"
    scale = min(1.0, limit / s)
    expected = jax.tree.map(lambda p, leaf: p - 0.7 * scale * leaf, before, g)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        now["learner"].params,
        expected,
    )


def test_paper_schedule_halves_each_half_epoch_after_five():
    config = configure("paper")
    epoch = 12_000_000 / 128
    assert config.num_steps / epoch == pytest.approx(7.5, rel=1e-4)
    assert config.data.sentences_per_batch == 128 and config.max_grad_norm == 5.0
    assert (config.lstm.layers, config.lstm.units, config.lstm.embedding) == (4, 1000, 1000)
    tx = app.build(SCRIPT, config).learner.tx
    one = {"w": jnp.ones(())}

    def rate(step):
        state = jax.tree.map(lambda leaf: jnp.full_like(leaf, step), tx.init(one))
        return -float(tx.update(one, state)[0]["w"])

    rates = [rate(int(epochs * epoch)) for epochs in (0.0, 4.99, 5.01, 5.49, 5.51, 7.49)]
    assert rates == pytest.approx([0.7, 0.7, 0.35, 0.35, 0.175, 0.7 / 32])


def test_published_counts_are_those_of_the_tables():
    v, w, d = 160_000, 80_000, 1000
    layer = 4 * d * (d + d + 1)
    assert SCRIPT.PAPER.parameters["seq2seq"] == v * d + w * d + 8 * layer + w * (d + 1)
    k, m, n, half = 15_000, 100, 1000, 500
    gru = 3 * n * (m + n + 1)
    between = 3 * n * n + 2 * n * (n + 1)  # C, V and V'
    output = 2 * half * (n + m + n + 1) + k * (half + 1)
    assert SCRIPT.PAPER.parameters["cho"] == 2 * k * m + 2 * gru + between + output


def test_losses_of_a_split_are_per_token_and_of_an_ensemble_of_mean_log_probabilities():
    experiment, state = smoke()
    a = state["learner"].params
    b = jax.tree.map(lambda p: p * 1.5, a)
    nats, count = 0.0, 0
    for source, target in experiment.text.encoded("test"):
        found = []
        for params in (a, b):
            logits, _ = experiment.model.apply({"params": params}, source[None], target[None])
            found.append(np.asarray(jax.nn.log_softmax(logits[0])))
        mean = np.mean(found, axis=0)
        mean -= np.log(np.exp(mean).sum(axis=-1, keepdims=True))
        nats -= mean[np.arange(len(target)), target].sum()
        count += len(target)
    assert experiment.test((a, b), "test")["loss"] == pytest.approx(nats / count, rel=1e-4)


def test_rescoring_takes_what_both_scores_prefer():
    experiment, state = smoke()
    params = state["learner"].params
    rng = np.random.default_rng(0)
    sources = [source for source, _ in experiment.text.encoded("test")]
    found = [
        Translations([rng.integers(4, 14, 5) for _ in range(3)], rng.normal(size=3) / 10)
        for _ in sources
    ]
    chosen, changed = experiment.rescore(found, (params,))
    differ = []
    for source, hypotheses, winner in zip(sources, found, chosen, strict=True):
        theirs = [
            float(log_p(experiment, params, jnp.asarray(source), jnp.asarray(tokens)))
            for tokens in hypotheses.tokens
        ]
        best = int(np.argmax(hypotheses.scores + np.array(theirs)))
        assert np.array_equal(winner, hypotheses.tokens[best])
        differ.append(best != 0)
    assert changed == np.mean(differ)


def test_demo_translates_and_refuses_what_it_does_not_know():
    experiment, state = smoke()
    demo = SCRIPT.demo(experiment, state)
    found = demo.run(**demo.defaults())
    assert set(found) == set(demo.outputs)
    assert len(found["hypotheses"].splitlines()) <= 2
    for sentence in ("", "never seen"):
        with pytest.raises(UserError, match="word"):
            demo.run(sentence=sentence, beam=2)
    assert experiment.text.encode_source("never a")[0] == UNK


def test_principal_components_are_those_of_the_covariance(tmp_path):
    states = np.random.default_rng(0).normal(size=(9, 4)) * [3.0, 1.0, 0.3, 0.1]
    places = principal_components(states)
    values, vectors = np.linalg.eigh(np.cov(states.T))
    expected = (states - states.mean(0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-8)
    assert places.var(0, ddof=1) == pytest.approx(values[::-1][:2])
    plot_sentences(tmp_path / "sentences.png", states, [f"sentence {i}" for i in range(9)])
    assert (tmp_path / "sentences.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.network=cnn", "network is lstm or gru"),
        ("--config.optimizer.name=adagrad", "optimizer.name is"),
        ("--config.data.name=copy:9-7", "SHORTEST"),
        ("--config.data.sentences_per_batch=0", "data.sentences_per_batch"),
        ("--config.n_best=3", "n_best"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(flag, words, tmp_path, capsys):
    config = str(ROOT / "configs" / "seq2seq.py") + ":smoke"
    flags = ["--config", config, flag, "--workdir", str(tmp_path / "run")]
    assert app.main(SCRIPT, flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
    assert not (tmp_path / "run").exists()


FORWARD = {
    "test/accuracy": [0.60, 0.62],
    "test/bleu": [10.0, 11.0],
    "test/beam_found": [0.99, 0.98],
    "required/accuracy": [0.55, 0.55],
    "required/bleu": [5.0, 5.0],
    "required/reversal": [1.0, 1.0],
}
REVERSED = {
    **FORWARD,
    "test/accuracy": [0.70, 0.71],
    "test/best_member_loss": [0.9, 1.0],
    "test/ensemble_loss": [0.8, 0.9],
}


def holding(**changed):
    arms = {"forward": FORWARD, "reversed": {**REVERSED, **changed}}
    arms = {a: {m: np.array(v) for m, v in numbers.items()} for a, numbers in arms.items()}
    return [claim.holds for claim in SCRIPT.claims(Results(arms))]


def test_claims_hold_for_a_faithful_run_and_name_what_fails():
    assert holding() == [True] * 5
    assert holding(**{"test/bleu": [4.0, 9.0]}) == [False, True, True, True, True]
    assert holding(**{"test/beam_found": [0.99, 0.9]}) == [True, False, True, True, True]
    assert holding(**{"test/ensemble_loss": [0.8, 1.1]}) == [True, True, False, True, True]
    assert holding(**{"test/accuracy": [0.64, 0.70]}) == [True, True, True, False, True]
    assert holding(**{"required/reversal": [0.0, 0.0]}) == [True, True, True, None, True]
