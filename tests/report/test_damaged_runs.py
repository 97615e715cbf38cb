"""Runs that something happened to: `report` and `compare` say in one line what is wrong.

A run's files may be cut off by a machine that lost power, edited by hand, or made by a stranger.
"""

import copy
import json
from types import SimpleNamespace

import pytest

from research import commands as command_line
from research.report.claims import Paper

RESULT = {
    "paper": "toy",
    "variant": "",
    "config": {"seeds": [0, 1]},
    "arms": {"slow": {"0": {"test/error": 2.0}, "1": {"test/error": 3.0}}},
    "claims": [{"claim": "less", "paper": "yes", "ours": "2.5", "holds": True}],
    "data": "",
    "seconds": 60.0,
    "device": "1 x cpu",
    "versions": {"jax": "0.10"},
}
PAPER = Paper("Toys", "A. Author", 1805, "", "It runs.", {}, ("test/error",))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(command_line, "load_scripts", lambda: {"toy": SimpleNamespace(PAPER=PAPER)})


def run_folder(place, result=RESULT, metrics='{"step": 5, "test/error": 2.0}\n'):
    """A run as it is on disk; result and metrics as objects, text, bytes, or None for no file."""
    for seed in ("0", "1"):
        folder = place / "slow" / seed
        folder.mkdir(parents=True)
        write(folder / "metrics.jsonl", metrics)
    write(place / "result.json", result)
    return str(place)


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def changed(key, value):
    result = copy.deepcopy(RESULT)
    *groups, last = key if isinstance(key, tuple) else (key,)
    node = result
    for group in groups:
        node = node[group]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return result


CLAIM = ("claims", 0)
DAMAGED = {
    "empty": "",
    "blank": "\n\n",
    "cut": json.dumps(RESULT)[:-30],
    "binary": bytes(range(256)),
    "zeros": bytes(500),
    "no text": b"\xff\xfe{}",
    "a list": [],
    "a number": 5,
    "null": "null",
    "a text": '"text"',
    "deep": "[" * 100_000,
    "no object": "{}",
    **{f"no {key}": changed(key, None) for key in RESULT},
    "paper a list": changed("paper", []),
    "variant a number": changed("variant", 3),
    "config a list": changed("config", []),
    "no seeds": changed(("config", "seeds"), None),
    "seeds a text": changed(("config", "seeds"), "0"),
    "seeds of texts": changed(("config", "seeds"), ["a"]),
    "arms a list": changed("arms", []),
    "an arm a number": changed("arms", {"slow": 5}),
    "a seed a list": changed("arms", {"slow": {"0": [1]}}),
    "a number a text": changed("arms", {"slow": {"0": {"test/error": "2"}}}),
    "claims an object": changed("claims", {}),
    "a claim a text": changed("claims", ["less"]),
    "a claim without text": changed((*CLAIM, "ours"), None),
    "a claim of a number": changed((*CLAIM, "claim"), 3),
    "a claim that holds a bit": changed((*CLAIM, "holds"), "yes"),
    "data a number": changed("data", 3),
    "seconds a text": changed("seconds", "60"),
    "seconds true": changed("seconds", True),
    "device an object": changed("device", {}),
    "versions a list": changed("versions", []),
    "a version a number": changed("versions", {"jax": 10}),
}


def refused(argv, capsys, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert command_line.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and error[:-1].isprintable()
    assert len(error) < 1500
    assert sorted(tmp_path.rglob("*")) == before
    return error


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_result(kind, tmp_path, capsys):
    good, bad = (run_folder(tmp_path / n, r) for n, r in (("a", RESULT), ("b", DAMAGED[kind])))
    for argv in (["report", bad], ["report", good, bad], ["compare", good, bad]):
        assert "result.json is damaged: " in refused(argv, capsys, tmp_path)


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("nowhere", "no finished run"),
        ("", "no finished run"),
        ("x" * 5000, "cannot look at"),
        ("a\nb", "no finished run"),
        ("file", "no finished run"),
        ("\0", "no finished run"),
    ],
    ids=repr,
)
def test_folders_that_are_no_runs(folder, words, tmp_path, capsys):
    (tmp_path / "here" / "file").write_text("")
    assert words in refused(["report", folder], capsys, tmp_path)


def test_runs_without_numbers_in_common(tmp_path, capsys):
    good = run_folder(tmp_path / "a")
    for name, arms in (("none", {}), ("other", {"slow": {"0": {"score": 1.0}}})):
        other = run_folder(tmp_path / name, changed("arms", arms))
        assert "no final number in common" in refused(["compare", good, other], capsys, tmp_path)
    stranger = run_folder(tmp_path / "b", changed("paper", "$x$\n<b>"))
    assert "no script here" in refused(["compare", good, stranger], capsys, tmp_path)


@pytest.mark.parametrize(
    "command", [["paper"], [], ["report"], ["compare", "one"], ["a\nb"]], ids=str
)
def test_unknown_commands(command, tmp_path, capsys):
    assert "--help lists" in refused(command, capsys, tmp_path)


METRICS = {
    "none": None,
    "empty": "",
    "another unit": '{"steps": 5}\n',
    "null": '{"step": 5, "test/error": null}\n',
    "a text": '{"step": 5, "test/error": "high"}\n{"step": 6, "test/error": 1.0}\n',
    "a step of a text": '{"step": "5", "test/error": 2.0}\n',
    "not finite": '{"step": 5, "test/error": NaN}\n',
}


@pytest.mark.parametrize("kind", METRICS)
def test_curves_of_a_damaged_run_are_left_out(kind, tmp_path, capsys):
    """The numbers are in `result.json`; a picture of what is left is all that is lost."""
    good, bad = run_folder(tmp_path / "a"), run_folder(tmp_path / "b", RESULT, METRICS[kind])
    code = command_line.main(["compare", good, bad])
    said = capsys.readouterr()
    assert (code == 0 and "| b | slow | 2 |" in said.out) or said.err.count("\n") == 1


def test_numbers_that_were_not_finite_are_shown_as_such(tmp_path, capsys):
    result = changed("arms", {"slow": {"0": {"test/error": None}, "1": {"test/error": 3.0}}})
    assert command_line.main(["compare", *(run_folder(tmp_path / n, result) for n in "ab")]) == 0
    assert "nan" in capsys.readouterr().out
    assert command_line.main(["report", run_folder(tmp_path / "c", result)]) == 0


def test_names_are_shown_and_nothing_else_is_made_of_them(tmp_path, capsys):
    odd = "$x_1$ <script>alert(1)</script> | a\nb `c`"
    result = changed("arms", {odd: RESULT["arms"]["slow"]}) | {"paper": odd, "variant": odd}
    result["claims"] = [{"claim": odd, "paper": odd, "ours": odd, "holds": None}]
    folder = run_folder(tmp_path / "odd $y$ <b>", result)
    assert command_line.main(["report", folder]) == 0
    page, table = ((tmp_path / "here" / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert "<script" not in page.replace("<style", "") and "<b>" not in page
    assert len(table.splitlines()) == 3  # one row
    outside = "".join(table.split("`")[::2])
    assert "<script" not in outside and "</script" not in outside
    result["paper"] = "toy"
    folders = [run_folder(tmp_path / f"{n} $y$", result) for n in ("first", "second")]
    assert command_line.main(["compare", *folders]) == 0
    assert (tmp_path / "here" / "compare_test_error.png").is_file()


def test_a_picture_that_is_a_folder_is_left_out(tmp_path):
    folder = run_folder(tmp_path / "a")
    (tmp_path / "a" / "loss.png").mkdir()
    assert command_line.main(["report", folder]) == 0


def test_a_place_that_cannot_be_written(tmp_path, capsys):
    folder = run_folder(tmp_path / "a")
    (tmp_path / "here" / "report.html").mkdir()
    assert "report.html cannot be written" in refused(["report", folder], capsys, tmp_path)
