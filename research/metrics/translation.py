"""What translation papers report: cross-entropy of a corpus, BLEU by the length of sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.data.text.pairs import PAD, EncodedPair, map_pairs
from research.losses.token_cross_entropy import smoothed_cross_entropy
from research.metrics.bleu import bleu


def row_nats(logits: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy summed over each target, and its number of tokens: `[B]` each.

    Args:
      logits: `[B, T, V]`.
      target: `[B, T]`, padded.
    """
    mask = target != PAD
    return jnp.sum(smoothed_cross_entropy(logits, target) * mask, axis=1), jnp.sum(mask, axis=1)


def corpus_sums(
    function: Callable[[Any, dict[str, jax.Array]], Any],
    params: Any,
    pairs: Sequence[EncodedPair],
    lengths: Sequence[int],
    tokens_per_batch: int,
) -> np.ndarray:
    """What a function sums over each of all pairs: float64 `[K, N]`.

    Args:
      function: `(params, {"source", "target"}) -> K arrays [B]`, such as `row_nats`'; jitted.
      params: its first argument.
      pairs, lengths, tokens_per_batch: as for `map_pairs`.
    """
    found = map_pairs(function, params, pairs, lengths, tokens_per_batch)
    return np.array(found, np.float64).T


def token_loss(*args: Any) -> float:
    """Cross-entropy per target token, from `row_nats`; arguments as for `corpus_sums`."""
    nats, counts = corpus_sums(*args)
    return nats.sum() / counts.sum()


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    sizes: Sequence[int],
    edges: Sequence[int],
    tokenize: str = "13a",
) -> dict[int, float]:
    """BLEU of the sentences of each range of lengths.

    Args:
      hypotheses, references, tokenize: as for `bleu`.
      sizes: words of each source sentence.
      edges: upper ends of the ranges, ascending; what is longer than the last is in none.

    Returns:
      Upper end -> BLEU, of the ranges that have sentences.
    """
    of = np.searchsorted(edges, sizes)
    found = {}
    for i, edge in enumerate(edges):
        rows = np.flatnonzero(of == i).tolist()
        if rows:
            own = [hypotheses[j] for j in rows], [references[j] for j in rows]
            found[edge] = bleu(*own, tokenize).score
    return found


def write_translations(path: Path, title: str, columns: Mapping[str, Sequence[str]]) -> None:
    """Writes sentences side by side, a line of tab-separated columns for each."""
    lines = map("\t".join, zip(*columns.values(), strict=True))
    path.write_text("\n".join([f"# {title}", "\t".join(columns), *lines]), encoding="utf-8")
