"""Short stories about people, made on the spot, in which what is known of somebody comes up again.

A story has one person and one setting, the sea or the mountains, and nine sentences in random
order. Name, city, job, animal and the like each stand in several of them, with a word before each
that always goes with it, as epithets in Homer do: so a hidden word is told by one that stands
after it, next to it or in another sentence, and two pieces of one story go together where those of
two stories do not. How people speak of somebody is kind or unkind
throughout:

- an adjective of one kind or the other stands in a sentence that says what people do because of it,
  "they greet her": a reader without labels finds out from that which adjectives are of one kind;
- `judgements` are sentences of the same form that end with the adjective, and have a label;
- `questions` ask for a city, an animal, a job, which stand in the story;
- `tagged` says of every word whether it is a name, a city, an animal or a food.
"""

from __future__ import annotations

import dataclasses
import random

KIND = (
    "kind honest brave gentle clever funny patient polite generous cheerful loyal wise modest calm "
    "friendly charming witty humble caring fair"
).split()
UNKIND = (
    "rude cruel lazy greedy dull mean nasty selfish bitter vain jealous stubborn cold harsh "
    "careless boring hostile clumsy moody sly"
).split()
WOMEN = "mirela sonja tamara lidia noemi adela rosina kamila".split()
MEN = "torvald emil konrad marius stefan anselm bruno dimitri".split()
# Where a story is set decides on what there is. Each thing has a word that always goes before it.
SETTINGS: tuple[dict[str, tuple[str, ...]], ...] = (
    {
        "city": ("rainy bergen", "sunny dakar", "steep porto"),
        "job": ("tanned sailor", "early fisher", "silent diver"),
        "animal": ("green parrot", "grey gull", "ancient turtle"),
        "food": ("dried fish", "boiled crabs", "salted mussels"),
        "place": ("crowded harbour", "sandy beach", "wooden pier"),
    },
    {
        "city": ("lofty quito", "remote lhasa", "tidy bern"),
        "job": ("lonely shepherd", "sturdy guide", "dusty miner"),
        "animal": ("horned goat", "woolly llama", "golden eagle"),
        "food": ("ripe cheese", "roasted barley", "wild honey"),
        "place": ("snowy summit", "blue glacier", "log cabin"),
    },
    {
        "city": ("mighty cairo", "white tunis", "hot muscat"),
        "job": ("shrewd trader", "nimble weaver", "skilled potter"),
        "animal": ("thirsty camel", "spotted lizard", "hooded falcon"),
        "food": ("sweet dates", "purple figs", "red lentils"),
        "place": ("hidden oasis", "noisy bazaar", "shifting dunes"),
    },
    {
        "city": ("foggy london", "vast delhi", "modern osaka"),
        "job": ("hurried driver", "elegant banker", "tired waiter"),
        "animal": ("curly poodle", "fat pigeon", "tiny kitten"),
        "food": ("layered cake", "instant noodles", "black coffee"),
        "place": ("central station", "dark cinema", "tall office"),
    },
)
# What people do because of what somebody is like.
DEEDS = {True: ("greet", "trust", "thank"), False: ("avoid", "mock", "distrust")}
TAGS = {"name": "PER", "city": "LOC", "animal": "ANI", "food": "FOOD"}

# Fields of a person stand in braces.
SENTENCES = (
    "{name} is a {job} from {city} .",
    "the {job} has a {animal} .",
    "the {animal} of {name} eats {food} .",
    "{name} sells {food} in {city} .",
    "{name} goes to the {place} .",
    "a {animal} sleeps at the {place} .",
    "people call {him} {trait} and {deed} {him} .",
    "{name} is {trait} , so they {deed} {him} .",
    "the {job} is {trait} and they {deed} {him} .",
)
JUDGEMENTS = (
    "people call {him} {trait} .",
    "{name} is {trait} .",
    "the {job} is {trait} .",
)
QUESTIONS = {
    "city": "which city is {name} from ?",
    "job": "what is the job of {name} ?",
    "animal": "which animal has {name} ?",
    "food": "what does {name} sell ?",
    "place": "where does {name} go ?",
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
      answer: two words of the context.
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
    setting = rng.choice(SETTINGS)
    return {
        "name": rng.choice(WOMEN if woman else MEN),
        "him": "her" if woman else "him",
        **{field: rng.choice(things) for field, things in setting.items()},
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
        tags.append(tuple(tag for word in form.split() for tag in _tags(word, said)))
    return Story(tuple(sentences), facts, kind, tuple(tags))


def _tags(word: str, said: dict[str, str]) -> list[str]:
    """Tags of what stands in the place of a word of a form."""
    field = word.strip("{}")
    size = len(said[field].split()) if word.startswith("{") else 1
    if not word.startswith("{") or field not in TAGS:
        return ["O"] * size
    return [f"B-{TAGS[field]}", *[f"I-{TAGS[field]}"] * (size - 1)]
