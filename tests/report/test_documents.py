"""Parts of the documentation that are made from results: how they are made, and that they are."""

import json
import subprocess
import types

import pytest

from research import commands as command_line
from research.config import load_config, load_module
from research.core import UserError
from research.report import documents, recorded
from research.report.claims import Paper
from research.report.recorded import Recorded
from tests.mutants import Mutant

ROOT = command_line.ROOT
RESULT = {
    "paper": "p",
    "variant": "",
    "config": {"seeds": [0, 10, 2]},
    "arms": {
        "ours": {"0": {"x": 1.0, "y": 0.126}, "10": {"x": 3.0}, "2": {"x": 2.0, "y": 0.5}},
        "rival": {"0": {"x": 0.0}},
    },
    "claims": [
        {"claim": "a | b (x >= 1)", "paper": "", "ours": "1 [every seed]", "holds": True},
        {"claim": "c (|x| <= 2)", "paper": "much", "ours": "3", "holds": False},
        {"claim": "d", "paper": "", "ours": "", "holds": None},
    ],
    "data": {"ours": "digits", "rival": ""},
    "seconds": 90.0,
    "device": "1 x cpu",
    "cpu": "a processor",
    "commit": "0123456789abcdef",
    "clean": True,
    "date": "2026-01-01",
    "command": "python experiments/p.py",
    "versions": {"jax": "0.10"},
    "tried": {"rival": "rates 1 and 2 on seed 9"},
}
OLD = {
    k: v
    for k, v in RESULT.items()
    if k not in ("cpu", "commit", "clean", "date", "command", "tried")
}
OLD |= {"variant": "mnist", "data": "digits"}
PAPERS = {
    "p": types.SimpleNamespace(PAPER=Paper("T", "A", 2000, "1.2", "it works", field="images")),
    "q": types.SimpleNamespace(PAPER=Paper("U", "B", 1999, "", "it too")),
}


@pytest.fixture
def makers(tmp_path):
    (tmp_path / "docs" / "papers").mkdir(parents=True)
    (tmp_path / "docs" / "papers" / "p.md").write_text("")
    mutants = {
        "p": [
            Mutant("no_x", "f", "a", "b", "tests/t.py::t"),
            Mutant("y", "f", "a", "b", claim=["-v"]),
        ]
    }
    results = [Recorded("p", RESULT), Recorded("p_mnist", OLD)]
    return documents.makers(tmp_path, PAPERS, results, mutants)


def test_claims_have_their_verdict_and_where_they_come_from(makers):
    text = makers["claims"]("p")
    assert (
        "| a \\| b (x >= 1) |  | 1 [every seed] | yes |\n| c (\\|x\\| <= 2) | much | 3 | NO |"
        in text
    )
    assert "| d |  |  | not checked |" in text
    where = "seeds 0, 2, 10 · 1.5 minutes in all on 1 x cpu, a processor · data: ours: digits · "
    assert where + "commit `0123456789`, 2026-01-01 · `python experiments/p.py`" in text
    assert text.endswith("\nTried for `rival`: rates 1 and 2 on seed 9.\n")
    old = makers["claims"]("p_mnist")
    assert "data: digits · commit not recorded · `python experiments/p.py --config" in old


def test_seeds_are_shown_for_every_arm(makers):
    text = makers["seeds"]("p x:1 y")
    assert "| arm (seeds 0, 2, 10) | x | y |" in text
    assert "| `ours` | 1.0, 2.0, 3.0 | 0.13, 0.50 |" in text
    assert "| `rival` | 0.0 |  |" in text


def test_papers_are_listed_by_field_with_rows_that_hold_and_that_do_not(makers):
    text = makers["papers"]("")
    row = "| [`p`](docs/papers/p.md) | [T](https://arxiv.org/abs/1.2) (A, 2000) | it works | "
    row += "1 of 2 rows hold, three seeds; **NO**: c. `:mnist` 1 of 2 rows hold, three seeds; "
    assert (
        f"### Images\n\n| script | paper | claim | measured |\n| --- | --- | --- | --- |\n{row}"
        in text
    )
    assert "### Other" in text and "| `q` | U (B, 1999) | it too | not measured yet |" in text
    table = makers["results"]("")
    assert "| [`p:mnist`](docs/papers/p.md) | 1 of 2 | c | 3 | 1.5 | commit not recorded |" in table


def test_mutants_say_what_notices_them(makers):
    text = makers["mutants"]("")
    assert "| p | no x | `tests/t.py::t` |\n| p | y | a claim of `-v` |" in text


def test_what_is_between_marks_is_made_and_nothing_else(makers):
    text = (
        "a\n<!-- claims: p -->\nbefore\n<!-- /claims -->\nb\n<!-- other -->\nc\n<!-- /other -->\n"
    )
    once = documents.fill(text, makers)
    assert once.startswith("a\n<!-- claims: p -->\n\n| claim |") and "before" not in once
    assert once.endswith("<!-- /claims -->\nb\n<!-- other -->\nc\n<!-- /other -->\n")
    assert documents.fill(once, makers) == once


@pytest.mark.parametrize("part", ["claims: nowhere", "seeds: nowhere x", "seeds: p z"])
def test_part_of_what_was_not_measured_is_one_line(makers, part):
    kind = part.partition(":")[0]
    with pytest.raises(UserError, match="that a page asks for"):
        documents.fill(f"<!-- {part} -->\n<!-- /{kind} -->", makers)


def test_made_parts_of_the_documentation_are_up_to_date():
    stale = [
        str(path.relative_to(ROOT))
        for path, text in command_line.made_documents().items()
        if text != path.read_text(encoding="utf-8")
    ]
    assert not stale, "python -m research results --write"


def test_every_recorded_result_is_shown_on_its_papers_page():
    for found in recorded.read(ROOT):
        page = (ROOT / "docs" / "papers" / f"{found.paper}.md").read_text(encoding="utf-8")
        assert f"<!-- claims: {found.stem} -->" in page, found.stem


def test_recorded_verdicts_are_those_of_todays_claims():
    scripts = command_line.load_scripts()
    for found in recorded.read(ROOT):
        config = load_config(ROOT / "configs" / f"{found.paper}.py", found.variant)
        judged = recorded.judged(found, scripts[found.paper], config.check_claims)
        assert judged == found.result, f"{found.stem}: python -m research results --judge"


def test_what_was_tried_is_of_arms():
    for path in sorted((ROOT / "configs").glob("*.py")):
        module = load_module(path)
        tried = getattr(module, "TRIED", {})
        if tried:
            assert set(tried) <= set(module.get_config().arms), path.name


@pytest.fixture
def repository(tmp_path):
    files = {
        "research/__init__.py": "",
        "research/core/__init__.py": "from research.core import tree\n",
        "research/core/tree.py": "",
        "research/core/unused.py": "",
        "research/nn/conv.py": "def f():\n    import research.nn.deep\n",
        "research/nn/deep.py": "",
        "research/report/claims.py": "from research.core import unused\n",
        "configs/common.py": "",
        "configs/p.py": "from configs import common\n",
        "experiments/p.py": "import numpy\nfrom research.core.tree import x\n"
        "from research.nn import conv\nfrom research.report.claims import Claim\n",
        "results/p.json": json.dumps(RESULT),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def test_a_result_depends_on_what_its_script_imports_in_turn(repository):
    assert recorded.dependencies(repository, "p") == {
        "experiments/p.py",
        "configs/p.py",
        "configs/common.py",
        "research/__init__.py",
        "research/core/__init__.py",
        "research/core/tree.py",
        "research/nn/conv.py",
        "research/nn/deep.py",
    }


def test_a_result_is_stale_once_what_it_depends_on_has_changed(repository):
    made = RESULT | {"commit": git(repository, "rev-parse", "HEAD")}

    def staleness(**changed):
        return recorded.staleness(repository, Recorded("p", made | changed))

    assert staleness() == ""
    for name in ("research/core/unused.py", "research/report/claims.py"):
        (repository / name).write_text("x = 1\n")
    later = commit(repository)
    assert staleness() == ""
    (repository / "research/nn/deep.py").write_text("x = 1\n")
    assert staleness() == "research/nn/deep.py", "not yet committed"
    commit(repository)
    assert staleness() == staleness(commit=f"{later} {made['commit']}") == "research/nn/deep.py"
    assert staleness(commit=git(repository, "rev-parse", "HEAD")) == ""
    assert staleness(commit="") == staleness(commit="0" * 40) == staleness(clean=False) == "unknown"
    assert recorded.staleness(repository, Recorded("p", OLD)) == "unknown"


def test_the_command_lists_what_is_recorded(repository, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "ROOT", repository)
    assert command_line.main(["results"]) == 0
    shown = capsys.readouterr().out
    assert "1 of 2" in shown and "unknown" in shown and "0123456789" in shown
    assert command_line.main(["results", "--what"]) == 2
