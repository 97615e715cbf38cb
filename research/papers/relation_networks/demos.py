"""What a person asks a finished relation network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image as Pillow

from research.core.errors import UserError, quoted
from research.data.procedural import sort_of_clevr as sort
from research.data.sources import clevr
from research.papers.relation_networks.clevr import ClevrQuestions
from research.papers.relation_networks.figures import Answered, picture
from research.papers.relation_networks.scenes import SceneQuestions
from research.papers.relation_networks.stories import StoryQuestions
from research.report.demo import Choice, Demo, Image, Number, Probabilities, Text

# A row without its answer, to the probabilities `[Q, K]` of answers.
Answer = Callable[[Mapping[str, np.ndarray]], np.ndarray]
_TOP = 5
_STORY = "Mary went to the kitchen.\nJohn moved to the garden.\nMary journeyed to the office."
_OBJECTS = "-1 0.5 0.7 red cube metal large\n1.5 -0.5 0.35 blue sphere rubber small"
_QUESTION = "Is there a red cube?"
SHOWN_SCENES = 1000


def scene_demo(task: SceneQuestions, answer: Answer) -> Demo:
    """A scene that was never trained on, and any question about it."""
    scenes = sort.generate(SHOWN_SCENES, seed=3)
    blank = [question.format("...") for question in sort.IN_WORDS]

    def run(scene: int, colour: str, question: str) -> dict[str, Any]:
        answered, shares = ask_scene(
            task, answer, scenes, scene, sort.COLOURS.index(colour), blank.index(question)
        )
        said = [
            answered.question,
            f"the network: {answered.said} ({100 * answered.share:.1f} %)",
            f"in truth: {answered.truth}",
        ]
        return {
            "picture": picture(answered),
            "said": "\n".join(said),
            "answer": likeliest(shares, sort.ANSWERS),
        }

    return Demo(
        title="Ask about a scene",
        says="Six objects, a colour each. Ask about one of them, or about how the others lie to "
        "it; the true answer stands beside the network's.",
        inputs={
            "scene": Number("which scene", 0, 0, SHOWN_SCENES - 1),
            "colour": Choice("colour of the object", sort.COLOURS, sort.COLOURS[0]),
            "question": Choice("what is asked of it", blank, blank[3]),
        },
        outputs={
            "picture": Image("the scene"),
            "said": Text("the question and its answers", lines=3),
            "answer": Probabilities("the likeliest answers"),
        },
        run=run,
        examples=[{"scene": i, "question": question} for i, question in enumerate(blank)],
    )


def ask_scene(
    task: SceneQuestions, answer: Answer, scenes: sort.Scenes, scene: int, colour: int, kind: int
) -> tuple[Answered, np.ndarray]:
    """What a network says of one of `scenes`, and the probabilities `[K]` of all answers."""
    one = sort.Scenes(*(part[scene : scene + 1] for part in scenes))
    asked = one._replace(colour=np.array([[colour]]), kind=np.array([[kind]]))
    row = {name: seen[0] for name, seen in task.seen(asked).items()}
    shares = answer({**row, "question": sort.encode_questions(asked)[0]})[0]
    best = int(shares.argmax())
    truth = sort.ANSWERS[int(sort.answers(asked)[0, 0])]
    image, question = sort.draw(asked)[0], sort.in_words(colour, kind)
    return Answered(image, question, sort.ANSWERS[best], float(shares[best]), truth), shares


def story_demo(task: StoryQuestions, answer: Answer) -> Demo:
    """A story of one's own, in words that were learned."""
    records = task.words.words

    def run(story: str, question: str) -> dict[str, Any]:
        told = [line for line in story.splitlines() if line.strip()]
        if not told:
            raise UserError("a story has one sentence or more, each on a line of its own")
        shares = answer(task.encode(told, question))[0]
        found = likeliest(shares, task.words.answers)
        return {"said": f"{question} {next(iter(found), '')}", "answer": found}

    known = all(word in records for word in ("journeyed", "where", "mary"))
    return Demo(
        title="Ask about a story",
        says=f"Sentences, each on a line of its own, and a question about them; the last "
        f"{task.sentences} are read. The network knows {len(records)} words.",
        inputs={
            "story": Text("the story", _STORY if known else "", lines=8),
            "question": Text("a question", "Where is Mary?" if known else ""),
        },
        outputs={
            "said": Text("the answer"),
            "answer": Probabilities("the likeliest answers"),
        },
        run=run,
    )


def clevr_demo(task: ClevrQuestions, answer: Answer) -> Demo:
    """An image, or objects in words, and a question about them."""

    def ask(seen: Mapping[str, np.ndarray], question: str) -> dict[str, Any]:
        shares = answer({**seen, "question": task.encode_question(question)})[0]
        return {"answer": likeliest(shares, task.words.answers)}

    def run_image(picture: np.ndarray, question: str) -> dict[str, Any]:
        return ask(task.encode_image(Pillow.fromarray(picture)), question)

    def run_objects(objects: str, question: str) -> dict[str, Any]:
        lines = [line for line in objects.splitlines() if line.strip()]
        states = np.array([read_object(line) for line in lines]).reshape(-1, clevr.STATE_SIZE)
        return ask(task.encode_objects(states), question)

    blank = np.full((task.image_size, task.image_size, 3), 128, np.uint8)
    described = Text("objects: x y z, colour, shape, material, size", _OBJECTS, lines=6)
    return Demo(
        title="Ask about a scene of CLEVR",
        says="A scene and a question in CLEVR's words.",
        inputs={
            **({"picture": Image("a scene", blank)} if task.pixels else {"objects": described}),
            "question": Text("a question", _QUESTION),
        },
        outputs={"answer": Probabilities("the likeliest answers")},
        run=run_image if task.pixels else run_objects,
    )


def read_object(line: str) -> np.ndarray:
    """An object of CLEVR out of words such as "-1 0.5 0.7 red cube metal large": `[18]`.

    Raises:
      UserError: it is not of this form.
    """
    try:
        *place, colour, shape, material, size = line.split()
        features = {"color": colour, "shape": shape, "material": material, "size": size}
        return clevr.state([float(number) for number in place], features)
    except ValueError as error:
        raise UserError(
            f"{quoted(line)} is no object: x y z, colour, shape, material, size ({error})"
        ) from error


def likeliest(shares: np.ndarray, answers: Any) -> dict[str, float]:
    """The likeliest answers of probabilities `[K]`; those that nobody gave have no name."""
    best = np.argsort(-shares, kind="stable")[:_TOP]
    return {answers[i]: float(shares[i]) for i in best if i < len(answers)}
