"""Lines of handwriting with their texts: where they come from, and as arrays.

A file of lines has one JSON object in each row:

    {"text": "a line", "writer": 3, "strokes": [[[0.0, 1.0], [0.5, 1.2]], [[1.0, 0.0], [1.0, 1.0]]]}

Strokes are lists of points x, y in any unit, x to the right and y upwards, in the order in which
they were written. `train.jsonl`, `validation.jsonl` and `test.jsonl` in a folder are a data set.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core.errors import UserError, first_line, quoted
from research.data import load
from research.data.procedural import pen_strokes
from research.data.sources.readers.image_files import ALPHABETS

SPLITS = ("train", "validation", "test", "new_writers")
_ALPHABET = ALPHABETS.index("Early_Aramaic")
_PIXELS = 9.0  # between two points of the pen, of Omniglot's 105 pixels
_SEEDS = {split: number for number, split in enumerate(SPLITS)}


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of handwriting.

    Attributes:
      text: what is written.
      writer: whose hand it is.
      strokes: points `[n, 2]` of each, y upwards, n at least 2.
    """

    text: str
    writer: int
    strokes: Sequence[np.ndarray]

    @functools.cached_property
    def offsets(self) -> np.ndarray:
        """x `[T, 3]`: from each point to the next, and 1 where a stroke ends with that one."""
        points = np.concatenate(self.strokes)
        ends = np.zeros(len(points))
        ends[np.cumsum([len(stroke) for stroke in self.strokes]) - 1] = 1
        return np.concatenate([np.diff(points, axis=0), ends[1:, None]], axis=1)


def strokes_of(offsets: np.ndarray) -> list[np.ndarray]:
    """The strokes of offsets `[T, 3]`, from the origin; the last may be one that has not ended."""
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(offsets[:, :2], axis=0)])
    ends = np.flatnonzero(offsets[:, 2] > 0.5) + 2
    return [part for part in np.split(points, ends) if len(part)]


class Lines:
    """A data set of lines; an asset of the network that learned from them.

    Args:
      name: "procedural", "omniglot" (three letters of one drawer side by side), or "own" for files.
      folder: where the files of the last two are; `config.data.dir`.
      letters: that texts are made of; "" for those of the training texts.
      letters_per_line: of what is put together here.
      counts: lines of "train", "validation" and "test"; of files, at most so many. As many lines as
        "test" has are of "new_writers".
      writers, new_writers: hands that are learned from, and others.
      max_points: longer lines are left out.
      max_symbols: of a text, at most.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        letters: str,
        letters_per_line: int,
        counts: Mapping[str, int],
        writers: int,
        new_writers: int,
        max_points: int,
        max_symbols: int,
    ):
        self.name, self.folder, self.letters = name, folder, letters
        self.letters_per_line, self.counts = letters_per_line, dict(counts)
        self.writers, self.new_writers = writers, new_writers
        self.max_points, self.max_symbols = max_points, max_symbols
        self.origin = ""
        self._kept: dict[str, Any] | None = None

    # What a finished model needs of it: symbols, the scale of offsets, a line of some writers.

    def to_files(self) -> Mapping[str, bytes]:
        mean, std = self.scale
        primes = [
            {"text": p.text, "writer": p.writer, "strokes": [s.tolist() for s in p.strokes]}
            for p in self.primes
        ]
        kept = {
            "symbols": self.symbols,
            "mean": mean.tolist(),
            "std": std.tolist(),
            "primes": primes,
        }
        return {"lines.json": json.dumps(kept).encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        self._kept = json.loads(files["lines.json"])

    @functools.cached_property
    def symbols(self) -> str:
        """The letters, each at the place of its number."""
        if self._kept is not None:
            return self._kept["symbols"]
        return self.letters or "".join(sorted(set("".join(x.text for x in self.splits["train"]))))

    @functools.cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation `[2]` of the offsets of all training lines."""
        if self._kept is not None:
            return np.array(self._kept["mean"]), np.array(self._kept["std"])
        offsets = np.concatenate([line.offsets[:, :2] for line in self.splits["train"]])
        return offsets.mean(0), offsets.std(0)

    @functools.cached_property
    def primes(self) -> list[Line]:
        """A training line of each of up to 16 writers, the longest text of theirs."""
        if self._kept is not None:
            return [_parsed(prime) for prime in self._kept["primes"]]
        of_writer: dict[int, Line] = {}
        for line in self.splits["train"]:
            known = of_writer.get(line.writer)
            if known is None or len(line.text) > len(known.text):
                of_writer[line.writer] = line
        return [of_writer[writer] for writer in sorted(of_writer)][:16]

    # Lines.

    @functools.cached_property
    def splits(self) -> dict[str, list[Line]]:
        """Lines of each of `SPLITS`; of files there are none of new writers.

        Raises:
          UserError: files are missing or damaged, or a split has no line that is short enough.
        """
        make = {"procedural": self._procedural, "omniglot": self._omniglot, "own": self._own}
        found, origin = make[self.name]()
        kept = {
            split: [x for x in lines if len(x.offsets) <= self.max_points]
            for split, lines in found.items()
        }
        for split in SPLITS[:3]:
            if not kept[split]:
                raise UserError(
                    f"{origin}: no {split} line has {self.max_points} points or fewer; raise "
                    "data.max_points"
                )
        longest = max(len(x.text) for lines in kept.values() for x in lines)
        if longest > self.max_symbols:
            raise UserError(
                f"{origin}: a text has {longest} symbols; raise data.max_symbols from "
                f"{self.max_symbols}"
            )
        self.origin = f"{origin}, {len(kept['train'])} lines"
        return kept

    def encode(self, text: str) -> np.ndarray:
        """Numbers of a text's letters.

        Raises:
          UserError: it is empty, too long, or has other letters.
        """
        if not text.strip():
            raise UserError("there is nothing to write: the text is empty")
        others = sorted(set(text) - set(self.symbols))
        if others:
            raise UserError(
                f"no line that was learned from has {quoted(others[0])}; its letters are "
                f"{quoted(self.symbols)}"
            )
        if len(text) > self.max_symbols:
            raise UserError(
                f"a text has {self.max_symbols} symbols at most, this one has {len(text)}"
            )
        return np.array([self.symbols.index(letter) for letter in text])

    def normal(self, offsets: np.ndarray) -> np.ndarray:
        """Offsets `[T, 3]` as a network reads them: mean 0, deviation 1 (section 4)."""
        mean, std = self.scale
        return np.concatenate([(offsets[:, :2] - mean) / std, offsets[:, 2:]], axis=1)

    def strokes(self, points: np.ndarray) -> list[np.ndarray]:
        """The strokes of what a network has written `[T, 3]`."""
        mean, std = self.scale
        return strokes_of(np.concatenate([points[:, :2] * std + mean, points[:, 2:]], axis=1))

    def row(self, line: Line) -> dict[str, Any]:
        """A line as arrays of the sizes of a batch: "points", "length", "text", "symbols"."""
        points = np.zeros((self.max_points, 3), np.float32)
        points[: len(line.offsets)] = self.normal(line.offsets)
        return {
            "points": points,
            "length": np.int32(len(line.offsets)),
            **self.text_row(line.text),
        }

    def text_row(self, text: str) -> dict[str, Any]:
        """A text as arrays: "text" `[max_symbols]`, -1 after its end, and "symbols", how many."""
        numbers = np.full(self.max_symbols, -1, np.int32)
        numbers[: len(text)] = self.encode(text)
        return {"text": numbers, "symbols": np.int32(len(text))}

    def arrays(self, split: str) -> dict[str, np.ndarray]:
        """All lines of a split, side by side."""
        rows = [self.row(line) for line in self.splits[split]]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    @property
    def has_templates(self) -> bool:
        """Whether it is known what any text looks like; of files it is not."""
        return self.name != "own"

    def template(self, text: str) -> list[np.ndarray]:
        """A text in a hand that is nobody's, or in the first drawer's."""
        if self.name == "procedural":
            return pen_strokes.write(text, pen_strokes.NEUTRAL, np.random.default_rng(0))
        return _side_by_side([self._drawings[0, letter] for letter in text])

    # Where lines come from.

    def _procedural(self) -> tuple[dict[str, list[Line]], str]:
        known = set(pen_strokes.LETTERS)
        if not set(self.letters) <= known or len(set(self.letters) - {" "}) < 2:
            raise UserError(
                f"data.letters={quoted(self.letters)}: two letters or more of "
                f"{quoted(pen_strokes.LETTERS)}"
            )
        hands = pen_strokes.writers(self.writers + self.new_writers)
        used: set[str] = set()
        found = {}
        for split in SPLITS[::-1]:  # no text of another split is one of "train"
            rng = np.random.default_rng([1, _SEEDS[split]])
            first, count = self._hands(split)
            lines: list[Line] = []
            while len(lines) < self._count(split):
                text = self._text(rng)
                if text in used:
                    continue
                if split != "train":
                    used.add(text)
                writer = first + len(lines) % count
                line = Line(text, writer, pen_strokes.write(text, hands[writer], rng))
                if len(line.offsets) <= self.max_points:
                    lines.append(line)
            found[split] = lines
        return found, f"procedural pen strokes of {self.writers} writers"

    def _text(self, rng: np.random.Generator) -> str:
        """Letters at random; a blank is neither at an end nor beside another."""
        letters = [letter for letter in self.letters if letter != " "]
        text = [letters[i] for i in rng.integers(len(letters), size=self.letters_per_line)]
        if " " in self.letters and rng.uniform() < 0.25 and len(text) >= 3:
            text[rng.integers(1, len(text) - 1)] = " "
        return "".join(text)

    def _omniglot(self) -> tuple[dict[str, list[Line]], str]:
        found: dict[str, list[Line]] = {}
        used: set[tuple[int, str]] = set()
        for split in SPLITS[::-1]:
            rng = np.random.default_rng([2, _SEEDS[split]])
            first, count = self._hands(split)
            lines: list[Line] = []
            while len(lines) < self._count(split):
                text, writer = self._text(rng), int(rng.integers(first, first + count))
                if (writer, text) in used:
                    continue
                used.add((writer, text))
                letters = [self._drawings[writer, letter] for letter in text]
                lines.append(Line(text, writer, _side_by_side(letters)))
            found[split] = lines
        return found, f"Omniglot, {len(self.letters)} letters of Early Aramaic"

    @functools.cached_property
    def _drawings(self) -> dict[tuple[int, str], list[np.ndarray]]:
        """Strokes by drawer and letter, "a" standing for the alphabet's first, in pixels / 10."""
        data = load("omniglot/strokes", "small1", self.folder)
        found = {}
        for record in data:
            letter = chr(ord("a") + int(record["alphabet_char_id"]))
            if record["alphabet"] == _ALPHABET and letter in self.letters:
                points, stroke = record["points"][:, :2], record["stroke"]
                parts = [points[stroke == i] for i in range(int(stroke.max()) + 1)]
                found[record["drawer"], letter] = [
                    pen_strokes.evenly(_two(part), _PIXELS) / 10 for part in parts if len(part)
                ]
        return found

    def _own(self) -> tuple[dict[str, list[Line]], str]:
        if not self.folder:
            raise UserError("data.name=own needs --config.data.dir=DIR with train.jsonl")
        found = {split: _read(Path(self.folder) / f"{split}.jsonl") for split in SPLITS[:3]}
        cut = {split: lines[: self._count(split)] for split, lines in found.items()}
        return {**cut, "new_writers": []}, f"lines of {self.folder}"

    def _hands(self, split: str) -> tuple[int, int]:
        """The first writer of a split, and how many there are."""
        return (self.writers, self.new_writers) if split == "new_writers" else (0, self.writers)

    def _count(self, split: str) -> int:
        return self.counts["test" if split == "new_writers" else split]


def _two(points: np.ndarray) -> np.ndarray:
    """A dot as a stroke of two points."""
    return points if len(points) > 1 else np.concatenate([points, points + [[1.0, 0.0]]])


def _side_by_side(letters: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The strokes of letters, each to the right of the one before it."""
    strokes, right = [], 0.0
    for letter in letters:
        points = np.concatenate(letter)
        shift = np.array([right - points[:, 0].min(), 0.0])
        strokes += [stroke + shift for stroke in letter]
        right += np.ptp(points[:, 0]) + 1.5
    return strokes


def _read(path: Path) -> list[Line]:
    """The lines of a file.

    Raises:
      UserError: it is missing, or a row is not as the module's text says.
    """
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UserError(f"{path}: no lines of handwriting there ({first_line(error)})") from error
    lines = []
    for number, row in enumerate(rows, 1):
        try:
            lines.append(_parsed(json.loads(row)))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise UserError(
                f'{path}, row {number}: not {{"text": ..., "writer": ..., "strokes": [[[x, y], '
                f"...], ...]}} ({first_line(error)})"
            ) from error
    return lines


def _parsed(row: Mapping[str, Any]) -> Line:
    strokes = [np.array(stroke, np.float64).reshape(-1, 2) for stroke in row["strokes"]]
    if not strokes or not row["text"] or not all(np.isfinite(s).all() and len(s) for s in strokes):
        raise ValueError("a text, and strokes of finite points")
    if not isinstance(row["text"], str):
        raise ValueError("the text is a string")
    return Line(row["text"], int(row["writer"]), [_two(stroke) for stroke in strokes])
