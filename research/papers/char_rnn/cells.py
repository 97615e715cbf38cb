"""Which cell follows a mark of the text, how far gates are open, and errors by distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CLOSED, OPEN = 0.1, 0.9  # a gate beyond these is saturated
DISTANCES = (2, 5, 10, 20, 40, 80, 10_000)  # upper ends, from a closing bracket to its opening one


class Cell(NamedTuple):
    """A cell that follows a mark.

    Attributes:
      layer, unit: which one, from 0.
      correlation: of it and the mark, on text that it was not chosen by.
    """

    layer: int
    unit: int
    correlation: float


def correlations(values: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """Correlation of `values [N, U]` with `mark [N]`: `[U]`; 0 for what never changes."""
    values = values - values.mean(0)
    mark = mark - mark.mean()
    scale = np.sqrt(np.square(values).sum(0) * np.square(mark).sum())
    return np.where(scale > 0, mark @ values / np.maximum(scale, 1e-30), 0.0)


def find_cell(cells: np.ndarray, mark: np.ndarray) -> Cell:
    """The cell that follows a mark most closely, whichever its sign.

    It is chosen on the first half of the streams, and its correlation measured on the other, so
    that the best of many cells is not the luckiest.

    Args:
      cells: `[L, S, N, U]` of S streams.
      mark: `[S, N]`.
    """
    layers, streams, _, units = cells.shape
    half = streams // 2

    def of_part(part: slice) -> np.ndarray:
        flat = mark[part].reshape(-1)
        return np.stack(
            [correlations(layer[part].reshape(-1, units).astype(float), flat) for layer in cells]
        )

    chosen = int(np.argmax(np.abs(of_part(slice(half)))))
    layer, unit = divmod(chosen, units)
    return Cell(layer, unit, float(of_part(slice(half, None))[layer, unit]))


def saturation(gates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares `[L, U]` of the time that gates `[L, S, N, U]` are closed, and that they are open."""
    return (gates < CLOSED).mean((1, 2)), (gates > OPEN).mean((1, 2))


def by_distance(nats: np.ndarray, distances: np.ndarray) -> dict[int, tuple[float, int]]:
    """Mean nats of closing brackets by how far they stand from their opening ones.

    Args:
      nats: `[N]` of every character.
      distances: `[N]`, 0 where there is no closing bracket.

    Returns:
      Upper end of a range of `DISTANCES` -> mean nats in it, and how many brackets those are.
    """
    found, low = {}, 0
    for high in DISTANCES:
        chosen = (distances > low) & (distances <= high)
        if chosen.any():
            found[high] = float(nats[chosen].mean()), int(chosen.sum())
        low = high
    return found


def errors(network: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """What is wrong where, in percent of all characters.

    A character is an error where it was given a probability below one half.

    Args:
      network, counts: `[N]`, nats of the same characters by both models.

    Returns:
      Errors of the network, of the counts, and those of the network that the counts have right.
    """
    wrong, other = (np.exp(-nats) < 0.5 for nats in (network, counts))
    return {
        "errors/network": 100 * float(wrong.mean()),
        "errors/counts": 100 * float(other.mean()),
        "errors/right_by_counts": 100 * float((wrong & ~other).mean()),
    }
