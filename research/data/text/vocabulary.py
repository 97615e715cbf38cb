"""Text to token ids and back, for language models: bytes, or byte-level BPE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from research.core.errors import UserError, first_line
from research.core.reading import expand_user, is_file

END_OF_TEXT = "<|endoftext|>"
TOKENIZER = "tokenizer.json"


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
        """Raises UserError where the tokenizer has no token for the end of a text."""
        self.tokenizer = tokenizer
        # "<|endoftext|>" that stands in a text is these characters, and does not end it.
        tokenizer.encode_special_tokens = True
        self.size = max(tokenizer.get_vocab().values(), default=-1) + 1
        end_of_text = tokenizer.token_to_id(END_OF_TEXT)
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
                f'no tokenizer {path}; data.vocabulary is "bytes", "bpe" or a tokenizer.json'
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


Vocabulary = Bytes | Subwords


def from_files(kind: str, files: Mapping[str, bytes]) -> Vocabulary:
    """The vocabulary `kind` as a run has kept it."""
    if kind == "bytes":
        return Bytes()
    return Subwords(Tokenizer.from_str(files[TOKENIZER].decode()))


def make(kind: str, size: int, texts: Iterable[str]) -> Vocabulary:
    """The vocabulary `kind`: "bytes", "bpe" (learned from `texts`), or a tokenizer.json.

    Raises:
      UserError: it does not exist, or has more than `size` tokens.
    """
    if kind == "bytes":
        vocabulary: Vocabulary = Bytes()
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
