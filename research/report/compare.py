"""Finished runs of several scripts side by side, such as two agents on one game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core import UserError
from research.report import page
from research.report.claims import Paper
from research.report.curves import Curve, draw_curves
from research.report.results import read_curves
from research.training.writers import read_metrics

Run = tuple[Path, Mapping[str, Any], Paper]  # folder, content of result.json, paper


def run_names(runs: Sequence[Run]) -> list[str]:
    """Names runs after their scripts, or after their folders where a script made two of them."""
    scripts = [result["paper"] for _, result, _ in runs]
    return scripts if len(set(scripts)) == len(runs) else [folder.name for folder, _, _ in runs]


def table(runs: Sequence[Run]) -> str:
    """Compares final numbers in Markdown: a row for each arm, a column for each that all runs have.

    A cell is the mean over seeds, with the smallest and the largest. The first column of numbers is
    how far a run went, in the unit of its learning curves.

    Raises:
      UserError: the runs have no number in common, or curves over different units.
    """
    if len({paper.x for _, _, paper in runs}) > 1:
        raise UserError(
            "runs are compared over one unit: "
            + ", ".join(f"{folder} has {paper.x}" for folder, _, paper in runs)
        )
    shared = [m for m in _numbers(runs[0][1]) if all(m in _numbers(run[1]) for run in runs)]
    if not shared:
        raise UserError("the runs have no final number in common")
    lines = [
        "| run | arm | seeds | " + " | ".join(map(page.cell, [runs[0][2].x, *shared])) + " |",
        "| --- " * (4 + len(shared)) + "|",
    ]
    for name, (folder, result, paper) in zip(run_names(runs), runs, strict=True):
        lengths = _lengths(folder, paper)
        for arm, seeds in result["arms"].items():
            values = [np.array([seed[m] for seed in seeds.values()], float) for m in shared]
            shown = [f"{v.mean():.4g} ({v.min():.4g} to {v.max():.4g})" for v in values]
            cells = [name, arm, str(len(seeds)), f"{lengths.get(arm, float('nan')):,.0f}", *shown]
            lines.append("| " + " | ".join(map(page.cell, cells)) + " |")
    return "\n".join(lines) + "\n"


def draw(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draws each learning curve that all runs have into `folder`; returns the pictures' paths."""
    curves = [read_curves(path, paper) for path, _, paper in runs]
    paths = []
    for metric in (m for m in curves[0] if all(m in c for c in curves)):
        arms: dict[str, list[Curve]] = {}
        for name, found in zip(run_names(runs), curves, strict=True):
            arms |= {f"{name}, {arm}": seeds for arm, seeds in found[metric].items()}
        paths.append(folder / f"compare_{metric.replace('/', '_')}.png")
        draw_curves(paths[-1], arms, title=", ".join(run_names(runs)), x=runs[0][2].x, y=metric)
    return paths


def _numbers(result: Mapping[str, Any]) -> list[str]:
    """Names of the final numbers that every seed of every arm has."""
    seeds = [numbers for arm in result["arms"].values() for numbers in arm.values()]
    return [m for m in (seeds[0] if seeds else ()) if all(m in numbers for numbers in seeds)]


def _lengths(folder: Path, paper: Paper) -> dict[str, float]:
    """How far the runs of each arm went, in the unit of the paper's curves."""
    lengths: dict[str, float] = {}
    for path in sorted(folder.glob("*/*/metrics.jsonl")):
        found = [record.get(paper.x) for record in read_metrics(path.parent)]
        reached = [x for x in found if isinstance(x, int | float)]
        if reached:
            lengths[path.parent.parent.name] = max(reached)
    return lengths
