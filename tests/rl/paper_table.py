"""A variant's settings against those of a paper."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict


def check(config: ConfigDict, table: Mapping[str, Any]) -> None:
    """Asserts that every key of the table, with dots, has its value; all that differ are shown."""
    found = {}
    for key in table:
        value: Any = config
        for part in key.split("."):
            value = value[part]
        found[key] = value
    wrong = {key: (found[key], value) for key, value in table.items() if found[key] != value}
    assert not wrong, f"(ours, the paper's): {wrong}"
