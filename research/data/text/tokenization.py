"""Vocabularies of sentence pairs: one of subwords for both languages, or one of words for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from research.core.errors import UserError

PAD, BOS, EOS = range(3)
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>")
UNK = 3  # of vocabularies of words; subwords need none
UNKNOWN = "<unk>"

Pair = tuple[str, str]
Learn = Callable[[Sequence[Pair]], tuple[Tokenizer, Tokenizer]]


def special_tokens_are_text(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer itself, which from now on reads "</s>" in a text as these four characters.

    It is no part of what is saved.
    """
    tokenizer.encode_special_tokens = True
    return tokenizer


def train_bpe(lines: Sequence[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016; bytes as in Radford et al. 2019).

    Bytes are its alphabet, so it encodes any text and `decode` gives the text back. Ids 0, 1, 2 are
    `PAD`, `BOS`, `EOS`. The vocabulary stays below `vocab_size` where the text has too few merges.

    Raises:
      UserError: `vocab_size` is less than the alphabet.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(lines, trainer)
    size = tokenizer.get_vocab_size()
    if size > vocab_size:
        raise UserError(
            f"the alphabet of bytes and special tokens has {size} tokens; set "
            f"--config.data.vocab_size={size} or more"
        )
    return special_tokens_are_text(tokenizer)


def train_words(lines: Sequence[str], vocab_size: int) -> Tokenizer:
    """The most frequent words and punctuation marks; every other one is `UNK`.

    A word is a run of letters, digits and underscores, cased as it stands; a run of anything else
    but blanks is one too. Ids 0 to 3 are `PAD`, `BOS`, `EOS`, `UNK`, and count in `vocab_size`.
    Decoded text has blanks between all words.
    """
    tokenizer = Tokenizer(models.WordLevel({UNKNOWN: UNK}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocab_size, special_tokens=[*SPECIAL_TOKENS, UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    return special_tokens_are_text(tokenizer)


@dataclasses.dataclass(frozen=True)
class JointBPE:
    """Learns byte-level BPE that both languages share.

    Attributes:
      vocab_size: tokens at most.
    """

    vocab_size: int

    def __call__(self, pairs: Sequence[Pair]) -> tuple[Tokenizer, Tokenizer]:
        both = train_bpe([line for pair in pairs for line in pair], self.vocab_size)
        return both, both


@dataclasses.dataclass(frozen=True)
class Words:
    """Learns the most frequent words of each language.

    Attributes:
      source_size, target_size: tokens of each language at most.
    """

    source_size: int
    target_size: int

    def __call__(self, pairs: Sequence[Pair]) -> tuple[Tokenizer, Tokenizer]:
        sources, targets = zip(*pairs, strict=True)
        return train_words(sources, self.source_size), train_words(targets, self.target_size)
