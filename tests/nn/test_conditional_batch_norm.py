"""Batch norm whose scale and offset are those of a row's class."""

import jax
import jax.numpy as jnp
import numpy as np

from research.nn.conditional_batch_norm import ConditionalBatchNorm


def test_each_row_has_the_scale_and_offset_of_its_class():
    rng = np.random.default_rng(0)
    x = rng.normal(1, 2, (6, 3, 3, 4)).astype(np.float32)
    classes = np.array([0, 2, 1, 1, 0, 2])
    layer = ConditionalBatchNorm()
    variables = layer.init(jax.random.key(0), x, jnp.eye(3)[classes], train=True)
    scale, offset = rng.normal(1, 1, (3, 4)), rng.normal(0, 1, (3, 4))
    params = {"scale": scale, "offset": offset}
    y, updated = layer.apply(
        {**variables, "params": params}, x, jnp.eye(3)[classes], train=True, mutable=["batch_stats"]
    )
    normal = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    expected = normal * scale[classes][:, None, None] + offset[classes][:, None, None]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    running = updated["batch_stats"]["statistics"]["mean"]
    np.testing.assert_allclose(running, 0.1 * x.mean((0, 1, 2)), rtol=1e-4)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == 2 * 3 * 4
