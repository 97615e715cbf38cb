"""What attacks come to: errors, confidence on mistakes, how linear a network is along them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def errors(
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]], labels: np.ndarray
) -> dict[str, float]:
    """Errors in percent, and the mean confidence on mistakes in percent, as the paper reports them.

    Args:
      predictions: attack -> predicted class `[N]` and its probability `[N]`.
      labels: `[N]`, the true classes.

    Returns:
      "attack/error"; "attack/confidence" where there are mistakes.
    """
    numbers = {}
    for attack, (predicted, confidence) in predictions.items():
        wrong = np.asarray(predicted) != labels
        numbers[f"{attack}/error"] = 100.0 * float(wrong.mean())
        if wrong.any():
            numbers[f"{attack}/confidence"] = 100.0 * float(np.asarray(confidence)[wrong].mean())
    return numbers


def agreement(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> float:
    """Of the rows that two classifiers both get wrong, the percentage given one class by both.

    Section 8: the classes of an example that is wrong for both networks mostly agree. NaN where no
    row is wrong for both.

    Args:
      first, second: predicted classes `[N]`.
      labels: the true ones, `[N]`.
    """
    both = (first != labels) & (second != labels)
    return 100.0 * float((first == second)[both].mean()) if both.any() else float("nan")


def linearity(epsilons: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """How well straight lines describe logits along one direction.

    A logit is taken less the mean of all, which no softmax sees. Lines are fitted to the two sides
    of 0 apart, through what both have there (section 6, figure 4: «piecewise linear»).

    Args:
      epsilons: `[E]`, below, at and above 0.
      logits: `[E, N, K]`, of N inputs moved by each of them.

    Returns:
      `[N]`, the share of a row's variation around its logits at 0 that the lines explain: R^2.
    """
    at_zero = int(np.argmin(np.abs(epsilons)))
    centred = logits - logits.mean(-1, keepdims=True)
    change = centred - centred[at_zero]
    unexplained = np.zeros(logits.shape[1])
    for side in (epsilons <= 0, epsilons >= 0):
        e = epsilons[side][:, None, None]
        slope = (e * change[side]).sum(0) / (e**2).sum(0)
        unexplained += ((change[side] - slope * e) ** 2).sum((0, 2))
    total = (change**2).sum((0, 2))
    return 1 - unexplained / np.maximum(total, 1e-30)
