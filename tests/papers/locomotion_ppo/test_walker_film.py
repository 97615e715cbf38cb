"""Bodies from the side: near limbs over far ones, at their thickness, on the ground."""

import numpy as np
from PIL import Image

from research.papers.locomotion_ppo.walker_film import save_film

BLUE, GREY, ORANGE, GROUND = (86, 140, 200), (70, 76, 88), (213, 94, 0), (190, 194, 200)


def close(pixel, colour):
    return np.abs(np.array(pixel) - colour).max() < 40


def test_limbs_are_where_they_are(tmp_path):
    """480 pixels are six metres; the trunk is at 35 % of them, and z = 0 at 0.7 m from below."""
    trunk = [[0.0, 1.5], [0.0, 1.0]]
    far, near = [[0.0, 1.0], [1.0, 1.0]], [[0.5, 1.5], [0.5, 0.0]]
    places = np.array([[trunk, near, far]]) + [3.0, 0.0]
    body = places, np.array([0.1, 0.05, 0.05]), np.array([0, 1, -1])
    save_film(tmp_path / "a.gif", [body] * 2, [np.zeros(100)] * 2, 0.1, ["one", "two"])
    with Image.open(tmp_path / "a.gif") as film:
        assert film.size == (480, 404)
        image = film.convert("RGB")

    def pixel(x, z):
        return image.getpixel((int((x + 0.35 * 6) * 80), int(202 - (z + 0.7) * 80)))

    assert close(pixel(0, 1.3), GREY) and close(pixel(0.08, 1.3), GREY)
    assert not close(pixel(0.13, 1.3), GREY)
    assert close(pixel(0.8, 1), BLUE)
    assert close(pixel(0.5, 1), ORANGE)  # over the far one
    assert close(pixel(2, -0.2), GROUND)
