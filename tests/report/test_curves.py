import numpy as np
from PIL import Image

from research.report.curves import band, draw_curves


def test_band_is_median_and_range_at_shared_points():
    curves = [([1, 2, 3], [0, 10, 1]), ([1, 3, 5], [4, 3, 9]), ([3, 1], [8, 2])]
    x, low, middle, high = band(curves)
    np.testing.assert_array_equal(x, [1, 3])
    np.testing.assert_array_equal(middle, [2, 3])
    np.testing.assert_array_equal(low, [0, 1])
    np.testing.assert_array_equal(high, [4, 8])


def test_band_is_interquartile_from_four_seeds_on():
    _, low, middle, high = band([([0], [v]) for v in (0, 1, 2, 3, 100)])
    assert (low[0], middle[0], high[0]) == (1, 2, 3)


def test_picture(tmp_path):
    path = tmp_path / "a.png"
    draw_curves(path, {"a": [([0, 1], [0, 1])], "b": [([0], [2])]}, title="t", x="frames", y="r")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert pixels.shape[0] > 300 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
