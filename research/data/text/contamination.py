"""Takes out of a training text what a test text says too (Brown et al. 2020, appendix C)."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"\w+")

Span = tuple[int, int]


def _grams(text: str, words: int) -> Iterator[tuple[tuple[str, ...], Span]]:
    """Yields every run of `words` words, lower-cased, without punctuation, and where it stands."""
    found = [(match.group().lower(), match.span()) for match in _WORD.finditer(text)]
    for i in range(len(found) - words + 1):
        run = found[i : i + words]
        yield tuple(word for word, _ in run), (run[0][1][0], run[-1][1][1])


def without_overlap(
    texts: Iterable[str],
    held_out: Iterable[str],
    words: int = 13,
    *,
    window: int = 200,
    min_characters: int = 200,
    max_pieces: int = 10,
    max_documents: int = 10,
) -> list[str]:
    """Cuts out of texts the runs of `words` words that are in the held-out texts too.

    Args:
      texts: training documents.
      held_out: documents that nothing is to be learned from.
      words: length of a run; 0 leaves all as it is.
      window: characters taken out before and after a run with it.
      min_characters: pieces of fewer characters that cutting leaves are dropped.
      max_pieces: documents cut into more pieces are dropped altogether.
      max_documents: runs that more training documents share are common phrases, and stay.
    """
    texts = list(texts)
    if not words:
        return texts
    forbidden = {gram for text in held_out for gram, _ in _grams(text, words)}
    collisions = [
        [(gram, span) for gram, span in _grams(text, words) if gram in forbidden] for text in texts
    ]
    documents = collections.Counter(
        gram for found in collisions for gram in {gram for gram, _ in found}
    )
    kept: list[str] = []
    for text, found in zip(texts, collisions, strict=True):
        spans = [span for gram, span in found if documents[gram] <= max_documents]
        if not spans:
            kept.append(text)
            continue
        pieces, begin = [], 0
        for first, last in spans:
            if first - window > begin:
                pieces.append(text[begin : first - window])
            begin = max(begin, last + window)
        pieces = [piece for piece in (*pieces, text[begin:]) if len(piece) >= min_characters]
        if len(pieces) <= max_pieces:
            kept += pieces
    return kept
