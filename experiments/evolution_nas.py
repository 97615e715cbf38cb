"""Large-Scale Evolution of Image Classifiers (Real, Moore, Selle, Saxena, Suematsu, Tan, Le,
Kurakin, 2017), arXiv:1703.01041; Regularized Evolution for Image Classifier Architecture Search
(Real, Aggarwal, Huang, Le, 2018), arXiv:1802.01548.

Claim: an evolution that lets the oldest model die, not the worst, finds better architectures where
fitness is noisy, and both find better ones than random search.

`task` says what evolves: "bits", strings with a noisy fitness (the toy of 2018); "cells", pairs of
cells on images, many children trained side by side in one program; "folder", the same cells, each
child a program of its own, by any number of workers on a population of files; "layers", the
networks of 2017 with their mutations and inherited weights, by such workers too; "network", one
network alone.

Departures: children that are trained side by side have their parents from one population, as those
of as many workers do that begin together; their reduction cells halve their inputs first. Op and
hidden state mutations always change something, where the cell has something else. Dilated
convolutions are applied twice, as all separable ones, of which the paper says nothing. Auxiliary
heads, drop path and cutout of the final training, and its stem for ImageNet, are left out. The rate
of the networks of 2017 falls along a cosine within each training, where the paper's is constant.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app, training
from research.core import Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import named_leaves
from research.losses.softmax import softmax_loss
from research.models.nas_cells.amoeba_net import PUBLISHED, AmoebaNet, Genotype
from research.models.nas_cells.masked import Cells, MaskedNetwork, fresh
from research.papers.evolution_nas.children import (
    ImageTraining,
    TrainingState,
    image_loss,
    sgd,
)
from research.papers.evolution_nas.demos import bits_demo, cells_demo
from research.papers.evolution_nas.figures import draw_search, genotype_picture
from research.papers.evolution_nas.images import ChildBatches, ImageTask
from research.papers.evolution_nas.layers import LayeredNetwork, Layers, starting_point
from research.papers.evolution_nas.spaces import BitStrings, CellSpace, Space, to_genotype
from research.papers.evolution_nas.workers import (
    CellEvolution,
    Draft,
    Folder,
    LayerEvolution,
    Trained,
    cells_from_json,
    work,
)
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.image_demo import classify_demo, classify_views
from research.training.phases import run_phases

PAPER = Paper(
    title="Large-Scale Evolution of Image Classifiers; Regularized Evolution for Image Classifier "
    "Architecture Search",
    authors="Esteban Real et al.",
    year=2018,
    arxiv="1802.01548",
    field="images",
    claim="letting the oldest model die finds better architectures where fitness is noisy",
    parameters={
        # By layers, of CIFAR-10; the paper's table 1 rounds to 3.2M and 2.8M.
        "amoeba_net_a36": 3_145_510,
        "amoeba_net_b36": 2_746_342,
    },
    curves=("bits/population", "population"),
    method="aging",
)

Numbers = dict[str, float]
VALIDATION = "validation accuracy, %"
SEARCHES = ("aging", "non_aging", "random")


class Population(flax.struct.PyTreeNode):
    """All models of a search, in the order of their birth, and those that are alive.

    Attributes:
      models: architectures, each array `[M, ...]`: the paper's «history».
      fitness: `[M]`, the validation accuracy; -inf of those that are not born.
      parent: `[M]` int32, -1 of random models.
      members: `[P]` int32, the models that are alive, the oldest first.
    """

    models: Any
    fitness: jax.Array
    parent: jax.Array
    members: jax.Array


class Proposal(flax.struct.PyTreeNode):
    """A model that is to be trained.

    Attributes:
      model: its architecture.
      parent: int32.
      sampled: `[S]` int32, places in the population that its parent was chosen from.
    """

    model: Any
    parent: jax.Array
    sampled: jax.Array


class Evolution(Experiment):
    """Algorithm 1 of 2018, and its rivals."""

    def __init__(self, config: ConfigDict, space: Space):
        self.config, self.space = config, space
        self.evolution = config.evolution
        if self.evolution.total_models < self.evolution.population:
            raise UserError(
                f"evolution.total_models={self.evolution.total_models} do not fill a population "
                f"of {self.evolution.population}"
            )

    def nobody(self) -> Population:
        """A population before its first model."""
        total, alive = self.evolution.total_models, self.evolution.population
        model = jax.eval_shape(self.space.random, jax.random.key(0))
        return Population(
            models=jax.tree.map(lambda s: jnp.zeros((total, *s.shape), s.dtype), model),
            fitness=jnp.full(total, -jnp.inf),
            parent=jnp.full(total, -1),
            members=jnp.zeros(alive, jnp.int32),
        )

    def propose(self, population: Population, born: jax.Array, key: jax.Array) -> Proposal:
        """A random model until there are P, then a mutation of the best of S.

        Args:
          born: models that there have been so far.
        """
        random_key, sample_key, mutate_key = jax.random.split(key, 3)
        alive = self.evolution.population
        # «Sample with replacement.»
        sampled = jax.random.randint(sample_key, (self.evolution.sample,), 0, alive)
        candidates = population.members[sampled]
        parent = candidates[jnp.argmax(population.fitness[candidates])]
        child = self.space.mutate(
            mutate_key, jax.tree.map(lambda models: models[parent], population.models)
        )
        stranger = self.space.random(random_key)
        is_random = born < alive
        if self.evolution.search == "random":
            is_random = jnp.bool_(True)
        return Proposal(
            model=jax.tree.map(lambda a, b: jnp.where(is_random, a, b), stranger, child),
            parent=jnp.where(is_random, -1, parent),
            sampled=sampled,
        )

    def add(
        self, population: Population, proposal: Proposal, fitness: jax.Array, born: jax.Array
    ) -> Population:
        """Adds a trained model at the right of the deque; once there are P, another one dies."""
        alive = self.evolution.population
        members = population.members
        dies = jnp.int32(0)  # «remove dead from left of population»: the oldest
        if self.evolution.search == "non_aging":  # the worst of the sample
            dies = proposal.sampled[jnp.argmin(population.fitness[members[proposal.sampled]])]
        places = jnp.arange(alive)
        left = jnp.where(places < dies, members, jnp.roll(members, -1)).at[-1].set(born)
        grown = members.at[jnp.minimum(born, alive - 1)].set(born)
        return Population(
            models=jax.tree.map(lambda a, x: a.at[born].set(x), population.models, proposal.model),
            fitness=population.fitness.at[born].set(fitness),
            parent=population.parent.at[born].set(proposal.parent),
            members=jnp.where(born < alive, grown, left),
        )

    def alive_fitness(self, population: Population, born: jax.Array) -> jax.Array:
        """Mean fitness of the models that are alive, `born` of all having been born."""
        is_there = jnp.arange(self.evolution.population) < born
        return jnp.mean(population.fitness[population.members], where=is_there)


class BitSearch(Evolution):
    """The toy (2018, supplement): D bits; accuracy is the share of ones, fitness has noise on it.

    Many searches run in one program, and numbers are means over them.
    """

    def __init__(self, config: ConfigDict):
        super().__init__(config, BitStrings(config.bits.size))
        self.num_steps = self.evolution.total_models
        self.per_step = {"models": 1}

    def init(self, key: jax.Array) -> Population:
        repeats = self.config.bits.repeats
        return jax.tree.map(lambda x: jnp.stack([x] * repeats), self.nobody())

    def accuracy(self, models: Any) -> Any:
        """True accuracies `[...]` of bits `[..., D]`."""
        return models.mean(-1)

    def cycle(
        self, population: Population, born: jax.Array, key: jax.Array
    ) -> tuple[Population, Any]:
        """One model of one search."""
        propose_key, noise_key = jax.random.split(key)
        proposal = self.propose(population, born, propose_key)
        accuracy = self.accuracy(proposal.model)
        fitness = accuracy + self.config.bits.noise * jax.random.normal(noise_key)
        population = self.add(population, proposal, fitness, born)
        alive = self.accuracy(population.models[population.members])
        is_there = jnp.arange(len(alive)) <= born
        return population, {
            "bits/fitness": fitness,
            "bits/accuracy": accuracy,
            "bits/population": jnp.mean(alive, where=is_there),
        }

    def step(
        self, state: Population, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[Population, dict[str, jax.Array]]:
        keys = jax.random.split(key, self.config.bits.repeats)
        state, metrics = jax.vmap(self.cycle, in_axes=(0, None, 0))(state, t, keys)
        return state, jax.tree.map(jnp.mean, metrics)

    def evaluate(self, state: Population, key: jax.Array) -> Numbers:
        """True accuracy of what a search would report: the model of the highest noisy fitness."""
        searches = np.arange(len(state.fitness))
        best = np.asarray(state.fitness).argmax(1)
        accuracy = self.accuracy(np.asarray(state.models))
        found = accuracy[searches, best]
        return {
            "bits/best": found.mean(),
            "bits/best_spread": found.std(),
            "bits/optimism": (np.asarray(state.fitness)[searches, best] - found).mean(),
        }


class SearchState(flax.struct.PyTreeNode):
    """What the search of cells carries from step to step.

    Attributes:
      population: the models that have been trained.
      proposals: of the W children in training, each array `[W, ...]`.
      children: their weights and optimizers, `[W, ...]`.
      correct: `[W]`, validation images that each has classified correctly so far.
    """

    population: Population
    proposals: Proposal
    children: LearnerState
    correct: jax.Array


class CellSearch(Evolution):
    """Evolution of cells; W children are trained side by side, a step of each in every step."""

    soft_rules = (("^(children|proposals|correct)", PartitionSpec("data")),)

    def __init__(self, config: ConfigDict):
        cells, child = config.cells, config.child
        super().__init__(config, CellSpace(cells.combinations, cells.identity_share))
        self.workers = self.evolution.workers
        for name in ("total_models", "population"):
            if self.evolution[name] % self.workers:
                raise UserError(
                    f"evolution.{name}={self.evolution[name]} is not a multiple of the "
                    f"evolution.workers={self.workers} children that are trained side by side"
                )
        self.task = image_task(config)
        self.assets = (self.task.kept,)
        tx = sgd(child.learning_rate, child.train_steps, child.momentum, child.weight_decay)
        self.learner = Learner(
            masked_network(config, child), tx, max_grad_norm=config.max_grad_norm
        )
        self.score_steps = -(-config.data.num_valid // child.batch_size)
        self.lifetime = child.train_steps + self.score_steps
        self.num_steps = self.evolution.total_models // self.workers * self.lifetime
        self.source = ChildBatches(
            self.task, child.batch_size, config.seed, child.train_steps, self.score_steps
        )
        self.per_step = {"images": child.batch_size * self.workers}

    def phase(self, index: int) -> Experiment:
        return FinalTraining(self.config) if index else self

    def init(self, key: jax.Array) -> SearchState:
        population = self.nobody()
        proposals, children = self.begin(population, jnp.int32(0), key)
        return SearchState(population, proposals, children, jnp.zeros(self.workers))

    def begin(
        self, population: Population, born: jax.Array, key: jax.Array
    ) -> tuple[Proposal, LearnerState]:
        """W proposals, and fresh weights for each."""
        propose_key, init_key = jax.random.split(key)
        proposals = jax.vmap(self.propose, in_axes=(None, None, 0))(
            population, born, jax.random.split(propose_key, self.workers)
        )
        children = jax.vmap(functools.partial(fresh_learner, self.learner, self.task))(
            proposals.model, jax.random.split(init_key, self.workers)
        )
        return proposals, children

    def train(
        self, state: SearchState, batch: Any, key: jax.Array
    ) -> tuple[SearchState, dict[str, jax.Array]]:
        """A step of every child."""

        def one(child: LearnerState, cells: Cells) -> tuple[LearnerState, dict[str, jax.Array]]:
            loss = functools.partial(image_loss, self.learner, self.task, (cells,))
            return self.learner.minimize(child, loss, batch, key)

        children, metrics = jax.vmap(one)(state.children, state.proposals.model)
        shown = {name: metrics[name].mean() for name in ("loss", "error")}
        return state.replace(children=children), shown

    def score(
        self, state: SearchState, batch: Any, key: jax.Array
    ) -> tuple[SearchState, dict[str, jax.Array]]:
        """Counts the validation images of a batch that every child classifies correctly."""
        images = self.task.scaled(batch["image"])

        def one(child: LearnerState, cells: Cells) -> jax.Array:
            return self.learner.apply(self.learner.eval_variables(child), images, cells)

        logits = jax.vmap(one)(state.children, state.proposals.model)
        right = (logits.argmax(-1) == batch["label"]) * batch["weight"]
        labels = jnp.broadcast_to(batch["label"], logits.shape[:2])
        loss, error = softmax_loss(logits.reshape(-1, logits.shape[-1]), labels.ravel())
        state = state.replace(correct=state.correct + right.sum(1))
        return state, {"loss": loss, "error": error}

    def finish(self, state: SearchState, born: jax.Array) -> SearchState:
        """The children enter the population, one after the other."""
        fitness = 100 * state.correct / self.config.data.num_valid

        def add(population: Population, child: Any) -> tuple[Population, None]:
            proposal, fitness, number = child
            return self.add(population, proposal, fitness, born + number), None

        numbers = jnp.arange(self.workers)
        children = (state.proposals, fitness, numbers)
        population, _ = jax.lax.scan(add, state.population, children)
        return state.replace(population=population, correct=jnp.zeros_like(state.correct))

    def step(
        self, state: SearchState, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[SearchState, dict[str, jax.Array]]:
        age = t % self.lifetime
        born = t // self.lifetime * self.workers

        def begin(state: SearchState) -> SearchState:
            proposals, children = self.begin(state.population, born, key)
            return state.replace(proposals=proposals, children=children)

        state = jax.lax.cond(age == 0, begin, lambda state: state, state)
        learns = age < self.config.child.train_steps
        state, metrics = jax.lax.cond(learns, self.train, self.score, state, batch, key)
        ends = age == self.lifetime - 1
        fitness = jnp.where(ends, 100 * state.correct.mean() / self.config.data.num_valid, jnp.nan)
        state = jax.lax.cond(ends, self.finish, lambda state, born: state, state, born)
        alive = self.alive_fitness(state.population, born + self.workers)
        metrics |= {"fitness": fitness, "population": jnp.where(ends, alive, jnp.nan)}
        return state, metrics

    def evaluate(self, state: SearchState, key: jax.Array) -> Numbers:
        return self.numbers(state.population)

    def numbers(self, population: Population) -> Numbers:
        """Validation accuracies: of the ten best models, of the last P, of all."""
        fitness = np.asarray(population.fitness)
        fitness = fitness[np.isfinite(fitness)]
        if not len(fitness):
            return {}
        last = fitness[-self.evolution.population :]
        return {
            "valid/best": fitness.max(),
            "valid/ten_best": np.sort(fitness)[-10:].mean(),
            "valid/last": last.mean(),
            "valid/all": fitness.mean(),
        }


class FinalState(TrainingState):
    """What the training of the choice carries beside its network.

    Attributes:
      cells: its architecture, the best by validation.
      population: of the search, with the models' history.
    """

    cells: Cells
    population: Population


class FinalTraining(ImageTraining):
    """The model of the highest validation accuracy, larger, trained again from scratch."""

    def __init__(self, config: ConfigDict):
        self.search, final = CellSearch(config), config.final
        super().__init__(
            self.search.task,
            masked_network(config, final),
            sgd(final.learning_rate, final.train_steps, final.momentum, final.weight_decay),
            final.train_steps,
            final.batch_size,
            config.seed,
            config.test_batch_size,
            config.max_grad_norm,
        )

    def init(self, key: jax.Array) -> FinalState:
        cells = self.search.space.random(key)
        learner = fresh_learner(self.learner, self.task, cells, key)
        return FinalState(learner, cells, self.search.nobody())

    def warm_start(self, state: FinalState, before: SearchState) -> FinalState:
        population = before.population
        best = jnp.argmax(population.fitness)
        cells = jax.tree.map(lambda models: models[best], population.models)
        return state.replace(cells=cells, population=population)

    def inputs(self, state: FinalState) -> tuple[Cells]:
        return (state.cells,)

    def evaluate(self, state: FinalState, key: jax.Array) -> Numbers:
        return {"test/accuracy": self.accuracy(state, "test")}


def image_task(config: ConfigDict) -> ImageTask:
    data = config.data
    return ImageTask(
        data.name,
        data.dir,
        data.image_size,
        data.channels,
        (data.train_split, data.valid_split, data.test_split),
        data.num_train,
        data.num_valid,
        data.num_classes,
        data.augmentation,
        data.statistics_images,
        data.scale,
    )


def masked_network(config: ConfigDict, sizes: ConfigDict) -> MaskedNetwork:
    """The network of cells of `config.child` or `config.final`."""
    return MaskedNetwork(
        config.data.num_classes,
        sizes.normal_cells,
        sizes.features,
        config.cells.reductions,
        config.cells.shrink,
    )


def fresh_learner(learner: Learner, task: ImageTask, cells: Cells, key: jax.Array) -> LearnerState:
    """A network of cells that has learned nothing, and its optimizer."""
    images = jnp.zeros((1, *task.images.shape))
    shapes = jax.eval_shape(learner.init, key, images, cells)
    state: LearnerState = fresh(shapes.replace(opt_state=None), key)
    return state.replace(opt_state=learner.tx.init(state.params))


def build(config: ConfigDict) -> Experiment:
    check_choice("evolution.search", config.evolution.search, SEARCHES)
    if config.task == "bits":
        return BitSearch(config)
    if config.task == "cells":
        return CellSearch(config)
    child = config.child
    if config.task == "layers":
        first = starting_point(config.layers.first_rate)
        return network_training(config, LayeredNetwork(first, config.data.num_classes))
    check_choice("task", config.task, ("bits", "cells", "layers", "folder", "network"))
    check_choice("child.architecture", child.architecture, PUBLISHED)
    # A worker's children have other architectures, of about this size.
    return network_training(config, amoeba_net(config, PUBLISHED[child.architecture]))


def amoeba_net(config: ConfigDict, genotype: Genotype) -> AmoebaNet:
    child = config.child
    return AmoebaNet(
        genotype,
        config.data.num_classes,
        child.normal_cells,
        child.features,
        config.cells.reductions,
    )


def network_training(
    config: ConfigDict,
    network: nn.Module,
    rate: float = 0.0,
    initial: Mapping[str, Any] | None = None,
) -> ImageTraining:
    """The training of a network by itself; `rate`, if it is not 0, in place of the child's."""
    child = config.child
    tx = sgd(rate or child.learning_rate, child.train_steps, child.momentum, child.weight_decay)
    return ImageTraining(
        image_task(config),
        network,
        tx,
        child.train_steps,
        child.batch_size,
        config.seed,
        config.test_batch_size,
        config.max_grad_norm,
        initial,
    )


def main(experiment: Experiment, config: ConfigDict, workdir: Path) -> Numbers:
    if isinstance(experiment, BitSearch):
        state, numbers = training.run(experiment, config, workdir)
        first: Any = jax.device_get(jax.tree.map(lambda x: x[0], state))
        accuracy, best = experiment.accuracy(first.models), int(first.fitness.argmax())
        draw_search(workdir / "search.png", accuracy, first.parent, best, "share of ones")
        return dict(numbers)
    if isinstance(experiment, CellSearch):
        final, state, numbers = run_phases(experiment.phase, 2, config, workdir)
        found = experiment.numbers(state.population)
        draw_found(state, workdir)
        required = {f"required/{name}": x for name, x in config.required.items()}
        return {**found, **numbers, **required}
    assert isinstance(experiment, ImageTraining)
    if config.task == "network":
        state, numbers = training.run(experiment, config, workdir)
        return {**numbers, "test/accuracy": experiment.accuracy(state, "test")}
    return search_in_folder(config, workdir)


def draw_found(state: FinalState, workdir: Path) -> None:
    """The fitness of all models with the line of the best, and its cells."""
    population = jax.device_get(state.population)
    fitness, best = population.fitness, int(population.fitness.argmax())
    draw_search(workdir / "search.png", fitness, population.parent, best, VALIDATION)
    picture = genotype_picture(to_genotype(jax.device_get(state.cells)))
    PIL.Image.fromarray(picture).save(workdir / "cells.png")


def search_in_folder(config: ConfigDict, workdir: Path) -> Numbers:
    """This process as one of the workers on a population of files; its seed is its name.

    The best model by validation, scaled to the sizes of `config.final`, is trained again and tested
    once, by whichever worker ends a run.
    """
    folder = Folder(Path(config.evolution.folder or workdir / "population"))
    evolution = config.evolution
    rules: CellEvolution | LayerEvolution
    if config.task == "layers":
        rules = LayerEvolution(evolution.population, config.layers.first_rate)
    else:
        space = CellSpace(config.cells.combinations, config.cells.identity_share)
        rules = CellEvolution(space, evolution.population, evolution.sample, evolution.search)

    def train(draft: Draft, place: Path, seed: int) -> Trained:
        setting = config.copy_and_resolve_references()
        setting.seed = seed
        child = child_of(setting, draft.architecture, folder, draft.parent)
        state, numbers = training.run(child, setting, place)
        weights = weights_of(state) if config.task == "layers" else None
        return Trained(numbers["valid/accuracy"], weights)

    models = work(folder, f"seed{config.seed}", config.seed, rules, train, evolution.total_models)
    fitness = np.array([model.fitness for model in models])
    parent, number = np.array([model.parent for model in models]), int(fitness.argmax())
    draw_search(workdir / "search.png", fitness, parent, number, VALIDATION)
    best = models[number]
    setting = config.copy_and_resolve_references()
    if config.task == "folder":
        setting.child.update(config.final)
    final = child_of(setting, best.architecture, folder, best.number)
    state, _ = training.run(final, setting, workdir / "final")
    return {
        "valid/best": float(fitness.max()),
        "valid/ten_best": float(np.sort(fitness)[-10:].mean()),
        "test/accuracy": final.accuracy(state, "test"),
    }


def child_of(config: ConfigDict, architecture: Any, folder: Folder, parent: int) -> ImageTraining:
    """The training of a model; of the networks of 2017 it begins with its parent's weights.

    (2017, section 3.4: those whose names and shapes are the same.)
    """
    if config.task == "folder":
        return network_training(config, amoeba_net(config, cells_from_json(architecture)))
    dna = Layers.from_json(architecture)
    inherited = folder.weights(parent) if parent >= 0 and dna.inherits else None
    network = LayeredNetwork(dna, config.data.num_classes)
    return network_training(config, network, dna.learning_rate, inherited)


def weights_of(state: TrainingState) -> dict[str, np.ndarray]:
    """Parameters and batch statistics by their path in the state."""
    leaves = named_leaves(jax.device_get(state))
    return {name: x for name, x in leaves.items() if "/opt_state/" not in name}


def demo(experiment: Experiment, state: Any) -> Demo:
    """Shows what was found, and lets it classify a picture."""
    if isinstance(experiment, BitSearch):
        found = jax.device_get(state)
        return bits_demo(found.models, found.fitness, found.parent)
    assert isinstance(experiment, ImageTraining)
    kept, variables = experiment.task.kept, experiment.variables(state)
    classify = classify_views(kept, functools.partial(experiment.classify, variables))
    if not isinstance(experiment, FinalTraining):
        return classify_demo(kept, classify)
    found = jax.device_get(state.population)
    return cells_demo(kept, classify, found.models, found.fitness, found.parent)


def claims(results: Results) -> list[Claim]:
    rows: list[Claim] = []
    if "bits_aging" in results.arms:
        rows += bit_claims(results)
    if "aging" in results.arms and "random" in results.arms:
        rows += cell_claims(results)
    return rows


def bit_claims(results: Results) -> list[Claim]:
    """The toy (2018, supplement); a number is a mean over the searches of a run."""
    best = results["bits/best"]
    rows = [
        best.above(
            "bits_aging",
            "bits_non_aging",
            by=0.05,
            claim="much noise: letting the oldest die beats letting the worst die",
            paper="aging is better where noise is high (supplement)",
            digits=3,
        ),
        best.above(
            "bits_aging",
            "bits_random",
            by=0.15,
            claim="much noise: and random search",
            paper="random search is far behind (supplement)",
            digits=3,
        ),
    ]
    if "bits_quiet_aging" in results.arms:
        rows.append(
            best.close(
                "bits_quiet_aging",
                "bits_quiet_non_aging",
                within=0.03,
                claim="little noise: both evolutions are alike",
                paper="the gap grows with noise (supplement)",
                digits=3,
            )
        )
        rows += [
            best.at_least(arm, 0.85, claim=f"little noise: {words}", paper="", digits=3)
            for arm, words in (
                ("bits_quiet_aging", "share of ones, the oldest dies"),
                ("bits_quiet_non_aging", "share of ones, the worst dies"),
            )
        ]
    return rows


def cell_claims(results: Results) -> list[Claim]:
    required = results["required/ten_best"]["aging"][0]
    rows = [
        results["valid/ten_best"].above(
            "aging",
            "random",
            by=required,
            claim="ten best children, validation accuracy in %: evolution above random search",
            paper="evolution and RL are above random search (figure 3)",
            digits=1,
        ),
        results["valid/last"].above(
            "aging",
            "random",
            by=results["required/last"]["aging"][0],
            claim="mean of the last P children",
            paper="models found by evolution get better (figure 3)",
            digits=1,
        ),
    ]
    return rows


if __name__ == "__main__":
    app.run()
