"""Workers on a population of files, and the networks of 2017."""

import collections
import dataclasses
import itertools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import config
from research.core.tree import named_leaves
from research.papers.evolution_nas import layers
from research.papers.evolution_nas.layers import Layer, LayeredNetwork, Layers
from research.papers.evolution_nas.spaces import CellSpace
from research.papers.evolution_nas.workers import (
    CellEvolution,
    Draft,
    Folder,
    LayerEvolution,
    Trained,
    work,
)

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "evolution_nas.py")
configs = config.load_module(ROOT / "configs" / "evolution_nas.py")

DNA = Layers(
    (Layer(0, 3, 3, 4, 1, True), Layer(1, 3, 3, 6, 2, False), Layer(2, 0, 0, 6, 1, False)),
    ((0, 2),),
    0.1,
    3,
)


class Counting:
    """Rules whose models are numbers: a child is one more than the newest that is alive."""

    def draft(self, folder, rng):
        alive = folder.alive()
        parent = alive[-1].number if alive else -1
        kills = alive[0].number if len(alive) > 2 else -1
        return Draft((alive[-1].architecture if alive else 0) + 1, parent, kills)


def train(draft, place, seed):
    return Trained(draft.architecture + seed / 2**31, {"w": np.full(2, draft.architecture)})


# The folder.


def test_a_worker_that_is_killed_anywhere_loses_nothing(tmp_path):
    class Killed(Exception):
        pass

    straight = work(Folder(tmp_path / "straight"), "a", 0, Counting(), train, 6)
    for when in ("training", "born"):
        folder, done = Folder(tmp_path / when), itertools.count()

        def interrupted(draft, place, seed, when=when, done=done):
            if next(done) == 2 and when == "training":
                (place / "half").write_text("some steps")
                raise Killed
            return train(draft, place, seed)

        add = folder.add

        def add_and_die(token, draft, trained, add=add):
            number = add(token, draft, trained)
            if number == 3:
                raise Killed
            return number

        if when == "born":
            folder.add = add_and_die
        with pytest.raises(Killed):
            work(folder, "a", 0, Counting(), interrupted, 6)
        again = Folder(tmp_path / when)  # as a new process sees it
        seen = []

        def resumed(draft, place, seed, seen=seen):
            seen.append((place / "half").exists())
            return train(draft, place, seed)

        assert work(again, "a", 0, Counting(), resumed, 6) == straight
        assert seen[0] == (when == "training")  # it goes on where it was
        assert [m.number for m in again.alive()] == [
            m.number for m in Folder(tmp_path / "straight").alive()
        ]
        np.testing.assert_array_equal(again.weights(4)["w"], [5, 5])
    assert len({model.fitness % 1 for model in straight}) == 6  # each has a seed of its own


def test_workers_side_by_side_take_every_number_once(tmp_path):
    folders = [Folder(tmp_path) for _ in range(4)]
    start = threading.Barrier(4)

    def add(worker):
        start.wait()
        for k in range(20):
            trained = Trained(float(k))
            folders[worker].add(f"w{worker}-{k}", Draft([worker, k], -1, -1), trained)

    threads = [threading.Thread(target=add, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    models = Folder(tmp_path).models()
    assert [model.number for model in models] == list(range(80))
    assert len({model.token for model in models}) == 80


def filled(path, fitness, architecture):
    folder = Folder(path)
    for k, value in enumerate(fitness):
        folder.add(f"w-{k}", Draft(architecture(k), -1, -1), Trained(value))
    return folder


def cells(k):
    pairs = [[["identity", "max_3x3"]], [[0, 1]]]
    return [pairs, pairs]


@pytest.mark.parametrize("search", ["aging", "non_aging", "random"])
def test_cells_evolve_in_a_folder_as_in_the_paper(tmp_path, search):
    fitness = [9.0, 1.0, 2.0, 3.0, 4.0]  # the first has died of age where there are four
    folder = filled(tmp_path, fitness, cells)
    rules = CellEvolution(CellSpace(1, 0.05), 4, 200, search)  # a sample of all
    draft = rules.draft(folder, np.random.default_rng(0))
    expected = {"aging": (4, -1), "non_aging": (0, 1), "random": (-1, -1)}
    assert (draft.parent, draft.kills) == expected[search]
    few = CellEvolution(CellSpace(1, 0.05), 6, 200, search)
    assert few.draft(folder, np.random.default_rng(0)).parent == -1


def test_of_two_the_worse_is_killed_and_the_better_reproduces(tmp_path):
    folder = filled(tmp_path, [0.1, 0.5, 0.3], lambda k: DNA.to_json())
    folder.kill(1)  # what is dead is no parent
    rules = LayerEvolution(2, 0.1)
    for seed in range(5):
        draft = rules.draft(folder, np.random.default_rng(seed))
        assert (draft.parent, draft.kills) == (2, 0)
    growing = LayerEvolution(3, 0.1).draft(folder, np.random.default_rng(0))
    assert growing.kills == -1


# The networks of 2017.


def shapes_of(dna):
    network = LayeredNetwork(dna, 10)
    found = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    return {name: leaf.shape for name, leaf in named_leaves(found["params"]).items()}


def test_evolution_begins_with_a_linear_model():
    assert shapes_of(layers.starting_point(0.1)) == {
        "classes/kernel": (256, 10),
        "classes/bias": (10,),
    }


def test_all_eleven_mutations_are_made_and_every_child_is_a_network():
    rng, made = np.random.default_rng(0), collections.Counter()
    for mutation in layers.MUTATIONS:
        children = [mutation(DNA, rng) for _ in range(20)]
        made[mutation.__name__] = len({str(child) for child in children if child is not None})
    assert len(made) == 11 and all(made.values())
    dna = layers.starting_point(0.1)
    for _ in range(60):
        dna = layers.mutate(dna, rng)
        numbers = [layer.number for layer in dna.chain]
        assert len(set(numbers)) == len(numbers) and dna.next_number > max(numbers, default=-1)
        assert Layers.from_json(dna.to_json()) == dna
    assert shapes_of(dna)["classes/bias"] == (10,)


def changes(mutation, draws=60):
    rng = np.random.default_rng(1)
    return [mutation(DNA, rng) for _ in range(draws)]


def test_numbers_are_mutated_between_half_and_twice():
    rates = np.array([dna.learning_rate for dna in changes(layers.alter_learning_rate)])
    assert (rates >= 0.05).all() and (rates <= 0.2).all() and (rates < 0.08).any()
    assert (rates > 0.12).any()
    channels = [dna.chain[1].channels for dna in changes(layers.alter_number_of_channels)]
    assert min(channels) >= 3 and max(channels) <= 12 and len(set(channels)) > 4
    sizes = {dna.chain[0].height for dna in changes(layers.alter_filter_size)}
    assert sizes == {1, 3, 5}
    strides = {dna.chain[1].stride for dna in changes(layers.alter_stride)}
    assert strides == {1, 2, 4}


def test_layers_are_inserted_and_removed_with_their_skips():
    inserted = changes(layers.insert_convolution)
    assert {len(dna.chain) for dna in inserted} == {4}
    assert {dna.chain.index(la) for dna in inserted for la in dna.chain if la.number == 3} == {
        0,
        1,
        2,
        3,
    }
    removed = changes(layers.remove_convolution)
    assert {len(dna.chain) for dna in removed} == {2}
    assert all(0 not in {la.number for la in dna.chain} for dna in removed if not dna.skips)
    assert changes(layers.remove_skip)[0].skips == ()
    assert {dna.skips[1] for dna in changes(layers.add_skip)} == {(0, 1), (1, 2)}
    assert layers.remove_convolution(layers.starting_point(0.1), np.random.default_rng(0)) is None
    assert not changes(layers.reset_weights)[0].inherits


def test_a_skip_is_added_where_it_ends():
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    network = LayeredNetwork(DNA, 5)
    variables = network.init(jax.random.key(1), x)
    without = LayeredNetwork(dataclasses.replace(DNA, skips=()), 5)
    outputs = {}
    for net in (network, without):
        _, seen = net.apply(variables, x, capture_intermediates=True)
        outputs[net] = seen["intermediates"]
    # Layer 0 with its norm and ReLU, at half the size and with two channels of zeros more.
    first = np.maximum(outputs[network]["layer_0_norm"]["__call__"][0], 0)
    added = np.pad(first[:, 1::2, 1::2], ((0, 0), (0, 0), (0, 0), (0, 2)))
    kernel = variables["params"]["classes"]["kernel"]
    difference = network.apply(variables, x) - without.apply(variables, x)
    np.testing.assert_allclose(difference, added.reshape(2, -1) @ kernel, atol=1e-5)


def test_a_child_begins_with_its_parents_weights_where_shapes_match(tmp_path):
    """And of a child whose weights are reset nothing is inherited (2017, section 3.4)."""
    from research.weights import initial

    setting = configs.get_config("smoke")
    setting.task = "layers"
    child_dna = dataclasses.replace(
        DNA, chain=(DNA.chain[0], dataclasses.replace(DNA.chain[1], channels=5), DNA.chain[2])
    )
    folder = Folder(tmp_path)
    parent = script.child_of(setting, DNA.to_json(), folder, -1)
    shapes = jax.eval_shape(parent.init, jax.random.key(0))
    state = jax.tree.map(lambda s: np.full(s.shape, 7, s.dtype), shapes)
    weights = script.weights_of(state)
    folder.add("w-0", Draft(DNA.to_json(), -1, -1), Trained(50.0, weights))

    child = script.child_of(setting, child_dna.to_json(), folder, 0)
    taken = initial.fitting(jax.eval_shape(child.init, jax.random.key(0)), child.initial)
    assert "learner/params/layer_0/kernel" in taken
    assert "learner/variables/batch_stats/layer_0_norm/mean" in taken
    assert "learner/params/layer_1/kernel" not in taken
    np.testing.assert_array_equal(child.initial["learner/params/layer_0/kernel"], 7)
    reset = dataclasses.replace(child_dna, inherits=False)
    assert script.child_of(setting, reset.to_json(), folder, 0).initial is None
