"""Text: lines, lines with labels or in two languages, dialogues, stories, questions."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from research.data.dataset import Record
from research.data.sources.readers.opening import naming, read_lines, read_tar_xz

QUESTION_TYPES = ("DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC")
QUESTION_SUBTYPES = tuple(
    """
    manner cremat animal exp ind gr title def date reason event state desc count other letter
    religion food country color termeq city body dismed mount money product period substance sport
    plant techmeth volsize instru abb speed word lang perc code dist temp symbol ord veh weight
    currency
    """.split()
)


def lines(
    folder: Path, split: str, files: Mapping[str, str], name: str, encoding: str = "utf-8"
) -> Sequence[Record]:
    """One line a record: {name: str}."""
    return [{name: line.strip()} for line in read_lines(folder / files[split], encoding)]


def parallel(folder: Path, split: str, files: Mapping[str, Mapping[str, str]]) -> Sequence[Record]:
    """The same line of several files a record; `files[split]` is feature -> file."""
    columns = {name: read_lines(folder / file) for name, file in files[split].items()}
    with naming(folder, ", ".join(files[split].values())):
        rows = list(zip(*columns.values(), strict=True))
    return [dict(zip(columns, row, strict=True)) for row in rows]


def atis(folder: Path, split: str) -> Sequence[Record]:
    """text: the words; slots: one tag a word (B-, I-, O); intent. Both are joined by spaces."""
    part = "valid" if split == "validation" else split
    files = {"text": "seq.in", "slots": "seq.out", "intent": "label"}
    records = parallel(folder / part, split, {split: files})
    for number, record in enumerate(records, 1):
        record.update({name: value.strip() for name, value in record.items()})
        with naming(folder / part / "seq.out", f"line {number}"):
            if len(record["text"].split()) != len(record["slots"].split()):
                raise ValueError("not one slot a word")
    return records


def character_text(folder: Path, split: str) -> Sequence[Record]:
    """One record, text: the first 90 % of the file, the next 5 % or the last 5 %, as in TFDS."""
    path = folder / "input.txt"
    with naming(path):
        text = path.read_bytes().decode("utf-8")
    train = int(len(text) * 0.9)
    validation = train + int((len(text) - train) * 0.5)
    parts = {
        "train": text[:train],
        "validation": text[train:validation],
        "test": text[validation:],
    }
    return [{"text": parts[split]}]


def labelled(folder: Path, split: str, files: Mapping[str, str]) -> Sequence[Record]:
    """Lines «label text»: text, label int."""
    path = folder / files[split]
    records = []
    for number, line in enumerate(read_lines(path, "latin-1"), 1):
        with naming(path, f"line {number}"):
            label, text = line.split(" ", 1)
            records.append({"text": text.strip(), "label": int(label)})
    return records


def trec(folder: Path, split: str) -> Sequence[Record]:
    """Records have TFDS's features: text, label-coarse, label-fine.

    Labels count `QUESTION_TYPES` and `QUESTION_SUBTYPES`. TFDS names the fine classes without the
    coarse one, which leaves 47 of the 50.
    """
    path = folder / f"TREC.{split}"
    records = []
    for number, line in enumerate(read_lines(path, "latin-1"), 1):
        with naming(path, f"line {number}"):
            label, text = line.split(" ", 1)
            coarse, fine = label.split(":")
            records.append(
                {
                    "text": text.strip(),
                    "label-coarse": QUESTION_TYPES.index(coarse),
                    "label-fine": QUESTION_SUBTYPES.index(fine),
                }
            )
    return records


def movie_reviews(folder: Path, split: str) -> Sequence[Record]:
    """text, label (0 negative, 1 positive), in turns, so that any part of the split is balanced."""
    negative, positive = (
        read_lines(folder / f"rt-polarity.{kind}", "latin-1") for kind in ("neg", "pos")
    )
    with naming(folder, "rt-polarity.neg, rt-polarity.pos"):
        pairs = list(zip(negative, positive, strict=True))
    return [
        {"text": text.strip(), "label": label} for pair in pairs for label, text in enumerate(pair)
    ]


def imdb(folder: Path, split: str) -> Sequence[Record]:
    """Records have TFDS's features: text, label (0 negative, 1 positive), the two in turns.

    Reading takes some seconds.
    """
    (path,) = folder.glob("*.tar.xz")
    texts = read_tar_xz(path, f"aclImdb/{split}/")
    entries = []
    for name, text in texts.items():
        with naming(path, name):
            _, _, kind, file = name.split("/")
            entries.append((int(file.split("_")[0]), ("neg", "pos").index(kind), text))
    return [{"text": text, "label": label} for _, label, text in sorted(entries)]


def babi(folder: Path, split: str, part: str) -> Sequence[Record]:
    """One question a record, of all 20 tasks: task (1 to 20), story, question, answer, support.

    `story` is the tuple of the sentences told so far, without the questions in between; `support`
    int64 the positions in it of the sentences that the answer follows from. Several answers are
    joined by commas.
    """
    path = folder / "tasks_1-20_v1-2.tar.xz"
    records: list[Record] = []
    stories: dict[int, list[Record]] = {}
    for name, text in read_tar_xz(path, f"tasks_1-20_v1-2/{part}/").items():
        match = re.search(rf"/qa(\d+)_[^/]*_{split}\.txt$", name)
        if match:
            with naming(path, name):
                task = int(match[1])
                stories[task] = _stories(text, task)
    for task in sorted(stories):
        records += stories[task]
    return records


def _stories(text: str, task: int) -> list[Record]:
    records = []
    sentences: list[str] = []
    position: dict[int, int] = {}  # number of a line -> which sentence it is
    for line in text.splitlines():
        number, content = line.split(" ", 1)
        if number == "1":
            sentences, position = [], {}
        if "\t" not in content:
            position[int(number)] = len(sentences)
            sentences.append(content.strip())
            continue
        question, answer, support = content.split("\t")
        records.append(
            {
                "task": task,
                "story": tuple(sentences),
                "question": question.strip(),
                "answer": answer,
                "support": np.array([position[int(n)] for n in support.split()], np.int64),
            }
        )
    return records


def squad(folder: Path, split: str) -> Sequence[Record]:
    """Records have TFDS's features: id, title, context, question, answers.

    Answers are a dictionary of text, a tuple of str, and answer_start, int64, which counts
    characters of the context. Records of an article follow each other, so a part of the split that
    is cut between two titles shares no article with the rest.
    """
    (path,) = folder.glob("*.json.gz")
    with naming(path):
        articles = json.loads(gzip.decompress(path.read_bytes()))["data"]
        return [
            {
                "id": question["id"],
                "title": article["title"],
                "context": paragraph["context"],
                "question": question["question"],
                "answers": {
                    "text": tuple(a["text"] for a in question["answers"]),
                    "answer_start": np.array([a["answer_start"] for a in question["answers"]]),
                },
            }
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]


def negotiations(folder: Path, split: str) -> Sequence[Record]:
    """One side of a dialogue a record.

    Features: input int64 [6], (count, value) of books, hats and balls to this side; dialogue, words
    of YOU and THEM with <eos> after each turn and <selection> at the end; output, what the two
    sides get as six words; partner_input int64 [6], as the other side sees it.
    """
    path = folder / {"validation": "val.txt"}.get(split, f"{split}.txt")
    records = []
    for number, line in enumerate(read_lines(path), 1):
        with naming(path, f"line {number}"):
            fields = {
                tag: line[line.index(f"<{tag}>") + len(tag) + 2 : line.index(f"</{tag}>")].strip()
                for tag in ("input", "dialogue", "output", "partner_input")
            }
            records.append(
                fields
                | {
                    tag: np.array(fields[tag].split(), np.int64).reshape(6)
                    for tag in ("input", "partner_input")
                }
            )
    return records


def negotiation_contexts(folder: Path, split: str) -> Sequence[Record]:
    """you, them int64 [6]: (count, value) of books, hats and balls, to start a dialogue from."""
    path = folder / "selfplay.txt"
    with naming(path):
        table = np.array([line.split() for line in read_lines(path)], np.int64).reshape(-1, 2, 6)
    return [{"you": you, "them": them} for you, them in table]


def pronunciations(folder: Path, split: str) -> Sequence[Record]:
    """word and its phonemes with stress, joined by spaces. A word has a record a pronunciation."""
    path = folder / "cmudict.dict"
    records = []
    for number, line in enumerate(read_lines(path), 1):
        with naming(path, f"line {number}"):
            word, phonemes = line.split(" #")[0].strip().split(" ", 1)  # after #: a comment
            records.append({"word": re.sub(r"\(\d+\)$", "", word), "phonemes": phonemes})
    return records
