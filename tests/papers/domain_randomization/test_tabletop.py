"""Scenes on a table: rays against a search along them, cameras against their projection."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.domain_randomization import tabletop
from research.papers.domain_randomization.polyhedra import SHAPES, Bodies, cast
from research.papers.domain_randomization.tabletop import (
    GROUND,
    OBJECT,
    REACH,
    SKY,
    TABLE,
    Tabletop,
)

SIZE = 24
TABLETOP = Tabletop("cube", 0.07, 4, (0.03, 0.05), True)


@pytest.fixture(scope="module")
def scenes():
    return jax.jit(jax.vmap(TABLETOP.sample))(jax.random.split(jax.random.key(0), 200))


def inside(points, bodies, b):
    """Whether points are in body b, by its planes in its own frame."""
    cos, sin = np.cos(-bodies.angle[b]), np.sin(-bodies.angle[b])
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    own = (points - bodies.place[b]) @ turn.T / bodies.size[b]
    return (own @ bodies.planes[b, :, :3].T <= bodies.planes[b, :, 3] + 1e-6).all(axis=-1)


def test_rays_meet_what_a_search_along_them_finds():
    rng = np.random.default_rng(0)
    planes = np.stack([planes for planes, _ in SHAPES.values()])
    count = len(planes)
    bodies = Bodies(
        planes,
        rng.uniform(-3, 3, (count, 3)),
        rng.uniform(0, 6, count),
        rng.uniform(0.5, 1.5, count),
        np.arange(count) != 2,
    )
    origins = rng.uniform(-6, 6, (300, 3))
    ways = rng.normal(size=(300, 3))
    towards = bodies.place[rng.integers(0, count, 300)] + rng.uniform(0, 0.8, (300, 3)) - origins
    ways = np.where(np.arange(300)[:, None] < 200, towards, ways)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    hits = jax.jit(cast)(origins, ways, jax.tree.map(jnp.asarray, bodies))
    distances = np.arange(0, 16, 0.004)
    points = origins[:, None] + ways[:, None] * distances[:, None]  # [300, steps, 3]
    within = np.stack([inside(points, bodies, b) & bodies.present[b] for b in range(count)])
    outside = ~within[:, :, 0].any(axis=0)  # rays that begin inside of something do not meet it
    first = within.any(axis=0).argmax(axis=1)
    met = within.any(axis=(0, 2))
    body = within[:, np.arange(300), first].argmax(axis=0)
    clear = outside & (np.abs(hits.distance - distances[first]) < 0.01) & met
    assert (np.asarray(hits.body)[outside & ~met] == -1).mean() > 0.97  # grazed between two steps
    assert clear.sum() > 0.98 * (outside & met).sum() and met[outside].sum() > 100
    assert (np.asarray(hits.body) == body)[clear].mean() > 0.99
    assert set(np.unique(body[clear])) == set(range(count)) - {2}
    normal = np.asarray(hits.normal)[clear]
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-5)
    assert ((normal * ways[clear]).sum(axis=1) < 0).all()
    before = (origins + ways * np.asarray(hits.distance)[:, None])[clear] + 1e-3 * normal
    assert not any(inside(p[None], bodies, b)[0] for p, b in zip(before, body[clear], strict=True))


def test_every_shape_stands_on_the_ground_within_its_circle():
    for name, (planes, height) in SHAPES.items():
        used = planes[np.linalg.norm(planes[:, :3], axis=1) > 0]
        np.testing.assert_allclose(np.linalg.norm(used[:, :3], axis=1), 1, atol=1e-6)
        corners = []
        for i in range(len(used)):
            for j in range(i):
                for k in range(j):
                    three = used[[i, j, k]].astype(np.float64)
                    if abs(np.linalg.det(three[:, :3])) > 1e-6:
                        corners.append(np.linalg.solve(three[:, :3], three[:, 3]))
        corners = np.array([c for c in corners if (used[:, :3] @ c <= used[:, 3] + 1e-5).all()])
        np.testing.assert_allclose(np.hypot(*corners.T[:2]).max(), 1, atol=0.02, err_msg=name)
        np.testing.assert_allclose(corners[:, 2].min(), 0, atol=1e-6)
        np.testing.assert_allclose(corners[:, 2].max(), height, atol=1e-5, err_msg=name)


def test_the_object_is_seen_where_its_position_is_projected(scenes):
    bare = Tabletop("cube", 0.07, 0, (0.03, 0.05), True)

    @jax.jit
    def seen(keys):
        def one(key):
            scene = bare.sample(key)
            return (
                tabletop.look(scene, SIZE).surface.reshape(SIZE, SIZE),
                tabletop.project(scene.camera, scene.position, SIZE),
            )

        return jax.vmap(one)(keys)

    surface, place = seen(jax.random.split(jax.random.key(1), 100))
    row, column = np.round(np.asarray(place)).astype(int).T
    assert (row >= 0).all() and (row < SIZE).all() and (column >= 0).all() and (column < SIZE).all()
    assert (np.asarray(surface)[np.arange(100), row, column] == OBJECT).all()
    kinds = np.unique(np.asarray(surface))
    assert kinds.tolist() == [GROUND, tabletop.BOARD, OBJECT] or SKY in kinds
    # The middle of what is seen of it is near that place.
    grid = np.indices((SIZE, SIZE))
    mask = np.asarray(surface) == OBJECT
    middle = (grid * mask[:, None]).sum(axis=(2, 3)) / mask.sum(axis=(1, 2))[:, None]
    assert np.abs(middle - np.asarray(place)).max() < 1.5


def test_rays_go_through_the_pixels_that_points_are_projected_to(scenes):
    camera = jax.tree.map(lambda x: x[0], scenes.camera)
    points = camera.place + 1.7 * tabletop.pixel_rays(camera, 5)
    expected = np.indices((5, 5)).reshape(2, -1).T
    np.testing.assert_allclose(tabletop.project(camera, points, 5), expected, atol=1e-4)


def test_scenes_are_as_described(scenes):
    bodies, camera = jax.tree.map(np.asarray, (scenes.bodies, scenes.camera))
    assert np.abs(scenes.position[:, :2]).max() <= REACH and np.abs(scenes.position).max() > 0.2
    height = 0.07 * SHAPES["cube"][1]
    np.testing.assert_allclose(scenes.position[:, 2], height / 2, rtol=1e-5)
    assert np.abs(bodies.place[:, 1:, :2]).max() < TABLE
    assert bodies.present[:, :2].all()
    numbers = bodies.present[:, 2:].sum(axis=1)
    assert set(numbers) == set(range(5))
    away = np.linalg.norm(bodies.place[:, 1:, None] - bodies.place[:, None, 1:], axis=-1)
    both = bodies.present[:, 1:, None] & bodies.present[:, None, 1:]
    touch = away < bodies.size[:, 1:, None] + bodies.size[:, None, 1:]
    assert not (both & touch & ~np.eye(5, dtype=bool)).any()
    spread = camera.place.max(axis=0) - camera.place.min(axis=0)
    np.testing.assert_allclose(spread, [0.10, 0.05, 0.10], rtol=0.1)
    identity = camera.axes @ camera.axes.transpose(0, 2, 1)
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-5)
    # A shape of the object's is nowhere among the others.
    cube = (bodies.planes[:, 2:] == SHAPES["cube"][0]).all(axis=(2, 3))
    assert not cube.any()


def test_a_camera_that_is_not_random_stays():
    still = Tabletop("cone", 0.07, 0, (0.03, 0.05), False)
    scenes = jax.jit(jax.vmap(still.sample))(jax.random.split(jax.random.key(0), 3))
    for leaf in jax.tree.leaves(scenes.camera):
        np.testing.assert_array_equal(leaf[0], leaf[1])
    middle = jax.tree.map(lambda x: x[0], scenes.camera)
    place = tabletop.project(middle, jnp.zeros(3), 10)
    np.testing.assert_allclose(place, [4.5, 4.5], atol=1e-4)  # it looks at the table's middle
