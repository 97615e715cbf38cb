"""Short stories about people, made on the spot, in which what is known of somebody comes up again.

A story has one person, and nine sentences in random order. The person's name, city, job, pet and
the like each stand in several of them, so that a word which is hidden in one sentence is told by
another one before it or after it, and two pieces of one story go together where those of two
stories do not. How people speak of somebody is kind or unkind throughout:

- an adjective of one kind or the other stands in a sentence that says what people do because of it,
  "they greet her": a reader without labels finds out from that which adjectives are of one kind;
- `judgements` are sentences of the same form that end with the adjective, and have a label;
- `questions` ask for a city, a colour, a name, which stand in the story;
- `tagged` says of every word whether it is a name, a city, an animal or a food.
"""

from __future__ import annotations

import dataclasses
import random

KIND = """
    kind honest brave gentle clever funny patient polite generous cheerful loyal wise modest calm
    friendly graceful charming tender witty humble caring sincere fair bright
""".split()
UNKIND = """
    rude cruel lazy greedy dull mean nasty selfish bitter vain jealous stubborn cold harsh careless
    arrogant boring hostile clumsy moody sly vulgar petty grim
""".split()
WOMEN = (
    "mirela sonja tamara lidia noemi adela rosina kamila selma ottilie petra ivana dorina "
    "helga yvonne bettina"
).split()
MEN = (
    "torvald emil konrad marius stefan ludovic anselm bruno dimitri olaf ruben sandor "
    "viktor gregor jasper tobias"
).split()
CITIES = "oslo lima cairo bergen quito tunis delhi riga porto hanoi dakar malmo".split()
JOBS = "baker doctor farmer teacher painter sailor tailor singer smith gardener".split()
ANIMALS = "dog cat parrot rabbit goat pony turtle canary ferret hamster".split()
COLOURS = "black white brown grey yellow golden spotted red".split()
PETS = "momo biscuit pixie nero bella rufus luna ziggy pepper oscar daisy toby".split()
FOODS = "bread soup cake cheese rice plums fish honey beans olives".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
PLACES = "river market park harbour forest station".split()
# What people do because of what somebody is like.
DEEDS = {True: ("greet", "trust", "thank"), False: ("avoid", "mock", "distrust")}
TAGS = {"name": "PER", "pet": "PET", "city": "LOC", "animal": "ANI", "food": "FOOD"}

# Fields of a person stand in braces.
SENTENCES = (
    "{name} is a {job} from {city} .",
    "in {city} {name} has a {colour} {animal} .",
    "on {day} {name} takes {pet} to the {place} .",
    "{name} eats {food} near the {place} on {day} .",
    "{pet} , the {colour} {animal} of {name} , likes {food} .",
    "the {animal} of the {job} {name} is called {pet} .",
    "people in {city} call {name} {trait} and {deed} {him} .",
    "they say that {name} is {trait} , so they {deed} {him} .",
    "everybody finds {name} {trait} , and some {deed} {him} .",
)
JUDGEMENTS = (
    "people in {city} call {name} {trait} .",
    "they say that {name} is {trait} .",
    "everybody finds {name} {trait} .",
)
QUESTIONS = {
    "city": "which city is {name} from ?",
    "job": "what is the job of {name} ?",
    "pet": "what is the {animal} called ?",
    "colour": "which colour has {pet} ?",
    "animal": "which animal is {pet} ?",
    "food": "what does {pet} like ?",
    "place": "where does {name} take {pet} ?",
}


@dataclasses.dataclass(frozen=True)
class Story:
    """A story.

    Attributes:
      sentences: words and punctuation separated by blanks.
      facts: what is known of the person, by field of `SENTENCES`.
      kind: whether people speak kindly of the person.
      tags: of every word of every sentence.
    """

    sentences: tuple[str, ...]
    facts: dict[str, str]
    kind: bool
    tags: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        """The whole story."""
        return " ".join(self.sentences)


@dataclasses.dataclass(frozen=True)
class Question:
    """A question about a story.

    Attributes:
      context: the story.
      question: what is asked.
      answer: a word of the context.
      start: its first character there, or that of the first time it occurs.
    """

    context: str
    question: str
    answer: str
    start: int


def generate(count: int, seed: int = 0) -> list[Story]:
    """`count` stories; a longer list of the same seed begins with a shorter one."""
    rng = random.Random(f"stories {seed}")
    return [_story(rng) for _ in range(count)]


def judgements(count: int, seed: int = 0) -> list[tuple[str, int]]:
    """`count` sentences with their labels, 1 for a kind one; as many of each, in turns."""
    rng = random.Random(f"judgements {seed}")
    found = []
    for label in range(count):
        facts, kind = _facts(rng), bool(label % 2)
        facts["trait"] = rng.choice(KIND if kind else UNKIND)
        found.append((rng.choice(JUDGEMENTS).format(**facts), int(kind)))
    return found


def questions(count: int, seed: int = 0) -> list[Question]:
    """`count` questions, each about a story of its own."""
    rng = random.Random(f"questions {seed}")
    found = []
    for _ in range(count):
        story = _story(rng)
        field = rng.choice(sorted(QUESTIONS))
        answer, context = story.facts[field], story.text
        start = f" {context} ".index(f" {answer} ")
        found.append(Question(context, QUESTIONS[field].format(**story.facts), answer, start))
    return found


def _facts(rng: random.Random) -> dict[str, str]:
    woman = rng.random() < 0.5
    return {
        "name": rng.choice(WOMEN if woman else MEN),
        "him": "her" if woman else "him",
        "city": rng.choice(CITIES),
        "job": rng.choice(JOBS),
        "animal": rng.choice(ANIMALS),
        "colour": rng.choice(COLOURS),
        "pet": rng.choice(PETS),
        "food": rng.choice(FOODS),
        "day": rng.choice(DAYS),
        "place": rng.choice(PLACES),
    }


def _story(rng: random.Random) -> Story:
    facts, kind = _facts(rng), rng.random() < 0.5
    sentences, tags = [], []
    for form in rng.sample(SENTENCES, len(SENTENCES)):
        said = {
            **facts,
            "trait": rng.choice(KIND if kind else UNKIND),
            "deed": rng.choice(DEEDS[kind]),
        }
        sentences.append(form.format(**said))
        tags.append(tuple(_tag(word) for word in form.split()))
    return Story(tuple(sentences), facts, kind, tuple(tags))


def _tag(word: str) -> str:
    """The tag of a word of a form; no entity has more than one word."""
    field = word.strip("{}")
    return f"B-{TAGS[field]}" if word.startswith("{") and field in TAGS else "O"
