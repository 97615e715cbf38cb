"""Sequences and histories against lists of what was added, which forget nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.acting.recurrent_rollouts import RecurrentObservation, RecurrentTrajectory
from research.rl.replay.sequences import Sequences

N, T, ROWS, U = 3, 4, 12, 2


def rollout(number):
    """Steps whose numbers, observations and carries tell when and by whom they were played."""
    time = number * T + jnp.arange(T)[:, None] + jnp.zeros((1, N), jnp.int32)
    actor = jnp.arange(N)[None] + jnp.zeros((T, 1), jnp.int32)
    key = jax.random.key(number)
    ended = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.2, (T, N))
    reward = jax.random.choice(key, jnp.array([0.0, 0.0, 0.0, 1.0, -1.0]), (T, N))
    name = (time * N + actor).astype(jnp.uint8)
    seen = RecurrentObservation(
        jnp.broadcast_to(name[..., None, None, None], (T, N, 2, 2, 1)),
        time,
        reward,
        jax.random.bernoulli(jax.random.fold_in(key, 2), 0.25, (T, N)),
        (jnp.zeros((T, N, U)) + time[..., None], jnp.zeros((T, N, U))),
    )
    return RecurrentTrajectory(seen, actor, reward, ended, ended, time)


def filled(count):
    replay, made = Sequences(ROWS), [rollout(i) for i in range(count)]
    state = replay.init(made[0])
    add = jax.jit(replay.add, donate_argnums=0)
    for steps in made:
        state = add(state, steps)
    return replay, state, jax.tree.map(lambda *x: np.concatenate(x), *made)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7])
def test_sequences_were_played_in_a_row_and_never_cross_the_write_head(count):
    replay, state, history = filled(count)
    length, starts = T + 1, set()
    for key in range(60):
        drawn, ready = replay.sample(state, jax.random.key(key), length)
        assert ready
        for i in range(N):
            start = int(drawn.change[0, i])
            starts.add(start)
            jax.tree.map(
                lambda a, b, s=start, i=i: np.testing.assert_array_equal(
                    a[:, i], b[s : s + length, i]
                ),
                drawn,
                history,
            )
    newest, oldest = count * T - length, max(0, count * T - ROWS)
    assert starts == set(range(oldest, newest + 1))  # all that are held, and nothing else


def test_too_little_to_replay_is_said():
    replay, state, _ = filled(1)
    assert not replay.sample(state, jax.random.key(0), T + 1)[1]
    assert (replay.histories(replay.init(rollout(0)), jax.random.key(0), 5)[2] == 0).all()
    for rows in (T, 2 * T + 1):
        with pytest.raises(UserError, match="multiple"):
            Sequences(rows).init(rollout(0))


@pytest.mark.parametrize("count", [2, 5])
def test_histories_are_of_one_episode_and_half_of_them_rewarding(count):
    replay, state, history = filled(count)
    size = 4_000
    frames, reward, weight = jax.jit(replay.histories, static_argnums=2)(
        state, jax.random.key(0), size
    )
    assert (weight == 1).all() and frames.shape == (size, 3, 2, 2, 1)
    frames, reward = np.asarray(frames)[..., 0, 0, 0], np.asarray(reward)
    oldest, first = max(0, count * T - ROWS), history.inputs.first
    allowed = {}
    for t in range(oldest + 2, count * T):
        for i in range(N):
            if not first[t - 1 : t + 1, i].any():
                allowed[tuple(s * N + i for s in (t - 2, t - 1, t))] = history.reward[t, i]
    seen = {tuple(map(int, row)): r for row, r in zip(frames, reward, strict=True)}
    assert seen == allowed  # every one of them, with the reward that its last step led to
    share = (reward != 0).mean()
    assert abs(share - 0.5) < 4 * (0.25 / size) ** 0.5
    for kind in (True, False):  # and within a kind all alike
        counts = np.unique(frames[(reward != 0) == kind, 2], return_counts=True)[1]
        mean = counts.sum() / len(counts)
        assert len(counts) == sum((r != 0) == kind for r in allowed.values())
        assert (abs(counts - mean) < 5 * mean**0.5).all()


def test_without_rewards_the_rewarding_half_weighs_nothing():
    replay = Sequences(ROWS)
    steps = rollout(0)
    steps = steps._replace(
        reward=jnp.zeros((T, N)), inputs=steps.inputs._replace(first=jnp.zeros((T, N), bool))
    )
    state = replay.add(replay.init(steps), steps)
    _, reward, weight = replay.histories(state, jax.random.key(0), 400)
    assert (reward == 0).all() and abs(float(weight.mean()) - 0.5) < 0.1
