"""Games of Go as SGF, the text format in which they are kept: written, and read with clear errors.

What is read: the main line of the first game of a file, with its size, komi, result and moves.
Comments, variations and marks are passed over. Set-up stones (handicap) are reported as they are.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from research.core.errors import UserError

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"\s*(?:([();])|([A-Za-z]+)|\[((?:\\.|[^\]\\])*)\])", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Record:
    """A game of Go.

    Attributes:
      size: of the board's side.
      komi: points that white is given.
      moves: actions in order, black's first: row * size + column, or size^2 for a pass.
      result: as written, such as "B+2.5" or "W+R"; "" where none is.
      black_stones: points of set-up stones, such as a handicap's; white moves first then.
    """

    size: int
    komi: float
    moves: Sequence[int]
    result: str = ""
    black_stones: Sequence[int] = ()


def write(record: Record) -> str:
    """The text of a file."""

    def point(action: int) -> str:
        if action == record.size**2:
            return ""
        row, column = divmod(action, record.size)
        return _LETTERS[column] + _LETTERS[row]

    text = f"(;GM[1]FF[4]CA[UTF-8]SZ[{record.size}]KM[{record.komi:g}]"
    text += f"RE[{record.result}]" if record.result else ""
    if record.black_stones:
        text += "AB" + "".join(f"[{point(p)}]" for p in record.black_stones)
    first = 1 if record.black_stones else 0
    for i, action in enumerate(record.moves):
        text += ("\n;" if i % 10 == 0 else ";") + f"{'BW'[(i + first) % 2]}[{point(action)}]"
    return text + ")\n"


def read(text: str, name: str = "SGF") -> Record:
    """The main line of the first game in a text.

    Args:
      text: of a file.
      name: of the file, for messages.

    Raises:
      UserError: the text is no SGF, is cut off, is of another game, or has a move that is no point
        of the board or out of turn. Whether moves are legal is not asked here.
    """
    nodes = _main_line(text, name)
    root = nodes[0]
    if root.get("GM", ["1"])[0].strip() != "1":
        raise UserError(f"{name}: the game is not Go (GM[{root['GM'][0]}])")
    size = _number(root, "SZ", "19", name, whole=True)
    if not 2 <= size <= 25:
        raise UserError(f"{name}: a board has 2 to 25 points a side, not SZ[{root['SZ'][0]}]")
    size = int(size)
    komi = _number(root, "KM", "0", name)
    stones = [_point(value, size, name) for node in nodes for value in node.get("AB", [])]
    moves: list[int] = []
    for node in nodes:
        for colour in ("B", "W"):
            for value in node.get(colour, []):
                expected = "BW"[(len(moves) + bool(stones)) % 2]
                if colour != expected:
                    raise UserError(
                        f"{name}: move {len(moves) + 1} is {colour}[{value}], but it is the turn "
                        f"of {expected}"
                    )
                moves.append(_point(value, size, name))
    return Record(size, komi, moves, root.get("RE", [""])[0], stones)


def _main_line(text: str, name: str) -> list[dict[str, list[str]]]:
    """Properties of the nodes of the first variation throughout."""
    nodes: list[dict[str, list[str]]] = []
    position, depth, left, key = 0, 0, False, ""
    text = text.lstrip("\ufeff").rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            line = text.count("\n", 0, position) + 1
            rest = text[position:].split("\n")[0].strip()[:20]
            raise UserError(f"{name}: no SGF in line {line}: {rest!r}")
        position = found.end()
        sign, word, value = found.groups()
        if depth == 0 and sign != "(":
            raise UserError(f"{name}: no SGF: a game begins with '(;', not {text[:20]!r}")
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            left = True  # what follows are other variations
            if depth == 0:
                break
        elif left:
            continue
        elif sign == ";":
            nodes.append({})
        elif not nodes:
            raise UserError(f"{name}: no SGF: a game begins with '(;'")
        elif word is not None:
            key = "".join(letter for letter in word if letter.isupper())
        elif not key:
            raise UserError(f"{name}: no SGF: [{value[:20]}] belongs to no property")
        else:
            nodes[-1].setdefault(key, []).append(re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL))
    if depth or not nodes:
        cut = "the game is cut off: a ')' is missing" if nodes else "no SGF: it is empty"
        raise UserError(f"{name}: {cut}")
    return nodes


def _number(
    root: dict[str, list[str]], key: str, default: str, name: str, whole: bool = False
) -> float:
    text = root.get(key, [default])[0].strip()
    if not re.fullmatch(r"\d+" if whole else r"-?\d*\.?\d+", text):
        raise UserError(f"{name}: {key}[{text}] is no number")
    return float(text)


def _point(value: str, size: int, name: str) -> int:
    value = value.strip()
    if value == "" or (value == "tt" and size <= 19):
        return size * size
    places = [_LETTERS.find(letter) for letter in value]
    if len(value) != 2 or not all(0 <= place < size for place in places):
        raise UserError(f"{name}: [{value}] is no point of a board of {size}x{size}")
    return places[1] * size + places[0]
