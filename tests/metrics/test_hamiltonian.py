"""Hamiltonian Monte Carlo: reversible, leaves its density alone, and finds it."""

import jax
import jax.numpy as jnp
import numpy as np

from research.metrics.hamiltonian import adapted, hmc_step, leapfrog

COVARIANCE = np.array([[1.0, 0.8], [0.8, 2.0]])
PRECISION = jnp.array(np.linalg.inv(COVARIANCE))
MEAN = jnp.array([1.0, -2.0])


def log_density(z):
    return -0.5 * (z - MEAN) @ PRECISION @ (z - MEAN) + 7.0  # up to a constant


def test_leapfrog_is_its_equations():
    z, v = np.array([0.5, 0.1]), np.array([-1.0, 0.3])
    found = leapfrog(log_density, jnp.array(z), jnp.array(v), 0.2, 2)
    precision, mean = np.asarray(PRECISION, float), np.asarray(MEAN, float)
    for _ in range(2):
        v = v - 0.1 * precision @ (z - mean)
        z = z + 0.2 * v
        v = v - 0.1 * precision @ (z - mean)
    np.testing.assert_allclose(found[0], z, rtol=1e-5)
    np.testing.assert_allclose(found[1], v, rtol=1e-5)


def test_leapfrog_leads_back():
    z, v = jnp.array([0.5, 0.1]), jnp.array([-1.0, 0.3])
    end, momentum = leapfrog(log_density, z, v, 0.3, 7)
    back, turned = leapfrog(log_density, end, -momentum, 0.3, 7)
    np.testing.assert_allclose(back, z, atol=1e-5)
    np.testing.assert_allclose(turned, -v, atol=1e-5)


def test_chains_have_the_moments_of_their_density():
    """Also where a coarse step makes a third of the proposals fail."""

    def chain(key):
        def body(z, key):
            z, acceptance = hmc_step(key, log_density, z, 0.95, 3)
            return z, (z, acceptance)

        return jax.lax.scan(body, jnp.zeros(2), jax.random.split(key, 150))[1]

    z, acceptance = jax.vmap(chain)(jax.random.split(jax.random.key(0), 500))
    assert 0.6 < acceptance.mean() < 0.97
    kept = np.asarray(z[:, 30:]).reshape(-1, 2)
    np.testing.assert_allclose(kept.mean(0), MEAN, atol=0.05)
    np.testing.assert_allclose(np.cov(kept.T), COVARIANCE, atol=0.08)


def test_what_diverges_is_rejected():
    z, acceptance = hmc_step(
        jax.random.key(0), lambda z: -jnp.sum(z**4), jnp.array([3.0]), 50.0, 10
    )
    assert z == 3.0 and acceptance == 0.0


def test_step_size_comes_to_rest_at_the_target():
    def body(carry, key):
        z, step_size = carry
        z, acceptance = hmc_step(key, log_density, z, step_size, 5)
        return (z, adapted(step_size, acceptance)), acceptance

    start = jnp.zeros(2), jnp.asarray(0.01)
    _, acceptance = jax.lax.scan(body, start, jax.random.split(jax.random.key(1), 3000))
    assert abs(acceptance[1000:].mean() - 0.9) < 0.02
    assert adapted(jnp.asarray(1.0), jnp.asarray(0.9)) == 1.0
