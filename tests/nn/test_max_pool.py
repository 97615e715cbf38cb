import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.max_pool import ceil_padding, max_pool


@pytest.mark.parametrize(
    ("size", "window", "stride", "outputs"),
    [
        (224, 11, 4, 55),
        (227, 11, 4, 55),
        (55, 3, 2, 27),
        (27, 3, 2, 13),
        (13, 3, 2, 6),
        (16, 3, 2, 8),
        (8, 3, 2, 4),
    ],
)
def test_the_last_step_is_whole(size, window, stride, outputs):
    before, after = ceil_padding(size, window, stride)
    assert (before, (size + after - window) % stride, (size + after - window) // stride + 1) == (
        0,
        0,
        outputs,
    )


@pytest.mark.parametrize(("size", "window"), [(13, 3), (8, 3), (7, 2), (8, 2)])
def test_is_the_maximum_of_windows_and_its_gradient_goes_to_it(size, window):
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    out, backward = jax.vjp(lambda x: max_pool(x, window, 2), x)
    steps = -(-(size - window) // 2) + 1
    assert out.shape == (2, steps, steps, 3)
    expected = np.zeros_like(x)
    for b, i, j, c in np.ndindex(out.shape):
        part = x[b, 2 * i : 2 * i + window, 2 * j : 2 * j + window, c]
        assert out[b, i, j, c] == part.max()
        y, z = np.unravel_index(part.argmax(), part.shape)
        expected[b, 2 * i + y, 2 * j + z, c] += 1
    np.testing.assert_array_equal(backward(jnp.ones_like(out))[0], expected)
