"""Replay against a NumPy history that forgets nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.replay import frames as replay_module
from research.rl.replay.frames import Newest, Replay, Uniform
from research.rl.replay.prioritized import Prioritized

N, STACK = 3, 3
FRAME = (2, 2, 1)
GAMMA = 0.9


class History:
    """One environment's experience as lists, and what a transition of it should be."""

    def __init__(self):
        self.episodes = [[]]  # of (frame, action, reward, terminated, next frame)

    def add(self, frame, action, reward, terminated, ended, following):
        self.episodes[-1].append((frame, action, reward, terminated, following))
        if ended:
            self.episodes.append([])

    def stack(self, frames):
        frames = [np.zeros(FRAME, np.uint8)] * STACK + list(frames)
        return np.concatenate(frames[-STACK:], axis=-1)

    def transitions(self, n):
        """(observation, action, return, discount, next observation or None) in order of time; the
        last n - 1 of an unfinished episode have no whole return yet."""
        out = []
        for episode in self.episodes:
            for t in range(len(episode)):
                frames = [step[0] for step in episode]
                total, discount, k = 0.0, 1.0, t
                while k < len(episode) and k < t + n:
                    _, _, reward, terminated, following = episode[k]
                    total += discount * reward
                    discount *= GAMMA
                    k += 1
                    if terminated:
                        break
                after = self.stack([*frames[:k], following])
                out.append(
                    (
                        self.stack(frames[: t + 1]),
                        episode[t][1],
                        total,
                        0.0 if terminated else discount,
                        None if terminated else after,
                    )
                )
        return out


def random_steps(steps, seed=0, life_loss=0.05):
    """Steps of N environments whose frames are all different."""
    rng = np.random.default_rng(seed)
    frame = rng.integers(1, 256, (N, *FRAME)).astype(np.uint8)
    for _ in range(steps):
        following = rng.integers(1, 256, (N, *FRAME)).astype(np.uint8)
        terminated, truncated = rng.random(N) < 0.12, rng.random(N) < 0.12
        ended = terminated | truncated
        terminated |= rng.random(N) < life_loss  # bootstrapping is cut, the episode goes on
        fresh = rng.integers(1, 256, (N, *FRAME)).astype(np.uint8)
        yield (
            frame,
            rng.integers(0, 4, N),
            rng.normal(size=N).astype(np.float32),
            terminated,
            ended,
            following,
        )
        frame = np.where(ended[:, None, None, None], fresh, following)


def filled(replay, steps, seed=0):
    histories = [History() for _ in range(N)]
    state, add = replay.init(), jax.jit(replay.add)
    for step in random_steps(steps, seed):
        state = add(state, *step)
        for i, history in enumerate(histories):
            history.add(*(x[i] for x in step))
    return state, histories


def all_slots(replay, state):
    """Every slot of every age that may be sampled, oldest first."""
    low, high = (np.asarray(x) for x in replay.limits(state))
    ages = [np.arange(lo, max(h, lo)) for lo, h in zip(low, high, strict=True)]
    env, age = np.repeat(np.arange(N), [len(a) for a in ages]), np.concatenate(ages)
    return replay.at_age(state, env.astype(np.int32), age.astype(np.int32))


def mismatch(replay, state, histories):
    """First difference between all that can be sampled and the histories, or None."""
    slots = all_slots(replay, state)
    batch = jax.tree.map(np.asarray, jax.jit(replay.gather)(state, slots))
    seen = 0
    for i, history in enumerate(histories):
        rows = np.flatnonzero((batch.slot[:, 0] == i) & (batch.weight > 0))
        truth = history.transitions(replay.n_steps)
        # The newest that can be sampled lies n - 1 steps, in rows, before the newest there is.
        places = {t[0].tobytes() + bytes([t[1]]): k for k, t in enumerate(truth)}
        last = -1
        for row in rows:
            k = places.get(batch.observation[row].tobytes() + bytes([batch.action[row]]))
            if k is None:
                return f"no such observation and action: environment {i}, row {row}"
            if k <= last:
                return "out of order, or twice"
            last = k
            _, _, total, discount, after = truth[k]
            if not np.isclose(batch.reward[row], total, atol=1e-5):
                return f"return {batch.reward[row]} for {total}"
            if not np.isclose(batch.discount[row], discount, atol=1e-6):
                return f"discount {batch.discount[row]} for {discount}"
            if after is not None and (batch.next_observation[row] != after).any():
                return "another next observation"
            seen += 1
    return None if seen else "nothing to compare"


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("steps", [1, 5, 19, 20, 21, 67, 200])
def test_everything_that_can_be_sampled_is_true(steps, n_steps):
    replay = Replay(N, N * 20, FRAME, STACK, n_steps, GAMMA)
    state, histories = filled(replay, steps)
    if steps < n_steps:
        assert not replay.gather(state, all_slots(replay, state)).weight.any()
    else:
        assert mismatch(replay, state, histories) is None


@pytest.mark.parametrize("n_steps", [1, 3])
def test_nothing_recent_is_missing(n_steps):
    """Rows that a whole stack and a whole return need aside, all of the ring can be sampled."""
    replay = Replay(N, N * 20, FRAME, STACK, n_steps, GAMMA)
    state, _ = filled(replay, 100)
    low, high = replay.limits(state)
    assert (low == STACK - 1).all() and (high == 20 - n_steps + 1).all()
    weight = replay.gather(state, all_slots(replay, state)).weight
    assert weight.sum() >= 0.7 * weight.size  # weight 0 is for the rows after a truncation alone


def broken(name):
    """A replay with one of the usual mistakes."""
    replay = Replay(N, N * 20, FRAME, STACK, 3, GAMMA)
    if name == "stacks across episodes":

        class Broken(Replay):
            def _stacked(self, state, env, row):
                state = state.replace(first=jnp.zeros_like(state.first))
                return super()._stacked(state, env, row)
    elif name == "samples the write head":

        class Broken(Replay):
            def limits(self, state):
                return jnp.zeros_like(state.filled), state.filled
    elif name == "ends the value at truncation":

        class Broken(Replay):
            def add(self, state, frame, action, reward, terminated, ended, following):
                terminated = terminated | ended
                return super().add(state, frame, action, reward, terminated, ended, following)
    elif name == "goes on from the next episode":

        class Broken(Replay):
            def add(self, state, frame, action, reward, terminated, ended, following):
                state = super().add(state, frame, action, reward, terminated, ended, following)
                kept = ended & ~terminated
                return state.replace(
                    head=(state.head - kept) % self.rows, filled=state.filled - kept
                )
    else:

        class Broken(Replay):
            def add(self, state, frame, action, reward, terminated, ended, following):
                return super().add(
                    state, frame, action, reward, terminated & ended, ended, following
                )

    return Broken(**dataclasses.asdict(replay))


@pytest.mark.parametrize(
    "bug",
    [
        "stacks across episodes",
        "samples the write head",
        "ends the value at truncation",
        "goes on from the next episode",
        "looks past a lost life",
    ],
)
def test_injected_bug_is_caught(bug):
    replay = broken(bug)
    state, histories = filled(replay, 67)
    assert mismatch(replay, state, histories) is not None


def test_uniform_sampling_is_uniform():
    replay = Replay(N, N * 10, FRAME, STACK, 1, GAMMA)
    state, _ = filled(replay, 40)
    batch = Uniform(replay).sample((), state, jax.random.key(0), 24_000, 0.0)
    slots = np.asarray(batch.slot) @ [replay.rows, 1]
    counts = np.bincount(slots, minlength=N * replay.rows)
    counts = counts[counts > 0]
    assert len(counts) == N * (10 - (STACK - 1))
    expected = 24_000 / len(counts)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 23 + 5 * (2 * 23) ** 0.5


def test_newest_is_the_last_step_of_every_environment():
    replay = Replay(N, N * 20, FRAME, STACK, 1, GAMMA)
    *steps, last = random_steps(31)
    state = replay.init()
    for step in [*steps, last]:
        state = replay.add(state, *step)
    batch = Newest(replay).sample((), state, jax.random.key(0), N, 0.0)
    good = np.asarray(batch.weight) > 0
    kept = last[4] & ~last[3]
    np.testing.assert_array_equal(good, ~kept)
    np.testing.assert_array_equal(batch.action[good], last[1][good])
    np.testing.assert_array_equal(batch.observation[good][..., -1:], last[0][good])


@pytest.mark.parametrize("sampler", [Uniform, Newest, functools.partial(Prioritized, alpha=0.6)])
def test_an_empty_replay_gives_weight_zero(sampler):
    replay = Replay(N, N * 20, FRAME, STACK, 2, GAMMA)
    sampler = sampler(replay)
    batch = sampler.sample(sampler.init(), replay.init(), jax.random.key(0), 8, 0.5)
    assert not np.nan_to_num(batch.weight).any()


def test_added_in_place():
    """The compiled addition returns the rings' own buffers and needs no room for another copy."""
    replay = Replay(4, 40_000, (10, 10, 4), 1, 1, GAMMA)
    shapes = jax.eval_shape(replay.init)
    step = [
        jax.ShapeDtypeStruct(s, d)
        for s, d in (
            ((4, 10, 10, 4), jnp.uint8),
            ((4,), jnp.int32),
            ((4,), jnp.float32),
            ((4,), bool),
            ((4,), bool),
            ((4, 10, 10, 4), jnp.uint8),
        )
    ]
    memory = jax.jit(replay.add, donate_argnums=0).lower(shapes, *step).compile().memory_analysis()
    assert memory.alias_size_in_bytes > 40_000 * 400
    assert memory.temp_size_in_bytes < 1_000_000


def test_helpers_keep_to_their_row():
    ring = replay_module._put(jnp.zeros((2, 3)), jnp.array([2, 0]), jnp.array([5.0, 7.0]))
    np.testing.assert_array_equal(ring, [[0, 0, 5], [7, 0, 0]])
