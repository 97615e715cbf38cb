"""Groups are normalized by themselves, as workers of their own would do it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.ghost_batch_norm import GhostBatchNorm

X = jax.random.normal(jax.random.key(0), (12, 3, 3, 5)) * 2 + jnp.arange(5)


def run(group_size, x, **options):
    layer = GhostBatchNorm(group_size, use_running_average=False, **options)
    variables = layer.init(jax.random.key(1), x)
    return layer, variables, layer.apply(variables, x, mutable=["batch_stats"])


def test_each_group_is_what_batch_norm_makes_of_it_alone():
    """And the running averages are the first group's."""
    plain = nn.BatchNorm(use_running_average=False, momentum=0.9)
    _, variables, (y, updated) = run(4, X)
    for i in range(3):
        part = X[4 * i : 4 * i + 4]
        expected, stats = plain.apply(
            plain.init(jax.random.key(1), part), part, mutable=["batch_stats"]
        )
        np.testing.assert_allclose(y[4 * i : 4 * i + 4], expected, rtol=1e-4, atol=1e-5)
        same = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-4), updated, stats)
        assert all(jax.tree.leaves(same)) == (i == 0)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], 0)  # untouched by `init`


def test_one_group_is_batch_norm_and_groups_are_not():
    plain = nn.BatchNorm(use_running_average=False)
    whole = plain.apply(plain.init(jax.random.key(1), X), X, mutable=["batch_stats"])[0]
    np.testing.assert_allclose(run(12, X)[2][0], whole, rtol=1e-4, atol=1e-5)
    assert np.abs(run(4, X)[2][0] - whole).max() > 0.1


def test_groups_do_not_see_each_other():
    layer, variables, _ = run(4, X)

    def first(x):
        y = layer.apply(variables, x, mutable=["batch_stats"])[0]
        return (y[:4] * jnp.arange(5)[:, None, None, None][:4] ** 2).sum()

    gradient = jax.grad(first)(X)
    assert np.abs(gradient[:4]).max() > 0 and not np.any(gradient[4:])


def test_testing_uses_the_averages():
    layer = GhostBatchNorm(4, use_running_average=True, scale_init=nn.initializers.constant(3.0))
    variables = layer.init(jax.random.key(1), X)
    stats = {"mean": jnp.arange(5.0), "var": jnp.full(5, 4.0)}
    y = layer.apply({**variables, "batch_stats": stats}, X[:7])  # any number of rows
    np.testing.assert_allclose(
        y, 3 * (X[:7] - jnp.arange(5)) / np.sqrt(4 + 1e-5), rtol=1e-5, atol=1e-5
    )


def test_a_batch_of_other_than_whole_groups_is_refused():
    with pytest.raises(ValueError, match="groups of 5"):
        run(5, X)
