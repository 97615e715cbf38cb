"""What a critic has learned: its values over the plane, its gradients by layer, its weights.

Source: Gulrajani et al. 2017, arXiv:1704.00028, section 3 and figure 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from research.core import Learner, LearnerState
from research.losses import gan

EXTENT = 2.0  # the plane is shown from -EXTENT to EXTENT
_TINY = float(np.finfo(np.float32).tiny)


def layer_slopes(
    critic: Learner, state: LearnerState, real: jax.Array, fake: jax.Array
) -> list[float]:
    """Norms of the gradient of the critic's objective at its hidden layers, the first one first.

    Args:
      critic: a `dense_gan.Critic`.
      state: its state.
      real, fake: points `[B, 2]`.
    """

    @jax.jit
    def norms(state: LearnerState) -> list[jax.Array]:
        _, maps = critic.apply(state, real, train=True)
        zeros = {name: jnp.zeros_like(x) for name, x in maps.items()}

        def loss(on_real: Any, on_fake: Any) -> jax.Array:
            return gan.wasserstein_critic_loss(
                critic.apply(state, real, train=True, nudges=on_real)[0],
                critic.apply(state, fake, train=True, nudges=on_fake)[0],
            )

        by_real, by_fake = jax.grad(loss, (0, 1))(zeros, zeros)
        # Squares of the smallest would vanish in float32: scaled by the largest of them first.
        return [_norm(jnp.stack([by_real[name], by_fake[name]])) for name in maps]

    return [float(norm) for norm in norms(state)]


def _norm(x: jax.Array) -> jax.Array:
    largest = jnp.abs(x).max()
    return largest * jnp.linalg.norm(x / jnp.maximum(largest, _TINY))


def first_to_last(slopes: list[float]) -> float:
    """log10 of the first layer's slope over the last one's; of none, the least that float32 has.

    A critic that is dead has no slope at the first layer, whatever the last one has.
    """
    first, last = slopes[0], slopes[-1]
    if first < _TINY:
        return float(np.log10(_TINY))
    return float(np.log10(first) - np.log10(last))


def weights(params: Any) -> np.ndarray:
    """All kernels of a critic, in a row (float32): figure 1b's histogram is of them."""
    kernels = [x for x in jax.tree.leaves(jax.device_get(params)) if x.ndim > 1]
    return np.concatenate([kernel.ravel() for kernel in kernels])


def share_at_bound(weights: np.ndarray, bound: float) -> float:
    """Share of weights whose size is at least 95 % of the bound."""
    return float((np.abs(weights) >= 0.95 * bound).mean())


def share_above(on_real: jax.Array, on_fake: jax.Array) -> float:
    """Share of all pairs of data and samples `[N]`, `[M]` of which the critic values data more.

    Equal values count a half: a critic that says the same of everything has 0.5.
    """
    above, equal = on_real[:, None] > on_fake[None], on_real[:, None] == on_fake[None]
    return float(above.mean() + equal.mean() / 2)


def value_surface(critic: Learner, state: LearnerState, points: int = 128) -> np.ndarray:
    """The critic's values on a grid over the plane: `[points, points]`, rows of equal y."""
    axis = np.linspace(-EXTENT, EXTENT, points, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    scores, _ = jax.jit(lambda s: critic.apply(s, grid, train=False))(state)
    return np.asarray(scores).reshape(points, points)


def surface_picture(surface: np.ndarray, real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Level sets of the critic, with data in orange and samples in green: uint8 `[H, W, 3]`.

    Args:
      surface: from `value_surface`.
      real, fake: points `[N, 2]`; either may be empty.
    """
    figure = Figure(figsize=(3.6, 3.6), layout="constrained", dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axis = np.linspace(-EXTENT, EXTENT, len(surface))
    if np.ptp(surface) > 0:
        axes.contour(axis, axis, surface, levels=20, cmap="viridis", linewidths=0.8)
    for points, color in ((real, "tab:orange"), (fake, "tab:green")):
        axes.scatter(points[:1000, 0], points[:1000, 1], s=2, color=color, zorder=2)
    axes.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), xticks=[], yticks=[], aspect="equal")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_layers(
    path: Path | str, slopes: dict[str, list[float]], kernels: dict[str, np.ndarray]
) -> None:
    """Draws figure 1b: gradient norms by layer, and a histogram of weights, a line for each critic.

    Args:
      path: PNG to write.
      slopes: of `layer_slopes`, by the critic's name.
      kernels: of `weights`, by the critic's name.
    """
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name, found in slopes.items():
        shown = np.maximum(found, _TINY)
        left.semilogy(range(1, len(found) + 1), shown, marker="o", label=name)
    left.set(xlabel="hidden layer", ylabel="gradient norm", title="gradients by layer")
    left.legend(frameon=False, fontsize=8)
    for name, values in kernels.items():
        # In units of the largest: bounds and their crowding look the same at every size.
        scaled = values / np.abs(values).max()
        right.hist(scaled, bins=61, range=(-1, 1), histtype="step", density=True, label=name)
    right.set(xlabel="weight / the largest", ylabel="density", yscale="log", title="weights")
    figure.savefig(path, dpi=110)
