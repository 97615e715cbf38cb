"""Pixel change and returns against loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.unreal import auxiliary

T, N, CELLS, A, GAMMA = 7, 4, 3, 5, 0.9


@pytest.mark.parametrize(("size", "crop", "cell", "channels"), [(20, 16, 2, 3), (84, 80, 4, 1)])
def test_pixel_change_equals_numpy(size, crop, cell, channels):
    shape = (2, size, size, channels)
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, *shape)).astype(np.uint8)
    got = auxiliary.pixel_change(jnp.asarray(before), jnp.asarray(after), crop, cell)
    margin, cells = (size - crop) // 2, crop // cell
    assert got.shape == (2, cells, cells, 1)
    for n in range(2):
        for i in range(cells):
            for j in range(cells):
                at = np.s_[
                    n,
                    margin + i * cell : margin + (i + 1) * cell,
                    margin + j * cell : margin + (j + 1) * cell,
                ]
                change = np.abs(before[at].astype(float) - after[at].astype(float)).mean() / 255
                assert float(got[n, i, j, 0]) == pytest.approx(change, abs=1e-5)
    edge = after.copy()
    edge[:, 0] = 255 - edge[:, 0]  # what lies outside of the crop does not count
    np.testing.assert_array_equal(
        got, auxiliary.pixel_change(jnp.asarray(before), jnp.asarray(edge), crop, cell)
    )
    black, white = jnp.zeros(shape, jnp.uint8), jnp.full(shape, 255, jnp.uint8)
    assert (auxiliary.pixel_change(black, white, crop, cell) == 1).all()


def ends():
    terminated = jax.random.bernoulli(jax.random.key(4), 0.2, (T, N))
    truncated = jax.random.bernoulli(jax.random.key(5), 0.2, (T, N)) & ~terminated
    assert terminated.any() and truncated.any()
    return terminated, truncated


def target_of(reward, value, terminated, truncated, t, i):
    """By walking on from step t to the end of the episode, or of the sequence."""
    total, discount = 0.0, 1.0
    for s in range(t, T):
        if truncated[s, i]:
            return total + discount * value[s, i]
        total, discount = total + discount * reward[s, i], discount * GAMMA
        if terminated[s, i]:
            return total
    return total + discount * value[T, i]


@pytest.mark.parametrize("cells", [(), (CELLS, CELLS, 1)])
def test_returns_equal_a_walk(cells):
    reward = jax.random.normal(jax.random.key(0), (T, N, *cells))
    value = jax.random.normal(jax.random.key(1), (T + 1, N, *cells))
    terminated, truncated = ends()
    got = auxiliary.n_step_returns(reward, value, terminated, truncated, GAMMA)
    numbers = [np.asarray(x) for x in (reward, value, terminated, truncated)]
    for t in range(T):
        for i in range(N):
            np.testing.assert_allclose(got[t, i], target_of(*numbers, t, i), rtol=1e-4, atol=1e-5)


def test_control_loss_equals_a_loop_and_leaves_truncated_steps_out():
    q = jax.random.normal(jax.random.key(0), (T + 1, N, CELLS, CELLS, 1, A))
    reward = jax.random.uniform(jax.random.key(1), (T, N, CELLS, CELLS, 1))
    action = jax.random.randint(jax.random.key(2), (T, N), 0, A)
    terminated, truncated = ends()

    def loss(q, reward=reward):
        return auxiliary.control_loss(q, action, reward, terminated, truncated, GAMMA)

    best = np.asarray(q.max(axis=-1))
    errors = [
        (
            (
                target_of(*map(np.asarray, (reward, best, terminated, truncated)), t, i)
                - np.asarray(q[t, i, ..., action[t, i]])
            )
            ** 2
        ).sum()
        for t in range(T)
        for i in range(N)
        if not truncated[t, i]
    ]
    assert float(loss(q)) == pytest.approx(np.mean(errors), rel=1e-4)
    gradient = jax.grad(loss)(q)
    assert (gradient[-1] == 0).all()  # targets are constants
    moved = (gradient[:-1] != 0).any(axis=(2, 3, 4))  # [T, N, A]
    np.testing.assert_array_equal(
        moved, jax.nn.one_hot(action, A).astype(bool) & ~truncated[..., None]
    )
    other = jnp.where(truncated[..., None, None, None], 9.0, reward)
    assert float(loss(q, other)) == float(loss(q))


def test_classes_and_means():
    assert auxiliary.reward_class(jnp.array([-2.0, 0.0, 0.5])).tolist() == [0, 1, 2]
    x = jnp.array([1.0, 5.0, 9.0])
    assert auxiliary.weighted_mean(x, jnp.array([True, False, True])) == 5
    assert auxiliary.weighted_mean(x, jnp.zeros(3)) == 0
