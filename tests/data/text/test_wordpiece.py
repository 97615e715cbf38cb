"""WordPiece: greedy pieces, what is done to letters, and where pieces stand in the text."""

import json
import subprocess
import sys

import numpy as np
import pytest

from research.core import UserError
from research.data.text.wordpiece import SPECIAL, WordPiece, learn_pieces

PIECES = (*SPECIAL, "un", "##aff", "##able", "##a", "want", "##ed", "runn", "##ing", ",", "zurich")
VOCABULARY = WordPiece.of({piece: i for i, piece in enumerate(PIECES)})


def pieces(text):
    return [VOCABULARY.piece(i) for i in VOCABULARY.encode(text)]


def test_words_are_cut_into_the_longest_pieces():
    assert pieces("wantéd,RUNNING") == ["want", "##ed", ",", "runn", "##ing"]
    assert pieces("unaffable unaffa") == ["un", "##aff", "##able", "un", "##aff", "##a"]
    assert pieces("wanted unwell wanted") == ["want", "##ed", "[UNK]", "want", "##ed"]


def test_letters_are_lowered_accents_stripped_and_chinese_set_apart():
    assert pieces("Zürich") == ["zurich"]
    assert pieces("\u63a8zurich") == ["[UNK]", "zurich"]
    assert VOCABULARY.encode("a" * 201).tolist() == [VOCABULARY.unknown]


def test_special_tokens_in_a_text_are_text():
    assert VOCABULARY.mask not in VOCABULARY.encode("[MASK] [SEP]")


def test_spans_are_those_of_the_text_as_it_was():
    text = "  Zu\u0308rich, UNAFFABLE"  # the accent is a character of its own
    found = VOCABULARY.pieces(text)
    assert [text[a:b] for a, b in found.spans] == ["Zu\u0308rich", ",", "UN", "AFF", "ABLE"]


def test_many_texts_are_encoded_as_one_by_one():
    texts = ["wanted", "", "unaffable , running"]
    for one, found in zip(texts, VOCABULARY.encode_all(texts), strict=True):
        np.testing.assert_array_equal(VOCABULARY.encode(one), found)


def naive_pieces(words, size):
    """The same by counting all pairs anew each time."""
    cut = {word: [word[0], *("##" + c for c in word[1:])] for word in words}
    found = sorted({piece for word in cut.values() for piece in word})
    while len(found) < size:
        pairs = {}
        for word, parts in cut.items():
            for pair in zip(parts, parts[1:], strict=False):
                pairs[pair] = pairs.get(pair, 0) + words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        joined = best[0] + best[1][2:]
        found.append(joined)
        for word, parts in cut.items():
            text, i = [], 0
            while i < len(parts):
                both = tuple(parts[i : i + 2]) == best
                text.append(joined if both else parts[i])
                i += 2 if both else 1
            cut[word] = text
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("size", [12, 20, 40])
def test_pieces_are_those_that_stand_together_most_often(size):
    rng = np.random.default_rng(size)
    words = {"".join(rng.choice(list("abc"), rng.integers(1, 7))): int(n) for n in range(1, 40)}
    assert learn_pieces(words, size) == naive_pieces(words, size)


def test_a_vocabulary_is_a_function_of_its_text():
    code = (
        "from research.data.text.wordpiece import WordPiece; import json;"
        "v = WordPiece.train(['low lower lowest new newer newest wide wider'], 30);"
        "print(json.dumps(v.tokenizer.get_vocab(), sort_keys=True))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    first, again = (json.loads(run.stdout) for run in runs)
    assert first == again and len(first) == 30 and [first[s] for s in SPECIAL] == [0, 1, 2, 3, 4]


def test_what_a_run_keeps_is_the_same_vocabulary():
    again = WordPiece.from_files(VOCABULARY.to_files())
    assert again.size == VOCABULARY.size and again.mask == VOCABULARY.mask
    np.testing.assert_array_equal(
        again.encode("unaffable [MASK]"), VOCABULARY.encode("unaffable [MASK]")
    )
    assert again.decode(again.encode("Unaffable, wanted")) == "unaffable , wanted"


def test_released_files(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    assert WordPiece.load(str(path)).encode("unaffable").tolist() == [5, 6, 7]
    other = tmp_path / "tokenizer.json"
    other.write_bytes(VOCABULARY.to_files()["tokenizer.json"])
    assert WordPiece.load(str(other)).encode("unaffable").tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", "no token [MASK]"),
        ("tokenizer.json", "{", "is no vocabulary"),
        ("", "", "no vocabulary"),
    ],
)
def test_bad_files_are_one_line(name, text, words, tmp_path):
    path = tmp_path / (name or "missing.txt")
    if name:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        WordPiece.load(str(path))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_more_characters_than_room_are_refused():
    with pytest.raises(UserError, match="31 characters and special tokens"):
        WordPiece.train(["a b c d e f g h i j k l m n o p q r s t u v w x y z"], 20)
