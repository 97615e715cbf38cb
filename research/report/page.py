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
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --yes: #1f7a35; --no: #b3261e }
@media (prefers-color-scheme: dark) { :root { --yes: #6fce86; --no: #ff8a80 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 3rem } h3 { font-size: 1rem }
.scroll { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left }
td { vertical-align: top; min-width: 6rem }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap }
.yes { color: var(--yes) } .NO { color: var(--no); font-weight: 600 }
.meta { opacity: .75; font-size: .85rem; overflow-wrap: anywhere }
code { background: var(--soft); padding: .1rem .3rem; border-radius: 3px }
.figures { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; max-width: 100% }
figcaption { font-size: .8rem; opacity: .75; overflow-wrap: anywhere }
img { max-width: 100%; max-height: 30rem; background: #fff; border-radius: 4px }
"""
# Nothing runs in the page, and it asks nobody for anything.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
GENERATOR = '<meta name="generator" content="landmarks report">'
TABLE_HEAD = (
    "| paper | claim | paper's number | ours | holds | seeds | minutes | hardware | command |"
)
_LARGEST = 20_000_000  # bytes of a picture, film or sound that is put into the page

Run = tuple[Path, Mapping[str, Any], str]  # folder, content of `result.json`, paper's title


def html_page(runs: Sequence[Run]) -> str:
    """Makes one HTML page, pictures, films and sounds inside, that needs no other file.

    First comes how many rows hold, then the runs, each with its claims, final numbers and pictures.

    Args:
      runs: folder, content of `result.json` and paper's title of each run.
    """
    titles = distinct_titles(runs)
    held, judged = _held([result for _, result, _ in runs])
    heading = f"{held} of {judged} rows hold" if judged else "no row was judged"
    sections = [
        _section(i, folder, result, title)
        for i, ((folder, result, _), title) in enumerate(zip(runs, titles, strict=True))
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">{GENERATOR}'
        f"<title>Landmarks: {heading}</title><style>{STYLE}</style></head>\n<body>"
        f"<h1>{heading}</h1>\n{_summary(runs, titles)}{''.join(sections)}</body></html>\n"
    )


def distinct_titles(runs: Sequence[Run]) -> list[str]:
    """A title for each run: the paper's, with variant and folder where another has the same."""
    with_variant = [
        f"{title} (:{result['variant']})" if result["variant"] else title
        for _, result, title in runs
    ]
    with_folder = [
        f"{title} in {folder}" for title, (folder, _, _) in zip(with_variant, runs, strict=True)
    ]
    return [
        full if with_variant.count(short) > 1 else short
        for short, full in zip(with_variant, with_folder, strict=True)
    ]


def _held(results: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many rows hold, of how many that were judged."""
    judged = [c["holds"] for result in results for c in result["claims"] if c["holds"] is not None]
    return sum(judged), len(judged)


def _summary(runs: Sequence[Run], titles: Sequence[str]) -> str:
    """A row for each run: how many of its rows hold, and which do not."""
    rows = ""
    for i, ((_, result, _), title) in enumerate(zip(runs, titles, strict=True)):
        held, judged = _held([result])
        failed = [c["claim"] for c in result["claims"] if c["holds"] is False]
        word = "NO" if failed else "yes" if judged else "meta"
        rows += (
            f'<tr><td><a href="#run-{i}">{html.escape(title)}</a><td class="{word}">'
            f"{f'{held} of {judged}' if judged else 'not judged'}"
            f"<td>{html.escape('; '.join(failed))}</tr>"
        )
    return _scrolling(f"<tr><th>run<th>rows that hold<th>what does not</tr>{rows}")


def _scrolling(rows: str) -> str:
    """A table that scrolls by itself where it is wider than the page."""
    return f'<div class="scroll"><table>{rows}</table></div>'


def markdown_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Makes a table with a row for each claim: paper, ours, wall time, hardware, command."""
    lines = [
        TABLE_HEAD,
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
            lines.append("| " + " | ".join([*map(cell, cells), _code(command(result))]) + " |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text as it stands in a cell of a Markdown table: one line, nothing of it taken for HTML."""
    text = one_line(" ".join(text.split())).replace("|", "\\|")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)  # "<" before anything else begins no tag


def _code(text: str) -> str:
    """A command in a cell of a Markdown table; as text where it could be taken for HTML."""
    if "<" in text:
        return cell(text)
    plain = text.replace("`", "").replace("|", "\\|")
    return one_line(f"`{plain}`")


def command(result: Mapping[str, Any]) -> str:
    """The command line that makes a result, as it was given where the result says so."""
    if "command" in result:
        return str(result["command"])
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
    arms: dict[str, list[str]] = {}
    for arm, origin in found.items():
        arms.setdefault(origin, []).append(arm)
    if len(arms) == 1:
        return next(iter(arms))
    return "; ".join(f"{', '.join(names)}: {origin}" for origin, names in arms.items() if origin)


def hardware(result: Mapping[str, Any]) -> str:
    """What a result was measured on."""
    return f"{result['device']}, {result['cpu']}" if result.get("cpu") else result["device"]


def verdict(holds: bool | None) -> str:
    """The word for whether a row holds."""
    return "not checked" if holds is None else "yes" if holds else "NO"


def _section(index: int, folder: Path, result: Mapping[str, Any], title: str) -> str:
    claims = "".join(
        f"<tr><td>{html.escape(c['claim'])}<td>{html.escape(c['paper'])}<td>{html.escape(c['ours'])}"
        f'<td class="{verdict(c["holds"])}">{verdict(c["holds"])}</tr>'
        for c in result["claims"]
    )
    origin = f"data: {html.escape(data(result))} · " if data(result) else ""
    commit = f" · commit {html.escape(str(result['commit'])[:10])}" if result.get("commit") else ""
    known = "" if "command" in result else " (overrides were not recorded)"
    return (
        f'<h2 id="run-{index}">{html.escape(title)}</h2>'
        f'<p class="meta"><code>{html.escape(command(result))}</code>{known}<br>'
        f"{html.escape(str(folder))}<br>{origin}"
        f"{result['seconds'] / 60:.1f} minutes on {html.escape(hardware(result))} · "
        f"jax {html.escape(result['versions'].get('jax', 'unknown'))}{commit}</p>"
        f"{_scrolling(f'<tr><th>claim<th>paper<th>ours<th>holds?</tr>{claims}')}"
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
    return _scrolling(f"<tr><th>final number{head}</tr>{rows}")


def _figures(folder: Path) -> str:
    """Pictures, films and sounds of the run itself, and those of the first seed of every arm."""
    figures = ""
    for path in _pictures(folder):
        name = html.escape(str(path.relative_to(folder)))
        if path.stat().st_size > _LARGEST:
            figures += f"<figure><figcaption>{name}: too large for this page</figcaption></figure>"
            continue
        code = base64.b64encode(path.read_bytes()).decode()
        kind = path.suffix[1:]
        shown = f'<img alt="{name}" src="data:image/{kind};base64,{code}">'
        if kind == "wav":
            shown = f'<audio controls src="data:audio/wav;base64,{code}"></audio>'
        figures += f"<figure>{shown}<figcaption>{name}</figcaption></figure>"
    return f'<div class="figures">{figures}</div>' if figures else ""


def _pictures(folder: Path) -> list[Path]:
    """PNG, GIF and WAV files, those of the run before those of its arms."""
    folders = [folder]
    for arm in sorted(p for p in folder.iterdir() if p.is_dir()):
        folders += sorted(p for p in arm.iterdir() if p.is_dir())[:1]
    return [
        path
        for place in folders
        for kind in ("png", "gif", "wav")
        for path in sorted(place.glob(f"*.{kind}"))
        if path.is_file()
    ]
