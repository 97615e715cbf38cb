"""BERT's losses, its optimizer, its schedule of lengths, and what is compared with what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from configs.bert import get_config
from experiments import bert as script
from research import app
from research.core import LearnerState, UserError
from research.core.tree import named_leaves
from research.data.text.segment_pairs import Pair, Phase
from research.papers.bert.fill_demo import fill, with_masks
from tests.models.released.bert_reference import forward, some_weights
from tests.optimizers import some_gradients, updates_of

KEY = jax.random.key(0)


def config_of(**pretraining):
    config = get_config("smoke")
    config.model.update(dropout=0.0, attention_dropout=0.0)
    config.pretraining.update(pretraining)
    return config


@functools.cache
def built(objective="masked"):
    return app.build(script, config_of(objective=objective))


@functools.cache
def begun(objective="masked"):
    experiment = built(objective)
    state = jax.jit(experiment.init)(KEY)
    batch = experiment.source(None)
    return experiment, state, batch


def nats(logits, targets):
    logits = np.asarray(logits, np.float64)
    picked = np.take_along_axis(logits, np.asarray(targets)[..., None], -1)[..., 0]
    return logsumexp(logits, axis=-1) - picked


def with_words(batch, words):
    return {**batch, "words": np.full(len(batch["label"]), words, np.float32)}


def test_the_loss_is_that_of_hidden_words_plus_that_of_the_next_sentence():
    experiment, state, batch = begun()
    params = state["learner"].params
    inputs = [batch[name] for name in ("tokens", "segments", "length", "positions")]
    (words, follows), _ = experiment.model.apply({"params": params}, *inputs, train=False)
    count = batch["weights"].sum()
    word_loss = np.sum(nats(words, batch["targets"]) * batch["weights"]) / count
    next_loss = np.mean(nats(follows, batch["label"]))
    loss, aux = jax.jit(experiment.loss)({"params": params}, with_words(batch, count), KEY)
    np.testing.assert_allclose(aux.metrics["word_loss"], word_loss, rtol=1e-5)
    np.testing.assert_allclose(aux.metrics["next_loss"], next_loss, rtol=1e-5)
    np.testing.assert_allclose(loss, word_loss + next_loss, rtol=1e-5)
    assert 0 < count < batch["weights"].size and 0 < batch["label"].sum() < 8


def test_words_are_counted_over_the_whole_batch():
    """Two micro-batches with different numbers of words have the gradient of one batch."""
    _, state, batch = begun()
    uneven = {**batch, "weights": batch["weights"].copy()}
    uneven["weights"][::2, 1:] = 0.0
    moved = []
    for parts in (1, 2):
        config = config_of()
        config.accumulate_steps = parts
        experiment = app.build(script, config)
        new, metrics = jax.jit(experiment.step)(state, uneven, 3, KEY)
        moved.append((metrics["loss"], new["learner"].opt_state))
    np.testing.assert_allclose(*(loss for loss, _ in moved), rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-6), *(s for _, s in moved)
    )


def test_the_optimizer_is_adam_without_correction_and_with_decay():
    config = get_config("smoke")
    params = {"kernel": np.full(4, 3.0), "bias": np.full(4, 3.0), "norm": {"scale": np.ones(4)}}
    flat = {"kernel": params["kernel"], "bias": params["bias"], "scale": np.ones(4)}
    gradients = some_gradients(flat, 5)
    rates = [0.1, 0.2, 0.3, 0.2, 0.1]
    tx = script.bert_adam(lambda count: jnp.array(rates)[count], config.optimizer)
    nested = [
        {**{k: g[k] for k in ("kernel", "bias")}, "norm": {"scale": g["scale"]}} for g in gradients
    ]
    found = updates_of(tx, params, nested)
    m, v = ({name: np.zeros(4) for name in flat} for _ in range(2))
    for rate, updates, gradient in zip(rates, found, gradients, strict=True):
        updates = {**updates, **updates["norm"]}
        for name, decay in (("kernel", 0.01), ("bias", 0.0), ("scale", 0.0)):
            m[name] = 0.9 * m[name] + 0.1 * gradient[name]
            v[name] = 0.999 * v[name] + 0.001 * gradient[name] ** 2
            step = m[name] / (np.sqrt(v[name]) + 1e-6) + decay * flat[name]
            np.testing.assert_allclose(updates[name], -rate * step, rtol=1e-4)
            flat[name] = flat[name] - rate * step


def test_gradients_are_clipped_and_the_rate_rises_and_falls():
    config = get_config("smoke")
    config.pretraining.update(num_steps=10, warmup_steps=4, learning_rate=0.5)
    config.optimizer.weight_decay = 0.0
    experiment = app.build(script, config)
    learner = experiment.learner
    assert learner.max_grad_norm == 1.0
    params = {"kernel": jnp.ones(3)}
    # Where m and v began long ago and the gradient stays, the step is the rate.
    _, *updates = zip(*[(0, u) for u in updates_of(learner.tx, params, [params] * 10)], strict=True)
    steps = np.array([u["kernel"][0] for u in updates[0]])
    t = np.arange(1, 11)
    grown = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
    rates = 0.5 * np.array([0.25, 0.5, 0.75, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    np.testing.assert_allclose(steps, -rates * grown, rtol=1e-3)


def test_lengths_are_values_and_late_positions_have_had_no_gradient():
    """The first half is short; Adam knows nothing of the positions beyond, and keeps the rest."""
    experiment, state, batch = begun()
    assert experiment.phases() == [Phase(2, 16, 3), Phase(2, 24, 6)]
    step = jax.jit(experiment.step)
    lengths = []
    source = app.build(script, config_of()).source
    for t in range(4):
        batch = source(None)
        lengths.append(batch["tokens"].shape[1])
        state, _ = step(state, batch, t, KEY)
        moments = {
            name: np.abs(x).sum(-1)
            for name, x in named_leaves(state["learner"].opt_state).items()
            if name.endswith("position_embedding")
        }
        assert len(moments) == 2
        for size in moments.values():
            assert size[:12].all() and not size[24:].any()
            assert size[16:24].any() == (t >= 2)
    assert lengths == [16, 16, 24, 24]


def test_a_row_is_a_pair_with_what_is_asked_of_it():
    experiment = built()
    vocabulary = experiment.documents.vocabulary
    pair = Pair(vocabulary.encode("kamila sells fish"), vocabulary.encode("she is kind"), True)
    row = experiment.row(pair, Phase(0, 24, 6), np.random.default_rng(0))
    size = int(row["length"])
    assert row["label"] == 1 and row["tokens"][0] == vocabulary.cls
    assert np.all(row["tokens"][size:] == 0) and row["tokens"][size - 1] == vocabulary.sep
    assert row["segments"][size - 1] == 1 and row["segments"][len(pair.first) + 1] == 0
    count = int(row["weights"].sum())
    assert 1 <= count <= 6
    whole = np.concatenate([pair.first, pair.second])
    assert set(row["targets"][:count]) <= set(whole)


def test_the_rival_reads_from_the_left_and_is_asked_for_the_same_words():
    experiment, state, batch = begun("left_to_right")
    assert experiment.predictions(24) == 22 and experiment.model.bert["causal"]
    tokens, places = batch["tokens"], batch["positions"]
    asked = batch["weights"] > 0
    following = np.take_along_axis(tokens, np.minimum(places + 1, tokens.shape[1] - 1), 1)
    np.testing.assert_array_equal(following[asked], batch["targets"][asked])

    masked, visible, left = (built().held_out(1, way) for way in ("masked", "visible", "left"))
    for a, b, c in zip(masked, visible, left, strict=True):
        on = a["weights"] > 0
        for name in ("targets", "weights", "segments", "length", "label"):
            np.testing.assert_array_equal(a[name], b[name])
            np.testing.assert_array_equal(a[name], c[name])
        assert np.all(a["tokens"][a["positions"][on]] == built().documents.vocabulary.mask)
        np.testing.assert_array_equal(b["tokens"][b["positions"][on]], b["targets"][on])
        np.testing.assert_array_equal(c["positions"][on] + 1, b["positions"][on])
        np.testing.assert_array_equal(b["tokens"], c["tokens"])

    numbers = experiment.evaluate(state, None)
    assert set(numbers) == {
        f"{s}/masked_{n}" for s in ("valid", "test") for n in ("accuracy", "loss")
    }


def test_held_out_words_are_scored_one_by_one():
    experiment, state, _ = begun()
    found = experiment.evaluate(state, None)
    hits = total = follows = 0
    rows = experiment.held_out(2, "masked")
    for row in rows:
        inputs = [row[n][None] for n in ("tokens", "segments", "length", "positions")]
        (words, next_), _ = experiment.model.apply(
            {"params": state["learner"].params}, *inputs, train=False
        )
        right = np.argmax(words[0], -1) == row["targets"]
        hits, total = hits + right[row["weights"] > 0].sum(), total + row["weights"].sum()
        follows += int(np.argmax(next_) == row["label"])
    np.testing.assert_allclose(found["test/masked_accuracy"], 100 * hits / total, rtol=1e-5)
    np.testing.assert_allclose(found["test/next_accuracy"], 100 * follows / len(rows), rtol=1e-5)


def tuning_of(group, name, **setting):
    config = config_of()
    config[group].update(name=name, **setting)
    task = script.task_of(config, group, built().documents.vocabulary)
    return script.FineTuning(config, task, config[group])


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("text_task", "stories/judgements"),
        ("text_task", "stories/pairs"),
        ("text_task", "stories/tags"),
        ("span_task", "stories/questions"),
    ],
)
def test_losses_of_the_tasks(group, name):
    tuning = tuning_of(group, name)
    batch = tuning.source(None)
    params = tuning.init(KEY)["learner"].params
    logits = np.asarray(tuning.logits(params, batch))
    loss, _ = tuning.loss({"params": params}, batch, KEY)
    label = batch["label"]
    if name == "stories/questions":
        start, end = nats(logits[..., 0], label[:, 0]), nats(logits[..., 1], label[:, 1])
        expected = (start.mean() + end.mean()) / 2
        assert max(row["label"].max() for row in tuning.task.rows("train")) > 8
    elif name == "stories/tags":
        assert (label == -1).any() and (label > 0).any()
        expected = nats(logits, np.maximum(label, 0))[label >= 0].mean()
    else:
        assert set(label.tolist()) == {0, 1}
        assert batch["segments"].any() == (name == "stories/pairs")
        expected = nats(logits, label).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_fine_tuning_begins_with_the_encoder_and_a_fresh_layer():
    tuning = tuning_of("text_task", "stories/judgements")
    state = tuning.init(KEY)
    pretrained = jax.tree.map(lambda x: x + 1.0, begun()[1]["learner"].params)
    params = tuning.warm_start(state, pretrained)["learner"].params
    jax.tree.map(np.testing.assert_array_equal, params["encoder"], pretrained["encoder"])
    np.testing.assert_array_equal(
        params["head"]["kernel"], state["learner"].params["head"]["kernel"]
    )


def test_scores_of_spans_are_those_of_the_answers_in_characters():
    """Where scores point at the right pieces, every answer is found, over all windows."""
    task = tuning_of("span_task", "stories/questions", eval_examples=30).task
    records = task.records("test")
    _, rows = task.rows_of(records)
    scores = np.zeros((len(rows), 24, 2))
    for i, row in enumerate(rows):
        if row["label"].any():
            scores[i, row["label"][0], 0] = scores[i, row["label"][1], 1] = 9.0
    answers = task.answers(records, scores, 1e9)
    assert [a.text for a in answers] == [record["answers"]["text"][0] for record in records]
    assert all(not answer.text for answer in task.answers(records, np.zeros_like(scores), -1.0))


def test_released_weights_have_their_places_in_the_state():
    config = config_of()
    config.model.update(vocab_size=11, dim=8, num_heads=2, head_dim=4, hidden=12, layers=2)
    config.model.max_length = 10
    experiment = script.Pretraining(config)
    weights = some_weights()
    found = experiment.from_released(weights)
    state = jax.eval_shape(experiment.init, KEY)
    shapes = {n: x.shape for n, x in named_leaves(state).items() if n.startswith("learner/params/")}
    assert {name: np.shape(x) for name, x in found.items()} == shapes
    assert experiment.from_released({"learner/params/word_bias": np.zeros(3)}) is None


def test_masks_are_filled_with_what_is_surest_first():
    vocabulary = built().documents.vocabulary
    tokens, segments = with_masks("kamila sells [MASK] in [MASK] . [MASK]", vocabulary)
    assert segments.sum() == 2 and np.sum(tokens == vocabulary.mask) == 3
    asked = []

    def guess(tokens, segments, places):
        asked.append(len(places))
        found = np.full((len(places), vocabulary.size), 1e-6)
        found[:, vocabulary.mask] = 1.0  # no word, and never taken
        for i, place in enumerate(places):  # the surer the further right
            found[i, 10 + len(asked)] = place / 100
        return found

    filled, first = fill(tokens, segments, guess, vocabulary)
    assert asked == [3, 2, 1] and first.shape[0] == 3
    places = np.flatnonzero(tokens == vocabulary.mask)
    assert filled[places].tolist() == [13, 12, 11]


def test_the_demo_sees_what_stands_on_the_right():
    experiment, state, _ = begun()
    state = {
        "learner": LearnerState(jax.tree.map(lambda x: 3 * x, state["learner"].params), (), {})
    }
    demo = script.demo(experiment, state)
    one = demo.run(text="[MASK] sells fish in porto .", which=1)
    other = demo.run(text="[MASK] sells figs in tunis .", which=1)
    assert "[MASK]" not in one["filled"] and len(one["words"]) == 5
    assert one["words"] != other["words"]
    for text, which, words in (
        ("nothing is hidden", 1, "write .MASK. in place"),
        ("[MASK] sells fish", 2, "has 1 .MASK.; there is no number 2"),
        ("[MASK]" + " fish" * 50, 1, "tokens do not fit; 24 do"),
    ):
        with pytest.raises(UserError, match=words):
            demo.run(text=text, which=which)


@pytest.mark.parametrize(
    ("group", "setting", "words"),
    [
        ("text_task", {"name": "stories/none"}, "no task 'stories/none'"),
        ("text_task", {"length": 500}, "text_task.length=500 exceeds model.max_length"),
        ("span_task", {"question_length": 22}, "leaves no room beside a question of 22"),
    ],
)
def test_bad_tasks_are_one_line(group, setting, words):
    config = config_of()
    config[group].update(setting)
    with pytest.raises(UserError, match=words):
        script.task_of(config, group, built().documents.vocabulary)


def test_the_reference_and_the_script_agree_on_the_classes_of_next_sentence():
    """Class 0 of released weights is «follows», as our label 0 is."""
    weights = some_weights()
    weights["cls.seq_relationship.bias"] = np.array([100.0, 0.0], np.float32)
    ids = np.array([[2, 5, 3, 6, 3]])
    found = forward(weights, ids, 0 * ids, np.array([5]), heads=2)["follows"]
    assert found.argmax() == 0
