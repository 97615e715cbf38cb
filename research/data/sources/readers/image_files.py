"""Images with a label or in pairs: zip archives that are decoded image by image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.data.dataset import Lazy, Record
from research.data.sources.readers.opening import Archive, naming

# The 50 alphabets of Omniglot; the position is the label, as in TFDS.
ALPHABETS = sorted(
    """
    Alphabet_of_the_Magi Anglo-Saxon_Futhorc Arcadian Armenian Asomtavruli_(Georgian) Balinese
    Bengali Blackfoot_(Canadian_Aboriginal_Syllabics) Braille Burmese_(Myanmar) Cyrillic
    Early_Aramaic Futurama Grantha Greek Gujarati Hebrew Inuktitut_(Canadian_Aboriginal_Syllabics)
    Japanese_(hiragana) Japanese_(katakana) Korean Latin Malay_(Jawi_-_Arabic)
    Mkhedruli_(Georgian) N_Ko Ojibwe_(Canadian_Aboriginal_Syllabics) Sanskrit Syriac_(Estrangelo)
    Tagalog Tifinagh Angelic Atemayar_Qelisayer Atlantean Aurek-Besh Avesta Ge_ez Glagolitic
    Gurmukhi Kannada Keble Malayalam Manipuri Mongolian Old_Church_Slavonic_(Cyrillic) Oriya Sylheti
    Syriac_(Serto) Tengwar Tibetan ULOG
    """.split()
)


def omniglot(folder: Path, split: str) -> Sequence[Record]:
    """Records: image uint8 [105, 105, 3], alphabet, alphabet_char_id, label, as in TFDS."""
    archive = Archive(folder / f"images_background_{split}.zip")

    def record(name: str) -> Record:
        return {"image": archive.image(name)} | omniglot_labels(archive, name)

    return Lazy([n for n in archive.names if n.endswith(".png")], record)


def omniglot_labels(archive: Archive, name: str) -> Record:
    """Labels that stand in a path `.../<alphabet>/character<number>/<label>_<drawer>.<suffix>`."""
    with archive.naming(name):
        *_, alphabet, character, file = name.split("/")
        label, _ = file.split("_")
        return {
            "alphabet": ALPHABETS.index(alphabet),
            "alphabet_char_id": int(character.removeprefix("character")) - 1,
            "label": int(label) - 1,
        }


def omniglot_runs(folder: Path, split: str) -> Sequence[Record]:
    """One run of 20-way one-shot classification a record.

    Features: training uint8 [20, 105, 105], one image a class, ink is 0; test, the same shape;
    answer int64 [20], the class of each test image.
    """
    archive = Archive(folder / "all_runs.zip")
    runs = sorted({name.split("/")[0] for name in archive.names})

    def record(run: str) -> Record:
        pairs = [line.split() for line in archive.text(f"{run}/class_labels.txt").splitlines()]
        classes = sorted(training for _, training in pairs)
        return {
            "training": np.stack([archive.image(name, "L") for name in classes]),
            "test": np.stack([archive.image(test, "L") for test, _ in pairs]),
            "answer": np.array([classes.index(training) for _, training in pairs]),
        }

    return Lazy(runs, record)


def tiny_imagenet(folder: Path, split: str) -> Sequence[Record]:
    """image uint8 [64, 64, 3], label (line of wnids.txt), id (file name)."""
    (path,) = folder.glob("*.zip")
    archive = Archive(path)
    root = archive.names[0].split("/")[0]
    labels = {wnid: i for i, wnid in enumerate(archive.text(f"{root}/wnids.txt").split())}
    if split == "train":
        names = [n for n in archive.names if n.startswith(f"{root}/train/") and n.endswith("JPEG")]
        entries = [(name, labels[name.split("/")[2]]) for name in names]
    else:
        lines = archive.text(f"{root}/val/val_annotations.txt").splitlines()
        columns = [line.split("\t") for line in lines]
        entries = [(f"{root}/val/images/{c[0]}", labels[c[1]]) for c in columns]

    def record(entry: tuple[str, int]) -> Record:
        name, label = entry
        return {"image": archive.image(name), "label": label, "id": name.rsplit("/", 1)[1]}

    return Lazy(entries, record)


def facades(folder: Path, split: str) -> Sequence[Record]:
    """photo uint8 [128, 128, 3] and labels, the same shape: the labels drawn as colours."""
    archive = Archive(folder / "facades128.zip")
    part = "val" if split == "validation" else split

    def record(name: str) -> Record:
        both = archive.image(name)
        half = both.shape[1] // 2
        return {"photo": both[:, :half], "labels": both[:, half:]}

    return Lazy([n for n in archive.names if n.startswith(f"facades/{part}/")], record)


def emoji_pairs(folder: Path, split: str) -> Sequence[Record]:
    """noto and emojitwo uint8 [64, 64, 3]: the same emoji in two designs; codepoint str."""
    archive = Archive(folder / "emoji_pairs64.zip")
    files = [n.removeprefix("noto/") for n in archive.names if n.startswith("noto/")]

    def record(file: str) -> Record:
        return {
            "noto": archive.image(f"noto/{file}"),
            "emojitwo": archive.image(f"emojitwo/{file}"),
            "codepoint": file.removesuffix(".png"),
        }

    return Lazy(files, record)


def utkface(folder: Path, split: str) -> Sequence[Record]:
    """image uint8 [64, 64, 3], age in years, sex (0 male, 1 female), race (0 to 4)."""
    archive = Archive(folder / "utkface64.zip")

    def record(name: str) -> Record:
        with archive.naming(name):
            age, sex, race, _ = name.split("_")
            labels = {"age": int(age), "sex": int(sex), "race": int(race)}
        return {"image": archive.image(name)} | labels

    return Lazy(archive.names, record)


def frey_faces(folder: Path, split: str) -> Sequence[Record]:
    """Frames of a film of one face, in order: image uint8 [28, 20]."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = folder / "frey_rawface.mat"
    with naming(path):
        try:
            frames = loadmat(path)["ff"]  # a frame a column
        except MatReadError as error:
            raise ValueError(str(error)) from error
        if frames.dtype != np.uint8 or frames.shape[0] != 28 * 20:
            raise ValueError(f"ff is {frames.dtype} {list(frames.shape)}, not uint8 [560, N]")
    return [{"image": frame.reshape(28, 20)} for frame in frames.T]
