"""Texts and pairs of sentences of one's own, in UTF-8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from research.core.errors import UserError, quoted
from research.data.dataset import Dataset, Record, slice_records
from research.data.sources.own import splits
from research.data.sources.own.splits import SPLITS, Shares

_BY_FILE = 20  # files that are split as wholes; of fewer, each is cut

Loaded = tuple[list[Record], str]  # records, and how they were split


def read_texts(name: str, path: Path, shares: Shares, split: str, start: str, stop: str) -> Dataset:
    """One text a record, "text", of the files in order of their names.

    Of a single file, and of fewer than 20, the end is validation and test: texts go on where
    training stopped. More files are split as wholes.

    Raises:
      UserError: there is no such file or split, or a file that is not UTF-8, with the byte.
    """
    places = splits.split_folders(path) if path.is_dir() else {}
    if places:
        splits.check_split(name, split, places)
        texts = [read_utf8(file) for file in _files(places[split])]
        how = "split by folders"
    else:
        splits.check_split(name, split, SPLITS)
        files = _files(path) if path.is_dir() else [path]
        if len(files) < _BY_FILE:
            texts = [_part(read_utf8(file), shares, split) for file in files]
            how = f"each cut into train, validation and test ({shares})"
        else:
            own = [f for f in files if shares.split(f.relative_to(path).as_posix()) == split]
            texts, how = [read_utf8(file) for file in own], str(shares)
    records: list[Record] = [{"text": text} for text in texts if text.strip()]
    splits.not_empty(len(records), split, name)
    origin = f"{len(records)} texts, {split}, {how} at {path}"
    return Dataset(slice_records(records, start, stop), origin)


def read_pairs(
    name: str, paths: Sequence[Path], shares: Shares, split: str, start: str, stop: str
) -> Dataset:
    """Pairs of sentences, "source" and "target", split by the words of the source.

    Raises:
      UserError: there is no such file or split; a line is no pair; files of different lengths.
    """
    how = str(shares)
    if len(paths) == 1 and paths[0].is_dir():
        places = {s: f for s in SPLITS if (f := paths[0] / f"{s}.tsv").is_file()}
        if "train" not in places:
            raise UserError(f"{paths[0]} holds no train.tsv; pairs are in train.tsv and test.tsv")
        splits.check_split(name, split, places)
        records, how = _tab_separated(places[split]), "split by files"
    else:
        splits.check_split(name, split, SPLITS)
        pairs = _tab_separated(paths[0]) if len(paths) == 1 else _two_files(*paths)
        records = [pair for pair in pairs if shares.split(pair["source"]) == split]
    splits.not_empty(len(records), split, name)
    origin = f"{len(records)} pairs, {split}, {how} at {', '.join(map(str, paths))}"
    return Dataset(slice_records(records, start, stop), origin)


def read_utf8(path: Path) -> str:
    """The text of a file, line ends as they are, a byte-order mark left out.

    Raises:
      UserError: there is no such file, or it is not UTF-8: says which byte, and on which line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + len(content) - len(error.object)  # which is without its order mark
        line = content[:at].count(b"\n") + 1
        raise UserError(
            f"{path} is not UTF-8: byte {at} (line {line}) is 0x{content[at]:02x}"
            "; convert it, for example with `iconv -f latin1 -t utf-8`"
        ) from error
    return text


def _files(folder: Path) -> list[Path]:
    """All files in a folder and below, but for hidden ones."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise UserError(f"{folder} holds no file")
    return found


def _part(text: str, shares: Shares, split: str) -> str:
    """The part of a text that is a split: train first, then validation, then test; whole lines."""
    size = len(text)
    ends = [round(size * (1 - shares.test - shares.validation)), round(size * (1 - shares.test))]
    first, second = (_line_end(text, end) for end in ends)
    return {"train": text[:first], "validation": text[first:second], "test": text[second:]}[split]


def _line_end(text: str, position: int) -> int:
    """After the line that a position is in; the position itself where lines are very long."""
    end = text.find("\n", position, position + 10_000)
    return position if end < 0 else end + 1


def _tab_separated(path: Path) -> list[Record]:
    def parts(line: str, number: int) -> list[str]:
        cells = line.split("\t")
        if len(cells) != 2:
            raise UserError(
                f"{path}, line {number}: a pair is two sentences with a tab between; there are "
                f"{len(cells)}"
            )
        return cells

    return _pairs(_lines(path), parts, path)


def _two_files(source: Path, target: Path) -> list[Record]:
    lines = _lines(source), _lines(target)
    if len(lines[0]) != len(lines[1]):
        raise UserError(
            f"{source} has {len(lines[0])} lines and {target} {len(lines[1])}: the same line of "
            "each is a pair"
        )
    return _pairs(lines[0], lambda line, number: [line, lines[1][number - 1]], source)


def _pairs(
    lines: Sequence[str], parts: Callable[[str, int], list[str]], path: Path
) -> list[Record]:
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        source, target = (text.strip() for text in parts(line, number))
        if not source or not target:
            raise UserError(f"{path}, line {number}: one side is empty; take the pair out")
        records.append({"source": source, "target": target})
    return records


def _lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, split at newlines alone."""
    lines = read_utf8(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise UserError(f"{quoted(str(path))} is empty")
    return [line.removesuffix("\r") for line in lines]
