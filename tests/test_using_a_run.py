"""The lines of docs/using_a_run.md run as they stand, in order, on the runs that it says."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from research import app, config
from research import commands as command_line

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "using_a_run.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE, re.DOTALL)


def run_command(line: str) -> str:
    """A command of the page, in this process: what it prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        match shlex.split(line):
            case ["python", script, *flags] if script.startswith("experiments/"):
                assert app.main(config.load_module(ROOT / script), flags) == 0, line
            case ["python", "-m", "research", *words]:
                assert command_line.main(words) == 0, line
            case _:
                raise AssertionError(f"not understood: {line}")
    return said.getvalue()


@pytest.mark.slow  # three runs
def test_the_lines_of_the_page(tmp_path, monkeypatch, caplog):
    for name in ("configs", "experiments"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    said = []
    for kind, text in BLOCKS:
        if kind == "bash":
            said += [run_command(line) for line in text.splitlines()]
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, "using_a_run.md", "exec"), {})
        said.append(printed.getvalue())
    everything = "".join(said)
    assert "actor/params" in everything and "numbers in" in everything
    assert "--episode N" in everything and "return of what is shown" in everything
    # Both runs that begin with weights take all of them.
    assert caplog.text.count("arrays are taken") == 2
    assert "begin as they are drawn" not in caplog.text and "not used" not in caplog.text
    with Image.open("swing.gif") as film:
        assert film.n_frames == 50


def test_what_stands_in_the_table_has_a_demo():
    table = PAGE[PAGE.index("| scripts |") :]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) >= 25
    for name in names:
        assert hasattr(config.load_module(ROOT / "experiments" / f"{name}.py"), "demo"), name
