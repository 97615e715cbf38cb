"""BLEU through sacreBLEU, never without its signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sacrebleu.metrics import BLEU


class Bleu(NamedTuple):
    """Corpus BLEU in percent, and the signature without which the number means little."""

    score: float
    signature: str


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    tokenize: str = "13a",
    lowercase: bool = False,
) -> Bleu:
    """Corpus BLEU-4 (Papineni et al. 2002) of detokenised text, one reference each.

    Args:
      hypotheses: one line per sentence.
      references: as many lines.
      tokenize: sacreBLEU's tokenizer; "13a" for raw text, "none" for text that is tokenised
        already. Tokenised and raw BLEU are not comparable.
      lowercase: case-insensitive.

    Raises:
      ValueError: the number of lines differs.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    metric = BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Bleu(score, str(metric.get_signature()))
