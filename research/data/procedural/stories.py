"""Stories with questions, as those of bAbI (Weston et al. 2015), for four of its twenty tasks.

1   where a person is, from the sentence that says so
2   where an object is: it was taken, carried along, and perhaps left behind
6   whether a person is somewhere, yes or no
15  what somebody fears, from what they are and what such animals fear

Records are as those of "babi/en": task, story, question, answer and support. A story of tasks 1, 2
and 6 goes on after a question; each is asked five times.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from research.data.dataset import Record

PEOPLE = ("Mary", "John", "Daniel", "Sandra")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
THINGS = ("apple", "football", "milk")
MOVES = ("moved to", "went to", "travelled to", "journeyed to", "went back to")
TAKES = ("took", "grabbed", "picked up", "got")
DROPS = ("dropped", "left", "put down", "discarded")
ANIMALS = {"mouse": "mice", "cat": "cats", "wolf": "wolves", "sheep": "sheep"}
NAMES = ("Gertrude", "Jessica", "Winona", "Emily")
TASKS = (1, 2, 6, 15)
QUESTIONS = 5  # of a story of tasks 1, 2 and 6


class _World:
    """Who and what is where, and the sentences that said so."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.story: list[str] = []
        self.place: dict[str, tuple[str, int]] = {}  # person -> place, sentence
        self.carried: dict[str, tuple[str, int]] = {}  # thing -> person, sentence
        self.left: dict[str, tuple[str, int, int]] = {}  # thing -> place, both sentences

    def say(self, sentence: str) -> int:
        self.story.append(sentence)
        return len(self.story) - 1

    def move(self) -> None:
        person, place = self.rng.choice(PEOPLE), self.rng.choice(PLACES)
        said = self.say(f"{person} {self.rng.choice(MOVES)} the {place}.")
        self.place[person] = (place, said)

    def handle(self) -> None:
        """Somebody drops or takes a thing, if anybody can; else somebody moves."""
        thing = self.rng.choice(THINGS)
        if thing in self.carried:
            person, _ = self.carried.pop(thing)
            said = self.say(f"{person} {self.rng.choice(DROPS)} the {thing}.")
            self.left[thing] = (self.place[person][0], said, self.place[person][1])
            return
        people = sorted(self.place)
        if thing in self.left:  # it is taken where it lies
            people = [who for who in people if self.place[who][0] == self.left[thing][0]]
        if not people:
            self.move()
            return
        person = self.rng.choice(people)
        said = self.say(f"{person} {self.rng.choice(TAKES)} the {thing}.")
        self.carried[thing] = (person, said)
        self.left.pop(thing, None)

    def find(self, thing: str) -> tuple[str, list[int]] | None:
        """Where a thing is and what says so; None where nothing does."""
        if thing in self.carried:
            person, said = self.carried[thing]
            return self.place[person][0], [said, self.place[person][1]]
        if thing in self.left:
            place, dropped, came = self.left[thing]
            return place, [dropped, came]
        return None

    def record(self, task: int, question: str, answer: str, support: list[int]) -> Record:
        return {
            "task": task,
            "story": tuple(self.story),
            "question": question,
            "answer": answer,
            "support": np.array(support, np.int64),
        }


def _where_is_a_person(rng: random.Random) -> list[Record]:
    world, records = _World(rng), []
    for _ in range(QUESTIONS):
        world.move()
        world.move()
        person = rng.choice(sorted(world.place))
        place, said = world.place[person]
        records.append(world.record(1, f"Where is {person}?", place, [said]))
    return records


def _where_is_a_thing(rng: random.Random) -> list[Record]:
    world = _World(rng)
    records: list[Record] = []
    while len(records) < QUESTIONS:
        rng.choice((world.move, world.handle))()
        rng.choice((world.move, world.handle))()
        known = [thing for thing in THINGS if world.find(thing)]
        if known:
            thing = rng.choice(known)
            found = world.find(thing)
            assert found is not None
            records.append(world.record(2, f"Where is the {thing}?", *found))
    return records


def _is_somebody_there(rng: random.Random) -> list[Record]:
    world, records = _World(rng), []
    for _ in range(QUESTIONS):
        world.move()
        world.move()
        person = rng.choice(sorted(world.place))
        place, said = world.place[person]
        asked = place if rng.random() < 0.5 else rng.choice(PLACES)
        answer = "yes" if asked == place else "no"
        records.append(world.record(6, f"Is {person} in the {asked}?", answer, [said]))
    return records


def _what_is_feared(rng: random.Random) -> list[Record]:
    kinds = list(ANIMALS)
    feared = {kind: rng.choice([other for other in kinds if other != kind]) for kind in kinds}
    is_a = {name: rng.choice(kinds) for name in NAMES}
    fears = {
        kind: f"{ANIMALS[kind].capitalize()} are afraid of {ANIMALS[feared[kind]]}."
        for kind in kinds
    }
    told = [*fears.items(), *((name, f"{name} is a {kind}.") for name, kind in is_a.items())]
    rng.shuffle(told)
    world = _World(rng)
    said = {of: world.say(sentence) for of, sentence in told}
    return [
        world.record(
            15, f"What is {name.lower()} afraid of?", feared[kind], [said[name], said[kind]]
        )
        for name, kind in is_a.items()
    ]


_MAKERS: dict[int, Callable[[random.Random], list[Record]]] = {
    1: _where_is_a_person,
    2: _where_is_a_thing,
    6: _is_somebody_there,
    15: _what_is_feared,
}


def generate(num: int, seed: int) -> list[Record]:
    """`num` questions of each task, in the order of `TASKS`; all of a story stand together."""
    records: list[Record] = []
    for task in TASKS:
        rng = random.Random(f"{seed} {task}")
        made: list[Record] = []
        while len(made) < num:
            made += _MAKERS[task](rng)
        records += made[:num]
    return records
