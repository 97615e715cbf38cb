"""The results that the repository keeps, `results/*.json`, and which of them are stale."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from research.report.provenance import git, without_data_folder
from research.report.result_file import read_result
from research.report.results import by_metric

# What draws, reports and simulates moves no number.
MOVES_NOTHING = (
    *("research/report", "research/viz", "research/pods"),
    *("research/early", "research/training/progress"),
)


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One file of results: its name without ".json", and what stands in it."""

    stem: str
    result: Mapping[str, Any]

    @property
    def paper(self) -> str:
        """Name of the script."""
        return self.result["paper"]

    @property
    def variant(self) -> str:
        """Variant of the configuration, "" for the default."""
        return self.result["variant"]

    @property
    def claims(self) -> list[Mapping[str, Any]]:
        """The rows, as they were judged."""
        return self.result["claims"]

    @property
    def holding(self) -> str:
        """How many rows hold, of those that were judged."""
        judged = [claim for claim in self.claims if claim["holds"] is not None]
        return f"{sum(claim['holds'] for claim in judged)} of {len(judged)}"

    @property
    def seeds(self) -> list[str]:
        """The seeds of the arms, "0" first."""
        found = {seed for runs in self.result["arms"].values() for seed in runs}
        return sorted(found, key=int)

    @property
    def commits(self) -> list[str]:
        """The commits that its arms were run at; none of old results."""
        return self.result.get("commit", "").split()


def read(root: Path) -> list[Recorded]:
    """Reads all of them, by paper, its default variant first."""
    found = [Recorded(path.stem, read_result(path)) for path in (root / "results").glob("*.json")]
    return sorted(found, key=lambda recorded: (recorded.paper, recorded.variant, recorded.stem))


def staleness(root: Path, recorded: Recorded) -> str:
    """Whether what a result was made with has changed since.

    Returns:
      "" where nothing has; "unknown" without a commit, or with one that is not in the history;
      otherwise which files have changed.
    """
    commits = recorded.commits
    if not commits or not recorded.result["clean"]:
        return "unknown"
    changed: set[str] = set()
    for commit in commits:
        if not git(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
            return "unknown"
        changed |= set(git(root, "diff", "--name-only", commit).splitlines())
    found = sorted(changed & dependencies(root, recorded.paper))
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


@cache
def dependencies(root: Path, paper: str) -> frozenset[str]:
    """Paths, from `root`, of a paper's script, its configuration, and what these import in turn."""
    found: set[str] = set()
    left = [f"experiments/{paper}.py", f"configs/{paper}.py"]
    while left:
        path = left.pop()
        if path in found or path.startswith(MOVES_NOTHING):
            continue
        found.add(path)
        left += _imported(root, path)
    return frozenset(found)


@cache
def _imported(root: Path, path: str) -> frozenset[str]:
    """Paths of our own modules that a file imports, anywhere in it, packages above them too."""
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    return frozenset(
        found for name in _names(tree) for found in _paths(root, name) if found is not None
    )


def _names(tree: ast.Module) -> Iterator[str]:
    """Dotted names of imports; `from a import b` may be of a module or of a name in one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _paths(root: Path, name: str) -> Iterator[str]:
    parts = name.split(".")
    if parts[0] not in ("research", "configs"):
        return
    for depth in range(1, len(parts) + 1):
        module = "/".join(parts[:depth])
        for path in (f"{module}.py", f"{module}/__init__.py"):
            if (root / path).is_file():
                yield path


def judged(recorded: Recorded, module: ModuleType, check_claims: bool) -> dict[str, Any]:
    """The same numbers with the claims that the script makes of them today.

    Args:
      module: the script.
      check_claims: whether its configuration asks for a verdict.
    """
    claims = [dataclasses.asdict(c) for c in module.claims(by_metric(recorded.result["arms"]))]
    if not check_claims:
        claims = [claim | {"holds": None} for claim in claims]
    config = without_data_folder(recorded.result["config"])
    return {**recorded.result, "config": config, "claims": claims}
