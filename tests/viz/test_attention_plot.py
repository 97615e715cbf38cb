"""An attention plot is a readable PNG that shows its weights."""

import numpy as np
from PIL import Image

from research.viz.attention_maps import plot_attention


def test_picture(tmp_path):
    weights = np.zeros((2, 3, 5, 6))
    plot_attention(tmp_path / "empty.png", weights, list("abcd"), list("vwxyz"))
    weights[..., :4, 0] = 1.0
    plot_attention(tmp_path / "full.png", weights, list("abcd"), list("vwxyz"))
    empty, full = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"), float)
        for name in ("empty", "full")
    )
    assert empty.shape == full.shape and min(empty.shape) > 200
    assert full.mean() < empty.mean() - 1  # weights are drawn dark
