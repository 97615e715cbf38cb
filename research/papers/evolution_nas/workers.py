"""Evolution by any number of workers that share nothing but a folder, without locks.

A model is a file `models/NUMBER.json`, made whole by one call of the operating system that fails
where the number is taken, so that numbers are the order of birth. A model that is killed has a file
`dead/NUMBER`. What a worker trains lies in `working/WORKER`: one that is killed goes on from its
child's last checkpoint, and nothing that was finished is ever lost (2017, section 3.1).
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from research.core.files import write_text
from research.models.nas_cells.amoeba_net import CellGenotype, Genotype
from research.papers.evolution_nas import layers
from research.papers.evolution_nas.spaces import CellSpace, from_genotype, to_genotype
from research.report.lock import FileLock

_MODELS, _DEAD, _WORKING, _WEIGHTS = "models", "dead", "working", "weights"


@dataclasses.dataclass(frozen=True)
class Model:
    """A model that has been trained.

    Attributes:
      number: order of birth.
      token: worker and its own count, which name the file of its weights.
      parent: number of its parent, -1 for none.
      architecture: as JSON has it.
      fitness: validation accuracy.
    """

    number: int
    token: str
    parent: int
    architecture: Any
    fitness: float


class Draft(NamedTuple):
    """A model that is to be trained.

    Attributes:
      architecture: as JSON has it.
      parent: number of its parent, -1 for none.
      kills: number of the model that dies with its birth, -1 for none.
    """

    architecture: Any
    parent: int
    kills: int


class Trained(NamedTuple):
    """What training gives: the fitness, and weights by name, where children inherit them."""

    fitness: float
    weights: Mapping[str, np.ndarray] | None = None


# A draft, a folder where its training can be interrupted and resumed, and a seed of its own.
Train = Callable[[Draft, Path, int], Trained]


class Rules(Protocol):
    """Who is a parent of whom."""

    def draft(self, folder: Folder, rng: np.random.Generator) -> Draft: ...


class Folder:
    """A population of files."""

    def __init__(self, path: Path):
        self.path = path
        self._models: dict[int, Model] = {}
        for name in (_MODELS, _DEAD, _WORKING, _WEIGHTS):
            (path / name).mkdir(parents=True, exist_ok=True)

    def models(self) -> list[Model]:
        """All models that there are, in the order of their birth."""
        for path in (self.path / _MODELS).glob("*.json"):
            number = int(path.stem)
            if number not in self._models:
                self._models[number] = Model(number, **json.loads(path.read_text("utf-8")))
        return [self._models[number] for number in sorted(self._models)]

    def alive(self) -> list[Model]:
        """Models that nobody has killed."""
        dead = {int(path.name) for path in (self.path / _DEAD).iterdir()}
        return [model for model in self.models() if model.number not in dead]

    def kill(self, number: int) -> None:
        """Kills a model; one that is dead stays so."""
        (self.path / _DEAD / str(number)).touch()

    def add(self, token: str, draft: Draft, trained: Trained) -> int:
        """Adds a model, whole or not at all, under the next free number."""
        if trained.weights is not None:
            file = self.path / _WEIGHTS / f"{token}.npz"
            partial = file.with_suffix(".partial.npz")
            np.savez(partial, **dict(trained.weights))  # type: ignore[arg-type]
            partial.replace(file)
        content = {"token": token, "parent": draft.parent, "architecture": draft.architecture}
        whole = self.path / _WORKING / f"{token}.json"
        write_text(whole, json.dumps({**content, "fitness": trained.fitness}))
        number = max((model.number for model in self.models()), default=-1) + 1
        while True:
            try:
                os.link(whole, self.path / _MODELS / f"{number:08d}.json")
                break
            except FileExistsError:  # another worker was faster
                number += 1
        whole.unlink()
        return number

    def weights(self, number: int) -> dict[str, np.ndarray]:
        """Weights of a model by name."""
        self.models()
        with np.load(self.path / _WEIGHTS / f"{self._models[number].token}.npz") as file:
            return dict(file)


class CellEvolution:
    """Algorithm 1 of 2018, and its rivals, on cells.

    Attributes:
      space: of the cells.
      population: P.
      sample: S.
      search: "aging", "non_aging" or "random".
    """

    def __init__(self, space: CellSpace, population: int, sample: int, search: str):
        self.population, self.sample, self.search = population, sample, search
        self._random, self._mutate = jax.jit(space.random), jax.jit(space.mutate)

    def draft(self, folder: Folder, rng: np.random.Generator) -> Draft:
        key = jax.random.key(int(rng.integers(2**32)))
        everyone = folder.models()
        # The newest P are those that are alive: the deque needs no file of its own.
        alive = everyone[-self.population :] if self.search == "aging" else folder.alive()
        if len(everyone) < self.population or self.search == "random":
            return Draft(cells_to_json(to_genotype(self._random(key))), -1, -1)
        sampled = [alive[i] for i in rng.integers(len(alive), size=self.sample)]
        best = max(sampled, key=lambda model: model.fitness)
        worst = min(sampled, key=lambda model: model.fitness)
        cells = from_genotype(cells_from_json(best.architecture))
        child = cells_to_json(to_genotype(self._mutate(key, cells)))
        return Draft(child, best.number, worst.number if self.search == "non_aging" else -1)


class LayerEvolution:
    """2017: of two models drawn at random the worse is killed, and the better one reproduces.

    Attributes:
      population: how many there are to be; as long as there are fewer, nobody is killed.
      first_rate: learning rate of the linear models that it starts from.
    """

    def __init__(self, population: int, first_rate: float):
        self.population, self.first_rate = population, first_rate

    def draft(self, folder: Folder, rng: np.random.Generator) -> Draft:
        alive = folder.alive()
        if len(folder.models()) < self.population or len(alive) < 2:
            return Draft(layers.starting_point(self.first_rate).to_json(), -1, -1)
        places = rng.choice(len(alive), size=2, replace=False)
        worse, better = sorted((alive[i] for i in places), key=lambda model: model.fitness)
        child = layers.mutate(layers.Layers.from_json(better.architecture), rng)
        kills = worse.number if len(alive) >= self.population else -1
        return Draft(child.to_json(), better.number, kills)


def cells_to_json(genotype: Genotype) -> list[Any]:
    return [[list(map(list, cell.operations)), list(map(list, cell.inputs))] for cell in genotype]


def cells_from_json(value: Sequence[Any]) -> Genotype:
    return Genotype(
        *(
            CellGenotype(
                tuple((a, b) for a, b in operations), tuple((int(a), int(b)) for a, b in inputs)
            )
            for operations, inputs in value
        )
    )


def work(
    folder: Folder,
    worker: str,
    seed: int,
    rules: Rules,
    train: Train,
    total_models: int,
) -> list[Model]:
    """Proposes, trains and adds models until there are enough of them; returns all.

    Args:
      folder: that workers share.
      worker: a name that no other worker has.
      seed: of what it draws.
      rules: of the evolution.
      train: trains a model.
      total_models: of all workers together.

    Raises:
      UserError: a worker of this name is at work.
    """
    place = folder.path / _WORKING / worker
    place.mkdir(exist_ok=True)
    lock = FileLock(place / "lock", f"the place of worker {worker} in {folder.path}")
    lock.take()
    try:
        while len(folder.models()) < total_models:
            _one_model(folder, place, worker, seed, rules, train)
        return folder.models()
    finally:
        lock.release()


def _one_model(
    folder: Folder,
    place: Path,
    worker: str,
    seed: int,
    rules: Rules,
    train: Train,
) -> None:
    own = {model.token for model in folder.models() if model.token.startswith(f"{worker}-")}
    for left in place.glob(f"{worker}-*"):
        if left.name in own:  # interrupted just after its birth
            _clear(folder, left)
    token = f"{worker}-{len(own)}"
    child = place / token
    rng = np.random.default_rng([seed, len(own)])
    child_seed = int(rng.integers(2**31))
    drafted = child / "draft.json"
    if drafted.is_file():  # it was interrupted
        draft = Draft(**json.loads(drafted.read_text("utf-8")))
    else:
        draft = rules.draft(folder, rng)
        child.mkdir(exist_ok=True)
        write_text(drafted, json.dumps(draft._asdict()))
    folder.add(token, draft, train(draft, child, child_seed))
    _clear(folder, child)


def _clear(folder: Folder, child: Path) -> None:
    """After a birth: the death that goes with it, and the end of what was needed on the way."""
    draft = Draft(**json.loads((child / "draft.json").read_text("utf-8")))
    if draft.kills >= 0:
        folder.kill(draft.kills)
    shutil.rmtree(child)
