"""Clips, pairs and comparisons against NumPy and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.papers.human_preferences import clips
from research.papers.human_preferences.clips import Clip, Comparisons, History, Pairs

H, N, K = 12, 3, 4


def history(ends=()):
    """Every step's observation says where it is from."""
    place = jnp.arange(H * N, dtype=jnp.float32).reshape(H, N)
    ended = jnp.zeros((H, N), bool)
    for t, n in ends:
        ended = ended.at[t, n].set(True)
    return History(Clip(place[..., None], place.astype(jnp.int32), place % 7), ended)


def whole(ended):
    """Positions of clips in which no step but the last ends an episode, by a loop."""
    return {
        t * N + n
        for t in range(H - K + 1)
        for n in range(N)
        if not np.asarray(ended)[t : t + K - 1, n].any()
    }


def test_pairs_are_drawn_uniformly_from_whole_clips():
    past = history([(5, 0), (7, 1), (11, 2), (3, 1)])
    expected = whole(past.ended)
    drawn, found = clips.draw_pairs(past, K, 5_000, jax.random.key(0))
    assert found and drawn.shape == (5_000, 2)
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=(H - K + 1) * N)
    assert set(np.flatnonzero(counts)) == expected
    share = counts[sorted(expected)] / counts.sum() * len(expected)
    assert 0.8 < share.min() and share.max() < 1.2
    assert len(expected) < len(whole(history().ended))


def test_nothing_is_cut_from_an_empty_history():
    empty = History.empty(H, history().steps)
    assert not clips.draw_pairs(empty, K, 2, jax.random.key(0))[1]
    pairs = clips.select_pairs(
        empty,
        lambda *_: jnp.zeros((2, H, N)),
        2,
        jax.random.key(0),
        max_pairs=3,
        candidates=2,
        clip_steps=K,
        selection="variance",
    )
    assert not pairs.present.any()
    some = empty.add(jax.tree.map(lambda x: x[:K], history().steps), jnp.zeros((K, N), bool))
    drawn, found = clips.draw_pairs(some, K, 50, jax.random.key(0))
    assert found and set(np.unique(drawn // N)) == {H - K}  # none reaches before the first step
    np.testing.assert_array_equal(some.steps.action[-K:], history().steps.action[:K])


def test_clips_and_their_sums():
    past = history()
    position = jnp.array([0, 5, (H - K) * N + 2])
    cut = clips.cut(past, K, position)
    rewards = np.random.default_rng(0).normal(size=(2, H, N)).astype(np.float32)
    sums = clips.clip_sums(jnp.asarray(rewards), K, position)
    for i, p in enumerate(np.asarray(position)):
        t, n = divmod(p, N)
        np.testing.assert_array_equal(cut.action[i], np.arange(t, t + K) * N + n)
        np.testing.assert_array_equal(cut.observation[i, :, 0], cut.action[i])
        np.testing.assert_allclose(sums[:, i], rewards[:, t : t + K, n].sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize("by_variance", [True, False])
def test_the_pairs_that_members_disagree_about_most_are_asked(by_variance):
    past, key, max_pairs, candidates, due = history([(4, 1)]), jax.random.key(3), 5, 10, 3
    rewards = np.random.default_rng(1).normal(size=(3, H, N)).astype(np.float32)
    pairs = clips.select_pairs(
        past,
        lambda *_: jnp.asarray(rewards),
        due,
        key,
        max_pairs=max_pairs,
        candidates=candidates,
        clip_steps=K,
        selection="variance" if by_variance else "random",
    )
    assert list(pairs.present) == [True] * due + [False] * (max_pairs - due)
    drawn = np.asarray(clips.draw_pairs(past, K, candidates * max_pairs, key)[0])[
        : candidates * due
    ]

    def disagreement(pair):
        sums = [[rewards[m, p // N : p // N + K, p % N].sum() for p in pair] for m in range(3)]
        return np.var([1 / (1 + np.exp(right - left)) for left, right in sums])

    order = np.argsort([-disagreement(pair) for pair in drawn], kind="stable")
    chosen = drawn[order[:due]] if by_variance else drawn[:due]
    for side, column in ((pairs.left, 0), (pairs.right, 1)):
        np.testing.assert_array_equal(side.action[:due, 0], chosen[:, column])


def pairs_of(left, right, present):
    def clip(sums):
        sums = jnp.asarray(sums, jnp.float32)
        return Clip(
            sums[:, None, None] * jnp.ones((1, 2, 1)),
            jnp.zeros((len(sums), 2)),
            jnp.stack([sums, jnp.zeros_like(sums)], axis=1),
        )

    return Pairs(clip(left), clip(right), jnp.asarray(present))


def test_oracle_prefers_the_larger_sum():
    pairs = pairs_of([1, 2, 3], [2, 2, -1], [True] * 3)
    np.testing.assert_array_equal(clips.oracle(pairs), [0, 0.5, 1])


def test_comparisons_keep_the_newest_and_drop_the_absent():
    room = Comparisons.empty(3, 2, pairs_of([0], [0], [True]).left)
    keys = jax.random.split(jax.random.key(0), 3)
    room = room.add(pairs_of([1, 2], [3, 4], [True, False]), jnp.array([1.0, 0.5]), keys[0])
    assert list(room.filled) == [True, False, False]
    room = room.add(pairs_of([5, 6], [0, 0], [False, True]), jnp.array([1.0, 0.0]), keys[1])
    room = room.add(pairs_of([7, 8], [0, 0], [True, True]), jnp.array([0.5, 1.0]), keys[2])
    np.testing.assert_array_equal(room.left.observation[:, 0, 0], [8, 6, 7])
    np.testing.assert_array_equal(room.preference, [1, 0, 0.5])
    assert room.total == 4 and room.filled.all() and room.left.reward is None


def test_a_share_of_one_in_e_is_held_out_for_each_member():
    count = 20_000
    room = Comparisons.empty(count, 2, pairs_of([0], [0], [True]).left)
    zeros = np.zeros(count)
    room = room.add(pairs_of(zeros, zeros, zeros == 0), jnp.zeros(count), jax.random.key(0))
    copies = np.asarray(room.copies)
    np.testing.assert_allclose((copies == 0).mean(axis=0), np.exp(-1), atol=0.01)
    np.testing.assert_allclose(copies.mean(axis=0), 1, atol=0.02)  # as many as there are
    assert abs(np.corrcoef(copies.T)[0, 1]) < 0.03  # each member its own


def schedule(num_steps=100, rollout_steps=20, frames=1_000, **changes):
    settings = {
        "clip_steps": 25,
        "initial_steps": 5,
        "total_labels": 700,
        "initial_fraction": 0.25,
        "annealing_frames": 20_000,
        **changes,
    }
    return clips.label_schedule(num_steps, rollout_steps, frames, **settings)


def test_label_schedule():
    asked = schedule()
    assert asked.sum() == 700 and asked[:5].sum() == 175 and asked[0] == 0
    assert asked[1:5].max() - asked[1:5].min() <= 1
    # Windows of the rest follow M / (T + M).
    middle = (np.arange(95) + 0.5) * 1_000
    rate = 1 / (middle + 20_000)
    expected = 525 * rate / rate.sum()
    for window in np.array_split(np.arange(95), 8):
        assert abs(asked[5:][window].sum() - expected[window].sum()) <= 2
    assert schedule(total_labels=0).sum() == 0
    assert schedule(initial_fraction=1.0)[:5].sum() == 700
    for steps in (1, 100):
        with pytest.raises(UserError, match="initial_steps"):
            schedule(initial_steps=steps)
