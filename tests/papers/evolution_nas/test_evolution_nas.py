"""The deque, its mutations, cells as arrays against cells as built, and the children's training."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app, config
from research.core import UserError
from research.models.nas_cells.amoeba_net import OPERATIONS, PUBLISHED, Operation
from research.models.nas_cells.masked import Cells, MaskedNetwork, MaskedOperation
from research.papers.evolution_nas.children import image_loss
from research.papers.evolution_nas.figures import genotype_picture, lineage
from research.papers.evolution_nas.images import ChildBatches
from research.papers.evolution_nas.spaces import (
    BitStrings,
    CellSpace,
    depends,
    from_genotype,
    in_order,
    to_genotype,
)
from research.report.claims import Results

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "evolution_nas.py")
configs = config.load_module(ROOT / "configs" / "evolution_nas.py")


def build(task="bits", variant="smoke", **changed):
    setting = configs.get_config(variant)
    setting.task = task
    for key, value in changed.items():
        group, _, name = key.partition("__")
        setting[group].update({name: value})
    return app.build(script, setting)


# Algorithm 1.


def plain_evolution(search, size, sample, total, draw):
    """The loop of the paper, on a deque of (number, fitness); `draw` gives what is random."""
    population, fitness, parents = collections.deque(), [], []
    for number in range(total):
        places, value = draw(number)
        if len(population) < size:
            parents.append(-1)
        else:
            sampled = [population[place] for place in places]
            parents.append(max(sampled, key=lambda model: fitness[model]))
        fitness.append(value)
        if len(population) == size:
            if search == "aging":
                population.popleft()
            else:
                population.remove(min(sampled, key=lambda model: fitness[model]))
        population.append(number)
    return list(population), parents


@pytest.mark.parametrize("search", ["aging", "non_aging"])
def test_population_is_the_papers_deque(search):
    size, sample, total = 6, 3, 40
    experiment = build(
        evolution__search=search,
        evolution__population=size,
        evolution__sample=sample,
        evolution__total_models=total,
    )
    rng = np.random.default_rng(0)
    fitness = rng.permutation(total) / total
    population = experiment.nobody()
    drawn = {}

    @jax.jit
    def cycle(population, born, key, fitness):
        proposal = experiment.propose(population, born, key)
        return experiment.add(population, proposal, fitness, born), proposal.sampled

    for born in range(total):
        key = jax.random.key(born)
        population, sampled = cycle(population, born, key, fitness[born])
        drawn[born] = np.asarray(sampled).tolist()
    expected = plain_evolution(search, size, sample, total, lambda n: (drawn[n], fitness[n]))
    assert np.asarray(population.members).tolist() == expected[0]
    assert np.asarray(population.parent).tolist() == expected[1]
    np.testing.assert_allclose(population.fitness, fitness, rtol=1e-6)


def test_samples_are_drawn_with_replacement_from_all_that_are_alive():
    experiment = build(evolution__population=4, evolution__sample=4, evolution__total_models=8)
    keys = jax.random.split(jax.random.key(0), 500)
    propose = jax.vmap(lambda key: experiment.propose(experiment.nobody(), 4, key).sampled)
    sampled = np.asarray(jax.jit(propose)(keys))
    assert set(np.unique(sampled)) == {0, 1, 2, 3}
    repeats = np.mean([len(set(row)) < 4 for row in sampled])
    assert abs(repeats - (1 - 24 / 256)) < 0.06


def test_a_child_is_a_mutation_of_its_parent_and_random_search_has_none():
    for search in ("aging", "random"):
        experiment = build(evolution__search=search)
        state = experiment.init(jax.random.key(0))
        step = jax.jit(experiment.step)
        for t in range(experiment.num_steps):
            state, _ = step(state, None, jnp.int32(t), jax.random.key(t))
        bits, parent = np.asarray(state.models[0]), np.asarray(state.parent[0])
        born = [n for n in range(len(parent)) if parent[n] >= 0]
        assert len(born) == (12 if search == "aging" else 0)
        assert all((bits[n] != bits[parent[n]]).sum() == 1 for n in born)


def test_every_model_has_noise_of_its_own():
    experiment = build(bits__noise=0.05)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    for t in range(experiment.num_steps):
        state, _ = step(state, None, jnp.int32(t), jax.random.key(t))
    noise = np.asarray(state.fitness) - np.asarray(state.models).mean(-1)
    assert len(np.unique(noise.round(6))) == noise.size
    assert abs(noise.std() - 0.05) < 0.015 and abs(noise.mean()) < 0.02


def test_what_is_reported_is_the_true_accuracy_of_the_highest_fitness():
    experiment = build()
    state = experiment.init(jax.random.key(0))
    models = np.zeros((2, 40, 20), bool)
    models[0, 3, :5] = True
    models[1, 7, :9] = True
    models[:, 8] = True  # better, but its noise was bad: no search can know
    fitness = np.zeros((2, 40))
    fitness[0, 3], fitness[1, 7] = 1.5, 0.7
    state = state.replace(models=jnp.array(models), fitness=jnp.array(fitness))
    found = experiment.evaluate(state, jax.random.key(0))
    assert found["bits/best"] == pytest.approx((5 + 9) / 40)
    assert found["bits/optimism"] == pytest.approx((1.5 + 0.7) / 2 - 14 / 40)


def test_a_flip_changes_one_bit_of_any_place():
    space = BitStrings(10)
    one = space.random(jax.random.key(0))
    children = jax.vmap(lambda key: space.mutate(key, one))(
        jax.random.split(jax.random.key(1), 200)
    )
    changed = np.asarray(children) != np.asarray(one)
    assert (changed.sum(1) == 1).all() and changed.any(0).all()


# Cells.

SPACE = CellSpace(4, 0.05)
MANY = 400


@functools.cache
def mutants():
    """Random cells, and a mutation of each."""
    keys = jax.random.split(jax.random.key(0), 2 * MANY).reshape(2, MANY)
    parents = jax.jit(jax.vmap(SPACE.random))(keys[0])
    children = jax.jit(jax.vmap(SPACE.mutate))(keys[1], parents)
    return jax.device_get((parents, children))


def graph(operations, inputs):
    """A cell as a nested description of each combination, whatever their numbers."""
    seen = [("input", 0), ("input", 1)]
    for names, pair in zip(operations.tolist(), inputs.tolist(), strict=True):
        seen.append(tuple((name, seen[state]) for name, state in zip(names, pair, strict=True)))
    return collections.Counter(map(repr, seen[2:]))


def test_random_cells_use_earlier_states_and_all_operations():
    cells = mutants()[0]
    earlier = np.arange(4)[:, None] + 2
    assert (cells.inputs < earlier).all() and (cells.inputs >= 0).all()
    assert all(set(cells.inputs[:, :, k].ravel()) == set(range(k + 2)) for k in range(4))
    assert set(cells.operations.ravel()) == set(range(len(OPERATIONS)))


def test_mutations_form_no_loop_and_change_one_thing():
    parents, children = mutants()
    assert (children.inputs < np.arange(4)[:, None] + 2).all()
    kinds = collections.Counter()
    for n in range(MANY):
        changed = 0
        for cell in (0, 1):
            before = parents.operations[n, cell], parents.inputs[n, cell]
            after = children.operations[n, cell], children.inputs[n, cell]
            if graph(*before) == graph(*after):
                continue
            changed += 1
            same_operations = sorted(before[0].ravel()) == sorted(after[0].ravel())
            kinds["hidden state" if same_operations else "op"] += 1
        assert changed <= 1
        kinds["identity"] += not changed
    assert abs(kinds["op"] / MANY - 0.475) < 0.08
    assert abs(kinds["hidden state"] / MANY - 0.475) < 0.1  # some rewire to a twin
    assert 0.01 < kinds["identity"] / MANY < 0.12


def test_rewiring_reaches_every_state_that_makes_no_loop():
    # 2 <- inputs, 3 <- 2, 4 <- inputs: state 3 may be rewired to 4, state 2 to 4 but not to 3.
    inputs = jnp.array([[0, 1], [2, 0], [0, 1]], jnp.int32)
    cells = Cells(jnp.arange(12).reshape(2, 3, 2) % 8, jnp.stack([inputs, inputs]))
    space = CellSpace(3, 0.0)

    @jax.jit
    @jax.vmap
    def rewired(drawn):
        return space.rewire(drawn, cells, (0, 0, 0))

    found = jax.device_get(rewired(jnp.linspace(0, 1, 50)))
    firsts = set()
    for operations, pairs in zip(found.operations[:, 0], found.inputs[:, 0], strict=True):
        k = next(k for k in range(3) if operations[k].tolist() == [0, 1])
        state = pairs[k, 0]
        firsts.add("input 1" if state == 1 else tuple(operations[state - 2].tolist()))
        assert (pairs < np.arange(3)[:, None] + 2).all()
    assert firsts == {"input 1", (4, 5)}
    assert (found.inputs[:, 1] == np.asarray(inputs)).all()


def test_depends_is_reachability():
    inputs = np.array([[0, 0], [2, 1], [3, 3], [0, 4]])
    expected = np.eye(6, dtype=bool)
    for k, pair in enumerate(inputs):
        for state in pair:
            expected[k + 2] |= expected[state]
    np.testing.assert_array_equal(depends(jnp.array(inputs)), expected)


def test_a_cell_in_order_is_the_same_graph():
    operations = jnp.array([[0, 1], [2, 3], [4, 5]])
    inputs = jnp.array([[3, 0], [0, 1], [2, 3]])  # the first uses the second
    ordered = in_order(operations, inputs)
    np.testing.assert_array_equal(ordered[0], [[2, 3], [0, 1], [4, 5]])
    np.testing.assert_array_equal(ordered[1], [[0, 1], [2, 0], [3, 2]])


def test_genotypes_go_there_and_back():
    cells = jax.tree.map(lambda x: x[0], mutants()[0])
    again = from_genotype(to_genotype(cells))
    jax.tree.map(np.testing.assert_array_equal, again, jax.tree.map(jnp.asarray, cells))
    with pytest.raises(ValueError):
        from_genotype(PUBLISHED["amoeba_net_b"])  # which has operations of a larger space


# Networks.


def weights_as_built(name, params):
    """Weights of a masked operation, named and shaped as those of the same one that is built."""
    if name.startswith(("sep", "dil")):
        size, dilation = (3, 2) if name == "dil_3x3" else (int(name[-1]), 1)
        taps = 3 + dilation * (np.arange(size) - size // 2)
        found = {}
        for i in (0, 1):
            kernel = np.asarray(params[f"filter_{i}"]).reshape(7, 7, -1)[np.ix_(taps, taps)] / size
            found[f"depthwise_{i}"] = {"kernel": kernel[:, :, None]}
            found[f"pointwise_{i}"] = {"kernel": params[f"pointwise_{i}"]["kernel"][None, None]}
            found[f"norm_{i}"] = params[f"norm_{i}"]
        return {"separable": found}
    if name == "conv_1x7_7x1":
        return {
            part: {
                "conv": {"kernel": params[f"line_{i}"].reshape(*shape, 3, 3)},
                "norm": params[f"line_norm_{i}"],
            }
            for i, (part, shape) in enumerate((("across", (1, 7)), ("down", (7, 1))))
        }
    return {}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_masked_operation_is_the_one_that_is_built(name):
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 3))
    masked, index = MaskedOperation(train=True), jnp.int32(OPERATIONS.index(name))
    variables = masked.init(jax.random.key(1), x, index)
    found, _ = masked.apply(variables, x, index, mutable=["batch_stats"])
    built = Operation(name, 3, 1)
    own = built.init(jax.random.key(2), x, True)
    given = {**own, "params": weights_as_built(name, variables["params"])}
    shapes = lambda tree: jax.tree.map(jnp.shape, tree)  # noqa: E731
    assert shapes(given["params"]) == shapes(own.get("params", {}))
    expected, _ = built.apply(given, x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_what_a_combination_uses_is_not_in_the_cells_output():
    network = MaskedNetwork(3, 1, 4, 0, 1)
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 1))
    identity = jnp.zeros((2, 2, 2), jnp.int32)

    def logits(inputs, variables=None):
        cells = Cells(identity, jnp.array([inputs, inputs], jnp.int32))
        if variables is None:
            variables = network.init(jax.random.key(1), x, cells)
        return network.apply(variables, x, cells), variables

    both, variables = logits([[0, 0], [1, 1]])  # states 2 and 3 are put out
    kernel = variables["params"]["classes"]["kernel"]
    one = jax.tree.map(lambda v: v, variables)
    one["params"]["classes"]["kernel"] = kernel.at[:4].set(0)  # state 2 has no weight any more
    chained, _ = logits([[0, 0], [2, 2]], variables)
    blind, _ = logits([[0, 0], [2, 2]], one)
    np.testing.assert_allclose(chained, blind, atol=1e-6)
    assert np.abs(both - logits([[0, 0], [1, 1]], one)[0]).max() > 1e-3


# Children.


@functools.cache
def cell_search():
    return build("cells")


def test_children_that_train_together_are_those_that_train_alone():
    experiment = cell_search()
    experiment.source.open()
    state = jax.jit(experiment.init)(jax.random.key(0))
    batch = jax.tree.map(jnp.asarray, experiment.source(None))
    together, _ = jax.jit(experiment.train)(state, batch, jax.random.key(1))

    def alone(child, cells):
        loss = functools.partial(image_loss, experiment.learner, experiment.task, (cells,))
        return experiment.learner.minimize(child, loss, batch, jax.random.key(1))[0]

    for n in (0, 3):
        child, cells = jax.tree.map(lambda x, n=n: x[n], (state.children, state.proposals.model))
        expected = jax.jit(alone)(child, cells)
        jax.tree.map(
            lambda a, b, n=n: np.testing.assert_allclose(a[n], b, atol=2e-5),
            together.children.params,
            expected.params,
        )


def test_children_begin_from_scratch_and_enter_with_their_validation_accuracy():
    experiment = cell_search()
    step = jax.jit(experiment.step)
    state = jax.jit(experiment.init)(jax.random.key(0))
    source = ChildBatches(experiment.task, 16, 0, 3, experiment.score_steps)
    source.open()
    states = [state]
    for t in range(experiment.lifetime + 1):
        state, _ = step(states[-1], source(None), jnp.int32(t), jax.random.key(t))
        states.append(state)
    last = states[-3]  # all children are trained, and the first half of the images judged
    before, after = states[-2], states[-1]
    assert np.isfinite(before.population.fitness).sum() == experiment.workers
    images = np.stack([row["views"][0][0] for row in experiment.task.rows("valid")])
    labels = np.array([row["label"] for row in experiment.task.rows("valid")])
    for n in range(experiment.workers):
        child, cells = jax.tree.map(lambda x, n=n: x[n], (last.children, last.proposals.model))
        scaled = experiment.task.scaled(jnp.asarray(images))
        logits = experiment.learner.apply(child, scaled, cells)
        right = 100 * np.mean(np.asarray(logits).argmax(-1) == labels)
        assert before.population.fitness[n] == pytest.approx(right)
    # The next generation has made a single step: it begins from scratch.
    counts = [x for x in jax.tree.leaves(after.children.opt_state) if x.dtype == jnp.int32]
    assert counts and all((np.asarray(count) == 1).all() for count in counts)


def test_batches_to_judge_by_are_the_validation_images_each_once():
    task = cell_search().task
    source = ChildBatches(task, 20, 0, 2, 2)  # 32 images in two batches of 20
    batches = [source(None) for _ in range(8)]
    valid = np.stack([row["views"][0][0] for row in task.rows("valid")])
    for first in (2, 6):
        judged = batches[first : first + 2]
        weights = np.concatenate([batch["weight"] for batch in judged])
        images = np.concatenate([batch["image"] for batch in judged])
        assert weights.sum() == 32
        np.testing.assert_array_equal(images[weights > 0], valid)
    test = np.stack([row["views"][0][0] for row in task.rows("test")])
    assert not any((valid == image).all((1, 2, 3)).any() for image in test)
    learned = np.concatenate([batches[i]["image"] for i in (0, 1, 4, 5)])
    assert not any((valid == image).all((1, 2, 3)).any() for image in learned)
    place = source.get_state()
    expected = source(None)
    again = ChildBatches(task, 20, 0, 2, 2)
    again.set_state(place)
    np.testing.assert_array_equal(again(None)["image"], expected["image"])


def test_the_choice_is_the_best_by_validation_with_its_history():
    experiment = cell_search()
    final = experiment.phase(1)
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    state = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes.replace(children=None))
    operations = state.population.models.operations.at[5].set(3)
    population = state.population.replace(
        models=state.population.models.replace(operations=operations),
        fitness=jnp.zeros(16).at[5].set(9.0),
    )
    begun = jax.eval_shape(final.init, jax.random.key(0))
    begun = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), begun)
    begun = final.warm_start(begun, state.replace(population=population))
    assert (begun.cells.operations == 3).all()
    assert begun.population.fitness[5] == 9


def test_a_lineage_ends_with_its_model_and_a_picture_shows_cells():
    assert lineage(np.array([-1, -1, 1, 0, 2]), 4) == [1, 2, 4]
    picture = genotype_picture(PUBLISHED["amoeba_net_a"])
    assert picture.dtype == np.uint8 and np.ptp(picture) > 0


# Claims and configuration.


def results(**best):
    numbers = {arm: {"bits/best": np.array([value] * 3)} for arm, value in best.items()}
    return Results(numbers)


def test_claims_hold_for_the_papers_numbers_and_not_without_aging():
    good = {"bits_aging": 0.833, "bits_non_aging": 0.737, "bits_random": 0.605}
    quiet = {"bits_quiet_aging": 0.888, "bits_quiet_non_aging": 0.894}
    assert all(claim.holds for claim in script.claims(results(**good, **quiet)))
    broken = {**good, "bits_aging": 0.737}
    assert not all(claim.holds for claim in script.claims(results(**broken, **quiet)))


@pytest.mark.parametrize(
    ("task", "changed", "words"),
    [
        ("cells", {"evolution__total_models": 18}, "not a multiple"),
        ("bits", {"evolution__total_models": 3}, "do not fill"),
    ],
)
def test_bad_sizes_are_refused(task, changed, words):
    with pytest.raises(UserError, match=words):
        build(task, **changed)


def plain_count(genotype, normal_cells, features, reductions=2, classes=10):
    """Parameters of an AmoebaNet for colour images by layers, without building it."""

    def operation(name, c, strided):
        conv = lambda entries: entries * c * c + 2 * c  # noqa: E731
        if name.startswith(("sep", "dil")):
            return 2 * (int(name[-1]) ** 2 * c + conv(1))
        if name == "conv_1x7_7x1":
            return 2 * conv(7)
        if name.startswith("conv"):
            return conv(int(name[-1]) ** 2)
        return conv(1) if name == "identity" and strided else 0

    current = previous = 3 * features
    total, larger = 27 * current + 2 * current, False
    stacks = [[False] * normal_cells, *[[True] + [False] * normal_cells] * reductions]
    for stack, cells in enumerate(stacks):
        c = features * 2**stack
        for reduces in cells:
            cell = genotype.reduction if reduces else genotype.normal
            total += current * c + 2 * c
            total += previous * c + 2 * c if larger or previous != c else 0
            for names, pair in zip(cell.operations, cell.inputs, strict=True):
                for name, state in zip(names, pair, strict=True):
                    total += operation(name, c, reduces and state < 2)
            used = {state for pair in cell.inputs for state in pair}
            made = range(2, len(cell.inputs) + 2)
            current, previous = c * sum(state not in used for state in made), current
            larger = reduces
    return total + (current + 1) * classes


@pytest.mark.parametrize(
    ("name", "features", "millions"),
    # Of table 1. A of 32 features has 2.6 and B of 128 has 34.9 there, see the paper's page.
    [("a", 36, 3.2), ("b", 36, 2.8), ("a", 32, 2.5), ("b", 128, 33.7)],
)
def test_published_networks_have_the_parameters_of_their_layers(name, features, millions):
    count = plain_count(PUBLISHED[f"amoeba_net_{name}"], 6, features)
    assert abs(count / 1e6 - millions) < 0.06
    if features == 36:
        assert script.PAPER.parameters[f"amoeba_net_{name}36"] == count
