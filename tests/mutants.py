"""Ways to break a paper, and the test or the claim that notices each.

`tests/papers/<paper>/mutants.py` has `MUTANTS`, a list of `Mutant`. `python -m pytest -m mutants`
breaks the source in one place at a time and asks that what is named notices it.
"""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "LANDMARKS_MUTANT"  # "<paper>:<name>", in the environment of what is to be broken


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One piece of source replaced by another, and what notices it.

    Attributes:
      name: what is broken, as an identifier, such as "double_q_is_plain".
      file: path of the source from the root of the repository.
      old: text in it, found exactly once.
      new: what stands there instead.
      caught_by: the test that fails, such as "tests/papers/ppo/test_ppo.py::test_one_update".
      claim: in place of a test, the flags with which the paper's script ends with a claim that
        does not hold, such as ("--config.seeds=0",).
    """

    name: str
    file: str
    old: str
    new: str
    caught_by: str = ""
    claim: Sequence[str] | None = None

    def broken(self) -> str:
        """The source with the piece replaced.

        Raises:
          ValueError: the piece is not there exactly once.
        """
        text = (ROOT / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: found {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)


def papers() -> list[str]:
    """The papers that have mutants."""
    return sorted(path.parent.name for path in ROOT.glob("tests/papers/*/mutants.py"))


def of_paper(paper: str) -> list[Mutant]:
    """The mutants of a paper."""
    path = ROOT / "tests" / "papers" / paper / "mutants.py"
    spec = importlib.util.spec_from_file_location(f"_mutants_{paper}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MUTANTS


def install() -> None:
    """Breaks what the environment names, for everything that is imported from now on."""
    if VARIABLE not in os.environ:
        return
    paper, name = os.environ[VARIABLE].split(":")
    mutant = next(m for m in of_paper(paper) if m.name == name)
    target, source = (ROOT / mutant.file).resolve(), mutant.broken().encode("utf-8")
    loader = importlib.machinery.SourceFileLoader
    get_data, path_stats = loader.get_data, loader.path_stats

    def broken_data(self, path):
        return source if Path(path).resolve() == target else get_data(self, path)

    def no_stats(self, path):  # so that no compiled file of the whole source is taken, or written
        if Path(path).resolve() == target:
            raise OSError
        return path_stats(self, path)

    loader.get_data, loader.path_stats = broken_data, no_stats  # type: ignore[method-assign]


if __name__ == "__main__":  # python -m tests.mutants PAPER FLAGS...: its script, broken
    install()
    from research import app, config

    sys.exit(app.main(config.load_module(ROOT / "experiments" / f"{sys.argv[1]}.py"), sys.argv[2:]))
