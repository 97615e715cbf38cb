"""Running statistics against NumPy over everything seen."""

import numpy as np

from research.rl.acting.normalization import Moments, RewardScale


def test_moments_equal_those_of_all_that_was_seen():
    rng = np.random.default_rng(0)
    parts = [rng.normal(3, 5, size=(n, 4, 2)).astype(np.float32) for n in (1, 7, 30)]
    moments = Moments.init((2,))
    for part in parts:
        moments = moments.update(part)
    seen = np.concatenate(parts).reshape(-1, 2)
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-3)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=1e-3)
    scaled = moments.normalize(seen)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-3)
    assert moments.normalize(np.full(2, 1e6)).tolist() == [10, 10]


def test_unseen_is_left_as_it_is():
    np.testing.assert_allclose(Moments.init((3,)).normalize(np.array([1.0, -2, 3])), [1, -2, 3])


def test_rewards_are_divided_by_the_deviation_of_their_discounted_sums():
    rng = np.random.default_rng(1)
    gamma, scale, sums = 0.9, RewardScale.init(3), []
    total = np.zeros(3)
    for _ in range(3):  # an episode goes on over rollouts
        reward = rng.normal(2, 4, size=(20, 3)).astype(np.float32)
        ended = rng.random((20, 3)) < 0.1
        scale, scaled = scale.update(reward, ended, gamma)
        for r, over in zip(reward, ended, strict=True):
            total = gamma * total + r
            sums.append(total)
            total = np.where(over, 0, total)
        expected = np.clip(reward / np.std(sums), -10, 10)
        np.testing.assert_allclose(scaled, expected, rtol=2e-3)
    np.testing.assert_allclose(scale.total, total, rtol=1e-4, atol=1e-5)
