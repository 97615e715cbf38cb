"""A demo on the command line: inputs by name, outputs as text and files, one line for bad input."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from research import app, config
from research import commands as command_line
from research.core import UserError
from research.report import demo_command
from research.report.demo import (
    Audio,
    Choice,
    Demo,
    Drawing,
    Film,
    Image,
    Number,
    Probabilities,
    Text,
)
from research.report.demo_values import as_file, filled, in_words, read_value

TOYS = Path(__file__).resolve().parents[1] / "toys"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "run"
    line = config.load_module(TOYS / "experiments" / "line.py")
    assert app.main(line, ["--workdir", str(folder)]) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def demo(workdir, *words):
    return command_line.main(["demo", str(workdir), *words])


def test_defaults_are_printed_and_written(workdir, here, capsys):
    assert demo(workdir) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("y: ") and "line.png" in captured.err
    assert [path.name for path in here.iterdir()] == ["line_line.png"]
    assert np.asarray(Pillow.open("line_line.png")).shape == (8, 8)


def test_inputs_by_name(workdir, here, capsys):
    def y(*words):
        assert demo(workdir, *words) == 0
        return float(capsys.readouterr().out.split()[1])

    assert y("--times", "3") == pytest.approx(3 * y(), abs=0.01)
    assert y("--x=2") > y("--x", "1")
    assert y("--arm", "slow", "--seed", "1") != y("--arm", "slow")


def test_out_goes_by_the_suffix(workdir, here, capsys):
    assert demo(workdir, "--out", "a.png") == 0 and demo(workdir, "--out", "a.png") == 0
    assert "wrote a.png" in (said := capsys.readouterr().err) and "replaced a.png" in said
    assert demo(workdir, "--out", "a.txt") == 0
    assert Path("a.txt").read_text().startswith("y:\n")
    assert sorted(path.name for path in here.iterdir()) == ["a.png", "a.txt"]


def test_help_lists_inputs(workdir, capsys):
    assert demo(workdir, "--help") == 0
    said = capsys.readouterr().out
    assert "--x TEXT" in said and "1 to 9, default 1" in said and "(.png)" in said
    assert max(map(len, said.splitlines()[1:])) <= 80
    assert command_line.main(["demo", "--help"]) == 0 and "--serve" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bogus", "1"], "no input --bogus in this demo; there are --x, --times"),
        (["--times", "many"], "times takes a number"),
        (["--times", "10"], "a whole number from 1 to 9"),
        (["--times", "1.5"], "a whole number from 1 to 9"),
        (["--x", "infinity"], "x is finite"),
        (["--x"], "--x needs a value"),
        (["--x", "1", "--x", "2"], "given twice"),
        (["x"], "no flag"),
        (["--out", "a.gif"], "this demo writes .png, .txt"),
        (["--out", "nowhere/a.png"], "cannot write nowhere/a.png"),
        (["--seed", "x"], "--seed takes a whole number"),
        (["--arm", "bogus"], "no arm 'bogus'"),
    ],
)
def test_bad_input_is_one_line(words, said, workdir, here, capsys):
    assert demo(workdir, *words) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error and not list(here.iterdir())


def test_a_script_without_a_demo(workdir, capsys, monkeypatch):
    line = config.load_module(TOYS / "experiments" / "line.py")
    del line.demo
    monkeypatch.setattr(config, "load_module", lambda path: line)
    assert demo(workdir) == 2 and "has no demo" in capsys.readouterr().err


EVERYTHING = Demo(
    title="",
    says="",
    inputs={
        "text": Text("text", "a"),
        "share": Number("share", 0.5, 0, 1, 0.1),
        "count": Number("count", 2, 0, 9),
        "choice": Choice("choice", ["red", "blue"], "red"),
        "picture": Image("picture"),
    },
    outputs={},
    run=lambda **values: values,
)


def test_values_are_what_run_takes():
    values = filled(EVERYTHING, {"count": 3.0, "share": 1})
    assert values == {"text": "a", "share": 1.0, "count": 3, "choice": "red", "picture": None}
    assert type(values["count"]) is int and type(values["share"]) is float
    for bad in ({"choice": "green"}, {"share": 2}, {"count": "3"}, {"nothing": 1}):
        with pytest.raises(UserError):
            filled(EVERYTHING, bad)


def test_pictures_are_read_upright_and_in_colour(tmp_path):
    field = EVERYTHING.inputs["picture"]
    picture = Pillow.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture.save(tmp_path / "a.png", exif=exif)
    assert read_value("picture", field, str(tmp_path / "a.png")).shape == (3, 2, 3)
    (tmp_path / "b.png").write_text("no picture")
    for name, words in {"b.png": "no picture that can be read", "c.png": "no picture"}.items():
        with pytest.raises(UserError, match=words):
            read_value("picture", field, str(tmp_path / name))


def test_a_sound_is_read_at_the_rate_that_is_wanted(tmp_path):
    tone = np.sin(2 * np.pi * 200 * np.arange(1600) / 16000)
    (tmp_path / "a.wav").write_bytes(as_file(Audio("", 16000), tone))
    field = Audio("a recording", 8000)
    found = read_value("recording", field, str(tmp_path / "a.wav"))
    np.testing.assert_allclose(found[50:-50], tone[::2][50:-50], atol=0.01)
    demo = Demo("", "", {"recording": field}, {}, lambda recording: {})
    assert filled(demo, {})["recording"] is None
    # As the page gives it: a rate, and whole numbers of one channel or two.
    whole = (tone * 32767).astype(np.int16)
    for given in ((16000, whole), (16000, np.stack([whole, whole], 1))):
        np.testing.assert_allclose(
            filled(demo, {"recording": given})["recording"], found, atol=1e-3
        )
    with pytest.raises(UserError, match="no sound .*missing.wav"):
        read_value("recording", field, str(tmp_path / "missing.wav"))


def test_outputs_as_words_and_files():
    sound = np.array([0.0, 1.0, -1.0, 2.0])
    with wave.open(io.BytesIO(as_file(Audio("", 8000), sound))) as file:
        samples = np.frombuffer(file.readframes(4), np.int16)
        assert file.getframerate() == 8000 and samples.tolist() == [0, 32767, -32767, 32767]
    frames = np.stack([np.full((4, 6, 3), 100 * i, np.uint8) for i in range(3)])
    with Pillow.open(io.BytesIO(as_file(Film("", 10), frames))) as film:
        assert film.n_frames == 3 and film.size == (6, 4) and film.info["duration"] == 100
    shares = {"cat": 0.75, "a dog": 0.25}
    assert in_words(Probabilities(""), shares).splitlines() == [
        "cat     75.00%  ███████████████",
        "a dog   25.00%  █████",
    ]
    assert in_words(Number("", 0, 0, 1), 2.5) == "2.5"
    assert as_file(Drawing(""), "<svg/>") == b"<svg/>"
    assert in_words(Drawing(""), "<svg/>") == "6 characters of SVG"


def test_no_input_takes_the_name_of_a_flag():
    assert set(demo_command.RESERVED) == {"arm", "seed", "best", "out", "serve", "port", "help"}
