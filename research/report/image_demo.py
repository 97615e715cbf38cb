"""The demo of every model that draws images from latents: samples, and walks between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from research.metrics import latents
from research.report.demo import Demo, Film, Image, Number
from research.viz.image_grids import as_rgb, grid

_WALKS, _FRAMES = 4, 24


def image_demo(
    draw: Callable[[jax.Array], np.ndarray],
    sample_latents: Callable[[jax.Array, int], jax.Array],
    data: str,
) -> Demo:
    """Draws a grid of samples and a film of walks.

    Args:
      draw: latents `[N, Z]` to images `[N, H, W, C]` in [-1, 1].
      sample_latents: `(key, num)` to latents `[num, Z]`.
      data: name of what the model has learned from.
    """

    def picture(images: np.ndarray, rows: int) -> np.ndarray:
        magnify = max(1, 128 // images.shape[1])
        return as_rgb(grid(images, rows).repeat(magnify, 0).repeat(magnify, 1))

    def run(seed: int) -> dict[str, Any]:
        z = sample_latents(jax.random.key(seed), 16)
        walks = latents.walk(z[:_WALKS], z[_WALKS : 2 * _WALKS], _FRAMES)
        frames = draw(walks.swapaxes(0, 1).reshape(-1, z.shape[1]))
        frames = frames.reshape(_FRAMES, _WALKS, *frames.shape[1:])
        film = np.stack([picture(frame, rows=1) for frame in frames])
        return {"samples": picture(draw(z), rows=4), "walk": film}

    return Demo(
        title="Draw images",
        says=f"A generator has learned to draw images like those of {data}. Every seed gives "
        "others; the film walks from one latent to another.",
        inputs={"seed": Number("seed", 0, 0, 9999)},
        outputs={"samples": Image("sixteen samples"), "walk": Film("four walks", fps=12)},
        run=run,
    )
