"""Contracts of the tree: imports, format, lint, types, unused code."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def check(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_arrows_point_one_way():
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff():
    check("ruff", "check", ".")


def test_format():
    check("ruff", "format", "--check", ".")
    told_off = "fmt: " + "skip"
    for folder in ("research", "experiments", "configs", "tests", "template"):
        for path in (ROOT / folder).rglob("*.py"):
            assert told_off not in path.read_text(encoding="utf-8"), path


def test_types():
    check("mypy")


def test_no_unused_code():
    check("vulture")
