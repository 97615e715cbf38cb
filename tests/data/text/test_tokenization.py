"""Vocabularies of words: the most frequent ones, and what becomes of the others."""

import numpy as np
import pytest

from research.core import UserError
from research.data.procedural import copying
from research.data.text.pairs import BOS, EOS, PAD, UNK, PairBatches, ParallelText
from research.data.text.parallel import parallel_text
from research.data.text.tokenization import Words, train_words

PAIRS = [("Der Hund, der Hund!", "the dog, the dog !")] * 3 + [("selten", "rarely seen")]


def words():
    return ParallelText(lambda split: (PAIRS, "made up"), Words(7, 8))


def test_the_most_frequent_words_have_numbers():
    tokenizer = train_words([source for source, _ in PAIRS], 7)
    assert tokenizer.get_vocab_size() == 7
    known = [tokenizer.token_to_id(t) for t in ("<pad>", "<s>", "</s>", "<unk>")]
    assert known == [PAD, BOS, EOS, UNK]
    assert tokenizer.token_to_id("Hund") and tokenizer.token_to_id("selten") is None


def test_what_is_decoded_is_what_the_vocabulary_can_say():
    text = words()
    source, target = text.encoded("test")[0]
    assert source[-1] == EOS and target[-1] == EOS
    assert text.decode(target) == "the dog , the dog !" == text.words([PAIRS[0][1]])[0]
    assert text.decode(text.encoded("test")[3][1]) == "<unk> <unk>"
    assert text.words(["rarely seen."]) == ["rarely seen ."]
    assert text.encode_source("selten Hund").tolist()[0] == UNK
    assert text.source_tokens(source)[:2] != text.target_tokens(target)[:2]


def test_a_text_that_is_kept_needs_no_training_pairs():
    text = words()
    other = ParallelText(lambda split: (_ for _ in ()).throw(AssertionError), Words(7, 8))
    other.from_files(text.to_files())
    assert np.array_equal(other.encode_source("der Hund"), text.encode_source("der Hund"))
    assert other.decode(text.encoded("test")[0][1]) == "the dog , the dog !"
    assert other.examples == [source for source, _ in PAIRS][:5]


def test_batches_of_a_fixed_number_of_sentences():
    text = parallel_text("copy:6-8", "", "source", "target", Words(14, 14), 100, 5)
    source = PairBatches(text, [8, 9], 0, 0, sentences=12)
    shapes = {source(None)["source"].shape for _ in range(30)}
    assert shapes == {(12, 8), (12, 9)}
    assert source.row_counts == [12, 12]


def test_strings_to_copy():
    pairs = copying.generate(50, 6, 8, seed=1)
    assert len(set(pairs)) == 50 and pairs[:20] == copying.generate(20, 6, 8, seed=1)
    assert {len(a.split()) for a, _ in pairs} == {6, 7, 8}
    assert all(a == b and set(a.split()) <= set(copying.SYMBOLS) for a, b in pairs)
    assert copying.parse("copy:16-24") == (16, 24)
    for name in ("copy:", "copy:9-7", "copy:2-4", "copy:a-b"):
        with pytest.raises(UserError, match="SHORTEST"):
            copying.parse(name)
