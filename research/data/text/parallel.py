"""Sentence pairs by name, with their tokenizers: what translation scripts start from."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from research.core.errors import UserError, quoted
from research.data.dataset import Record
from research.data.load import load
from research.data.procedural import copying, translation
from research.data.sources import own
from research.data.text.pairs import ParallelText
from research.data.text.tokenization import Learn, Pair


@functools.cache
def parallel_text(
    name: str,
    data_dir: str,
    source: str,
    target: str,
    learn: Learn,
    procedural_train: int,
    procedural_test: int,
) -> ParallelText:
    """Pairs of a data set; the same object for the same arguments, so that arms read it once.

    Args:
      name: "procedural" for `procedural.translation`, "copy:16-24" for `procedural.copying` with
        strings of 16 to 24 symbols, or a name for `data.load`.
      data_dir: for `data.load`.
      source: name of the source side in the set's records.
      target: name of its target side.
      learn: makes the tokenizers; hashable, as `JointBPE` and `Words` are.
      procedural_train: training pairs of a procedural task.
      procedural_test: its test pairs, and as many for validation.
    """

    def read(split: str) -> tuple[Sequence[Pair], str]:
        if name != "procedural" and not name.startswith("copy:"):
            records = load(name, split, data_dir)
            if own.is_own(name):  # the first of a pair is the source, whatever its language
                return [_own_pair(record, name) for record in records], records.origin
            for key, side in (("data.source", source), ("data.target", target)):
                if len(records) and not isinstance(records[0].get(side), str):
                    has = ", ".join(records[0])
                    raise UserError(f"{key}={quoted(side)}: records of {records!r} have {has}")
            return [(record[source], record[target]) for record in records], records.origin
        # One stream of different sentences: none of the test is ever trained on.
        total = 2 * procedural_test + procedural_train
        if name == "procedural":
            pairs, task = [(s.source, s.target) for s in translation.generate(total)], "translation"
        else:
            pairs, task = copying.generate(total, *copying.parse(name)), name
        start = ("test", "validation", "train").index(split) * procedural_test
        count = procedural_train if split == "train" else procedural_test
        return pairs[start : start + count], f"procedural {task}"

    return ParallelText(read, learn)


def _own_pair(record: Record, name: str) -> Pair:
    if "source" not in record:
        raise UserError(f"{quoted(name)} holds no pairs of sentences; name them pairs:PATH")
    return record["source"], record["target"]
