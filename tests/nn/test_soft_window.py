"""The window against its equations in NumPy, and the rule that ends a line."""

import jax
import jax.numpy as jnp
import numpy as np

from research.nn.soft_window import SoftWindow, has_left

B, U, V, K, H = 3, 5, 4, 2, 6


def test_equals_numpy_over_several_steps():
    window = SoftWindow(K, -1.0)
    variables = window.init(jax.random.key(0), H, method="prepare")
    kernel, bias = window.apply(variables, H, method="prepare")
    np.testing.assert_array_equal(bias, [0, 0, 0, 0, -1, -1])
    symbols = np.array(jax.nn.one_hot(jnp.array([[0, 1, 2, 3, 1], [3, 3, 0, -1, -1]]), V))
    kappa = expected_kappa = np.zeros((2, K))
    for t in range(4):
        h = np.asarray(jax.random.normal(jax.random.key(t), (2, H)))
        found = SoftWindow.move((kernel, bias), kappa, h, symbols)
        alpha, beta, forward = np.split(np.exp(h @ np.asarray(kernel) + np.asarray(bias)), 3, 1)
        expected_kappa = expected_kappa + forward  # it is cumulative
        phi = np.zeros((2, U + 1))
        for row in range(2):
            for u in range(1, U + 2):
                bumps = alpha[row] * np.exp(-beta[row] * (expected_kappa[row] - u) ** 2)
                phi[row, u - 1] = bumps.sum()  # it is not normalised
        np.testing.assert_allclose(found.kappa, expected_kappa, rtol=1e-5)
        np.testing.assert_allclose(found.weights, phi, rtol=1e-4, atol=1e-6)
        seen = np.einsum("bu,buv->bv", phi[:, :U], symbols)
        np.testing.assert_allclose(found.seen, seen, rtol=1e-4, atol=1e-6)
        kappa = np.asarray(found.kappa)
    assert (seen[1, 2] == 0) and np.all(phi[:, -1] > 0)


def test_a_line_ends_where_the_window_is_after_its_own_text_more_than_on_any_letter():
    weights = jnp.array(
        [
            [0.1, 0.2, 0.9, 0.8],  # U = 2: the place after it is the third
            [0.1, 0.2, 0.9, 0.8],  # U = 3: the fourth, and the third has more
            [0.0, 0.0, 0.0, 0.1],
            [0.95, 0.2, 0.9, 0.0],  # U = 2: the first has more
        ]
    )
    ended = has_left(weights, jnp.array([2, 3, 3, 2]))
    np.testing.assert_array_equal(ended, [True, False, True, False])
