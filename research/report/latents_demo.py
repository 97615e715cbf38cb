"""Demos of generators: samples, walks between latents, and sums of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.metrics import latents
from research.report.demo import Choice, Demo, Image, Number, Text
from research.viz.image_grids import grid

BATCH = 50  # latents drawn at once, so that one program serves all of it
_SAMPLES = 50
_WHAT = ("samples", "walk", "arithmetic")
_MIN_HEIGHT = 64  # pixels of an image


def latents_demo(
    draw: Callable[[jax.Array], np.ndarray], sample_latents: Callable[[jax.Array, int], jax.Array]
) -> Demo:
    """A demo of what a generator draws.

    Args:
      draw: latents `[N, Z]` to images `[N, H, W, C]` in [-1, 1].
      sample_latents: `(key, N)` to latents `[N, Z]`.
    """

    def run(what: str, samples: int, walk: str, plus: str, minus: str, also: str) -> dict[str, Any]:
        z = sample_latents(jax.random.key(samples), _SAMPLES)
        if what == "walk":
            stops = z[jnp.array(_numbers("walk", walk, least=2))]
            images, rows = draw(_flat(latents.walk(stops[:-1], stops[1:]))), len(stops) - 1
        elif what == "arithmetic":
            terms = {"plus": plus, "minus": minus, "also": also}
            chosen = {name: _numbers(name, text, least=1) for name, text in terms.items()}
            images, rows = _sum_of(draw, z, chosen), 4
        else:
            images, rows = draw(z), 5
        magnify = max(1, _MIN_HEIGHT // images.shape[1])
        picture = grid(images.repeat(magnify, 1).repeat(magnify, 2), rows)
        return {"picture": picture[..., 0] if picture.shape[-1] == 1 else picture}

    return Demo(
        title="Draw from the generator",
        says="Fifty samples, numbered row by row from 0; a walk through the latent space from one "
        "sample to the next, where nothing should jump; or arithmetic: the mean of some samples, "
        "less that of others, plus that of a third kind, as man with glasses - man + woman.",
        inputs={
            "what": Choice("what is drawn", _WHAT, "samples"),
            "samples": Number("which samples: another number, other samples", 0, 0, 9999),
            "walk": Text("the walk goes by the samples", "0 1 2 3"),
            "plus": Text("arithmetic: samples that are added", "0 1 2"),
            "minus": Text("samples that are taken away", "3 4 5"),
            "also": Text("samples that are added too", "6 7 8"),
        },
        outputs={"picture": Image("what the generator draws")},
        run=run,
        examples=[{"what": what} for what in _WHAT],
    )


def _sum_of(
    draw: Callable[[jax.Array], np.ndarray], z: jax.Array, chosen: dict[str, list[int]]
) -> np.ndarray:
    """Three rows of up to nine samples of each kind; one of the answer with eight neighbours."""
    parts = {name: z[jnp.array(numbers)] for name, numbers in chosen.items()}
    answer = latents.arithmetic([(1, parts["plus"]), (-1, parts["minus"]), (1, parts["also"])])
    answers = jnp.concatenate([answer[None], latents.around(jax.random.key(0), answer, 8)])
    rows = [draw(part[:9]) for part in parts.values()] + [draw(answers)]
    width = max(map(len, rows))
    return np.concatenate(
        [np.pad(row, ((0, width - len(row)), *[(0, 0)] * 3), constant_values=1.0) for row in rows]
    )


def _flat(z: jax.Array) -> jax.Array:
    return z.reshape(-1, z.shape[-1])


def _numbers(name: str, text: str, least: int) -> list[int]:
    """Numbers of samples in a text such as "0 1 2"."""
    words = text.replace(",", " ").split()
    if len(words) < least or not all(w.isdigit() and int(w) < _SAMPLES for w in words):
        raise UserError(
            f"{name} takes {least} or more numbers from 0 to {_SAMPLES - 1}, such as 0 1 2, not "
            f"{text!r}"
        )
    return [int(word) for word in words]
