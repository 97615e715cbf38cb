"""Noise to explore with has the statistics that are written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.acting.noise import ParameterNoise, ornstein_uhlenbeck, random_or_gaussian


def test_ornstein_uhlenbeck_statistics():
    theta, sigma, n = 0.15, 0.2, 4000

    def body(x, key):
        x = ornstein_uhlenbeck(key, x, theta, sigma)
        return x, x

    keys = jax.random.split(jax.random.key(0), 120)
    path = np.asarray(jax.lax.scan(body, jnp.zeros((n, 1)), keys)[1])[..., 0]
    late = path[60:]
    std = sigma / (theta * (2 - theta)) ** 0.5
    assert abs(late.mean()) < 5 * std / n**0.5
    assert late.std() == pytest.approx(std, rel=0.02)
    for lag in (1, 5):
        correlation = (late[lag:] * late[:-lag]).mean() / late.var()
        assert correlation == pytest.approx((1 - theta) ** lag, abs=0.02)
    # From a start away from zero it returns.
    far = ornstein_uhlenbeck(jax.random.key(1), jnp.full((n, 1), 3.0), theta, sigma)
    assert float(far.mean()) == pytest.approx(3 * (1 - theta), abs=0.02)


def test_random_or_gaussian():
    n, action = 20_000, jnp.full((20_000, 2), 0.3)
    noisy = np.asarray(random_or_gaussian(jax.random.key(0), action, 0.25, 0.05))
    assert (abs(noisy) <= 1).all()
    close = (abs(noisy - 0.3) < 0.25).all(axis=1)  # five standard deviations
    random = 0.25 * (1 - 0.25**2)  # a quarter of each axis is close by chance
    assert abs((~close).mean() - random) < 5 * (random * (1 - random) / n) ** 0.5
    assert noisy[close].mean() == pytest.approx(0.3, abs=0.01)
    assert np.median(abs(noisy[close] - 0.3)) == pytest.approx(0.6745 * 0.05, rel=0.15)
    edge = random_or_gaussian(jax.random.key(1), jnp.ones((n, 1)), 0.0, 0.1)
    assert float(edge.max()) == 1.0 and float((edge == 1).mean()) == pytest.approx(0.5, abs=0.02)


def test_parameter_noise_meets_its_distance():
    """The size follows the change that it makes, here 4 times itself."""
    params = {"a": jnp.zeros((40, 50)), "b": jnp.zeros(50)}
    noise = ParameterNoise.start(jax.random.key(0), params, 1.0)
    changed = noise.perturb(params)
    assert float(changed["a"].std()) == pytest.approx(1.0, rel=0.1)
    for t in range(400):
        noise = noise.renew(jax.random.key(t), 4 * noise.sigma, target=0.2)
    assert float(noise.sigma) == pytest.approx(0.05, rel=0.02)
    other = noise.perturb(params)
    assert float(other["a"].std()) == pytest.approx(0.05, rel=0.1)
    correlation = np.corrcoef(np.ravel(changed["a"]), np.ravel(other["a"]))[0, 1]
    assert abs(correlation) < 0.1
