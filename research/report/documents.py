"""Parts of the documentation that are made from the results: nobody types a number twice.

Such a part stands between `<!-- kind: argument -->` and `<!-- /kind -->`; `fill` writes what is
between. Kinds:

* `claims: STEM`: the claims of results/STEM.json, and how they were measured;
* `seeds: STEM METRIC[:DIGITS] ...`: final numbers of every arm, seed by seed;
* `papers`: all papers by field, what each claims and what was measured;
* `results`: one row for each file of results;
* `mutants`: what is broken in each paper, and what notices it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from research.core import UserError
from research.report import page
from research.report.claims import FIELDS
from research.report.recorded import Recorded

PAGES = "docs/papers"
_PART = re.compile(r"<!-- (\w+)(?:: ([^\n]*?))? -->\n.*?<!-- /\1 -->", re.DOTALL)
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

Maker = Callable[[str], str]


def makers(
    root: Path,
    papers: Mapping[str, ModuleType],
    results: Sequence[Recorded],
    mutants: Mapping[str, Sequence],
) -> dict[str, Maker]:
    """What makes each kind of part from its argument.

    Args:
      root: of the repository.
      papers: scripts by name.
      results: as recorded.
      mutants: those of each paper, `tests.mutants.Mutant`.
    """
    by_stem = {recorded.stem: recorded for recorded in results}

    def stem(name: str) -> Recorded:
        if name not in by_stem:
            raise UserError(f"there is no results/{name}.json that a page asks for")
        return by_stem[name]

    def seeds(argument: str) -> str:
        name, *metrics = argument.split()
        return seed_table(stem(name), metrics)

    return {
        "claims": lambda name: claim_table(stem(name)),
        "seeds": seeds,
        "papers": lambda _: paper_tables(root, papers, results),
        "results": lambda _: result_table(root, results),
        "mutants": lambda _: mutant_table(mutants),
    }


def pages(root: Path) -> list[Path]:
    """The files that may have such parts."""
    return [root / "README.md", root / "RESULTS.md", *sorted((root / "docs").glob("**/*.md"))]


def fill(text: str, makers: Mapping[str, Maker]) -> str:
    """A page with its parts made anew.

    Raises:
      UserError: a part asks for what there is not.
    """

    def made(found: re.Match) -> str:
        kind, argument = found.group(1), found.group(2) or ""
        if kind not in makers:
            return found.group()
        opening = found.group().partition("\n")[0]
        return f"{opening}\n{makers[kind](argument)}\n<!-- /{kind} -->"

    return _PART.sub(made, text)


def claim_table(recorded: Recorded) -> str:
    """The claims of a result and, below them, how they were measured."""
    rows = [
        [claim["claim"], claim["paper"], claim["ours"], page.verdict(claim["holds"])]
        for claim in recorded.claims
    ]
    result = recorded.result
    measured = [
        f"{_plural('seed', recorded.seeds)} {', '.join(recorded.seeds)}",
        f"{result['seconds'] / 60:.1f} minutes in all on {page.hardware(result)}",
        *([f"data: {page.data(result)}"] if page.data(result) else []),
        _made_at(recorded),
        f"`{page.command(result)}`",
    ]
    head = ["claim", "paper", "measured", "holds"]
    tried = "".join(
        f"\nTried for `{arm}`: {text}.\n" for arm, text in result.get("tried", {}).items()
    )
    return f"\n{_table(head, rows)}\n\n{' · '.join(measured)}\n{tried}"


def seed_table(recorded: Recorded, metrics: Sequence[str]) -> str:
    """Final numbers of every arm, seed by seed: a column for each metric."""
    names = [metric.partition(":")[0] for metric in metrics]
    digits = [int(metric.partition(":")[2] or 2) for metric in metrics]
    arms = recorded.result["arms"]
    missing = [
        n for n in names if not any(n in run for runs in arms.values() for run in runs.values())
    ]
    if missing:
        raise UserError(f"results/{recorded.stem}.json has no {missing[0]!r} that a page asks for")
    rows = [
        [
            f"`{arm}`",
            *(
                ", ".join(
                    f"{runs[s][name]:.{d}f}" for s in recorded.seeds if name in runs.get(s, {})
                )
                for name, d in zip(names, digits, strict=True)
            ),
        ]
        for arm, runs in arms.items()
    ]
    title = f"arm ({_plural('seed', recorded.seeds)} {', '.join(recorded.seeds)})"
    return f"\n{_table([title, *names], rows)}\n"


def paper_tables(root: Path, papers: Mapping[str, ModuleType], results: Sequence[Recorded]) -> str:
    """A table for each field: script, paper, claim, what was measured."""
    tables = []
    for field in FIELDS:
        of_field = sorted(
            (module.PAPER.year, name)
            for name, module in papers.items()
            if module.PAPER.field == field
        )
        rows = []
        for _, name in of_field:
            paper = papers[name].PAPER
            link = f"[{paper.title}](https://arxiv.org/abs/{paper.arxiv})"
            cite = f"{link if paper.arxiv else paper.title} ({paper.authors}, {paper.year})"
            found = [recorded for recorded in results if recorded.paper == name]
            rows.append([_linked(root, name, ""), cite, paper.claim, measured_in_short(found)])
        if rows:
            head = ["script", "paper", "claim", "measured"]
            tables.append(f"\n### {(field or 'other').capitalize()}\n\n{_table(head, rows)}\n")
    return "".join(tables)


def measured_in_short(results: Sequence[Recorded]) -> str:
    """How many rows hold in how many seeds, and which do not; for each variant."""
    parts = []
    for recorded in results:
        failed = [_short(c["claim"]) for c in recorded.claims if c["holds"] is False]
        variant = f"`:{recorded.variant}` " if recorded.variant else ""
        seeds = f"{_number(len(recorded.seeds))} {_plural('seed', recorded.seeds)}"
        text = f"{variant}{recorded.holding} rows hold, {seeds}"
        parts.append(text + "".join(f"; **NO**: {claim}" for claim in failed))
    return ". ".join(parts) or "not measured yet"


def result_table(root: Path, results: Sequence[Recorded]) -> str:
    """One row for each file of results."""
    rows = [
        [
            _linked(root, recorded.paper, recorded.variant),
            recorded.holding,
            "; ".join(_short(c["claim"]) for c in recorded.claims if c["holds"] is False),
            str(len(recorded.seeds)),
            f"{recorded.result['seconds'] / 60:.1f}",
            _made_at(recorded),
            f"[{recorded.stem}.json](results/{recorded.stem}.json)",
        ]
        for recorded in results
    ]
    head = ["paper", "rows that hold", "that do not", "seeds", "minutes", "made at", "file"]
    return f"\n{_table(head, rows)}\n"


def mutant_table(mutants: Mapping[str, Sequence]) -> str:
    """What is broken in each paper, and the test or the claim that notices it."""
    rows = []
    for paper, found in sorted(mutants.items()):
        for mutant in found:
            caught = f"`{mutant.caught_by}`" if mutant.caught_by else ""
            flags = " ".join(mutant.claim or ())
            rows.append([paper, mutant.name.replace("_", " "), caught or f"a claim of `{flags}`"])
    return f"\n{_table(['paper', 'what is broken', 'what notices it'], rows)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )


def _linked(root: Path, paper: str, variant: str) -> str:
    name = f"`{paper}:{variant}`" if variant else f"`{paper}`"
    return f"[{name}]({PAGES}/{paper}.md)" if (root / PAGES / f"{paper}.md").exists() else name


def _made_at(recorded: Recorded) -> str:
    if not recorded.commits:
        return "commit not recorded"
    commits = ", ".join(f"`{commit[:10]}`" for commit in recorded.commits)
    changed = "" if recorded.result["clean"] else ", with changes"
    return f"commit {commits}{changed}, {recorded.result['date']}"


def _short(claim: str) -> str:
    """A claim without its margin."""
    return claim.rpartition(" (")[0] or claim


def _plural(word: str, things: Sequence) -> str:
    return word if len(things) == 1 else f"{word}s"


def _number(n: int) -> str:
    return _WORDS[n] if n < len(_WORDS) else str(n)
