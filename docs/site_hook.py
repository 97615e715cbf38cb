"""What the site has beside `docs/`: pages of the root, sources that pages link to, all papers.

Markdown here is read in the repository too, where `../experiments/x.py` is a link to a file. On the
site such a file is a page of its own, made here.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
_PAGES = ("RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md")
_SOURCES = ("experiments/*.py", "configs/*.py", "template/**/*.py", "results/*.json")
_LANGUAGES = {".py": "python", ".json": "json"}
_LINK = re.compile(r"(\]\()([^)\s:#]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
_MADE_FROM: dict[str, str] = {}  # page of the site -> path in the repository


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that do not lie in `docs/`."""
    _MADE_FROM.clear()
    for name in _PAGES:
        _add(files, config, name, name, (ROOT / name).read_text(encoding="utf-8"))
    shown = {path for pattern in _SOURCES for path in ROOT.glob(pattern)} | _linked()
    for path in sorted(shown):
        source = path.relative_to(ROOT).as_posix()
        _add(files, config, f"source/{source}.md", source, _as_page(source, path))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- papers -->\n(.*?)<!-- /papers -->", readme, re.DOTALL)
    assert found, "README.md has no list of papers"
    papers = re.sub(r"^### ", "## ", found[1], flags=re.MULTILINE)
    _add(files, config, "papers/index.md", "README.md", f"# Papers\n\n{papers}")
    return files


def _linked() -> set[Path]:
    """Other sources that pages of `docs/` or of the root link to."""
    found = set()
    for page in [*(ROOT / "docs").rglob("*.md"), *map(ROOT.joinpath, _PAGES)]:
        for link in _LINK.finditer(page.read_text(encoding="utf-8")):
            path = (page.parent / link[2]).resolve()
            if path.suffix in _LANGUAGES and path.is_file() and path.is_relative_to(ROOT):
                found.add(path)
    return found


def _add(files: Files, config: Any, page: str, source: str, content: str) -> None:
    _MADE_FROM[page] = source
    files.append(File.generated(config, page, content=content))


def _as_page(source: str, path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    language = _LANGUAGES[path.suffix]
    if language == "json":
        text = json.dumps(json.loads(text), indent=1)
    return f"---\nsearch:\n  exclude: true\n---\n\n# {source}\n\n````{language}\n{text}\n````\n"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to files of the repository into links to their pages."""
    here = page.file.src_uri
    # Where the text lies in the repository, which its links are relative to.
    origin = _MADE_FROM.get(here, f"docs/{here}")
    if here.startswith("source/"):
        return markdown

    def link(found: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found[2]))
        page_of = _page_of(target, files)
        if page_of is None:
            return found[0]  # what it does not know, mkdocs warns of
        relative = posixpath.relpath(page_of, posixpath.dirname(here) or ".")
        return f"{found[1]}{relative}{found[3] or ''}{found[4]}"

    if here.startswith("papers/") and here != "papers/index.md":
        markdown = _with_sources(markdown, Path(here).stem)
    parts = _FENCE.split(markdown)  # code is left as it is
    return "".join(part if i % 2 else _LINK.sub(link, part) for i, part in enumerate(parts))


def _with_sources(markdown: str, paper: str) -> str:
    """A paper's page with links to its script and settings, where it has none of its own."""
    if f"(../../experiments/{paper}.py)" in markdown:
        return markdown
    links = " · ".join(
        f"[`{s}/{paper}.py`](../../{s}/{paper}.py)" for s in ("experiments", "configs")
    )
    heading, _, rest = markdown.partition("\n")
    return f"{heading}\n\n{links}\n{rest}"


def _page_of(target: str, files: Files) -> str | None:
    """The page of the site that a path of the repository is."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if target == "README.md":
        return "index.md"
    if target == "template":
        return "adding_a_paper.md"
    for page in (target, f"source/{target}.md"):
        if files.get_file_from_path(page) is not None:
            return page
    return None
