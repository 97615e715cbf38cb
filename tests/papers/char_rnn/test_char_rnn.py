"""The script: its carried state, its updates, its evaluation, what it says of cells, its claims."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research.config import load_config, load_module, with_overrides
from research.core import UserError
from research.metrics import ngram
from research.report.claims import Results

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = load_module(ROOT / "experiments" / "char_rnn.py")
configure = functools.partial(load_config, ROOT / "configs" / "char_rnn.py")


@functools.cache
def smoke():
    """The experiment, and its first state."""
    experiment = app.build(SCRIPT, configure("smoke"))
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


@functools.cache
def stepping():
    """The jitted step of a smoke experiment whose network never changes."""
    experiment = app.build(
        SCRIPT, with_overrides(configure("smoke"), {"optimizer.learning_rate": 0.0})
    )
    return experiment, jax.jit(experiment.step)


def batches(count):
    experiment, _ = smoke()
    experiment.source.set_state({"step": 0})
    return [experiment.source(None) for _ in range(count)]


def nats_of(logits, targets):
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)
    return -picked[..., 0]


def test_the_state_is_carried_from_each_batch_to_the_next_and_not_into_the_next_epoch():
    """Three steps with a network that does not change are one pass over the whole streams."""
    experiment, state = smoke()
    _, step = stepping()
    params = state["learner"].params
    made = batches(experiment.epoch_steps + 1)
    assert experiment.epoch_steps == 3
    streams = np.concatenate([b["tokens"][:, :-1] for b in made[:3]], axis=1)
    targets = np.concatenate([b["tokens"][:, 1:] for b in made[:3]], axis=1)
    logits, _ = experiment.model.apply({"params": params}, streams)
    expected = nats_of(logits, targets).mean(0).reshape(3, -1).mean(1)
    losses = []
    for t, batch in enumerate(made):
        state, metrics = step(state, batch, t, jax.random.key(t))
        losses.append(float(metrics["loss"]))
    np.testing.assert_allclose(losses[:3], expected, rtol=1e-5)
    assert losses[3] == pytest.approx(losses[0], rel=1e-6)
    _, last = experiment.model.apply({"params": params}, made[3]["tokens"][:, :-1])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state["carry"], last["carry"]
    )


def test_two_updates_are_rmsprop_of_clamped_sums_over_time():
    """optim.rmsprop of Torch: x -= lr g / (sqrt(m) + 1e-8), m = 0.95 m + 0.05 g^2."""
    clip = 0.02
    experiment = app.build(SCRIPT, with_overrides(configure("smoke"), {"optimizer.clip": clip}))
    _, state = smoke()
    model, length = experiment.model, experiment.length

    @jax.jit
    @jax.grad
    def gradient(params, carry, tokens):
        logits, _ = model.apply({"params": params}, tokens[:, :-1], carry)
        return nats_of(logits, tokens[:, 1:]).sum(1).mean()

    x = jax.tree.map(np.asarray, state["learner"].params)
    m = jax.tree.map(np.zeros_like, x)
    carry, step, clamped = (
        model.apply({"params": x}, 8, method="initial_carry"),
        jax.jit(experiment.step),
        0,
    )
    for t, batch in enumerate(batches(2)):
        g = jax.tree.map(np.asarray, gradient(x, carry, batch["tokens"]))
        clamped += sum(np.sum(np.abs(leaf) > clip) for leaf in jax.tree.leaves(g))
        g = jax.tree.map(lambda leaf: np.clip(leaf, -clip, clip), g)
        m = jax.tree.map(lambda m, leaf: 0.95 * m + 0.05 * leaf**2, m, g)
        x = jax.tree.map(lambda x, m, g: x - 4e-3 * g / (np.sqrt(m) + 1e-8), x, m, g)
        state, _ = step(state, batch, t, jax.random.key(t))
        carry = state["carry"]
    assert clamped and length == 10
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5),
        state["learner"].params,
        x,
    )


def test_the_rate_falls_after_each_epoch_from_the_tenth_on():
    config = with_overrides(
        configure("smoke"),
        {
            "optimizer.learning_rate": 2e-3,
            "optimizer.rate_decay": 0.97,
            "optimizer.decay_after_epochs": 10,
        },
    )
    experiment = app.build(SCRIPT, config)
    steps = experiment.epoch_steps
    for epoch, times in ((0, 0), (9, 0), (10, 1), (11, 2), (49, 40)):  # epochs that are over
        for t in (epoch * steps, epoch * steps + steps - 1):
            assert float(experiment.learning_rate(t)) == pytest.approx(2e-3 * 0.97**times, rel=1e-5)


def test_pieces_do_not_matter_where_the_state_is_carried():
    experiment, state = smoke()
    variables = experiment.learner.eval_variables(state["learner"])
    streams = experiment.test_streams()
    logits, _ = experiment.model.apply(variables, streams[:, :-1])
    whole = nats_of(logits, streams[:, 1:])
    for chunk in (10, 20):
        found = experiment.test_nats(state, chunk, True)
        np.testing.assert_allclose(found, whole, atol=1e-5)
    alone = experiment.test_nats(state, 10, False)
    np.testing.assert_allclose(alone[:, :10], whole[:, :10], atol=1e-5)
    logits, _ = experiment.model.apply(variables, streams[:, 30:40])
    np.testing.assert_allclose(alone[:, 30:40], nats_of(logits, streams[:, 31:41]), atol=1e-5)


def test_counts_are_of_the_same_characters_as_the_network():
    experiment, _ = smoke()
    streams, size = experiment.test_streams(), experiment.config.model.vocab_size
    train, _ = experiment.text()
    for order, nats in experiment.count_nats().items():
        assert nats.shape == (streams[:, 1:].size,)
        assert np.isnan(nats).sum() == order - 2
        row, place = 2, 7
        context = streams[row, place - order + 2 : place + 2]  # its last one is the target
        expected = ngram.log_losses(train, context, order, size)[0]
        assert nats.reshape(streams[:, 1:].shape)[row, place] == pytest.approx(expected)


def test_a_mark_stands_at_the_character_that_the_cells_have_just_read():
    """Cells that say what was read are put in place of the network's."""
    experiment, state = smoke()
    trace, text = experiment.trace(state)
    streams = experiment.test_streams()
    assert trace.cells.shape == (2, *streams[:, 1:].shape, 8)
    assert text[:20] == experiment.corpus.vocabulary.decode(streams[0, :20])
    alone = experiment.model.apply(
        experiment.learner.eval_variables(state["learner"]), streams[1:2, :-1], method="trace"
    )
    np.testing.assert_allclose(trace.cells[:, 1], alone.cells[:, 0], atol=1e-5)


def test_an_excerpt_begins_with_a_line_where_the_mark_changes():
    text = "ab\n" * 2000
    mark = np.zeros(len(text))
    mark[4800:4850] = 1.0
    begin, end = SCRIPT.excerpt(text, mark, 750)
    assert text[begin - 1] == text[end - 1] == "\n" and begin <= 4800 and 4850 <= end
    assert 700 <= end - begin < 710 and begin >= 3000
    assert SCRIPT.excerpt("a" * 3000, mark, 750) == (1500, 3000)


def test_demo_goes_on_and_refuses_what_was_never_read():
    experiment, state = smoke()
    demo = SCRIPT.demo(experiment, state)
    found = demo.run(**demo.defaults())
    assert found["text"].startswith("def ") and len(found["text"]) > 4
    assert sum(found["next"].values()) <= 1.0001
    again = demo.run(**{**demo.defaults(), "draw": 1})
    assert again["text"] != found["text"] and again["next"] == found["next"]
    with pytest.raises(UserError, match="at least one character"):
        demo.run(**{**demo.defaults(), "prompt": ""})


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.model.cell=elman", "one of lstm, gru, rnn"),
        ("--config.data.syntax=lisp", "one of python, prose"),
        ("--config.eval.short_chunk_length=7", "multiple of eval.short_chunk_length"),
        ("--config.data.train_characters=9000000", "fewer than data.train_characters"),
        ("--config.data.rows=300", "too few for 300 streams"),
        ("--config.eval.streams=3000", "too few for 3000 streams"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(flag, words, tmp_path, capsys):
    config = str(ROOT / "configs" / "char_rnn.py") + ":smoke"
    flags = ["--config", config, flag, "--workdir", str(tmp_path / "run")]
    assert app.main(SCRIPT, flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
    assert not (tmp_path / "run").exists()


MEASURED = {
    "rnn": {"test/loss": 2.0},
    "gru": {"test/loss": 1.7},
    "lstm": {
        "test/loss": 1.7,
        "test/loss_not_carried": 2.1,
        "test/3_grams": 1.93,
        "cell/quotes": 0.6,
        "cell/quotes_untrained": 0.2,
        "cell/comments": 0.6,
        "cell/comments_untrained": 0.2,
        "cell/line": 0.9,
        "cell/line_untrained": 0.5,
        "far_brackets/network": 2.0,
        "far_brackets/counts": 3.8,
    },
}


def holding(**changed):
    arms = {
        arm: {m: np.full(3, v) for m, v in {**found, **changed.get(arm, {})}.items()}
        for arm, found in MEASURED.items()
    }
    return [claim.holds for claim in SCRIPT.claims(Results(arms))]


def test_claims_hold_for_a_faithful_run_and_name_what_fails():
    assert holding() == [True] * 8

    def fails(**changed):
        return {i for i, holds in enumerate(holding(**changed)) if not holds}

    assert fails(lstm={"test/loss": 1.97}) == {0, 1, 3}
    assert fails(gru={"test/loss": 1.97}) == {2}
    assert fails(lstm={"test/loss_not_carried": 1.72}) == {3}
    for row, mark in ((4, "quotes"), (5, "comments"), (6, "line")):
        assert fails(lstm={f"cell/{mark}": MEASURED["lstm"][f"cell/{mark}_untrained"]}) == {row}
    assert fails(lstm={"far_brackets/network": 3.8}) == {7}


def test_arms_have_as_many_parameters():
    counts = {}
    for arm, changes in configure("").arms.items():
        experiment = app.build(SCRIPT, with_overrides(configure(""), changes))
        state = jax.eval_shape(experiment.init, jax.random.key(0))
        counts[arm] = sum(x.size for x in jax.tree.leaves(state["learner"].params))
    assert counts["lstm"] == 128_096
    assert all(abs(count / 128_096 - 1) < 0.02 for count in counts.values()), counts
