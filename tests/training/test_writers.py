import io
import json
import re

import pytest

from research.training import progress, writers
from research.training.writers import Writers, keep_until, read_metrics


def test_lines_hold_step_units_and_numbers(tmp_path):
    w = Writers(tmp_path, 0, 10, {"frames": 4})
    w.write(5, {"loss": 0.5, "return": float("nan")})
    w.close()
    (line,) = read_metrics(tmp_path)
    assert line.pop("seconds") >= 0
    assert line == {"step": 5, "frames": 20, "loss": 0.5, "return": None}
    json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=pytest.fail)


def test_an_infinite_number_is_told_from_a_missing_one(tmp_path):
    w = Writers(tmp_path, 0, 10, {})
    w.write(5, {"grad_norm": float("inf"), "return": float("nan")})
    w.close()
    (line,) = read_metrics(tmp_path)
    assert line["grad_norm"] is None and line["return"] is None
    assert line["infinite"] == ["grad_norm"]
    json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        ("", [1, 2, 3]),
        ('{"step": 4, "loss": 1', [1, 2, 3]),  # killed while it was written
        ('{"step": 4}\n', [1, 2, 3]),  # of steps that will be made again
        ('{"step": 3}', [1, 2, 3, 3]),  # whole, but for its end of line
    ],
)
def test_a_resumed_run_goes_on_after_its_checkpoint(tmp_path, tail, kept):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"step": {step}}}\n' for step in (1, 2, 3)) + tail)
    w = Writers(tmp_path, 3, 10, {})
    w.write(4, {"loss": 1.0})
    w.close()
    assert [line["step"] for line in read_metrics(tmp_path)] == [*kept, 4]


def test_a_kill_while_lines_are_dropped_loses_none(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    text = '{"step": 1}\n{"step": 2}\n'
    path.write_text(text)

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(path), "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        keep_until(path, 1)
    assert path.read_text() == text


def test_no_file_is_no_metrics(tmp_path):
    assert read_metrics(tmp_path) == []
    keep_until(tmp_path / "metrics.jsonl", 3)


def test_plain_lines_where_there_is_no_terminal(tmp_path, capsys):
    folder = tmp_path / "plain" / "0"
    folder.mkdir(parents=True)
    w = Writers(folder, 0, 10, {"frames": 4})
    w.advance(2)
    w.write(5, {"loss": 0.5})
    w.close()
    shown = capsys.readouterr().err
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d plain/0 5/10  loss", shown)
    assert "plain/0 5/10" in shown and "loss 0.5" in shown
    assert "steps/s" in shown and "frames/s" in shown and "0:00 left" in shown
    assert "\x1b" not in shown


def test_a_bar_on_a_terminal(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    w = Writers(tmp_path, 0, 10, {"frames": 4})
    w.advance(4)
    w.write(5, {"loss": 0.5})
    w.close()
    assert "5/10" in terminal.getvalue() and "frames/s" in terminal.getvalue()


def test_tensorboard_events_are_written(tmp_path):
    w = Writers(tmp_path, 0, 10, {})
    w.write(5, {"test/error": 0.5})
    w.close()
    (events,) = (tmp_path / "tensorboard").glob("events*")
    assert b"test/error" in events.read_bytes()


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(writers.jax, "process_index", lambda: 1)
    w = Writers(tmp_path, 0, 10, {})
    w.write(5, {"loss": 0.5})
    w.advance(6)
    w.close()
    assert list(tmp_path.iterdir()) == []
