"""What the commands of `landmarks` do: `papers`, `results`, `report`, `compare` and `pods`."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

from research import startup
from research.config import describe_variants, load_config, load_module, shortened
from research.core import UserError
from research.core.errors import quoted
from research.core.reading import is_file
from research.report import compare, documents, page, recorded
from research.report.claims import Paper
from research.report.result_file import read_result
from research.report.results import RESULT

ROOT = Path(__file__).resolve().parents[1]


def script_names() -> list[str]:
    """Names of the papers' scripts.

    Raises:
      UserError: there are none, as where the library alone was installed.
    """
    names = sorted(path.stem for path in (ROOT / "experiments").glob("*.py"))
    if not names:
        raise UserError(
            "there are no papers here: an installed wheel holds the library alone (`import "
            "research`). Scripts, configurations and results are in the repository: run this in a "
            "checkout of it, installed by `pip install -e .`"
        )
    return names


def load_scripts() -> dict[str, ModuleType]:
    """Imports all scripts; returns their modules by name; raises as `script_names`."""
    return {name: load_module(ROOT / "experiments" / f"{name}.py") for name in script_names()}


def print_papers(asked: str = "") -> None:
    """Prints papers: claim, variants, and what was measured.

    Args:
      asked: the paper that is shown, then with every variant; "" for all of them.

    Raises:
      UserError: there is no such paper.
    """
    names = script_names()
    if asked and asked not in names:
        close = difflib.get_close_matches(asked[:100], names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"no paper {quoted(asked)}{hint}; `papers` lists all {len(names)}")
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    console, results = Console(markup=False, highlight=False, width=width), recorded.read(ROOT)
    for name in [asked] if asked else names:
        paper = load_module(ROOT / "experiments" / f"{name}.py").PAPER
        cite = f"{paper.title} ({paper.authors}, {paper.year})"
        cite += f", arXiv:{paper.arxiv}" if paper.arxiv else ""
        console.print(f"{name}: {cite}", style="bold")
        runs = [r.result for r in results if r.paper == name]
        console.print(_paper_table(name, paper, runs, every=bool(asked)))
        console.print()


def _paper_table(
    name: str, paper: Paper, runs: Sequence[Mapping[str, Any]], every: bool = False
) -> Table:
    """A paper's claim, the variants of its configuration, and the claims of recorded runs.

    Args:
      every: name each variant, however many are described alike.
    """
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("claim", paper.claim)
    config = load_module(ROOT / "configs" / f"{name}.py")
    for text, names in describe_variants(config).items():
        variants = [f":{name}" for name in names]
        for shown in variants if every else [shortened(variants)]:
            table.add_row(shown, text)
    words = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}
    for run in runs:
        for claim in run["claims"]:
            where = f":{run['variant']}, " if run["variant"] else ""
            table.add_row(words[claim["holds"]], f"{where}{claim['claim']}: {claim['ours']}")
    if not runs:
        table.add_row("", "not measured yet")
    return table


def print_results() -> None:
    """Prints every recorded result: how many rows hold, what made it, and whether it is stale."""
    table = Table()
    for column in ("result", "holds", "seeds", "commit", "date", "processor", "stale"):
        table.add_column(column, overflow="fold", no_wrap=column not in ("processor", "stale"))
    for found in recorded.read(ROOT):
        table.add_row(
            found.stem,
            found.holding,
            str(len(found.seeds)),
            " ".join(commit[:10] for commit in found.commits),
            found.result.get("date", ""),
            found.result.get("cpu", ""),
            recorded.staleness(ROOT, found) or "no",
        )
    width = None if sys.stdout.isatty() else 160
    Console(markup=False, highlight=False, width=width).print(table)


def load_mutants() -> dict[str, list]:
    """The mutants of every paper that has some."""
    module = load_module(ROOT / "tests" / "mutants.py")
    # Papers' files import it by this name, which another package's `tests` may have taken.
    sys.modules["tests.mutants"] = module
    return {paper: module.of_paper(paper) for paper in module.papers()}


def made_documents() -> dict[Path, str]:
    """Every page of the documentation as it is with its made parts made anew."""
    makers = documents.makers(ROOT, load_scripts(), recorded.read(ROOT), load_mutants())
    return {
        path: documents.fill(path.read_text(encoding="utf-8"), makers)
        for path in documents.pages(ROOT)
    }


def write_documents() -> None:
    """Writes the pages whose made parts have changed."""
    for path, text in made_documents().items():
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


def judge_results() -> None:
    """Judges recorded numbers by the claims of today's scripts, where these ask for a verdict."""
    scripts = load_scripts()
    for found in recorded.read(ROOT):
        path = ROOT / "results" / f"{found.stem}.json"
        config = load_config(ROOT / "configs" / f"{found.paper}.py", found.variant)
        judged = recorded.judged(found, scripts[found.paper], config.check_claims)
        text = json.dumps(judged, indent=1) + "\n"
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"judged {path.relative_to(ROOT)}", file=sys.stderr)


def read_finished(folders: Sequence[str]) -> list[tuple[Path, dict[str, Any]]]:
    """Reads the `result.json` of each run; returns folders and contents.

    Raises:
      UserError: a folder holds no finished run, or its result is damaged.
    """
    runs = []
    for folder in map(Path, folders):
        path = folder / RESULT
        if not is_file(path):
            raise UserError(f"no finished run in {folder} ({RESULT} is not there)")
        runs.append((folder, read_result(path)))
    return runs


def write_report(folders: Sequence[str]) -> None:
    """Writes `report.html` and `report.md` of finished runs."""
    runs, modules = read_finished(folders), load_scripts()
    titles = {name: module.PAPER.title for name, module in modules.items()}
    html = page.html_page([(f, r, titles.get(r["paper"], r["paper"])) for f, r in runs])
    table = page.markdown_table([result for _, result in runs])
    with _writing():
        Path("report.html").write_text(html, encoding="utf-8")
        Path("report.md").write_text(table, encoding="utf-8")
    print(table)
    print("wrote report.html and report.md", file=sys.stderr)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Turns a folder that cannot be written, or a name that is too long for it, into one line."""
    try:
        yield
    except OSError as error:
        what = Path(error.filename).name if error.filename else "a file"
        raise UserError(
            f"{what} cannot be written to {Path().absolute()}: {error.strerror or error}"
        ) from error


def compare_runs(folders: Sequence[str]) -> None:
    """Prints a table of finished runs, and draws the learning curves they share.

    Raises:
      UserError: a folder holds no finished run of a script, or the runs have nothing in common.
    """
    finished = read_finished(folders)
    modules, runs = load_scripts(), []
    for folder, result in finished:
        if result["paper"] not in modules:
            raise UserError(
                f"{folder} holds a run of {quoted(result['paper'])}, which is no script here"
            )
        runs.append((folder, result, modules[result["paper"]].PAPER))
    print(compare.table(runs))
    with _writing():
        paths = compare.draw(runs, Path())
    print("wrote", ", ".join(map(str, paths)) or "no picture", file=sys.stderr)


def main(argv: Sequence[str]) -> int:
    """Runs a subcommand; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that does not know a letter gets its code
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        match list(argv):
            case ["papers"]:
                print_papers()
            case ["papers", name] if not name.startswith("-"):
                print_papers(name)
            case ["results"]:
                print_results()
            case ["results", "--write"]:
                write_documents()
            case ["results", "--judge"]:
                judge_results()
            case ["report", *folders] if folders:
                write_report(folders)
            case ["compare", *folders] if len(folders) > 1:
                compare_runs(folders)
            case ["pods", *names]:
                from research.pods import table  # leaves JAX on the CPU

                table.print_table(names)
            case ["demo", *words]:
                from research.report import demo_command

                startup.quiet()
                demo_command.main(words)
            case ["export", *words]:
                from research.report import export

                export.main(words)
            case _:
                asked = quoted(" ".join(argv)) if argv else "nothing"
                raise UserError(f"unknown command {asked}; --help lists them")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
