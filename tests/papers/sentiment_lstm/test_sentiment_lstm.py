"""Both phases of the script: rows, objectives, what is handed over, what is judged."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research import app, training
from research.config import load_config, load_module, with_overrides
from research.core.errors import UserError
from research.core.tree import named_leaves
from research.data.text.length_batches import padded
from research.data.text.tokenization import BOS, EOS, PAD
from research.report.claims import Results
from research.training import sharding
from research.training.program import Program

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "sentiment_lstm.py")
configure = functools.partial(load_config, ROOT / "configs" / "sentiment_lstm.py")

EXACT = {"model.word_dropout": 0.0, "model.dropout": 0.0, "linear_gain": False}


def setting(**changed):
    smoke = configure("smoke")
    overrides = {**smoke.arms.sa_lstm, **EXACT, **changed}
    return with_overrides(smoke, overrides)


@functools.cache
def classifier():
    experiment = app.build(SCRIPT, setting())
    return experiment, experiment.init(jax.random.key(0)), experiment.source(None)


@functools.cache
def pretraining(kind):
    config = setting(**{"pretraining.kind": kind})
    phase = SCRIPT.PreTraining(config, classifier()[0].text)
    return phase, phase.init(jax.random.key(1))


# --- the first phase ---


def test_an_autoencoder_reads_a_text_and_its_end_and_then_writes_both():
    row = SCRIPT.autoencoded(np.array([7, 8, 9]))
    assert row["tokens"].tolist() == [7, 8, 9, EOS, 7, 8, 9]
    assert row["target"].tolist() == [PAD, PAD, PAD, 7, 8, 9, EOS]


def test_a_language_model_predicts_each_word_and_the_end():
    row = SCRIPT.predicted(np.array([7, 8, 9]))
    assert row["tokens"].tolist() == [BOS, 7, 8, 9]
    assert row["target"].tolist() == [7, 8, 9, EOS]


@pytest.mark.parametrize("kind", ["autoencoder", "language_model"])
def test_the_first_phase_is_the_mean_over_all_targets(kind):
    phase, state = pretraining(kind)
    batch = phase.source(None)
    variables = {"params": state["learner"].params}
    loss, aux = jax.jit(phase.loss)(variables, batch, jax.random.key(0))
    logits, _ = phase.learner.apply(variables, batch["tokens"], batch["length"])
    log_p = np.asarray(jax.nn.log_softmax(logits))
    nats = [
        -log_p[b, t, batch["target"][b, t]]
        for b, t in zip(*np.nonzero(batch["target"]), strict=True)
    ]
    words = batch["length"] // 2 if kind == "autoencoder" else batch["length"] - 1
    assert len(nats) == (words + 1).sum() == float(aux.weight)
    assert float(loss) == pytest.approx(np.mean(nats), rel=1e-5)
    size = 81 if kind == "autoencoder" else 41
    assert batch["tokens"].shape == (8, size)


def test_the_first_phase_needs_no_label_and_sees_all_texts():
    phase, _ = pretraining("language_model")
    assert len(phase.rows("unlabelled")) == 60
    assert set(phase.source.spec) == {"tokens", "target", "length"}


def test_numbers_of_the_first_phase_are_per_word():
    phase, state = pretraining("language_model")
    found = phase.evaluate(state, None)
    total = count = right = 0.0
    apply = jax.jit(lambda params, *batch: phase.learner.model.apply({"params": params}, *batch))
    for row in phase.rows("validation")[:12]:
        batch = padded([row], 41)  # one shape for all
        logits, _ = apply(state["learner"].params, batch["tokens"], batch["length"])
        log_p = np.asarray(jax.nn.log_softmax(logits))[0, : len(row["target"])]
        total -= log_p[np.arange(len(row["target"])), row["target"]].sum()
        right += (log_p.argmax(1) == row["target"]).sum()
        count += len(row["target"])
    assert found["valid/word_loss"] == pytest.approx(total / count, rel=1e-4)
    assert found["valid/words_right"] == pytest.approx(100 * right / count)


# --- what is handed over ---


def both_phases(monkeypatch, tmp_path):
    """What the script trains, one phase after the other: (experiment, what it goes on from)."""
    phases = []

    def run(experiment, config, workdir, before=None):
        phases.append((experiment, before))
        return experiment.init(jax.random.key(3)), {"valid/word_loss": 1.0}

    monkeypatch.setattr(training, "run", run)
    app.train(SCRIPT, app.build(SCRIPT, setting()), setting(), tmp_path)
    return phases


def test_the_classifier_starts_from_the_word_vectors_and_the_lstm(monkeypatch, tmp_path):
    (first, nothing), (experiment, before) = both_phases(monkeypatch, tmp_path)
    assert nothing is None and first.repeats
    state = Program(experiment, sharding.make_mesh(setting().mesh), before=before).init(0).state
    fresh = experiment.init(jax.random.key(0))["learner"].params
    params = state["learner"].params
    assert set(named_leaves(before)) == {
        "embedding",
        "rnn/forward_cells_0/input/kernel",
        "rnn/forward_cells_0/input/bias",
        "rnn/forward_cells_0/recurrent",
    }
    jax.tree.map(np.testing.assert_array_equal, params["reader"], before)
    assert not np.array_equal(params["reader"]["embedding"], fresh["reader"]["embedding"])
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, fresh)
    assert not any(np.any(m) for m in named_leaves(state["learner"].opt_state).values())
    assert (tmp_path / "verdicts.png").stat().st_size > 2000


# --- the second phase ---


def test_the_objective_is_the_cross_entropy_of_the_label():
    experiment, state, batch = classifier()
    loss, _ = jax.jit(experiment.loss)(
        {"params": state["learner"].params}, batch, jax.random.key(0)
    )
    logits = experiment.logits({"params": state["learner"].params}, batch)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_linear_gain_asks_after_every_word():
    _, state, batch = classifier()
    experiment = app.build(SCRIPT, setting(linear_gain=True))
    params = state["learner"].params
    loss, _ = jax.jit(experiment.loss)({"params": params}, batch, jax.random.key(0))
    every = experiment.model.apply(
        {"params": params}, batch["tokens"], batch["length"], method="every_word"
    )
    log_p = np.asarray(jax.nn.log_softmax(every))
    rows = []
    for b, length in enumerate(batch["length"]):
        weights = np.arange(length) / (length - 1)
        rows.append(-(weights * log_p[b, :length, batch["label"][b]]).sum() / weights.sum())
    assert float(loss) == pytest.approx(np.mean(rows), rel=1e-5)


def test_an_update_is_adam_of_the_clipped_gradient():
    """g <- g min(1, c / |g|), then Adam's first step: lr g / (|g| + eps)."""
    _, _, batch = classifier()
    clip = 0.05
    experiment = app.build(SCRIPT, setting(max_grad_norm=clip))
    state = experiment.init(jax.random.key(0))
    params = state["learner"].params
    grads = jax.grad(lambda p: experiment.loss({"params": p}, batch, jax.random.key(2))[0])(params)
    norm = float(optax.global_norm(grads))
    assert norm > clip
    after, metrics = jax.jit(experiment.step)(state, batch, 0, jax.random.key(2))
    assert float(metrics["grad_norm"]) == pytest.approx(norm, rel=1e-4)
    moments = after["learner"].opt_state[0].mu  # 0.1 of the gradient that Adam was given
    assert float(optax.global_norm(moments)) == pytest.approx(0.1 * clip, rel=1e-4)
    rate = experiment.config.optimizer.learning_rate
    for old, new, g in zip(
        *map(jax.tree.leaves, (params, after["learner"].params, grads)), strict=True
    ):
        g = np.asarray(g) * clip / norm
        moved = rate * g / (np.abs(g) + 1e-8)
        np.testing.assert_allclose(np.asarray(old) - new, moved, rtol=2e-2, atol=1e-6)


def test_labels_are_as_many_of_each_class_and_drawn_by_the_seed():
    experiment, _, _ = classifier()
    labels = experiment.text.part("train").labels
    drawn = experiment.labelled()
    assert len(drawn) == len(set(drawn)) == 40 and labels[drawn].sum() == 20
    other = app.build(SCRIPT, setting(seed=1)).labelled()
    assert set(other) != set(drawn)
    rows, origin = experiment.train_rows()
    assert len(rows) == 40 and "40 labels" in origin
    every = app.build(SCRIPT, setting(**{"data.train_labels": 0}))
    assert len(every.train_rows()[0]) == 60


def test_training_reads_the_last_words_and_evaluation_all():
    experiment = app.build(SCRIPT, setting(**{"data.lengths": (12,)}))
    rows, _ = experiment.train_rows()
    encoded = experiment.text.encoded("train")
    for row, index in zip(rows, experiment.labelled(), strict=True):
        assert np.array_equal(row["tokens"], encoded[index][-12:])
    tested = experiment.rows("test")
    assert max(len(row["tokens"]) for row in tested) > 12
    state = experiment.init(jax.random.key(5))
    found = experiment.evaluate(state, None)
    right, nats = [], []
    for row in tested[:12]:
        batch = {"tokens": row["tokens"][None], "length": np.array([len(row["tokens"])])}
        log_p = jax.nn.log_softmax(experiment.logits({"params": state["learner"].params}, batch))[0]
        right.append(int(np.argmax(log_p)) == row["label"])
        nats.append(-float(log_p[row["label"]]))
    assert found["test/accuracy"] == pytest.approx(100 * np.mean(right))
    assert found["test/loss"] == pytest.approx(np.mean(nats), rel=1e-4)


def test_counts_are_of_the_same_labels_as_the_network(monkeypatch):
    experiment, _, _ = classifier()
    seen = []

    def accuracies(train, labels, test, test_labels, *, order, words):
        seen.append((train, labels, test, order))
        return {"nb_lr": 1.0}

    monkeypatch.setattr(SCRIPT.bag_of_words, "accuracies", accuracies)
    assert experiment.counts() == {"counts/nb_lr_1": 1.0, "counts/nb_lr_2": 1.0}
    part, drawn = experiment.text.part("train"), experiment.labelled()
    train, labels, test, _ = seen[0]
    assert train == [part.texts[i] for i in drawn] and np.array_equal(labels, part.labels[drawn])
    assert test == experiment.text.part("test").texts[:12]


# --- what a person sees ---


def test_the_running_verdict_is_that_of_each_beginning():
    experiment, state, _ = classifier()
    text = "the plot is not at all good ."
    found = SCRIPT.verdicts(experiment.answer(state), experiment.text, text)
    assert found.words == text.split() and found.positive.shape == (8,)
    tokens = experiment.text.encode(text)
    for count in (1, 5, 8):
        batch = {"tokens": tokens[None, :count], "length": np.array([count])}
        logits = experiment.logits({"params": state["learner"].params}, batch)
        expected = float(jax.nn.softmax(logits)[0, 1])
        assert found.positive[count - 1] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.weights, [0] * 7 + [1], atol=1e-6)
    colours = SCRIPT.panels(found)[0]
    assert len(colours.text) == len(colours.values)
    assert colours.values[-1] == pytest.approx(2 * found.positive[-1] - 1)


def test_demo_judges_a_sentence_and_refuses_what_it_cannot_read():
    experiment, state, _ = classifier()
    demo = SCRIPT.demo(experiment, state)
    found = demo.run(text="The PLOT is good zyzzyva")
    assert sum(found["verdict"].values()) == pytest.approx(1.0)
    lines = found["words"].splitlines()
    assert len(lines) == 5 and lines[-1].endswith("zyzzyva  (unknown)")
    assert f"{found['verdict']['positive']:4.0%}" in lines[-1]
    for text in ("", "zyzzyva"):
        with pytest.raises(UserError, match="at least one word"):
            demo.run(text=text)


# --- bad input and claims ---


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.model.cell=elman", "one of lstm, gru, rnn"),
        ("--config.model.pooling=sum", "one of last, mean, max, attention"),
        ("--config.model.dropout=1", "from 0 to below 1"),
        ("--config.model.pooling=max", "linear_gain needs"),
        ("--config.data.fold=12", "none of"),
        ("--config.data.lengths=(30,10)", "data.lengths ascend"),
        ("--config.data.name=movie_review_mr", "movie_review_mr"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(flag, words, tmp_path, capsys):
    config = str(ROOT / "configs" / "sentiment_lstm.py") + ":smoke"
    more = ["--config.data.folds=10"] if "fold=" in flag else []
    flags = ["--config", config, flag, *more, "--workdir", str(tmp_path / "run")]
    assert app.main(SCRIPT, flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model.bidirectional": True}, "reads one way"),
        ({"data.train_labels": 41}, "an even number"),
        ({"data.train_labels": 600}, "an even number"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changed, words):
    with pytest.raises(UserError, match=words):
        app.build(SCRIPT, setting(**changed)).source.open()


MEASURED = {
    "lstm": {"test/accuracy": 98.0, "counts/nb_lr_1": 62.0},
    "rnn": {"test/accuracy": 90.0},
    "few_labels": {"test/accuracy": 65.0},
    "lm_lstm": {"test/accuracy": 85.0},
    "sa_lstm": {"test/accuracy": 75.0},
}
REQUIRED = {"counts": 75.0, "reading": 95.0, "over_rnn": 3.0, "pretrained": 3.0}


def holding(required=REQUIRED, **changed):
    required = {f"required/{name}": value for name, value in required.items()}
    arms = {
        arm: {m: np.full(3, v) for m, v in {**found, **required, **changed.get(arm, {})}.items()}
        for arm, found in MEASURED.items()
    }
    return [claim.holds for claim in SCRIPT.claims(Results(arms))]


def test_claims_hold_for_a_faithful_run_and_name_what_fails():
    assert holding() == [True] * 5

    def fails(**changed):
        return {i for i, holds in enumerate(holding(**changed)) if not holds}

    assert fails(lstm={"counts/nb_lr_1": 80.0}) == {0}
    assert fails(lstm={"test/accuracy": 92.0}) == {1, 2}
    assert fails(rnn={"test/accuracy": 97.0}) == {2}
    assert fails(lm_lstm={"test/accuracy": 66.0}) == {3}
    assert fails(sa_lstm={"test/accuracy": 66.0}) == {4}
    assert holding(dict.fromkeys(REQUIRED, 0.0)) == []
