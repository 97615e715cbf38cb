"""Batches change neither the result nor the number of compilations."""

import jax
import jax.numpy as jnp
import numpy as np

from research.data.batches import in_batches


def test_equals_one_call_and_compiles_once():
    shapes = []

    @jax.jit
    def function(x):
        shapes.append(x.shape)  # runs when traced
        return {"double": 2 * x, "sum": x.sum(-1)}

    x = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    for rows in (x, x[:2], jnp.asarray(x[:8])):
        out = in_batches(function, rows, 4)
        np.testing.assert_array_equal(out["double"], 2 * np.asarray(rows))
        np.testing.assert_allclose(out["sum"], np.asarray(rows).sum(-1), rtol=1e-5)
    assert shapes == [(4, 3)]
