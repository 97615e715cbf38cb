"""A simple neural network module for relational reasoning (Santoro et al., 2017), arXiv:1706.01427.

Claim: a network whose form says that objects are compared in pairs, RN(O) = f(sum_ij g(o_i, o_j)),
answers questions about how objects lie to each other, which an MLP that is given the same objects
side by side does not learn.

Departures: Sort-of-CLEVR's images are our own (`data/procedural/sort_of_clevr.py` names what the
paper leaves open). The default sees the objects themselves, not pixels, and is smaller; an image
and its 20 questions are one row of a batch, so that `:paper`, whose 64 may mean questions, takes 64
images. The rates of the default fall as a cosine. In bAbI a sentence's tag is joined to what the
LSTM has read of it; sizes of word vectors are ours. Batch statistics and dropout are off in
evaluation. The physical system of section 4.4 is left out.
"""

from __future__ import annotations

import research.early  # answers --help at once

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.data.procedural import sort_of_clevr
from research.losses.softmax import softmax_loss
from research.models.relation_network import FlattenedMLP, Reasoner, RelationNetwork
from research.optim.schedules import doubling
from research.papers.relation_networks.clevr import ClevrQuestions
from research.papers.relation_networks.demos import (
    Answer,
    ask_scene,
    clevr_demo,
    scene_demo,
    story_demo,
)
from research.papers.relation_networks.figures import draw_answers
from research.papers.relation_networks.scenes import SceneQuestions
from research.papers.relation_networks.stories import StoryQuestions
from research.papers.relation_networks.task import Task, accuracies, majority
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo


def dense(inputs: int, *widths: int) -> int:
    """Parameters of linear layers of these widths, one after the other."""
    sizes = (inputs, *widths)
    return sum(size * width + width for size, width in zip(sizes, widths, strict=False))


def convolutions(*channels: int) -> int:
    """Parameters of convolutions of 3x3 from three channels on, each with batch normalization."""
    sizes = (3, *channels)
    return sum(9 * size * own + 3 * own for size, own in zip(sizes, channels, strict=False))


def lstm(inputs: int, units: int) -> int:
    return 4 * units * (inputs + units + 1)


PAPER = Paper(
    title="A simple neural network module for relational reasoning",
    authors="Adam Santoro, David Raposo, David G. T. Barrett, Mateusz Malinowski, Razvan Pascanu, "
    "Peter Battaglia, Timothy Lillicrap",
    year=2017,
    arxiv="1706.01427",
    field="images",
    claim="A sum over all pairs of objects answers questions about relations that an MLP on the "
    "same objects does not.",
    parameters={
        # Objects: 256 maps and 2 coordinates. Questions: 11 bits.
        "sort_of_clevr": convolutions(32, 64, 128, 256)
        + dense(2 * 258 + 11, *[2000] * 4)
        + dense(2000, 2000, 1000, 500, 100, 10),
        # 16,488, 243,712 and 139,037; before them vectors of 32 for 90 words, and an LSTM.
        "clevr": 90 * 32
        + lstm(32, 128)
        + convolutions(24, 24, 24, 24)
        + dense(2 * 26 + 128, *[256] * 4)
        + dense(256, 256, 256, 29),
        "clevr_states": 90 * 32
        + lstm(32, 256)
        + dense(2 * 18 + 256, *[512] * 4)
        + dense(512, 512, 1024, 29),
        # An object is what an LSTM of 32 read, and one of 40 tags.
        "babi": 160 * 32
        + 2 * lstm(32, 32)
        + dense(2 * (32 + 40) + 32, *[256] * 4)
        + dense(256, 256, 512, 159),
    },
    curves=(
        *(f"valid/{kind}" for kind in sort_of_clevr.KINDS),
        "valid/relational",
        "valid/non_relational",
        "valid/all",
    ),
    x="questions",
    method="rn",
)

Numbers = dict[str, float]


class State(flax.struct.PyTreeNode):
    """What a step changes."""

    learner: LearnerState


class RelationNetworks(Experiment):
    """A network that sees objects and is asked about them."""

    def __init__(self, config: ConfigDict):
        self.config = config
        self.task = open_task(config)
        self.assets = self.task.assets
        self.learner = Learner(
            network(config),
            optax.adam(schedule(config)),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )
        self.num_steps, self.micro_batches = config.num_steps, config.accumulate_steps
        self.source = self.task.source(config.batch_size, config.seed)
        questions = self.task.row["answer"].shape[0]
        self.per_step = {"questions": config.batch_size * questions}
        self.jit_logits = jax.jit(self.logits)

    def init(self, key: jax.Array) -> State:
        one = {name: jnp.zeros((1, *s.shape), s.dtype) for name, s in self.task.row.items()}
        return State(self.learner.init(key, self.inputs(one), train=False))

    def inputs(self, batch: Mapping[str, Any], key: jax.Array | None = None) -> dict[str, Any]:
        """What the network is shown of rows: all but their answers.

        Where there are sentences, the first of them has tag 0, and in training any tag that leaves
        enough for the others: only how they lie to each other is to count (supplement).
        """
        shown = {name: value for name, value in batch.items() if name != "answer"}
        if "sentences" in shown:
            rows, sentences = shown["sentences"].shape[:2]
            shown["offset"] = jnp.zeros(rows, jnp.int32)
            if key is not None:
                last = self.config.model.num_tags - sentences
                shown["offset"] = jax.random.randint(key, (rows,), 0, last + 1)
        return shown

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """-log p(a | O, q), the mean over questions; p is the softmax of RN(O, q) (equation 1)."""
        key, dropout_key = jax.random.split(key)
        (logits, _), updated = self.learner.apply(
            variables,
            self.inputs(batch, key),
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": dropout_key},
        )
        loss, error = softmax_loss(logits.reshape(-1, logits.shape[-1]), batch["answer"].ravel())
        return loss, Aux({"error": error}, updated)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, key)
        return State(learner), metrics

    # Answers.

    def logits(self, variables: Any, batch: Any) -> jax.Array:
        """Logits `[B, Q, K]` of rows, without dropout and with the statistics of training."""
        return self.learner.apply(variables, self.inputs(batch))[0]

    def measure(self, state: State, split: str) -> Numbers:
        """Per cent of a split's questions that are answered right, by kind."""
        answer, kind = self.task.labels(split)
        variables = self.learner.eval_variables(state.learner)
        rows, size = self.task.rows(split), self.config.eval.batch_size
        logits = training.map_batches(self.jit_logits, variables, rows, size)
        found = accuracies(self.task, logits.argmax(-1) == answer, kind)
        return {f"{SHORT[split]}/{name}": value for name, value in found.items()}

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        return self.measure(state, "validation")

    def answer(self, state: State) -> Answer:
        """The finished network: one row to the probabilities `[Q, K]` of answers."""
        variables = self.learner.eval_variables(state.learner)

        def probabilities(row: Mapping[str, np.ndarray]) -> np.ndarray:
            batch = {name: np.asarray(value)[None] for name, value in row.items()}
            return np.asarray(jax.nn.softmax(self.jit_logits(variables, batch)))[0]

        return probabilities


SHORT = {"validation": "valid", "test": "test"}


def open_task(config: ConfigDict) -> Task:
    """What is asked."""
    data, model = config.data, config.model
    check_choice("task", config.task, ("sort_of_clevr", "babi", "clevr"))
    check_choice("seen", config.seen, ("states", "pixels"))
    pixels = config.seen == "pixels"
    if config.task == "sort_of_clevr":
        if model.num_answers != len(sort_of_clevr.ANSWERS):
            raise UserError(f"Sort-of-CLEVR has {len(sort_of_clevr.ANSWERS)} answers")
        num = {"train": data.num_train, "validation": data.num_validation, "test": data.num_test}
        return SceneQuestions(pixels, num, data.questions_per_group)
    room = (data.question_length, model.vocab_size, model.num_answers)
    if config.task == "clevr":
        of_images = (data.image_size, data.padding, data.rotation, data.max_objects)
        return ClevrQuestions(pixels, data.dir, data.num_validation, *of_images, *room)
    if model.num_tags < data.sentences:
        raise UserError(
            f"model.num_tags={model.num_tags} are too few for data.sentences={data.sentences}"
        )
    of_stories = (data.tasks, data.per_task, data.sentences, data.sentence_length)
    return StoryQuestions(data.name, data.dir, *of_stories, *room)


def network(config: ConfigDict) -> Reasoner:
    """The relation network or its rival, behind what makes objects for it."""
    model, dtype = config.model, jnp.dtype(config.compute_dtype)
    check_choice("model.core", model.core, ("rn", "mlp"))
    if model.core == "rn":
        core: nn.Module = RelationNetwork(
            model.g, model.f, model.num_answers, model.dropout, dtype=dtype
        )
    else:
        core = FlattenedMLP(model.mlp, model.num_answers, model.dropout, dtype=dtype)
    return Reasoner(
        core,
        channels=model.channels,
        vocab_size=model.vocab_size,
        embedding_size=model.embedding_size,
        sentence_units=model.sentence_units,
        question_units=model.question_units,
        num_tags=model.num_tags,
        dtype=dtype,
    )


def schedule(config: ConfigDict) -> optax.Schedule:
    """The rate; "doubling" begins low, which let others reach the paper's numbers on CLEVR."""
    rate, setting = config.optimizer.learning_rate, config.schedule
    check_choice("schedule.name", setting.name, ("constant", "cosine", "doubling"))
    if setting.name == "doubling":
        return doubling(setting.first_rate, setting.double_every_steps, rate)
    if setting.name == "cosine":
        return optax.cosine_decay_schedule(rate, config.num_steps)
    return optax.constant_schedule(rate)


def main(experiment: RelationNetworks, config: ConfigDict, workdir: Path) -> Numbers:
    state, numbers = training.run(experiment, config, workdir)
    test = experiment.measure(state, "test")
    if config.task == "babi":
        learned = [test[f"test/{kind}"] > 95 for kind in experiment.task.kinds]
        test["test/tasks_above_95"] = float(sum(learned))
    floor = {f"majority/{k}": v for k, v in majority(experiment.task, "test").items()}
    if jax.process_index() == 0 and isinstance(experiment.task, SceneQuestions):
        draw_scenes(experiment, state, workdir / "scenes.png")
    return {**numbers, **test, **floor}


def draw_scenes(experiment: RelationNetworks, state: State, path: Path) -> None:
    """Draws a test scene for each kind of question, with what the network says."""
    task, answer = experiment.task, experiment.answer(state)
    assert isinstance(task, SceneQuestions)
    scenes = task.scenes("test")
    colours = len(sort_of_clevr.COLOURS)
    panels = [
        ask_scene(task, answer, scenes, kind % len(scenes.shape), kind % colours, kind)[0]
        for kind in range(len(sort_of_clevr.KINDS))
    ]
    draw_answers(path, panels)


def demo(experiment: RelationNetworks, state: State) -> Demo:
    task, answer = experiment.task, experiment.answer(state)
    if isinstance(task, SceneQuestions):
        return scene_demo(task, answer)
    if isinstance(task, StoryQuestions):
        return story_demo(task, answer)
    assert isinstance(task, ClevrQuestions)
    return clevr_demo(task, answer)


def claims(results: Results) -> list[Claim]:
    if "test/relational" in results.metrics:
        return scene_claims(results)
    return story_claims(results)


def scene_claims(results: Results) -> list[Claim]:
    """The comparison of section 5.2, figure 4."""
    rows = [
        results["test/non_relational"].at_least(
            "rn",
            98,
            claim="the relation network, questions about one object: % right",
            paper="above 94",
            digits=1,
        ),
        results["test/relational"].at_least(
            "rn",
            86,
            claim="the relation network, questions about relations: % right",
            paper="above 94",
            digits=1,
        ),
        results["test/count"].at_least(
            "rn",
            99,
            claim="the relation network, how many objects have its shape: % right",
            paper="",
            digits=1,
        ),
        results["test/relational"].above(
            "rn",
            "mlp",
            by=13,
            claim="an MLP on the same objects does not learn relations: % right",
            paper="above 94 against 63",
            digits=1,
        ),
    ]
    for kind, by in (("nearest", 13), ("farthest", 10)):
        row = results[f"test/{kind}"].above(
            "rn",
            "mlp",
            by=by,
            claim=f"the shape of the {kind} object: % right",
            paper="",
            digits=1,
        )
        rows.append(row)
    return rows


def story_claims(results: Results) -> list[Claim]:
    """Section 5.3, of those tasks that `data.tasks` names."""
    return [
        results[f"test/task_{number}"].at_least(
            "rn",
            95,
            claim=f"bAbI task {number}, all tasks by one network: % right",
            paper="above 95",
            digits=1,
        )
        for number in (1, 6, 15)
        if f"test/task_{number}" in results.metrics
    ]


if __name__ == "__main__":
    app.run()
