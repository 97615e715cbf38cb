"""The `result.json` of a finished run, read as what it is: a file that others may have touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from research.core.errors import UserError
from research.core.reading import read_json

_Test = Callable[[Any], bool]


def read_result(path: Path) -> dict[str, Any]:
    """Reads a `result.json`.

    Numbers that are not finite are null in strict JSON; they are None here.

    Raises:
      UserError: it cannot be read, or what every result has is missing or of another form.
    """
    result = read_json(path)
    for key, (form, holds) in _FORMS.items():
        if key not in result:
            raise UserError(f"{path} is damaged: it has no {key!r}")
        if not holds(result[key]):
            raise UserError(f"{path} is damaged: its {key!r} is not {form}")
    return result


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping(of: _Test) -> _Test:
    return lambda value: isinstance(value, Mapping) and all(map(of, value.values()))


def _is_claim(value: Any) -> bool:
    texts = ("claim", "paper", "ours")
    return (
        isinstance(value, Mapping)
        and all(_is_text(value.get(key)) for key in texts)
        and "holds" in value
        and (value["holds"] is None or isinstance(value["holds"], bool))
    )


def _is_config(value: Any) -> bool:
    seeds = value.get("seeds") if isinstance(value, Mapping) else None
    return isinstance(seeds, list) and all(map(_is_count, seeds))


_FORMS: dict[str, tuple[str, _Test]] = {
    "paper": ("the name of a script", _is_text),
    "variant": ("a text", _is_text),
    "config": ("a configuration with seeds", _is_config),
    "arms": (
        "arm -> seed -> metric -> number",
        _is_mapping(_is_mapping(_is_mapping(lambda x: x is None or _is_number(x)))),
    ),
    "claims": ("a list of claims", lambda x: isinstance(x, list) and all(map(_is_claim, x))),
    "data": ("a text, or one for each arm", lambda x: _is_text(x) or _is_mapping(_is_text)(x)),
    "seconds": ("a number", _is_number),
    "device": ("a text", _is_text),
    "versions": ("package -> version", _is_mapping(_is_text)),
}
