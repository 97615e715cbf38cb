"""Every mutant is caught: `python -m pytest -m mutants`. By default: that each is well formed."""

import json
import os
import subprocess
import sys

import pytest

from tests import mutants
from tests.mutants import ROOT, Mutant

MUTANTS = [
    pytest.param(paper, mutant, id=f"{paper}:{mutant.name}")
    for paper in mutants.papers()
    for mutant in mutants.of_paper(paper)
]


@pytest.mark.parametrize("paper", mutants.papers())
def test_mutants_break_what_is_there(paper):
    found = mutants.of_paper(paper)
    assert len(found) >= 5
    assert len({mutant.name for mutant in found}) == len(found)
    for mutant in found:
        compile(mutant.broken(), mutant.file, "exec")
        assert bool(mutant.caught_by) != (mutant.claim is not None)
        if mutant.caught_by:
            path, _, test = mutant.caught_by.partition("::")
            name = test.split("::")[-1].split("[")[0]
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.mutants
@pytest.mark.parametrize(("paper", "mutant"), MUTANTS)
def test_mutant_is_caught(paper, mutant, tmp_path):
    env = {**os.environ, mutants.VARIABLE: f"{paper}:{mutant.name}"}
    env.pop("PYTEST_XDIST_WORKER", None)
    if mutant.claim is None:
        command = ["pytest", "-q", "-x", "-m", "", "-p", "no:cacheprovider", mutant.caught_by]
    else:
        flags = [*mutant.claim, "--workdir", str(tmp_path / "run")]
        command = ["tests.mutants", paper, *flags]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    if mutant.claim is None:
        assert done.returncode == 1 and "1 failed" in output, output
    else:
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        assert any(claim["holds"] is False for claim in result["claims"]), output


def test_a_mutant_is_imported_in_place_of_the_source(tmp_path):
    """The machinery itself, on a function of the library and a test of it."""
    code = (
        "from tests import mutants;"
        "mutants.of_paper = lambda paper: [mutants.Mutant('m', 'research/core/errors.py',"
        " 'class UserError', 'class Other(Exception): pass\\n\\n\\nclass UserError')];"
        "mutants.install();"
        "from research.core import errors; print(errors.Other.__name__)"
    )
    env = {**os.environ, mutants.VARIABLE: "paper:m"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.stdout.strip() == "Other", done.stderr
    with pytest.raises(ValueError, match="found 0 times"):
        Mutant("none", "research/core/errors.py", "not there", "").broken()
