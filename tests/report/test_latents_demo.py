"""Samples by number, walks and sums are of the latents that were asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.report.latents_demo import latents_demo

drawn: list = []


def draw(z):
    drawn.append(np.asarray(z))
    return np.tanh(np.broadcast_to(np.asarray(z)[:, :1, None, None], (len(z), 4, 4, 1)))


def sample(key, num):
    return jnp.arange(num * 2.0).reshape(num, 2) / num


def run(**values):
    demo = latents_demo(draw, sample)
    drawn.clear()
    return demo.run(**{**demo.defaults(), **values})["picture"]


def test_fifty_samples():
    picture = run()
    np.testing.assert_array_equal(drawn[0], sample(None, 50))
    assert picture.dtype == np.uint8 and picture.shape == (5 * 66 + 2, 10 * 66 + 2)


def test_a_walk_goes_through_the_samples():
    run(what="walk", walk="3, 1 7")
    z = np.asarray(sample(None, 50))
    np.testing.assert_allclose(drawn[0][[0, 9, 10, 19]], z[[3, 1, 1, 7]], rtol=1e-6)


def test_arithmetic_is_on_means():
    run(what="arithmetic", plus="0 1", minus="2", also="5 6 7")
    z = np.asarray(sample(None, 50))
    expected = z[:2].mean(0) - z[2] + z[5:8].mean(0)
    np.testing.assert_allclose(drawn[-1][0], expected, rtol=1e-5)
    assert len(drawn[-1]) == 9 and abs(drawn[-1] - expected).max() <= 0.25 + 1e-6


@pytest.mark.parametrize("walk", ["", "1", "1 50", "a b", "1 -2"])
def test_bad_numbers_are_one_line(walk):
    with pytest.raises(UserError, match="walk takes 2 or more numbers from 0 to 49"):
        run(what="walk", walk=walk)


def test_another_number_draws_other_samples():
    demo = latents_demo(draw, lambda key, num: jax.random.normal(key, (num, 2)))
    first, second = (demo.run(**{**demo.defaults(), "samples": i})["picture"] for i in (0, 1))
    assert (first != second).any()
