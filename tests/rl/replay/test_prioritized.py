"""The sum tree against NumPy; prioritized sampling against its definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.replay.frames import Replay
from research.rl.replay.prioritized import Prioritized, find_leaves, set_leaves, sum_tree

from .test_frames import FRAME, STACK, N, filled, mismatch, random_steps


@pytest.mark.parametrize("leaves", [2, 5, 8, 33])
def test_tree_is_the_cumulative_sum(leaves):
    rng = np.random.default_rng(leaves)
    values, tree = np.zeros(leaves, np.float32), sum_tree(leaves)
    for _ in range(20):
        leaf = rng.choice(leaves, size=min(3, leaves), replace=False)
        value = rng.integers(0, 5, len(leaf)).astype(np.float32)  # zeros too
        values[leaf] = value
        tree = jax.jit(set_leaves)(tree, leaf, value)
        assert tree[1] == values.sum()
    values[0] = 1
    tree = set_leaves(tree, jnp.array([0]), jnp.array([1.0]))
    mass = np.linspace(0, values.sum(), 200, endpoint=False).astype(np.float32)
    expected = np.searchsorted(np.cumsum(values), mass, side="right")
    np.testing.assert_array_equal(jax.jit(find_leaves)(tree, mass), expected)


def test_mass_at_the_very_end_still_finds_something_that_counts():
    tree = set_leaves(sum_tree(8), jnp.array([1, 2]), jnp.array([1.0, 3.0]))
    leaf = find_leaves(tree, jnp.array([3.9999, 4.0, 4.5]))
    assert leaf.tolist() == [2, 2, 2]


def prioritized(steps, alpha=0.6, n_steps=1):
    replay = Replay(N, N * 20, FRAME, STACK, n_steps, 0.9)
    sampler = Prioritized(replay, alpha)
    state, priorities = replay.init(), sampler.init()
    add, added = jax.jit(replay.add), jax.jit(sampler.added)
    for step in random_steps(steps):
        state = add(state, *step)
        priorities = added(priorities, state)
    return sampler, state, priorities


def startable(replay, state):
    """Slots that an n-step return can start from, by a loop."""
    low, high = (np.asarray(x) for x in replay.limits(state))
    slots = set()
    for i in range(N):
        ages = np.arange(low[i], high[i])
        rows = (np.asarray(state.head)[i] - np.asarray(state.filled)[i] + ages) % replay.rows
        slots |= {(i, r) for r in rows.tolist() if state.transition[i, r]}
    return slots


@pytest.mark.parametrize("n_steps", [1, 3])
def test_new_transitions_are_equally_likely_and_others_are_not_drawn(n_steps):
    sampler, state, priorities = prioritized(70, n_steps=n_steps)
    batch = sampler.sample(priorities, state, jax.random.key(0), 600, jnp.float32(0.4))
    assert (np.asarray(batch.weight) == 1.0).all()  # normalised by the largest
    slots = {tuple(s) for s in np.asarray(batch.slot).tolist()}
    assert slots == startable(sampler.replay, state)


@pytest.mark.parametrize(
    ("rows", "n_steps", "stack"), [(20, 3, 3), (20, 1, 1), (20, 5, 1), (5, 3, 2)]
)
def test_nothing_of_weight_zero_is_drawn_and_new_rows_have_the_largest_priority(
    rows, n_steps, stack
):
    """After every step: also while the ring fills, around its write head and after truncations."""
    replay = Replay(N, N * rows, FRAME, stack, n_steps, 0.9)
    sampler = Prioritized(replay, alpha=0.6)
    add, added, sample, update = map(
        jax.jit,
        (replay.add, sampler.added, functools.partial(sampler.sample, size=8), sampler.update),
    )
    state, priorities = replay.init(), sampler.init()
    before = set()
    for t, step in enumerate(random_steps(4 * rows)):
        state = add(state, *step)
        priorities = added(priorities, state)
        leaves = np.asarray(priorities.tree)[len(priorities.tree) // 2 :]
        positive = {divmod(leaf, replay.rows) for leaf in np.flatnonzero(leaves).tolist()}
        assert positive == startable(replay, state)
        for i, row in positive - before:
            assert leaves[i * replay.rows + row] == priorities.max_priority
        before = positive
        if not positive:
            continue
        batch = sample(priorities, state, jax.random.key(t), beta=0.4)
        assert (np.asarray(batch.weight) > 0).all()
        # Errors far below the largest: a new row that were given one would be told apart.
        priorities = update(priorities, batch, jnp.linspace(0.01, 0.02, 8) + 2.0 * (t == 10))
    assert t > 10 and priorities.max_priority > 1


def test_errors_of_what_was_not_learned_from_change_nothing():
    sampler, state, priorities = prioritized(70, n_steps=3)
    newest = sampler.replay.at_age(state, jnp.arange(N), state.filled - 1)  # no whole return yet
    batch = sampler.replay.gather(state, newest)
    assert (np.asarray(batch.weight) == 0).all()
    after = sampler.update(priorities, batch, jnp.full(N, 9.0))
    jax.tree.map(np.testing.assert_array_equal, after, priorities)
    # Nor those of a row that counted when it was drawn and has been written over since.
    after = sampler.update(priorities, batch._replace(weight=jnp.ones(N)), jnp.full(N, 9.0))
    jax.tree.map(np.testing.assert_array_equal, after, priorities)


def test_frequencies_and_weights_follow_the_definition():
    alpha, beta = 0.6, 0.7
    sampler, state, priorities = prioritized(70, alpha)
    slots = sampler.sample(priorities, state, jax.random.key(0), 600, jnp.float32(0)).slot
    slots = np.unique(np.asarray(slots), axis=0)
    error = np.linspace(0.1, 4, len(slots)).astype(np.float32)
    every = sampler.replay.gather(state, jnp.array(slots))
    priorities = sampler.update(priorities, every, jnp.array(-error))
    batch = sampler.sample(priorities, state, jax.random.key(1), 40_000, jnp.float32(beta))
    drawn = np.asarray(batch.slot) @ [1000, 1]
    share = np.array([(drawn == s).mean() for s in slots @ [1000, 1]])
    expected = error**alpha / (error**alpha).sum()
    np.testing.assert_allclose(share, expected, rtol=0.15)
    good = np.asarray(batch.weight) > 0
    probability = expected[[np.flatnonzero(slots @ [1000, 1] == d)[0] for d in drawn[good]]]
    weight = probability**-beta
    np.testing.assert_allclose(np.asarray(batch.weight)[good], weight / weight.max(), rtol=1e-3)


def test_stratified():
    """Of B equal leaves each is drawn once in B draws: chance alone would hardly do that."""
    sampler, state, priorities = prioritized(18)
    size = int((np.asarray(priorities.tree)[len(priorities.tree) // 2 :] > 0).sum())
    batch = sampler.sample(priorities, state, jax.random.key(3), size, jnp.float32(0))
    counts = np.unique(np.asarray(batch.slot), axis=0, return_counts=True)[1]
    assert counts.max() <= 2 and len(counts) >= 0.6 * size


def test_what_it_gives_is_true():
    replay = Replay(N, N * 20, FRAME, STACK, 3, 0.9)
    state, histories = filled(replay, 67)
    assert mismatch(Prioritized(replay, 0.6).replay, state, histories) is None
