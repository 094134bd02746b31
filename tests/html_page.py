"""What a page holds, for tests: ids, pictures, references, numbers, and tables by their id."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """A parsed page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.references: list[str] = []
        self.numbers: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.headings: list[int] = []
        self.words = ""
        self.table = ""
        self.identity = ""
        self.inside = False
        self.quiet = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if identity := found.get("id"):
            self.ids.append(identity)
            self.identity = identity
        if tag == "table":
            self.table = found["id"] or ""
            self.rows[self.table] = []
        if tag == "tr":
            self.rows[self.table].append([])
        self.inside = (self.inside and tag not in {"caption", "tr", "table"}) or tag in {"td", "th"}
        if tag in {"td", "th"}:
            self.rows[self.table][-1].append("")
        if tag == "img":
            self.images.append(found)
        if tag == "data":
            self.numbers.setdefault(self.identity, found["value"] or "")
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(int(tag[1]))
        if tag in {"script", "style"}:
            self.quiet += 1
        self.references += [v for k, v in attributes if k in {"src", "href", "action", "srcset"} and v]

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in {"td", "th"}
        if tag in {"script", "style"}:
            self.quiet -= 1

    def handle_data(self, data: str) -> None:
        if self.quiet:
            return
        self.words += data
        if self.inside:
            self.rows[self.table][-1][-1] += data
