"""A board as a picture, with what a search thinks of the moves."""

from __future__ import annotations

import io

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import Circle  # noqa: E402
from PIL import Image  # noqa: E402

_COLUMNS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"


def draw_board(
    board: np.ndarray,
    share: np.ndarray | None = None,
    last: int | None = None,
    title: str = "",
) -> np.ndarray:
    """Draws stones, the newest one marked, and on empty points the share of a search's visits.

    Args:
      board: `[H, W]`, 1 for black, -1 for white, 0 for an empty point.
      share: `[H, W]` in 0 to 1; shown from one hundredth on.
      last: number of the point played last, None for none.
      title: above the board.

    Returns:
      uint8 `[h, w, 3]`.
    """
    rows, columns = board.shape
    figure, axes = plt.subplots(figsize=(0.6 * columns + 1, 0.6 * rows + 1.3), dpi=80)
    axes.set_facecolor("#e3c078")
    axes.hlines(range(rows), 0, columns - 1, color="#5b4520", linewidth=0.8)
    axes.vlines(range(columns), 0, rows - 1, color="#5b4520", linewidth=0.8)
    for row in range(rows):
        for column in range(columns):
            stone = board[row, column]
            if stone:
                colour = "black" if stone == 1 else "white"
                axes.add_patch(Circle((column, row), 0.45, fc=colour, ec="black", zorder=3))
                if last == row * columns + column:
                    axes.add_patch(Circle((column, row), 0.15, fc="#d03030", zorder=4))
            elif share is not None and share[row, column] >= 0.01:
                part = float(share[row, column])
                axes.add_patch(
                    Circle((column, row), 0.12 + 0.33 * part, fc="#2f6db5", alpha=0.75, zorder=2)
                )
                axes.text(
                    column,
                    row,
                    f"{100 * part:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white",
                    zorder=5,
                )
    axes.set_xticks(range(columns), _COLUMNS[:columns])
    axes.set_yticks(range(rows), [str(rows - row) for row in range(rows)])
    axes.set(xlim=(-0.7, columns - 0.3), ylim=(rows - 0.3, -0.7), aspect="equal")
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return np.asarray(Image.open(buffer).convert("RGB"))
