"""Distributions in the plane: their moments and modes."""

import jax
import numpy as np
import pytest

from research.core import UserError
from research.data.procedural import planar


@pytest.mark.parametrize(("name", "count"), [("8_gaussians", 8), ("25_gaussians", 25)])
def test_mixtures_have_their_modes_as_often_and_as_wide(name, count):
    points = planar.make(name)
    x = np.asarray(points.sample(jax.random.key(0), 20_000))
    distances = np.linalg.norm(x[:, None] - points.modes[None], axis=-1)
    shares = np.bincount(distances.argmin(1), minlength=count) / len(x)
    assert len(points.modes) == count
    np.testing.assert_allclose(shares, 1 / count, atol=0.01)
    near = x - points.modes[distances.argmin(1)]
    np.testing.assert_allclose(near.std(0), points.deviation, rtol=0.03)
    np.testing.assert_allclose(x.std(0), 1, atol=0.05)


def test_swiss_roll_is_a_spiral():
    x = np.asarray(planar.make("swiss_roll").sample(jax.random.key(0), 5000)) * 7.5
    radius, angle = np.linalg.norm(x, axis=1), np.arctan2(x[:, 1], x[:, 0])
    turns = (radius - angle) / (2 * np.pi)  # of a spiral of radius t at angle t: whole numbers
    assert np.abs(turns - turns.round()).mean() < 0.05
    assert radius.min() > 3 and radius.max() < 16


def test_unknown_name_is_refused():
    with pytest.raises(UserError, match="data.name is one of 8_gaussians"):
        planar.make("9_gaussians")
