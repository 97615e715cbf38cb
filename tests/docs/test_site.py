"""The documentation as a site, and its notebook, where the extra `docs` is installed."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
has_mkdocs = all(map(importlib.util.find_spec, ("mkdocs", "material", "mkdocstrings")))
has_nbclient = all(map(importlib.util.find_spec, ("nbclient", "nbformat", "ipykernel")))


@pytest.mark.skipif(not has_mkdocs, reason="needs pip install -e '.[docs]'")
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    for paper in (ROOT / "docs" / "papers").glob("*.md"):
        html = (site / "papers" / paper.stem / "index.html").read_text(encoding="utf-8")
        assert f"source/experiments/{paper.stem}.py" in html, "it links to its script"
    shown = (site / "api" / "loop" / "index.html").read_text(encoding="utf-8")
    assert "research.training.loop.run" in shown
    for page in site.rglob("*.html"):  # the reader asks no other server for anything
        html = page.read_text(encoding="utf-8")
        asked = re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="(https?://[^"]*)"', html)
        assert not asked, (page, asked)


def test_pages_are_in_the_navigation():
    """Every page beside those of papers stands in mkdocs.yml."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        if not name.startswith("papers/"):
            assert f": {name}\n" in navigation, name


def test_the_notebook_holds_no_output():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    for cell in cells:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "notebook", "exec")


@pytest.mark.slow
@pytest.mark.skipif(not has_nbclient, reason="needs pip install -e '.[docs]'")
def test_the_notebook_runs_top_to_bottom(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    for name in ("experiments", "configs", "research"):
        os.symlink(ROOT / name, tmp_path / name)
    shutil.copy(NOTEBOOK, tmp_path)
    notebook = nbformat.read(tmp_path / NOTEBOOK.name, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    [*_, film] = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert "image/gif" in film["data"]
