"""Text to token ids and back, for language models: bytes, characters, or byte-level BPE."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from research.core.errors import UserError, first_line
from research.core.reading import expand_user, is_file

END_OF_TEXT = "<|endoftext|>"
TOKENIZER = "tokenizer.json"
CHARACTERS = "characters.json"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # in place of characters that are too rare for a token


class Bytes:
    """The 256 bytes of UTF-8, and the end of a text."""

    size = 257
    end_of_text = 256

    def encode(self, text: str) -> np.ndarray:
        """Token ids of a text."""
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; the end of a text gives nothing, broken UTF-8 a replacement mark."""
        return bytes(int(i) for i in ids if i < 256).decode(errors="replace")

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps of it: nothing, for there is nothing to learn."""
        return {}


class Subwords:
    """Byte-level BPE that merges only within words, numbers or punctuation (GPT-2, section 2.2)."""

    def __init__(self, tokenizer: Tokenizer):
        """Raises UserError where the tokenizer has no token for the end of a text.

        That is `END_OF_TEXT`, or "<unk>": GPT-1's has no other that stands for no text.
        """
        self.tokenizer = tokenizer
        # "<|endoftext|>" that stands in a text is these characters, and does not end it.
        tokenizer.encode_special_tokens = True
        self.size = max(tokenizer.get_vocab().values(), default=-1) + 1
        ends = [tokenizer.token_to_id(name) for name in (END_OF_TEXT, "<unk>")]
        end_of_text = next((end for end in ends if end is not None), None)
        if end_of_text is None:
            raise UserError(f"the tokenizer has no token {END_OF_TEXT}; add it")
        self.end_of_text = end_of_text

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> Subwords:
        """Learns at most `size` tokens from `texts`."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[END_OF_TEXT],
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: str) -> Subwords:
        """Reads a `tokenizer.json`, such as the published one of GPT-2.

        Raises:
          UserError: no such file, or it is no tokenizer.
        """
        file = expand_user(path, "data.vocabulary")
        if not is_file(file):
            raise UserError(
                f'no tokenizer {path}; data.vocabulary is "bytes", "characters", "bpe" or a '
                "tokenizer.json"
            )
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # what the library raises is of no other type
            raise UserError(f"{path} is no tokenizer.json: {first_line(error)}") from error
        return cls(tokenizer)

    def encode(self, text: str) -> np.ndarray:
        """Token ids of a text."""
        return np.array(self.tokenizer.encode(text).ids, np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, without special tokens."""
        return self.tokenizer.decode([int(i) for i in ids])

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps of it."""
        return {TOKENIZER: self.tokenizer.to_str().encode()}


class Characters:
    """The characters of a text, in the order of their code points. A text ends with a newline."""

    def __init__(self, characters: Iterable[str]):
        self._codes = np.array(sorted({ord(c) for c in characters} | {ord("\n")}), np.uint32)
        self.size = len(self._codes)
        self.end_of_text = int(self.encode("\n")[0])

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> Characters:
        """The characters of `texts`, where there are `size`; else the commonest, and `UNKNOWN`."""
        counts = collections.Counter("\n")
        for text in texts:
            counts.update(text)
        if len(counts) == size:
            return cls(counts)
        del counts[UNKNOWN]
        return cls([UNKNOWN, *(c for c, _ in counts.most_common(size - 1))])

    def encode(self, text: str) -> np.ndarray:
        """Token ids of a text.

        Raises:
          UserError: it has a character that the vocabulary has neither itself nor as `UNKNOWN`.
        """
        wanted = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if ord(UNKNOWN) in self._codes:
            wanted = np.where(np.isin(wanted, self._codes), wanted, np.uint32(ord(UNKNOWN)))
        ids = np.minimum(np.searchsorted(self._codes, wanted), self.size - 1)
        if (strange := self._codes[ids] != wanted).any():
            character = chr(int(wanted[strange][0]))
            raise UserError(f"the character {character!r} is not one of those that were learned")
        return ids.astype(np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; ids beyond the vocabulary give nothing."""
        return "".join(chr(self._codes[i]) for i in ids if i < self.size)

    def to_files(self) -> dict[str, bytes]:
        """What a run keeps of it."""
        return {CHARACTERS: json.dumps(self.decode(range(self.size))).encode()}


KINDS = ("bytes", "characters", "bpe")  # any other is a tokenizer's file
Vocabulary = Bytes | Characters | Subwords


def from_files(kind: str, files: Mapping[str, bytes]) -> Vocabulary:
    """The vocabulary `kind` as a run has kept it."""
    if kind == "bytes":
        return Bytes()
    if kind == "characters":
        return Characters(json.loads(files[CHARACTERS]))
    return Subwords(Tokenizer.from_str(files[TOKENIZER].decode()))


def make(kind: str, size: int, texts: Iterable[str]) -> Vocabulary:
    """The vocabulary `kind`: "bytes", "characters" or "bpe" of `texts`, or a tokenizer.json.

    Raises:
      UserError: it does not exist, or has more than `size` tokens.
    """
    if kind == "bytes":
        vocabulary: Vocabulary = Bytes()
    elif kind == "characters":
        vocabulary = Characters.train(texts, size)
    elif kind == "bpe":
        vocabulary = Subwords.train(texts, size)
    else:
        vocabulary = Subwords.load(kind)
    if vocabulary.size > size:
        raise UserError(
            f"the vocabulary {kind} has {vocabulary.size} tokens, the model room for {size}; "
            f"set --config.model.vocab_size={vocabulary.size}"
        )
    return vocabulary
