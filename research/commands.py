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


REPORT_USAGE = """usage: landmarks report RUNS... [--out FILE.html]

Writes a page of finished runs, pictures and films inside (report.html), and the
table of their claims as Markdown beside it (report.md). A page of an earlier
report is replaced, and that is said; any other file is left alone."""


def write_report(words: Sequence[str]) -> None:
    """Writes the page of finished runs, and the table of their claims.

    Args:
      words: folders of runs, and `--out FILE`.

    Raises:
      UserError: a flag that there is not, no run, or a file that is not of an earlier report.
    """
    folders, out = _report_arguments(list(words))
    table_path = out.with_suffix(".md")
    runs = read_finished(folders)
    html = page.html_page([(f, r, _title(r["paper"])) for f, r in runs])
    table = page.markdown_table([result for _, result in runs])
    mine = (page.GENERATOR, page.TABLE_HEAD)
    with _writing(out.parent):
        for path, mark in zip((out, table_path), mine, strict=True):
            _refuse_foreign(path, mark)
        for path, text in ((out, html), (table_path, table)):
            said = "replaced" if path.exists() else "wrote"
            path.write_text(text, encoding="utf-8")
            print(f"{said} {path}", file=sys.stderr)
    print(table, end="")


def _report_arguments(words: list[str]) -> tuple[list[str], Path]:
    out, folders = "report.html", []
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if flag == "--out":
            if not equals and not words:
                raise UserError("report: --out needs a file")
            out = value if equals else words.pop(0)
        elif word.startswith("-"):
            raise UserError(f"report: no flag {quoted(word)}; --help lists them")
        else:
            folders.append(word)
    if not folders:
        raise UserError("report: no run is named; --help lists what it takes")
    if Path(out).suffix not in (".html", ".htm"):
        raise UserError(f"report: --out={quoted(out)[1:-1]} ends in .html")
    return folders, Path(out)


def _title(paper: str) -> str:
    """The title of a paper, its name where there is no script of it."""
    path = ROOT / "experiments" / f"{paper}.py"
    known = paper in {other.stem for other in path.parent.glob("*.py")}
    return load_module(path).PAPER.title if known else paper


def _refuse_foreign(path: Path, mark: str) -> None:
    """Raises UserError where a file is there that is not of an earlier report."""
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise UserError(f"{path} cannot be written: it is a folder; choose another --out")
    if path.is_file() and mark in path.read_text(encoding="utf-8", errors="replace")[:2000]:
        return
    raise UserError(f"{path} is there and is no earlier report; choose another --out")


@contextlib.contextmanager
def _writing(folder: Path = Path()) -> Iterator[None]:
    """Turns a folder that cannot be written, or a name that is too long for it, into one line."""
    try:
        yield
    except OSError as error:
        what = Path(error.filename).name if error.filename else "a file"
        raise UserError(
            f"{what} cannot be written to {folder.absolute()}: {error.strerror or error}"
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
            case ["report", "-h" | "--help"]:
                print(REPORT_USAGE)
            case ["report", *words]:
                write_report(words)
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
