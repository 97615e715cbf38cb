"""The script: its objective, an update, what is measured, and the tasks that it is given."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from research import app, config
from research.core.errors import UserError
from research.data.procedural import sort_of_clevr as sort
from research.data.sources import clevr
from research.papers.relation_networks import demos, task, words
from research.papers.relation_networks.clevr import ClevrQuestions

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = config.load_module(ROOT / "experiments" / "relation_networks.py")
configure = functools.partial(config.load_config, ROOT / "configs" / "relation_networks.py")

STATES = {"seen": "states", "model.dropout": 0.0}
STORIES = {
    "model.g": (8, 8),
    "model.f": (8,),
    "model.embedding_size": 4,
    "model.sentence_units": 4,
    "model.question_units": 4,
    "data.per_task": 20,
}


def build(variant="smoke", **overrides):
    return app.build(SCRIPT, config.with_overrides(configure(variant), overrides))


@functools.cache
def scenes():
    experiment = build(**STATES)
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


@functools.cache
def stories():
    experiment = build("stories", **STORIES)
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


def plain_loss(params, batch):
    """-log p(a | O, q) of a network that is given every pair as a concatenation."""
    objects, question = batch["objects"], batch["question"]
    rows, n, asked = len(objects), objects.shape[1], question.shape[1]
    shape = rows, asked, n, n
    pairs = jnp.concatenate(
        [
            jnp.broadcast_to(objects[:, None, :, None], (*shape, objects.shape[-1])),
            jnp.broadcast_to(objects[:, None, None, :], (*shape, objects.shape[-1])),
            jnp.broadcast_to(question[:, :, None, None], (*shape, question.shape[-1])),
        ],
        -1,
    )
    core = params["core"]
    for layer in ("g0", "g1"):
        pairs = jax.nn.relu(pairs @ core[layer]["kernel"] + core[layer]["bias"])
    x = pairs.reshape(rows, asked, n * n, -1).sum(2)
    x = jax.nn.relu(x @ core["f"]["hidden0"]["kernel"] + core["f"]["hidden0"]["bias"])
    logits = x @ core["f"]["logits"]["kernel"] + core["f"]["logits"]["bias"]
    log_p = logits - jnp.log(jnp.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    log_p = log_p - logits.max(-1, keepdims=True)
    return -jnp.take_along_axis(log_p, batch["answer"][..., None], -1).mean()


# --- the objective and an update ---


def test_an_update_is_adam_of_the_mean_over_questions():
    """Adam's first step is lr g / (|g| + eps)."""
    experiment, state = scenes()
    batch = experiment.source(state)
    params = state.learner.params
    loss, grads = jax.jit(jax.value_and_grad(plain_loss))(params, batch)
    moved, metrics = jax.jit(experiment.step)(state, batch, 0, jax.random.key(1))
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-4)
    rate = experiment.config.optimizer.learning_rate
    for before, after, g in zip(
        jax.tree.leaves(params),
        jax.tree.leaves(moved.learner.params),
        jax.tree.leaves(grads),
        strict=True,
    ):
        clear = np.abs(g) > 1e-4  # the sign of what is nearly 0 is a matter of rounding
        expected = before - rate * g / (np.abs(g) + 1e-8)
        np.testing.assert_allclose(after[clear], expected[clear], rtol=1e-3, atol=2e-6)


def test_rates_fall_as_a_cosine_or_double():
    setting = configure()
    steps, rate = setting.num_steps, setting.optimizer.learning_rate
    cosine = SCRIPT.schedule(setting)
    np.testing.assert_allclose([cosine(0), cosine(steps // 2)], [rate, rate / 2], rtol=1e-4)
    grown = SCRIPT.schedule(configure("clevr_doubling"))
    every = configure("clevr_doubling").schedule.double_every_steps
    found = [float(grown(step)) for step in (0, every - 1, every, 3 * every, 20 * every)]
    np.testing.assert_allclose(found, [5e-6, 5e-6, 1e-5, 4e-5, 5e-4], rtol=1e-5)
    assert every == 20 * 700_000 // 64 // 1000 * 1000, "about 20 epochs of CLEVR's questions"


# --- what is measured ---


def test_answers_are_counted_by_kind_on_the_split_asked_for():
    experiment, state = scenes()
    for split, short in (("validation", "valid"), ("test", "test")):
        found = experiment.measure(state, split)
        made = sort.load(split, 8)
        truth, kind = sort.answers(made), made.kind
        inputs = {"objects": sort.states(made), "question": sort.encode_questions(made)}
        right = np.asarray(experiment.jit_logits(state.learner, inputs)).argmax(-1) == truth
        assert found[f"{short}/all"] == pytest.approx(100 * right.mean())
        for k, name in enumerate(sort.KINDS):
            assert found[f"{short}/{name}"] == pytest.approx(100 * right[kind == k].mean())
        relational = right[kind >= 3].mean()
        assert found[f"{short}/relational"] == pytest.approx(100 * relational)
        assert found[f"{short}/non_relational"] == pytest.approx(100 * right[kind < 3].mean())
    trained_on = experiment.task.arrays("train")["objects"].reshape(40, -1)
    tested_on = experiment.task.arrays("test")["objects"].reshape(8, -1)
    assert not (trained_on[:, None] == tested_on).all(-1).any()


def test_nothing_is_dropped_when_it_is_measured():
    experiment, state = scenes()
    dropping = build(**{**STATES, "model.dropout": 0.5})
    batch = experiment.source(state)
    np.testing.assert_array_equal(
        dropping.jit_logits(state.learner, batch), experiment.jit_logits(state.learner, batch)
    )
    loss = jax.jit(dropping.loss)
    variables = {"params": state.learner.params}
    losses = {float(loss(variables, batch, jax.random.key(seed))[0]) for seed in range(2)}
    assert len(losses) == 2, "in training it is"


def test_the_floor_is_the_commonest_answer_of_training():
    experiment, _ = scenes()
    found = task.majority(experiment.task, "test")
    train, test = sort.load("train", 40), sort.load("test", 8)
    answer, asked = sort.answers(train), sort.answers(test)
    for k, name in enumerate(sort.KINDS):
        commonest = np.bincount(answer[train.kind == k]).argmax()
        share = 100 * (asked[test.kind == k] == commonest).mean()
        assert found[name] == pytest.approx(share)


# --- stories ---


def test_only_training_moves_the_tags():
    experiment, _ = stories()
    batch = experiment.source(None)
    assert (experiment.inputs(batch)["offset"] == 0).all()
    keys = jax.random.split(jax.random.key(0), 30)
    drawn = jax.jit(lambda key: experiment.inputs(batch, key)["offset"])
    offsets = np.concatenate([drawn(key) for key in keys])
    assert offsets.min() == 0 and offsets.max() == 40 - 20, "all of 20 sentences have a tag"
    assert "answer" not in experiment.inputs(batch)


def test_the_last_sentences_are_read():
    experiment, _ = stories()
    told = [f"Mary went to the {place}." for place in ("kitchen", "office", "garden") * 8]
    row = experiment.task.encode(told, "Where is Mary?")
    known = {number: word for word, number in experiment.task.words.words.items()}
    read = [" ".join(known[i] for i in sentence if i) for sentence in row["sentences"]]
    assert read == [line.lower().rstrip(".") for line in told[-20:]]
    assert row["present"].all() and row["question"].shape == (1, 8)
    short = experiment.task.encode(told[:2], "Where is Mary?")
    np.testing.assert_array_equal(short["present"], np.arange(20) < 2)


def test_stories_of_all_tasks_are_learned_together():
    experiment, state = stories()
    answer, kind = experiment.task.labels("train")
    np.testing.assert_array_equal(np.bincount(kind.ravel()), [18] * 4)
    records = [experiment.task.records(split)[0] for split in ("train", "validation")]
    assert [len(found) for found in records] == [72, 8]
    assert [experiment.task.words.answers[i] for i in answer[:, 0]] == [
        record["answer"] for record in records[0]
    ]
    assert set(experiment.measure(state, "test")) == {
        "test/all",
        *(f"test/task_{number}" for number in (1, 2, 6, 15)),
    }


def test_a_story_of_ones_own_is_answered():
    demo = SCRIPT.demo(*stories())
    found = demo.run(**demo.defaults())
    assert found["said"].startswith("Where is Mary? ") and 1 <= len(found["answer"]) <= 5
    for given, message in (
        ({"story": "Mary flew to Mars.", "question": "Where is Mary?"}, "the word 'flew' of"),
        ({"story": "", "question": "Where is Mary?"}, "one sentence or more"),
        ({"story": "Mary went to the office.", "question": "?"}, "has no word"),
        ({"story": "Mary is " * 9, "question": "Where is Mary?"}, "data.sentence_length=18"),
    ):
        with pytest.raises(UserError, match=message):
            demo.run(**given)


@pytest.mark.parametrize(
    ("variant", "overrides", "message"),
    [
        ("stories", {"model.num_tags": 19}, "too few for data.sentences=20"),
        ("stories", {"data.tasks": (1, 3)}, "3 is not among those made: 1, 2, 6, 15"),
        ("stories", {"model.vocab_size": 10}, "set --config.model.vocab_size="),
        ("stories", {"model.num_answers": 3}, "set --config.model.num_answers="),
        ("smoke", {"model.num_answers": 11}, "Sort-of-CLEVR has 10 answers"),
        ("clevr", {}, "CLEVR not found"),
    ],
)
def test_what_does_not_fit_is_refused(variant, overrides, message):
    extra = {**STORIES, "data.per_task": 5} if variant == "stories" else {}
    with pytest.raises(UserError, match=message):
        build(variant, **{**extra, **overrides}).source.open()


def test_words_are_kept_with_a_run():
    kept = stories()[0].task.words
    again = words.QuestionWords(lambda: pytest.fail("no text is read"), 60, 20)
    again.from_files(kept.to_files())
    assert again.words == kept.words and again.answers == kept.answers
    assert again.label("nowhere") == -1


# --- CLEVR ---


@functools.cache
def release(folder):
    thing = {"3d_coords": [0, 1, 0.5], "color": "red", "shape": "cube", "material": "metal"}
    for split in ("train", "val"):
        names = [f"CLEVR_{split}_00000{i}.png" for i in range(4)]
        asked = [
            {
                "question": f"Is there a {word}?",
                "answer": answer,
                "image_index": i,
                "image_filename": names[i],
                "program": [{"function": "exist"}],
            }
            for i, (word, answer) in enumerate([("cube", "yes"), ("ball", "no")] * 2)
        ]
        seen = [
            {"image_index": i, "objects": [{**thing, "size": "large"}] * (i + 1)} for i in range(4)
        ]
        for name, records in (("questions", asked), ("scenes", seen)):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / f"CLEVR_{split}_{name}.json").write_text(json.dumps({name: records}))
        (folder / "images" / split).mkdir(parents=True)
        for i, name in enumerate(names):
            Image.new("RGB", (48, 32), (60 * i, 90, 0)).save(folder / "images" / split / name)
    return folder


def clevr_task(folder, pixels):
    return ClevrQuestions(pixels, str(folder), 1, 16, 4, 0.05, 5, 6, 10, 2)


@pytest.mark.parametrize("pixels", [False, True])
def test_clevr_is_read_as_rows(tmp_path, pixels):
    task = clevr_task(release(tmp_path), pixels)
    assert [len(task.rows(split)) for split in ("train", "validation", "test")] == [3, 1, 4]
    batch = task.source(2, 0)(None)
    assert {name: (s.shape, s.dtype) for name, s in task.row.items()} == {
        name: (value.shape[1:], value.dtype) for name, value in batch.items()
    }
    row = task.rows("test")[2]
    if pixels:
        assert np.abs(row["image"].astype(int) - [120, 90, 0]).max() <= 1
    else:
        np.testing.assert_array_equal(row["present"], [True] * 3 + [False] * 2)
        np.testing.assert_array_equal(row["objects"][0, :3], [0, 1, 0.5])
    answer, kind = task.labels("test")
    assert [task.words.answers[i] for i in answer[:, 0]] == ["yes", "no"] * 2
    assert (kind == clevr.KINDS.index("exist")).all()


def test_training_images_are_moved_a_little(tmp_path):
    task = clevr_task(tmp_path, pixels=True)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    row = {"image": image}
    drawn = [task.augment(row, np.random.default_rng(seed))["image"] for seed in range(20)]
    assert len({one.tobytes() for one in drawn}) > 15
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in drawn)
    task.rotation = 0.0
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge")
    parts = {padded[y : y + 16, x : x + 16].tobytes() for y in range(9) for x in range(9)}
    moved = {task.augment(row, np.random.default_rng(s))["image"].tobytes() for s in range(20)}
    assert moved <= parts


def test_objects_in_words():
    found = demos.read_object("-1 0.5 0.7 red cube metal large")
    np.testing.assert_allclose(found[:3], [-1, 0.5, 0.7])
    for line in ("1 2 red cube metal large", "1 2 3 pink cube metal large", "cube", "a b c d"):
        with pytest.raises(UserError, match="is no object"):
            demos.read_object(line)


# --- what a person sees ---


def test_a_scene_is_drawn_with_question_answer_and_truth():
    experiment, state = scenes()
    demo = SCRIPT.demo(experiment, state)
    made = sort.generate(demos.SHOWN_SCENES, seed=3)
    found = demo.run(scene=5, colour="blue", question="What shape is the ... object?")
    question, said, truth = found["said"].splitlines()
    assert question == "What shape is the blue object?"
    assert truth == f"in truth: {sort.SHAPES[made.shape[5, 2]]}"
    best = next(iter(found["answer"]))
    assert said.startswith(f"the network: {best} (")
    one = sort.Scenes(*(part[5:6] for part in made))
    asked = one._replace(colour=np.array([[2]]), kind=np.array([[0]]))
    inputs = {"objects": sort.states(asked), "question": sort.encode_questions(asked)}
    shares = jax.nn.softmax(experiment.jit_logits(state.learner, inputs)[0, 0])
    assert found["answer"][best] == pytest.approx(float(shares.max()), rel=1e-4)
    assert sort.ANSWERS[int(shares.argmax())] == best
    assert found["picture"].shape[-1] == 3 and np.ptp(found["picture"]) > 100
