"""Text without labels as documents of sentences, and the vocabulary that is learned from it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from research.core.errors import UserError
from research.data.load import load
from research.data.procedural import portraits
from research.data.text.segment_pairs import Document
from research.data.text.wordpiece import MASK, WordPiece

STORIES = "stories"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_EXAMPLES = "examples.json"


def sentences_of(text: str) -> list[str]:
    """Sentences of a text: what stands between full stops, and never across lines."""
    lines = (line.strip() for line in text.replace("<br />", "\n").splitlines())
    return [part for line in lines for part in _SENTENCE_END.split(line) if part]


class Documents:
    """Documents of a data set. All is read when it is first asked for, so a dry run needs no data.

    Args:
      name: "stories" for `procedural.portraits`, or a name for `data.load`.
      data_dir: for `data.load`.
      splits: what `data.load` calls the text to learn from, to choose by and to be tested with.
      feature: of a record, that is its text.
      lines: 0 where each record is a document; else so many records, one sentence each, are one.
      made: numbers of stories of each split.
      vocabulary: a file, see `WordPiece.load`; "" to learn one from the text.
      vocab_size: pieces at most.
    """

    def __init__(
        self,
        name: str,
        data_dir: str,
        *,
        splits: tuple[str, str, str],
        feature: str,
        lines: int,
        made: tuple[int, int, int],
        vocabulary: str,
        vocab_size: int,
    ):
        self.name, self.data_dir = name, data_dir
        self.splits, self.feature, self.lines, self.made = splits, feature, lines, made
        self.vocabulary_file, self.vocab_size = vocabulary, vocab_size
        self.texts, self.encoded = functools.cache(self._texts), functools.cache(self._encoded)

    @functools.cached_property
    def vocabulary(self) -> WordPiece:
        """The vocabulary.

        Raises:
          UserError: a file has more pieces than the model has room for.
        """
        if not self.vocabulary_file:
            texts, _ = self.texts(0)
            return WordPiece.train((s for text in texts for s in text), self.vocab_size)
        found = WordPiece.load(self.vocabulary_file)
        if found.size > self.vocab_size:
            raise UserError(
                f"the vocabulary has {found.size} pieces, the model room for {self.vocab_size}; "
                f"set --config.model.vocab_size={found.size}"
            )
        return found

    @functools.cached_property
    def examples(self) -> list[str]:
        """A few short texts of the last split, two sentences at most, the longest word hidden."""
        texts, _ = self.texts(2)
        short = sorted((" ".join(text[:2]) for text in texts[:50]), key=len)[:3]
        return [text.replace(max(text.split(), key=len), MASK, 1) for text in short]

    def to_files(self) -> dict[str, bytes]:
        """The vocabulary and a few texts, for `Experiment.assets`."""
        examples = json.dumps(self.examples, ensure_ascii=False, indent=1)
        return {**self.vocabulary.to_files(), _EXAMPLES: examples.encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what a run has kept; no text is then read for it."""
        self.__dict__["vocabulary"] = WordPiece.from_files(files)
        self.__dict__["examples"] = json.loads(files[_EXAMPLES])

    def _texts(self, split: int) -> tuple[list[list[str]], str]:
        """Documents of a split, counted from 0, as sentences; and where they come from.

        Raises:
          UserError: records have no such feature, or there is no text.
        """
        if self.name == STORIES:
            found = portraits.generate(self.made[split], split)
            return [list(story.sentences) for story in found], "procedural stories"
        records = load(self.name, self.splits[split], self.data_dir)
        if len(records) and not isinstance(records[0].get(self.feature), str):
            raise UserError(
                f"{records!r} has no {self.feature!r}, but {', '.join(records[0])}; "
                "choose by data.feature"
            )
        texts = [record[self.feature] for record in records]
        if self.lines:
            lines = [line for text in texts if (line := text.strip())]
            cut = [lines[i : i + self.lines] for i in range(0, len(lines), self.lines)]
        else:
            cut = [sentences for text in texts if (sentences := sentences_of(text))]
        if not cut:
            raise UserError(f"{records!r} has no text")
        return cut, records.origin

    def _encoded(self, split: int) -> tuple[list[Document], str]:
        """Documents as ids; sentences without a piece are left out, and documents without one."""
        texts, origin = self.texts(split)
        flat = self.vocabulary.encode_all([sentence for text in texts for sentence in text])
        ends = np.cumsum([len(text) for text in texts])
        cut: list[Sequence[np.ndarray]] = [
            [ids for ids in flat[end - len(text) : end] if len(ids)]
            for text, end in zip(texts, ends, strict=True)
        ]
        return [document for document in cut if document], origin
