"""A self-contained HTML page, and the Markdown table, of finished runs."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.core.errors import one_line

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 3rem } h3 { font-size: 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9rem }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left }
td { vertical-align: top }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap }
.yes { color: #2a8a3e } .NO { color: #c62f2f; font-weight: 600 }
.meta { opacity: .7; font-size: .85rem }
.figures { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; max-width: 100% }
figcaption { font-size: .8rem; opacity: .7 }
img { max-width: 100%; background: #fff; border-radius: 4px }
nav a { margin-right: 1rem }
"""


def html_page(runs: Sequence[tuple[Path, Mapping[str, Any], str]]) -> str:
    """Makes one HTML page, pictures inside, that needs no other file.

    Args:
      runs: folder, content of `result.json` and paper's title of each run.
    """
    body = [f"<nav>{''.join(_link(folder, title) for folder, _, title in runs)}</nav>"]
    body += [_section(folder, result, title) for folder, result, title in runs]
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Landmarks: results</title><style>{STYLE}</style>\n"
        f"<h1>Landmarks: results</h1>\n{''.join(body)}</html>\n"
    )


def markdown_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Makes a table with a row for each claim: paper, ours, wall time, hardware, command."""
    lines = [
        "| paper | claim | paper's number | ours | holds | seeds | minutes | hardware | command |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        seeds = max((len(runs) for runs in result["arms"].values()), default=0)
        for claim in result["claims"]:
            cells = [
                result["paper"],
                claim["claim"],
                claim["paper"],
                claim["ours"],
                verdict(claim["holds"]),
                str(seeds),
                f"{result['seconds'] / 60:.1f}",
                hardware(result),
            ]
            code = f"`{command(result).replace('`', '')}`"
            lines.append("| " + " | ".join([*map(cell, cells), one_line(code)]) + " |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text as it stands in a cell of a Markdown table: one line, nothing of it taken for HTML."""
    text = one_line(" ".join(text.split())).replace("|", "\\|")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)  # "<" before anything else begins no tag


def command(result: Mapping[str, Any]) -> str:
    """The command line that makes a result, as it was given where the result says so."""
    if "command" in result:
        return result["command"]
    variant = f":{result['variant']}" if result["variant"] else ""
    seeds = ",".join(map(str, result["config"]["seeds"]))
    flags = f" --config.seeds={seeds}" if seeds != "0" else ""
    flags += " --config.vmap_seeds=true" if result["config"].get("vmap_seeds") else ""
    name = result["paper"]
    return f"python experiments/{name}.py --config configs/{name}.py{variant}{flags}"


def data(result: Mapping[str, Any]) -> str:
    """The data of a result, "" where all is made inside the step."""
    found = result["data"]
    if isinstance(found, str):  # before results named the data of every arm
        return found
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{arm}: {origin}" for arm, origin in found.items() if origin)


def hardware(result: Mapping[str, Any]) -> str:
    """What a result was measured on."""
    return f"{result['device']}, {result['cpu']}" if result.get("cpu") else result["device"]


def verdict(holds: bool | None) -> str:
    """The word for whether a row holds."""
    return "not checked" if holds is None else "yes" if holds else "NO"


def _anchor(folder: Path) -> str:
    return html.escape(folder.name, quote=True)


def _link(folder: Path, title: str) -> str:
    return f'<a href="#{_anchor(folder)}">{html.escape(title)}</a>'


def _section(folder: Path, result: Mapping[str, Any], title: str) -> str:
    claims = "".join(
        f"<tr><td>{html.escape(c['claim'])}<td>{html.escape(c['paper'])}<td>{html.escape(c['ours'])}"
        f'<td class="{verdict(c["holds"])}">{verdict(c["holds"])}</tr>'
        for c in result["claims"]
    )
    origin = f"data: {html.escape(data(result))} · " if data(result) else ""
    commit = f" · commit {html.escape(result['commit'][:10])}" if result.get("commit") else ""
    return (
        f'<h2 id="{_anchor(folder)}">{html.escape(title)}</h2>'
        f'<p class="meta"><code>{html.escape(command(result))}</code><br>{origin}'
        f"{result['seconds'] / 60:.1f} minutes on {html.escape(hardware(result))} · "
        f"jax {html.escape(result['versions'].get('jax', 'unknown'))}{commit}</p>"
        f"<table><tr><th>claim<th>paper<th>ours<th>holds?</tr>{claims}</table>"
        f"{_numbers(result['arms'])}{_figures(folder)}"
    )


def _numbers(arms: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A table of final numbers: mean over seeds and range."""
    metrics = list(dict.fromkeys(m for runs in arms.values() for run in runs.values() for m in run))
    head = "".join(f"<th>{html.escape(arm)} ({len(runs)})" for arm, runs in arms.items())
    rows = ""
    for metric in metrics:
        cells = ""
        for runs in arms.values():
            values = np.array([run[metric] for run in runs.values() if metric in run], float)
            text = f"{values.mean():.4g}" if values.size else ""
            if values.size > 1:
                text += f" [{values.min():.4g}, {values.max():.4g}]"
            cells += f'<td class="number">{text}'
        rows += f"<tr><td>{html.escape(metric)}{cells}</tr>"
    return f"<table><tr><th>final number{head}</tr>{rows}</table>"


def _figures(folder: Path) -> str:
    """Pictures of the run itself, and those of the first seed of every arm."""
    paths = sorted(folder.glob("*.png"))
    for arm in sorted(p for p in folder.iterdir() if p.is_dir()):
        for seed in sorted(p for p in arm.iterdir() if p.is_dir())[:1]:
            paths += sorted(seed.glob("*.png"))
    figures = ""
    for path in filter(Path.is_file, paths):
        code = base64.b64encode(path.read_bytes()).decode()
        name = html.escape(str(path.relative_to(folder)))
        figures += (
            f'<figure><img alt="{name}" src="data:image/png;base64,{code}">'
            f"<figcaption>{name}</figcaption></figure>"
        )
    return f'<div class="figures">{figures}</div>' if figures else ""
