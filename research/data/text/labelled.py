"""Texts with labels as tokens of words: what classifiers of text start from."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset, Record
from research.data.labels import with_labels
from research.data.load import load
from research.data.procedural import reviews
from research.data.text.tokenization import UNK, special_tokens_are_text, train_words

SPLITS = ("train", "validation", "test", "unlabelled")
_VOCABULARY, _EXAMPLES = "words.json", "sentences.json"


class Part(NamedTuple):
    """One split of labelled texts.

    Attributes:
      texts: N texts.
      labels: `[N]` int32.
      origin: which data this is.
    """

    texts: Sequence[str]
    labels: np.ndarray
    origin: str


class LabelledTexts:
    """Texts with labels, and the commonest words of those without.

    Everything is read when it is first asked for, so that a dry run needs no data.
    """

    def __init__(self, read: Callable[[str], Part], vocab_size: int):
        """Keeps what reads, for when it is needed.

        Args:
          read: gives a split, one of `SPLITS`.
          vocab_size: words, four special tokens among them; rarer ones are unknown.
        """
        self.part = functools.cache(read)
        self.vocab_size = vocab_size
        self.encoded = functools.cache(self._encoded)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        lines = [text.lower() for text in self.part("unlabelled").texts]
        return train_words(lines, self.vocab_size)

    @functools.cached_property
    def examples(self) -> list[str]:
        """A few short texts of the test split."""
        texts = self.part("test").texts
        return sorted(texts[:50], key=len)[:5]

    def to_files(self) -> dict[str, bytes]:
        """The words and a few texts, for `Experiment.assets`."""
        examples = json.dumps(self.examples, ensure_ascii=False, indent=1)
        return {_VOCABULARY: self.tokenizer.to_str().encode(), _EXAMPLES: examples.encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        """Takes what a run has kept; no text is then read for it."""
        tokenizer = Tokenizer.from_str(files[_VOCABULARY].decode())
        self.__dict__["tokenizer"] = special_tokens_are_text(tokenizer)
        self.__dict__["examples"] = json.loads(files[_EXAMPLES])

    def words(self, text: str) -> list[str]:
        """The words of a text, one for each token, as they stand in it."""
        return [word for word, _ in self.tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    def encode(self, text: str) -> np.ndarray:
        """Token ids of a text, of whatever case; one without a word is one unknown word."""
        return np.array(self.tokenizer.encode(text.lower()).ids or [UNK], np.int32)

    def _encoded(self, split: str) -> list[np.ndarray]:
        """Token ids of a split's texts."""
        lines = [text.lower() for text in self.part(split).texts]
        return [np.array(e.ids or [UNK], np.int32) for e in self.tokenizer.encode_batch(lines)]


@functools.cache
def labelled_texts(
    name: str,
    data_dir: str,
    splits: tuple[str, str, str, str],
    fold: int,
    folds: int,
    procedural_train: int,
    procedural_test: int,
    num_classes: int,
    vocab_size: int,
) -> LabelledTexts:
    """Labelled texts of a data set; the same object for the same arguments.

    Args:
      name: "procedural" for `procedural.reviews`, or a name for `data.load`.
      data_dir: for `data.load`.
      splits: what `data.load` calls the training, validation and test texts, and those that are
        "unlabelled" beside the training texts, whose labels are not looked at; "" for no more.
      fold, folds: where there are folds, the first of `splits` is shuffled by seed 0 and cut into
        so many; fold number `fold` is tested on, the next one is for validation, the others for
        training. 0 folds: the splits are as they are.
      procedural_train: reviews to learn from.
      procedural_test: as many to test on, and again for validation.
      num_classes: labels are 0 to one less.
      vocab_size: see `LabelledTexts`.

    Raises:
      UserError: there is no such fold; what is read has no text or other labels.
    """
    if folds and not (0 <= fold < folds and folds >= 3):
        raise UserError(f"data.fold={fold} is none of {folds} folds, of which there are 3 or more")

    def read(split: str) -> Part:
        if split == "unlabelled":
            part = texts.part("train")
            if not splits[3]:
                return part
            found = load(name, splits[3], data_dir)
            more = _part([{**r, "label": 0} for r in found], found.origin, num_classes)
            return Part(
                [*part.texts, *more.texts],
                np.concatenate([part.labels, more.labels]),
                f"{part.origin}; {more.origin}",
            )
        if name == "procedural":
            # One stream of different reviews: none of the test is ever trained on.
            total = 2 * procedural_test + procedural_train
            made = reviews.generate(total)
            start = ("test", "validation", "train").index(split) * procedural_test
            count = procedural_train if split == "train" else procedural_test
            records: Sequence[Record] = [
                {"text": r.text, "label": r.label} for r in made[start : start + count]
            ]
            return _part(records, "procedural reviews", num_classes)
        source = splits[0] if folds else splits[SPLITS.index(split)]
        found = load(name, source, data_dir)
        if not folds:
            return _part(found, found.origin, num_classes)
        order = np.random.default_rng(0).permutation(len(found))
        records = [found[int(i)] for i in order[in_fold(len(found), split, fold, folds)]]
        return _part(records, f"{found.origin}, fold {fold} of {folds}", num_classes)

    texts = LabelledTexts(read, vocab_size)
    return texts


def in_fold(count: int, split: str, fold: int, folds: int) -> np.ndarray:
    """Places of the rows of a split, of `count` rows that were shuffled before."""
    parts = np.array_split(np.arange(count), folds)
    roles = {"test": fold, "validation": (fold + 1) % folds}
    if split in roles:
        return parts[roles[split]]
    return np.concatenate([part for i, part in enumerate(parts) if i not in roles.values()])


def _part(records: Sequence[Record], origin: str, num_classes: int) -> Part:
    if len(records) and not isinstance(records[0].get("text"), str):
        raise UserError(f"{quoted(origin)} has no text, but {', '.join(records[0])}")
    rows = list(with_labels(Dataset(records, origin), num_classes))
    # IMDB's reviews have marks of HTML between their lines.
    lines = [row["text"].replace("<br />", " ") for row in rows]
    return Part(lines, np.array([row["label"] for row in rows], np.int32), origin)
