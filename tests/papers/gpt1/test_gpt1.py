"""GPT-1's fine-tuning: its objective, its input, and where its parameters start."""

import functools
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from research import app, training
from research.config import load_config, load_module, with_overrides
from research.core.tree import named_leaves
from research.report.claims import Results
from research.training import sharding
from research.training.program import Program

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "gpt1.py")
configure = functools.partial(load_config, ROOT / "configs" / "gpt1.py")


@functools.cache
def smoke():
    return with_overrides(
        configure("smoke"), {"model.dropout": 0.0, "model.attention_dropout": 0.0}
    )


@functools.cache
def fine_tuning():
    """The experiment and its first batch."""
    experiment = app.build(SCRIPT, smoke())
    experiment.source.open()
    return experiment, experiment.source(None)


def test_the_objective_is_the_task_and_half_the_language():
    experiment, batch = fine_tuning()
    state = experiment.init(jax.random.key(0))
    _, found = jax.jit(experiment.step)(state, batch, 0, jax.random.key(1))
    metrics = {name: float(value) for name, value in found.items()}
    assert metrics["loss"] == pytest.approx(
        metrics["task_loss"] + 0.5 * metrics["language_loss"], rel=1e-5
    )
    # Both from logits that hold the whole vocabulary.
    params = state["learner"].params
    model = SCRIPT.GPTClassifier({**smoke().model, "vocab_size": 260}, 0)
    logits, seen = model.apply({"params": params}, batch["tokens"], batch["last"], train=False)
    task = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
    assert metrics["task_loss"] == pytest.approx(float(task.mean()), rel=1e-4)
    spoken = []
    words = jax.nn.log_softmax(seen["hidden"] @ params["body"]["embedding"].T)
    for b, a in np.ndindex(*batch["last"].shape):
        for t in range(batch["last"][b, a]):
            spoken.append(-words[b, a, t, batch["tokens"][b, a, t + 1]])
    assert metrics["language_loss"] == pytest.approx(float(np.mean(spoken)), rel=1e-4)


def both_phases(monkeypatch, tmp_path):
    """What the script trains, one phase after the other: (experiment, what it goes on from)."""
    phases = []

    def run(experiment, config, workdir, before=None):
        phases.append((experiment, before))
        return experiment.init(jax.random.key(3)), {"test/accuracy": 0.5}

    monkeypatch.setattr(training, "run", run)
    app.train(SCRIPT, app.build(SCRIPT, smoke()), smoke(), tmp_path)
    return phases


def test_fine_tuning_starts_from_the_language_model(monkeypatch, tmp_path):
    (_, nothing), (experiment, pretrained) = both_phases(monkeypatch, tmp_path)
    assert nothing is None
    program = Program(experiment, sharding.make_mesh(smoke().mesh), before=pretrained)
    state = program.init(0).state["learner"]
    body = state.params["body"]
    assert np.array_equal(body["embedding"][:257], pretrained["embedding"])
    for name in ("groups", "position_embedding"):
        jax.tree.map(np.testing.assert_array_equal, body[name], pretrained[name])
    moments = named_leaves(state.opt_state)
    assert all(not np.any(m) for m in moments.values()), "the optimizer starts anew"


def test_no_program_has_the_language_model_among_its_constants(monkeypatch, tmp_path):
    """They would be refused on several hosts that split the parameters, and compiled in on one."""
    for experiment, _ in both_phases(monkeypatch, tmp_path):
        constants = jax.make_jaxpr(experiment.init)(jax.random.key(0)).consts
        assert sum(np.size(constant) for constant in constants) < 100


def test_questions_hold_the_right_ending():
    _, batch = fine_tuning()
    assert batch["tokens"].shape == (8, 2, 48) and set(batch["label"]) <= {0, 1}
    assert np.all(batch["tokens"][..., 0] == 257)
    same = batch["tokens"][:, 0, :25] == batch["tokens"][:, 1, :25]
    assert np.all(same), "both sequences have one context"


def test_train_and_test_questions_are_of_different_texts():
    corpus = SCRIPT.open_corpus(smoke())
    assert not set(corpus.test_texts) & set(corpus.train_texts)


def test_the_claim_is_about_every_seed():
    def holds(pretrained):
        arms = {"pretrained": pretrained, "from_nothing": [0.61, 0.62]}
        numbers = {arm: {"test/accuracy": np.array(values)} for arm, values in arms.items()}
        return [claim.holds for claim in SCRIPT.claims(Results(numbers))]

    assert holds([0.72, 0.80]) == [True]
    assert holds([0.95, 0.69]) == [False]


def test_accuracy_is_the_share_of_right_answers():
    """Of 12 questions in batches of 8."""
    experiment, _ = fine_tuning()
    state = experiment.init(jax.random.key(5))
    right = []
    for question in experiment.test_questions:
        batch = {name: value[None] for name, value in question.items()}
        answer = experiment.jit_answers(state["learner"].params, batch)
        right.append(int(answer[0]) == question["label"])
    assert experiment.evaluate(state, None)["test/accuracy"] == np.mean(right)
    assert 0 < np.mean(right) < 1
