"""The HTML report and the Markdown table, from a run of the toy script."""

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from research import app, config
from research import commands as command_line
from research.report.claims import Paper

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
    assert command_line.main(["report", str(workdir)]) == 0
    page = Tags()
    page.feed((tmp_path / "report.html").read_text())
    assert page.sources and all(s.startswith(("data:image/png", "#")) for s in page.sources)
    result = json.loads((workdir / "result.json").read_text())
    assert result["claims"][0]["ours"] in page.text
    table = (tmp_path / "report.md").read_text()
    assert "| line | fast learns faster (slow - fast >= 0) | so it does |" in table
    assert "`python experiments/line.py`" in table
    assert table in capsys.readouterr().out


def test_report_escapes_what_it_shows(workdir, tmp_path):
    from research.report.page import html_page, markdown_table

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
