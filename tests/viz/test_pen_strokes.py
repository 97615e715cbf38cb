"""Strokes as SVG and as pixels."""

import xml.etree.ElementTree as ET

import numpy as np

from research.viz import pen_strokes

ROWS = [
    ("a < b", [np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[2.0, 0.0], [2.0, 1.0], [3.0, 1.0]])]),
    ("", [np.array([[5.0, 5.0], [9.0, 7.0]])]),
]


def test_svg_has_every_stroke_with_y_downwards():
    root = ET.fromstring(pen_strokes.svg(ROWS))
    lines = [e.attrib["points"] for e in root if e.tag.endswith("polyline")]
    assert [len(line.split()) for line in lines] == [2, 3, 2]
    (x0, y0), (x1, y1) = ([float(v) for v in p.split(",")] for p in lines[0].split())
    assert x1 > x0 and y1 < y0
    assert [e.text for e in root if e.tag.endswith("text")] == ["a < b"]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for line in lines:
        for point in line.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width and 0 <= y <= height


def test_pixels_show_ink_where_the_pen_was():
    image = pen_strokes.picture([("", [np.array([[0.0, 0.0], [10.0, 1.0], [10.0, 0.0]])])])
    assert image.dtype == np.uint8 and image.ndim == 3
    dark = np.argwhere(image.sum(-1) < 400)
    assert len(dark) > 50 and np.ptp(dark[:, 1]) > 100
    assert pen_strokes.picture([("nothing", [])]).min() < 255  # the label
