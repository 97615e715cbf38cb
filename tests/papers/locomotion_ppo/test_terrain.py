"""Tracks: what their obstacles are like, and heights between points."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from research.core import UserError
from research.papers.locomotion_ppo.terrain import CELL, PIT, START, make_tracks

LENGTH = 40.0


def tracks(*kinds, difficulty=(0.0, 1.0), seed=0, count=32, width=0.0):
    return make_tracks(seed, count, kinds, difficulty, LENGTH, width=width).heights


def test_the_same_seed_gives_the_same_tracks_and_another_seed_others():
    kinds = "hurdles", "gaps", "platforms"
    first = tracks(*kinds)
    np.testing.assert_array_equal(first, tracks(*kinds))
    assert (first != tracks(*kinds, seed=1)).mean() > 0.05
    assert len(np.unique(first.reshape(32, -1), axis=0)) == 32  # every track is its own
    assert not tracks().any()  # flat
    assert not first[:, :, : round((START + 1) / CELL)].any()  # room to start


@pytest.mark.parametrize("kind", ["hurdles", "platforms"])
def test_obstacles_grow_along_a_curriculum_and_not_where_hardness_stands_still(kind):
    rising = tracks(kind)[:, 0]
    early, late = (np.where(part > 0, part, np.nan) for part in np.array_split(rising, 2, axis=1))
    assert np.nanmax(early) < np.nanmax(late) and np.nanmean(late) > 1.5 * np.nanmean(early)
    top = {"hurdles": 0.45, "platforms": 0.40}[kind]
    assert 0.8 * top < rising.max() <= top
    hard = tracks(kind, difficulty=(1.0, 1.0))[:, 0]
    np.testing.assert_allclose(np.unique(hard), [0, top], rtol=1e-6)


def test_gaps_widen():
    def widths(x):
        inside = np.diff(np.concatenate([[0], x == np.float32(PIT), [0]]).astype(int))
        return CELL * (np.flatnonzero(inside == -1) - np.flatnonzero(inside == 1))

    for difficulty, width in ((0.0, 0.2), (1.0, 0.9)):
        found = np.concatenate(
            [widths(row[0]) for row in tracks("gaps", difficulty=(difficulty, difficulty))]
        )
        np.testing.assert_allclose(found, width, atol=CELL)
        assert len(found) == 32 * 9


def test_steps_go_up_and_down_again():
    for row in tracks("steps")[:, 0]:
        assert len(np.unique(np.round(row, 4))) > 3 and row.min() == 0 and row[-1] == 0


def test_walls_leave_a_way_and_slaloms_alternate():
    walls = tracks("walls", difficulty=(1.0, 1.0), width=4.0)
    blocked = (walls > 0).mean(axis=1)  # of the width, [tracks, columns]
    assert 0.55 < blocked.max() < 0.65
    slalom = tracks("slalom", difficulty=(1.0, 1.0), width=4.0)
    for field in slalom:
        columns = np.flatnonzero(field.any(axis=0))
        groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
        sides = [field[0, group[0]] > 0 for group in groups]
        assert all(a != b for a, b in zip(sides, sides[1:], strict=False)) and len(sides) > 5
        assert (field[:, columns] == 0).any(axis=0).all()
    right = (walls[:, 0] > 0).any(axis=1) & (walls[:, -1] > 0).any(axis=1)
    assert right.mean() > 0.8  # a side is drawn for each wall


def test_what_lies_across_is_the_same_over_the_width():
    field = tracks("hurdles", "gaps", "platforms", "steps", width=3.0)
    assert (field == field[:, :1]).all() and field.shape[1] == 31


def test_profile_is_linear_interpolation_with_its_slope():
    made = make_tracks(0, 3, ("hurdles", "gaps"), (0, 1), LENGTH)
    x = np.random.default_rng(0).uniform(0, LENGTH - CELL, 500).astype(np.float32)
    grid = CELL * np.arange(made.heights.shape[2])
    height, slope = made.profile(jnp.int32(2), x)
    np.testing.assert_allclose(height, np.interp(x, grid, made.heights[2, 0]), atol=1e-3)
    ahead = np.asarray(made.profile(jnp.int32(2), x + 1e-2)[0]) - np.asarray(height)
    inner = (x / CELL) % 1 < 0.85
    np.testing.assert_allclose(ahead[inner] / 1e-2, slope[inner], atol=0.02)
    beyond = made.profile(jnp.int32(0), jnp.array([-3.0, LENGTH + 5]))[0]
    np.testing.assert_allclose(beyond, made.heights[0, 0, [0, -1]], atol=1e-5)


def test_surface_is_bilinear():
    made = make_tracks(0, 2, ("walls", "gaps"), (0, 1), LENGTH, width=4.0)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, LENGTH, 500), rng.uniform(-2, 2, 500)
    rows, columns = made.heights.shape[1:]
    grid = CELL * np.arange(rows) - 2, CELL * np.arange(columns)
    expected = RegularGridInterpolator(grid, made.heights[1])(np.stack([y, x], axis=1))
    height = made.surface(jnp.int32(1), jnp.float32(x), jnp.float32(y))
    np.testing.assert_allclose(height, expected, atol=2e-3)
    assert height.min() < -1 and height.max() > 1


@pytest.mark.parametrize(("kinds", "width"), [(("bumps",), 0.0), (("walls",), 0.0)])
def test_bad_terrain_is_one_clear_line(kinds, width):
    with pytest.raises(UserError, match="terrain has|can turn"):
        make_tracks(0, 2, kinds, (0, 1), LENGTH, width=width)
