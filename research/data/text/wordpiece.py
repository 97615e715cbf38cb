"""WordPiece, as BERT's models in lower case use it (Devlin et al. 2018, section 3).

Accents are stripped, letters lowered, Chinese characters and punctuation set apart; each word is
then cut greedily into the longest pieces that the vocabulary has, those that go on with "##" before
them. Characters of the original text that a piece stands for are known all the way.
"""

from __future__ import annotations

import collections
import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from research.core.errors import UserError, first_line
from research.core.reading import expand_user, is_file

PAD, UNKNOWN, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOKENIZER = "tokenizer.json"
MAX_CHARACTERS = 200  # of a word; longer ones are unknown


class Pieces(NamedTuple):
    """A text in pieces.

    Attributes:
      ids: `[N]` int32.
      spans: `[N, 2]`, first character of each piece in the text, and that after its last.
    """

    ids: np.ndarray
    spans: np.ndarray


class WordPiece:
    """A vocabulary of pieces.

    Attributes:
      tokenizer: of the `tokenizers` library.
      size: ids that there are.
      pad, unknown, cls, sep, mask: ids of the special tokens.
      special: `[5]`, all of them.
    """

    def __init__(self, tokenizer: Tokenizer):
        """Raises UserError where one of the special tokens is missing."""
        self.tokenizer = tokenizer
        # "[MASK]" that stands in a text is six characters, and no token.
        tokenizer.encode_special_tokens = True
        tokenizer.no_padding()
        tokenizer.no_truncation()
        vocabulary = tokenizer.get_vocab()
        self.size = max(vocabulary.values(), default=-1) + 1
        missing = [token for token in SPECIAL if token not in vocabulary]
        if missing:
            raise UserError(f"the vocabulary has no token {missing[0]}; add it")
        self.special = np.array([vocabulary[token] for token in SPECIAL])
        self.pad, self.unknown, self.cls, self.sep, self.mask = map(int, self.special)

    @classmethod
    def of(cls, vocabulary: Mapping[str, int]) -> WordPiece:
        """The tokenizer of a vocabulary, piece to id."""
        model = models.WordPiece(
            dict(vocabulary), unk_token=UNKNOWN, max_input_chars_per_word=MAX_CHARACTERS
        )
        return cls(_tokenizer(model))

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> WordPiece:
        """Learns `size` pieces at most; the special tokens are ids 0 to 4.

        Raises:
          UserError: the characters alone are more.
        """
        splitter = _tokenizer(models.WordPiece(unk_token=UNKNOWN))
        words: collections.Counter[str] = collections.Counter()
        for text in texts:
            normal = splitter.normalizer.normalize_str(text)
            words.update(word for word, _ in splitter.pre_tokenizer.pre_tokenize_str(normal))
        pieces = learn_pieces(words, size - len(SPECIAL))
        return cls.of({piece: i for i, piece in enumerate((*SPECIAL, *pieces))})

    @classmethod
    def load(cls, path: str) -> WordPiece:
        """Reads a released `vocab.txt`, one piece a line, or a `tokenizer.json`.

        Raises:
          UserError: no such file, or it is no vocabulary.
        """
        file = expand_user(path, "data.vocabulary")
        if not is_file(file):
            raise UserError(
                f'no vocabulary {path}; data.vocabulary is "" (learned from the text), or the path '
                "of a vocab.txt or tokenizer.json"
            )
        try:
            if file.suffix == ".txt":
                pieces = file.read_text(encoding="utf-8").splitlines()
                return cls.of({piece: i for i, piece in enumerate(pieces)})
            return cls(Tokenizer.from_file(str(file)))
        except UserError:
            raise
        except Exception as error:  # what the library raises is of no other type
            raise UserError(f"{path} is no vocabulary: {first_line(error)}") from error

    def encode(self, text: str) -> np.ndarray:
        """Ids `[N]` of a text, without special tokens."""
        return self.pieces(text).ids

    def pieces(self, text: str) -> Pieces:
        """A text in pieces, and where they stand in it."""
        found = self.tokenizer.encode(text, add_special_tokens=False)
        spans = np.array(found.offsets, np.int64).reshape(-1, 2)
        return Pieces(np.array(found.ids, np.int32), spans)

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of many texts, on all cores."""
        found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, np.int32) for one in found]

    def piece(self, index: int) -> str:
        """The piece of an id, such as "##ing"; "" where there is none."""
        return self.tokenizer.id_to_token(index) or ""

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids, pieces joined to words; special tokens stand as they are written."""
        return self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps of it."""
        return {TOKENIZER: self.tokenizer.to_str().encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> WordPiece:
        """The vocabulary as a run has kept it."""
        return cls(Tokenizer.from_str(files[TOKENIZER].decode()))


def _tokenizer(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return tokenizer


def learn_pieces(words: Mapping[str, int], size: int) -> list[str]:
    """Pieces of a vocabulary: the characters, then what stands together most often, joined.

    The trainer of `tokenizers` does the same, but breaks ties as its hash tables have them, so that
    no two of its vocabularies of one text are the same. Here the first pair by alphabet is joined.

    Args:
      words: with their counts.
      size: pieces at most.

    Raises:
      UserError: the characters alone are more.
    """
    cut = [[word[0], *(f"##{c}" for c in word[1:])] for word in words]
    counts = list(words.values())
    pieces = dict.fromkeys(sorted({piece for word in cut for piece in word}))
    if len(pieces) > size:
        raise UserError(
            f"{len(pieces) + len(SPECIAL)} characters and special tokens; the vocabulary has room "
            f"for {size + len(SPECIAL)}"
        )
    frequency: collections.Counter[tuple[str, str]] = collections.Counter()
    places: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
    for index, word in enumerate(cut):
        for pair in itertools.pairwise(word):
            frequency[pair] += counts[index]
            places[pair].add(index)
    heap = [(-count, pair) for pair, count in frequency.items()]
    heapq.heapify(heap)
    while heap and len(pieces) < size:
        negative, pair = heapq.heappop(heap)
        if -negative != frequency[pair]:  # it was counted before another pair was joined
            if frequency[pair]:
                heapq.heappush(heap, (-frequency[pair], pair))
            continue
        joined = pair[0] + pair[1].removeprefix("##")
        pieces[joined] = None
        for index in places.pop(pair):
            before = collections.Counter(itertools.pairwise(cut[index]))
            cut[index] = _join(cut[index], pair, joined)
            after = collections.Counter(itertools.pairwise(cut[index]))
            for changed in before.keys() | after.keys():
                difference = (after[changed] - before[changed]) * counts[index]
                frequency[changed] += difference
                if difference > 0:
                    places[changed].add(index)
                    heapq.heappush(heap, (-frequency[changed], changed))
    return list(pieces)


def _join(word: list[str], pair: tuple[str, str], joined: str) -> list[str]:
    found: list[str] = []
    i = 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            found.append(joined)
            i += 2
        else:
            found.append(word[i])
            i += 1
    return found
