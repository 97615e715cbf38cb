"""Vocabularies give any text back."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from research.core.errors import UserError
from research.data.text import vocabulary
from research.data.text.corpus import Corpus
from research.data.text.vocabulary import UNKNOWN, Bytes, Characters, Subwords

TEXTS = ["def f(x):\n    return x  # naïve\n", "the cat's 42 hats", " blanks  and\ttabs ", "日本"]


@pytest.fixture(scope="module")
def subwords():
    return Subwords.train(TEXTS * 3, 300)


def test_bytes_round_trip():
    for text in TEXTS:
        ids = Bytes().encode(text)
        assert Bytes().decode([*ids, Bytes.end_of_text]) == text
        assert ids.max() < Bytes.end_of_text < Bytes.size


def test_subwords_round_trip_and_merge(subwords):
    for text in [*TEXTS, "never seen: žluťoučký"]:
        assert subwords.decode([*subwords.encode(text), subwords.end_of_text]) == text
    assert len(subwords.encode(TEXTS[0])) < len(TEXTS[0].encode())
    assert subwords.end_of_text not in subwords.encode(TEXTS[0])


def test_merges_stay_within_categories():
    learned = Subwords.train(["dog. dog! dog? dog1 dog2"] * 50, 400)
    tokens = [learned.tokenizer.id_to_token(int(i)) for i in learned.encode("dog. dog1")]
    assert tokens == ["dog", ".", "Ġdog", "1"]


def test_a_saved_tokenizer_is_read(subwords, tmp_path):
    path = tmp_path / "tokenizer.json"
    subwords.tokenizer.save(str(path))
    read = vocabulary.make(str(path), 300, [])
    assert read.encode(TEXTS[1]).tolist() == subwords.encode(TEXTS[1]).tolist()
    assert read.end_of_text == subwords.end_of_text


def test_a_tokenizer_of_the_form_of_gpt1s_is_read(tmp_path):
    """Lower case, words that end in "</w>", and "<unk>" alone beside what stands for text."""
    learned = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    learned.normalizer = normalizers.BertNormalizer(lowercase=True)
    learned.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    learned.decoder = decoders.BPEDecoder(suffix="</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=60, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    learned.train_from_iterator(["the cat sat on the mat ."] * 9, trainer)
    learned.save(str(tmp_path / "tokenizer.json"))
    read = Subwords.load(str(tmp_path / "tokenizer.json"))
    assert read.decode([*read.encode("The mat"), read.end_of_text]) == "the mat"
    assert read.tokenizer.id_to_token(read.end_of_text) == "<unk>"


def test_errors_say_what_to_do(subwords, tmp_path):
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        vocabulary.make("nowhere.json", 300, [])
    with pytest.raises(UserError, match="vocab_size=257"):
        vocabulary.make("bytes", 100, [])


def test_corpus_of_embedded_text():
    corpus = Corpus(("python_reference",), (1.0,), "", "bytes", 257, 13, "test")
    assert "python_reference" in corpus.rows(32, 0).origin
    rows = corpus.rows(32, 0)
    assert rows[0].shape == (33,) and len(corpus.train[0].tokens) > 10 * len(corpus.test) / 9
    assert corpus.test[-1] == 256


def test_characters_are_those_of_the_text():
    learned = Characters.train(["ba", "c\n"], 4)
    assert learned.decode(range(4)) == "\nabc" and learned.end_of_text == 0
    assert learned.encode("cab").tolist() == [3, 1, 2]
    with pytest.raises(UserError, match="the character 'z' is not one of those"):
        learned.encode("az")
    with pytest.raises(UserError, match="the character '\\U0001f600'|the character '😀'"):
        learned.encode("😀")


def test_rare_characters_become_one():
    for size in (3, 9):  # too few for all, and room for more
        learned = Characters.train(["aaabb\n\ncd"], size)
        assert learned.size == (size if size == 3 else 6)
        assert learned.decode(learned.encode("az日😀\n")) == f"a{UNKNOWN * 3}\n"
    assert learned.decode([1, 99]) == "a"


def test_a_kept_vocabulary_of_characters_is_the_same():
    learned = vocabulary.make("characters", 20, TEXTS)
    kept = vocabulary.from_files("characters", learned.to_files())
    for text in TEXTS:
        assert kept.encode(text).tolist() == learned.encode(text).tolist()


def test_corpus_of_part_of_a_split():
    parts = ("train[:10%]", "train[10%:20%]")
    first, second = (
        Corpus(("python_reference",), (1.0,), "", "characters", 90, 0, "test", part)
        for part in parts
    )
    assert "train[10%:20%]" in second.origin
    assert not set(first.train_texts) & set(second.train_texts)
