"""The site is built from the pages without a warning, and works from a folder without a network."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import brainclock

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx", reason="the packages for the docs are not installed")
    from sphinx.application import Sphinx

    folder = tmp_path_factory.mktemp("site")
    app = Sphinx(
        DOCS,
        DOCS,
        folder / "html",
        folder / "trees",
        "html",
        status=None,
        warning=sys.stderr,
        warningiserror=True,
    )
    app.build()
    assert app.statuscode == 0
    return folder / "html"


class Page(HTMLParser):
    """Names of places, links, and what is loaded with the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_there(site: Path, pages: dict[Path, Page]) -> None:
    for source in DOCS.rglob("*.md"):
        assert site / source.relative_to(DOCS).with_suffix(".html") in pages, source


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert not [(path, one) for path, page in pages.items() for one in page.loaded if urlsplit(one).netloc]
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8"), style


def test_links_and_headings_on_the_site_exist(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            lost = target in pages and unquote(parts.fragment) not in pages[target].ids | {""}
            if lost or not target.exists():
                broken.append((path.name, link))
    assert not broken


def test_the_reference_has_every_public_name_with_its_example(pages: dict[Path, Page], site: Path) -> None:
    ids = pages[site / "reference.html"].ids
    for name in brainclock.__all__:
        home = "brainclock.errors" if name == "BrainclockError" else "brainclock"
        assert f"{home}.{name}" in ids
    text = (site / "reference.html").read_text(encoding="utf-8")
    assert "Return the age of a brain." in text  # a room that is a function has the text of its function
