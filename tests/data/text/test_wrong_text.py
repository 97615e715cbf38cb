"""Text that holds special tokens, and settings that do not go with a text."""

import numpy as np
import pytest

from research.core.errors import UserError
from research.data.text import vocabulary
from research.data.text.corpus import Corpus
from research.data.text.pairs import ParallelText
from research.data.text.tokenization import BOS, EOS, PAD, JointBPE, Words, train_bpe
from research.data.text.vocabulary import END_OF_TEXT, Subwords

ODD = [
    f"a story {END_OF_TEXT} and another",
    "write </s> here",
    "a <pad> b <s> c",
    "</s></s>",
    END_OF_TEXT * 3,
]


def test_special_tokens_in_a_document_are_text(tmp_path):
    learned = Subwords.train(["a plain text of words"] * 3, 300)
    learned.tokenizer.save(str(tmp_path / "tokenizer.json"))
    for words in (learned, Subwords.load(str(tmp_path / "tokenizer.json"))):
        for text in ODD:
            ids = words.encode(text)
            assert words.end_of_text not in ids
            assert words.decode([*ids, words.end_of_text]) == text


def test_special_tokens_in_a_sentence_are_text():
    pairs = [(text, text) for text in ODD]
    text = ParallelText(lambda split: (pairs, "odd"), JointBPE(400))
    for (source, target), (written, _) in zip(text.encoded("test"), pairs, strict=True):
        for ids in (source, target):
            assert not {PAD, BOS} & set(ids.tolist()) and list(np.flatnonzero(ids == EOS)) == [
                len(ids) - 1
            ]
            assert text.decode(ids) == written


def test_special_tokens_are_text_for_words_and_when_read_back():
    pairs = [(text, text) for text in ODD]
    learned = ParallelText(lambda split: (pairs, "odd"), Words(40, 40))
    read = ParallelText(lambda split: (pairs, "odd"), Words(40, 40))
    read.from_files(learned.to_files())
    for text in (learned, read):
        for line in ODD:
            assert not {PAD, BOS, EOS} & set(text.encode_source(line)[:-1].tolist())


def test_a_vocabulary_smaller_than_its_alphabet_is_refused():
    with pytest.raises(UserError, match="data.vocab_size=259"):
        train_bpe(["text"], 100)
    with pytest.raises(UserError, match="model.vocab_size=257"):
        vocabulary.make("bpe", 100, ["text"])


def test_ids_with_gaps_need_room_for_the_largest():
    from tokenizers import Tokenizer, models

    words = {"a": 0, "b": 700, END_OF_TEXT: 900}
    assert Subwords(Tokenizer(models.WordLevel(words, unk_token="a"))).size == 901


@pytest.mark.parametrize("content", [b"", b"{}", b"root:x:0:0", bytes(100), b'{"model": 3}', b"[]"])
def test_a_file_that_is_no_tokenizer_is_named(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no tokenizer.json") as error:
        vocabulary.make(str(path), 300, [])
    assert str(path) in str(error.value) and str(error.value).isprintable()
    with pytest.raises(UserError, match="cannot look at"):
        vocabulary.make("x" * 5000, 300, [])


@pytest.mark.parametrize(
    ("names", "weights"),
    [(("a",), (1.0, 2.0)), (("a", "b"), (1.0,)), ((), ()), (("a",), (0.0,))],
)
def test_a_share_for_every_set(names, weights):
    with pytest.raises(UserError, match="data.weights has a share for each"):
        Corpus(names, weights, "", "bytes", 257, 0, "test")


def test_sets_without_text_are_refused():
    with pytest.raises(UserError, match="has no text, but image, label"):
        _ = Corpus(("digits",), (1.0,), "", "bytes", 257, 0, "test").test_texts
