"""The command line `python -m research`: `papers`, `results`, `report`, `compare` and `pods`."""

from __future__ import annotations

import contextlib
import io
import json
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
USAGE = """usage: python -m research papers           every paper: claim, variants, measured result
       python -m research results          recorded results: rows that hold, commit, what is stale
       python -m research results --write  makes the parts of the documentation that show results
       python -m research results --judge  recorded numbers, judged by the claims as they are now
       python -m research report RUNS...   report.html and report.md of finished runs
       python -m research compare RUNS...  runs of several scripts side by side: table and curves
       python -m research pods [SCRIPTS]   full-size steps compiled for TPU slices, as a table
       python -m research demo RUN ...     what a finished model does for a person (--help)
       python -m research export RUN ...   its weights as a safetensors file (--help)"""


def load_scripts() -> dict[str, ModuleType]:
    """Imports all scripts; returns their modules by name."""
    return {path.stem: load_module(path) for path in sorted((ROOT / "experiments").glob("*.py"))}


def print_papers() -> None:
    """Prints every paper: its claim, variants, and what was measured."""
    console, results = Console(markup=False, highlight=False), recorded.read(ROOT)
    for name, module in load_scripts().items():
        paper = module.PAPER
        cite = f"{paper.title} ({paper.authors}, {paper.year})"
        cite += f", arXiv:{paper.arxiv}" if paper.arxiv else ""
        console.print(f"{name}: {cite}", style="bold")
        console.print(_paper_table(name, paper, [r.result for r in results if r.paper == name]))
        console.print()


def _paper_table(name: str, paper: Paper, runs: Sequence[Mapping[str, Any]]) -> Table:
    """A paper's claim, the variants of its configuration, and the claims of recorded runs."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("claim", paper.claim)
    config = load_module(ROOT / "configs" / f"{name}.py")
    for text, names in describe_variants(config).items():
        table.add_row(shortened([f":{name}" for name in names]), text)
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
            case ["-h" | "--help"]:
                print(USAGE)
            case _:
                asked = quoted(" ".join(argv)) if argv else "nothing"
                raise UserError(f"unknown command {asked}; --help lists them")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
