"""What a person sees of a run: two lines that hold at the width of the terminal."""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console

from research.training import progress
from research.training.progress import Place, Progress

ROOT = Path(__file__).resolve().parents[2]
METRICS = {"train/loss": 0.123456, "train/error": 12.5, "eval/return": -1346.0, "length": 200.0}
FOLDER = Path("runs/resnet/residual_56/1")


def place(**changed):
    values = {"arm": "residual_56", "arms": (3, 4), "seed": "seed 1", "seeds": (2, 3), "left": 4}
    return Place(**values | {"folder": FOLDER} | changed)


def lines(shown, width, encoding="utf-8"):
    class Terminal(io.StringIO):
        pass

    Terminal.encoding = encoding
    console = Console(file=Terminal(), width=width, legacy_windows=False)
    console.print(shown)
    return console.file.getvalue().splitlines()


@pytest.fixture
def shown(monkeypatch):
    """A progress after 1,000 of 4,000 steps, of which the first 500 took a minute to compile."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.at(place(took=(50.0, 70.0))):
        shown = Progress(FOLDER, 0, 4000, {"frames": 4})
    now[0] = 60.0
    shown.advance(500)
    now[0] = 65.0
    shown.show(1000, METRICS)
    return shown


@pytest.mark.parametrize("width", [150, 80, 60, 40, 20, 5])
def test_two_lines_hold_at_any_width(shown, width):
    written = lines(shown, width)
    assert len(written) == 2
    assert all(len(line) <= width for line in written)


_RUN = """
import logging, sys, time
from pathlib import Path
from research.training import progress
place = progress.Place("residual_56", (3, 4), "seed 1", (2, 3), 4, Path("runs/resnet/a/1"))
with progress.at(place):
    shown = progress.Progress(place.folder, 0, 400, {"images": 128})
metrics = {f"train/metric_{i}": i / 7 for i in range(9)}
for step in range(0, 401, 100):
    shown.show(step, metrics)
    time.sleep(0.3)
    if step == 200:
        print("a word of the log", file=sys.stderr)
shown.close()
"""


@pytest.mark.parametrize("columns", [80, 60])
def test_a_terminal_of_so_many_columns(columns):
    """What a real terminal shows in the end: two lines, and above them what was said between."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN],
        cwd=ROOT,
        env=environment | {"TERM": "xterm", "PYTHONPATH": str(ROOT)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    output = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while part := os.read(master, 65536):
            output += part
    os.close(master)
    assert process.wait(60) == 0
    written = screen(output.decode(), columns)
    assert written[0] == "a word of the log"
    assert len(written) == 3, "each drawing is over the one before"
    assert "400/400" in written[1] and "seed 1" in written[1]
    assert "steps/s" in written[2] and written[2].endswith("...")
    assert max(map(len, written)) <= columns


def screen(output, columns):
    """The lines on a terminal after what was written to it."""
    rows, row, column = [""], 0, 0
    for code, final, letter in re.findall(r"\x1b\[([?0-9;]*)([A-Za-z])|([\s\S])", output):
        if final == "A":
            row = max(0, row - int(code or 1))
        elif final == "K":
            rows[row] = "" if code == "2" else rows[row][:column]
        elif letter == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif letter == "\r":
            column = 0
        elif letter:
            assert column < columns, "a line that does not fit"
            rows[row] = rows[row][:column].ljust(column) + letter + rows[row][column + 1 :]
            column += 1
    return [text.rstrip() for text in rows if text.strip()]


def test_the_first_line_says_where_the_run_is(shown):
    first, second = lines(shown, 120)
    assert first.startswith("residual_56 (3 of 4), seed 1 (2 of 3)  ━━")
    assert "1000/4000  0:30 left, all" in first
    assert second.startswith("100 steps/s 400 frames/s  train/loss 0.1235 train/error 12.5")
    assert "residual_56 3/4 seed 1 2/3" in lines(shown, 70)[0], "in short where it is narrow"
    assert lines(shown, 80)[1].endswith("...")


def test_time_left_is_without_the_compilation(shown):
    own, total = shown.left()
    assert own == pytest.approx(30.0)  # 3,000 steps at 100 a second, not 65 s for 1,000
    # This one takes 35 s from its first steps on, those before it took 50 and 70.
    assert total == pytest.approx(30.0 + 4 * (50 + 70 + 35) / 3)


def test_nothing_is_promised_before_there_are_steps(monkeypatch):
    with progress.at(place()):
        shown = Progress(FOLDER, 0, 4000, {})
    assert "compiling" in lines(shown, 80)[0]
    shown.advance(1)
    assert "left" not in lines(shown, 80)[0] and "compiling" not in lines(shown, 80)[0]


def test_a_phase_does_not_speak_for_those_that_come(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.at(place(left=0)):
        shown = Progress(FOLDER / "phase_0", 0, 100, {})
    shown.advance(10)
    now[0] = 10.0
    shown.advance(60)
    assert shown.left()[0] == pytest.approx(8.0)
    assert "phase_0" in lines(shown, 90)[0] and "0:08 left, all -" in lines(shown, 90)[0]


def test_letters_that_the_terminal_has(shown):
    assert "==" in lines(shown, 120, "ascii")[0]
    assert lines(shown, 120, "ascii")[0].isascii()


def test_a_run_alone_needs_no_names(tmp_path):
    shown = Progress(tmp_path / "main" / "0", 0, 10, {})
    assert lines(shown, 80)[0].startswith("main/0")


def test_clock():
    assert [progress._clock(s) for s in (0.4, 245, 3730)] == ["0:00", "4:05", "1:02:10"]


def test_where_a_run_stands_is_forgotten_after_it():
    with progress.at(place()):
        pass
    assert Progress(FOLDER, 0, 1, {}).place is None
    assert time.monotonic() > 0
