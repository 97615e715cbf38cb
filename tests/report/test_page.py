"""The HTML report and the Markdown table, from a run of the toy script."""

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from research import app, config
from research import commands as command_line
from research.data.audio.files import encode_wav
from research.report.claims import Paper
from research.report.page import distinct_titles, html_page, markdown_table

TOYS = Path(__file__).resolve().parents[1] / "toys"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    line = config.load_module(TOYS / "experiments" / "line.py")
    assert app.main(line, ["--workdir", str(folder)]) == 0
    return folder


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_report_is_self_contained(workdir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (workdir / "film.gif").write_bytes(b"GIF89a")
    (workdir / "sound.wav").write_bytes(encode_wav(np.zeros(8), 8000))
    assert command_line.main(["report", str(workdir)]) == 0
    page = Tags()
    page.feed((tmp_path / "report.html").read_text())
    assert page.sources and all(
        s.startswith(("data:image/png", "data:image/gif", "data:audio/wav", "#"))
        for s in page.sources
    )
    assert any(s.startswith("data:audio/wav") for s in page.sources), "a sound"
    assert any(s.startswith("data:image/gif") for s in page.sources), "a film"
    result = json.loads((workdir / "result.json").read_text())
    assert result["claims"][0]["ours"] in page.text
    table = (tmp_path / "report.md").read_text()
    assert "| line | fast learns faster (slow - fast >= 0) | so it does |" in table
    assert "`python experiments/line.py`" in table
    assert table in capsys.readouterr().out


def test_the_summary_comes_first(workdir):
    result = json.loads((workdir / "result.json").read_text())
    lost = result | {"claims": [dict(result["claims"][0], holds=False, claim="a lost row")]}
    unsure = result | {"claims": [dict(result["claims"][0], holds=None)]}
    html = html_page([(workdir, result, "One"), (workdir, lost, "Two"), (workdir, unsure, "Three")])
    assert "<title>Landmarks: 1 of 2 rows hold</title>" in html
    summary = html[: html.index("<h2")]
    assert "<h1>1 of 2 rows hold</h1>" in summary
    assert "1 of 1" in summary and "0 of 1" in summary and "not judged" in summary
    assert "a lost row" in summary
    assert html.count("<table>") == html.count('<div class="scroll"><table>') > 3
    assert "prefers-color-scheme: dark" in html


def test_titles_are_distinct(workdir):
    result = json.loads((workdir / "result.json").read_text())
    other = result | {"variant": "smoke"}
    runs = [(workdir / "a", result, "T"), (workdir / "b", result, "T"), (workdir, other, "T")]
    assert distinct_titles(runs) == [f"T in {workdir / 'a'}", f"T in {workdir / 'b'}", "T (:smoke)"]


def test_the_command_is_that_of_the_run(workdir):
    result = json.loads((workdir / "result.json").read_text())
    given = result | {"command": "python experiments/line.py --config.flag=true"}
    html = html_page([(workdir, given, "T")])
    assert "<code>python experiments/line.py --config.flag=true</code>" in html
    old = {k: v for k, v in result.items() if k != "command"}
    assert "overrides were not recorded" in html_page([(workdir, old, "T")])


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def hostile(value):
    """The same with a script in every text and every name."""
    if isinstance(value, dict):
        return {
            key if key in RESULT_KEYS else (key + '"' + SCRIPT): hostile(x)
            for key, x in value.items()
        }
    if isinstance(value, list):
        return [hostile(x) for x in value]
    return f'{value}"{SCRIPT}' if isinstance(value, str) else value


RESULT_KEYS = {
    *("paper", "variant", "config", "arms", "claims", "data", "seconds", "device", "versions"),
    *("seeds", "command", "commit", "cpu", "claim", "ours", "holds", "jax", "date", "clean"),
}


def test_nothing_is_ever_html(workdir, tmp_path):
    result = json.loads((workdir / "result.json").read_text())
    folder = tmp_path / SCRIPT.replace("/", ":")
    (folder / "<b>arm" / "0").mkdir(parents=True)
    (folder / "<i>picture.png").write_bytes(b"")
    (folder / "<b>arm" / "0" / "<u>.gif").write_bytes(b"")
    bad = hostile(result | {"cpu": "x"})
    html = html_page([(folder, bad, SCRIPT), (folder, bad, SCRIPT)])
    tags = []

    class Named(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

    Named().feed(html)
    assert {tag for tag, _ in tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "code", "br", "a"),
        *("div", "table", "tr", "th", "td", "figure", "img", "figcaption"),
    }
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert all(a["src"].startswith("data:") for tag, a in tags if tag == "img")
    assert "default-src 'none'" in html
    table = markdown_table([bad])
    assert "<script" not in table and "<img" not in table


def test_out_and_what_is_there(workdir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["report", str(workdir), "--out", "mine.html"]
    assert command_line.main(words) == 0
    assert "wrote mine.html\nwrote mine.md" in capsys.readouterr().err
    assert command_line.main(words) == 0
    assert "replaced mine.html\nreplaced mine.md" in capsys.readouterr().err
    for name in ("thesis.html", "notes.md"):
        (tmp_path / name).write_text("years of work")
        out = str(Path(name).with_suffix(".html"))
        assert command_line.main(["report", f"--out={out}", str(workdir)]) == 2
        said = capsys.readouterr().err
        assert f"{name} is there and is no earlier report" in said and said.count("\n") == 1
        assert (tmp_path / name).read_text() == "years of work"
    assert not (tmp_path / "notes.html").exists(), "both or none"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no run is named"),
        (["--out", "a.html"], "no run is named"),
        (["x", "--out"], "--out needs a file"),
        (["x", "--out", "a.pdf"], "ends in .html"),
        (["x", "--open"], "no flag '--open'"),
    ],
)
def test_report_flags(words, said, capsys):
    assert command_line.main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert command_line.main(["report", "--help"]) == 0


def test_report_escapes_what_it_shows(workdir, tmp_path):
    result = json.loads((workdir / "result.json").read_text())
    result["claims"][0]["ours"] = "<b>1 | 2"
    assert "<b>1" not in html_page([(workdir, result, "t")])
    assert "1 \\| 2" in markdown_table([result])


def test_report_of_an_unfinished_run_is_one_line(tmp_path, capsys):
    assert command_line.main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no finished run" in error and error.count("\n") == 1


def test_papers_lists_every_script_with_its_variants(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert command_line.main(["papers"]) == 0
    shown = capsys.readouterr().out
    for name in command_line.load_scripts():
        assert f"{name}: " in shown
        module = config.load_module(command_line.ROOT / "configs" / f"{name}.py")
        for text in config.describe_variants(module):
            assert text and text in shown
    assert ":smoke" in shown and ":paper" in shown


def test_variants_of_one_description_share_a_row(monkeypatch, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "games.py").write_text(
        'def smoke(config):\n    """Seconds, of\n    two lines.\n\n    And more.\n    """\n'
        'def game(config):\n    """The same on this game."""\n'
        'NAMES = ("alien", "amidar", "assault", "asterix")\n'
        'VARIANTS = {"smoke": smoke} | dict.fromkeys(NAMES, game)\n'
    )
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    paper = Paper("Games", "A. Author", 2013, "", "Games are played.")
    output = io.StringIO()
    Console(file=output, width=100).print(command_line._paper_table("games", paper, []))
    rows = [line.split("  ") for line in output.getvalue().splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert [":smoke", "Seconds, of two lines."] in cells
    assert [":alien, :amidar, ... (4)", "The same on this game."] in cells


def test_unknown_command(capsys):
    assert command_line.main(["paper"]) == 2
    assert "unknown command" in capsys.readouterr().err
