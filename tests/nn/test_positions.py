"""Position signals: the formula, its linearity in offsets, and incremental use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.errors import UserError
from research.nn.positions import Positions, sinusoids


def test_formula():
    table = sinusoids(50, 6)
    for pos, i in ((0, 0), (3, 1), (49, 2)):
        angle = pos / 10_000 ** (2 * i / 6)
        np.testing.assert_allclose(table[pos, 2 * i], np.sin(angle), atol=1e-6)
        np.testing.assert_allclose(table[pos, 2 * i + 1], np.cos(angle), atol=1e-6)


def test_an_offset_is_one_linear_map_for_all_positions():
    table = sinusoids(64, 8).astype(np.float64)  # why the paper chose sinusoids
    shift, residual, *_ = np.linalg.lstsq(table[:32], table[5:37], rcond=None)
    np.testing.assert_allclose(table[20:50] @ shift, table[25:55], atol=1e-4)


@pytest.mark.parametrize("kind", ["sinusoid", "learned"])
def test_one_step_at_a_time_is_the_whole(kind):
    layer = Positions(kind, max_length=9)
    x = jnp.zeros((2, 9, 4))
    variables = layer.init(jax.random.key(0), x)
    whole = layer.apply(variables, x)
    step = jax.jit(lambda t: layer.apply(variables, x[:, :1], t, 9))
    steps = [step(t)[:, 0] for t in range(9)]
    np.testing.assert_array_equal(np.stack(steps, 1), whole)
    assert len(np.unique(np.round(whole[0], 5), axis=0)) == 9


def test_none_adds_nothing_and_unknown_kinds_are_refused():
    x = jnp.ones((1, 3, 4))
    assert np.array_equal(Positions("none").apply({}, x), x)
    with pytest.raises(UserError, match="rotary"):
        Positions("rotary").apply({}, x)
    with pytest.raises(UserError, match="sequence of 3 has more positions"):
        Positions("learned", max_length=2).init(jax.random.key(0), x)
