"""Action values of vectors."""

import jax
import jax.numpy as jnp
import numpy as np

from research.models.q_network import QNetwork


def test_equals_its_layers_written_out():
    x = jax.random.normal(jax.random.key(0), (7, 5))
    model = QNetwork(3, (8, 6))
    variables = model.init(jax.random.key(1), x, train=False)
    q, seen = model.apply(variables, x, train=False)
    h = np.asarray(x)
    for name in ("Dense_0", "Dense_1"):
        layer = variables["params"][name]
        h = np.maximum(h @ layer["kernel"] + layer["bias"], 0)
    np.testing.assert_allclose(seen["features"], h, atol=1e-5)
    last = variables["params"]["q"]
    np.testing.assert_allclose(q, h @ last["kernel"] + last["bias"], atol=1e-5)
    assert q.dtype == jnp.float32
