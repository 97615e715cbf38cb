"""Looks: textures of a limited number, light by hand, and the one that nobody is trained on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.domain_randomization import random_look as looks
from research.papers.domain_randomization import unseen_look
from research.papers.domain_randomization.random_look import Lights, RandomLook, Texture
from research.papers.domain_randomization.tabletop import BOARD, SKY, Tabletop, View, look

SIZE = 16
TABLETOP = Tabletop("cube", 0.09, 1, (0.04, 0.06), True)


@pytest.mark.parametrize("count", [1, 3])
def test_a_surface_has_so_many_textures(count):
    one = RandomLook(count, 0.0)
    drawn = jax.random.uniform(jax.random.key(1), (40, 4))
    textures = jax.jit(jax.vmap(lambda x: one.textures_of(jax.random.key(0), x)))(drawn)
    colours = np.asarray(textures.colours).reshape(40, 4, -1)
    for surface in range(4):
        assert len(np.unique(colours[:, surface], axis=0)) == count
    assert len(np.unique(colours.reshape(-1, 6), axis=0)) == 4 * count  # no surface has another's


def test_one_colour_gradient_and_checkers():
    points = jnp.array([[0.0, 0, 0], [1.0, 0, 0], [1.0, 1.0, 0], [2.0, 0, 0.0]])
    colours = jnp.tile(jnp.array([[[0.0] * 3, [1.0] * 3]]), (4, 1, 1))
    axis, scale = jnp.tile(jnp.array([[1.0, 0, 0]]), (4, 1)), jnp.ones(4)
    expected = {0: [0, 0, 0, 0], 1: [0.25, 0.5, 0.5, 0.75], 2: [0, 1, 0, 0]}
    for kind, values in expected.items():
        texture = Texture(jnp.full(4, kind), colours, axis, scale, jnp.full((4, 3), 0.25))
        np.testing.assert_allclose(looks.paint(texture, points)[:, 0], values, atol=1e-6)


def test_light_by_hand():
    """Phong's model at one point under one light, and nothing from one that is away."""
    eye = np.array([0.0, -1.0, 1.0])
    place = np.array([0.5, 0.0, 1.0])
    lights = Lights(
        jnp.array([place, -place]),
        jnp.array([-place / np.linalg.norm(place), place]),
        jnp.array([0.8, 0.0]),
        jnp.array([0.4, 0.4]),
        jnp.array([8.0, 8.0]),
        jnp.float32(0.1),
    )
    view = View(
        jnp.array([BOARD, SKY]),
        jnp.array([[0.0, 0, 1], [0, 0, 1]]),
        jnp.zeros((2, 3)),
        jnp.zeros((2, 3)),
        jnp.zeros((2, 3)),
    )
    colour = np.array([0.2, 0.4, 0.6])
    got = looks.shade(jnp.tile(colour, (2, 1)), view, lights, jnp.array(eye))
    way = place / np.linalg.norm(place)
    mirrored = np.array([-way[0], -way[1], way[2]])
    glance = (mirrored @ eye / np.linalg.norm(eye)) ** 8
    np.testing.assert_allclose(
        got[0], colour * (0.1 + 0.8 * way[2]) + 0.8 * 0.4 * glance, rtol=1e-5
    )
    np.testing.assert_allclose(got[1], colour, rtol=1e-6)


def test_noise_has_three_kinds_and_at_most_its_amount():
    image, key = jnp.full((64, 64, 3), 0.5), jax.random.key(0)
    assert RandomLook(1, 0.0).noisy(key, jnp.ones(2), image) is image
    noise = RandomLook(1, 0.1)
    each, grey, lost = (
        np.asarray(noise.noisy(key, jnp.array([kind / 3 + 0.1, 0.5]), image)) - 0.5
        for kind in range(3)
    )
    np.testing.assert_allclose([each.std(), grey.std()], 0.05, rtol=0.05)
    assert np.ptp(grey, axis=-1).max() < 1e-6 < np.ptp(each, axis=-1).min()
    np.testing.assert_allclose((np.abs(lost) > 0).any(axis=-1).mean(), 0.05, atol=0.015)


@pytest.fixture(scope="module")
def drawn():
    """Views and images, both looks, of the same scenes."""
    randomized = RandomLook(2**23, 0.1)

    @jax.jit
    def draw(keys):
        def one(key):
            scene = TABLETOP.sample(key)
            return (
                look(scene, SIZE).surface,
                unseen_look.render(key, scene, SIZE),
                randomized.render(jax.random.key(9), key, scene, SIZE),
            )

        return jax.vmap(one)(keys)

    return jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(3), 24)))


def test_images_are_in_range_and_no_two_alike(drawn):
    for images in drawn[1:]:
        assert images.shape == (24, SIZE, SIZE, 3)
        assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.1
        away = np.abs(images[:, None] - images).mean(axis=(2, 3, 4))
        assert (away + np.eye(24)).min() > 0.02


def test_the_sun_throws_shadows():
    """Where a body stands between a place and the sun it is darker; the wall behind stays."""
    scene = TABLETOP.sample(jax.random.key(0))
    nothing = scene.bodies._replace(present=scene.bodies.present.at[1:].set(False))
    bare = scene._replace(bodies=nothing)

    @jax.jit
    def lit(scene):
        view = look(bare, SIZE)  # the same places, in the light of either scene
        return view.surface, unseen_look._daylight(
            jax.random.key(1), jnp.full((SIZE * SIZE, 3), 0.5), view, scene
        )

    (surface, shaded), (_, free) = lit(scene), lit(bare)
    darker = np.asarray(shaded < free - 1e-3).all(axis=-1)
    assert 0 < darker.sum() < 0.3 * len(darker)
    assert not darker[np.asarray(surface) == SKY].any()
    assert np.asarray(shaded <= free + 1e-6).all()


def test_value_noise_is_smooth_and_has_no_bias():
    line = jnp.stack([jnp.linspace(-40, 40, 4001), jnp.full(4001, 0.3), jnp.full(4001, -0.7)], 1)
    values = np.asarray(unseen_look._smooth(line))
    assert np.abs(values).max() <= 1 and np.abs(values.mean()) < 0.1 and values.std() > 0.1
    assert np.abs(np.diff(values)).max() < 0.08
