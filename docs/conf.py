"""The site: ``make docs`` builds it into build/site from these pages, which read as well without it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import brainclock

HERE = Path(__file__).parent

project = "brainclock"
version = release = brainclock.__version__
author = copyright = "The brainclock developers"  # noqa: A001  Sphinx names it so
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["comparison", "gap", "models", "results"]
templates_path: list[str] = []

#: The order of the pages; ``index`` itself is plain Markdown, which repositories show as it is.
NAVIGATION = {
    "Begin": ["First steps <readme>"],
    "Tutorials": ["tutorials/bids", "tutorials/three_files", "tutorials/loss", "tutorials/table"],
    "How to": [
        "predicting",
        "report",
        "bids_app",
        "scaling",
        "preparation",
        "evaluating",
        "gap_analysis",
        "explaining",
        "training",
        "comparing",
        "simulating",
    ],
    "Understand": [
        "method",
        "rank_n_contrast",
        "model_card",
        "results",
        "comparison",
        "explanations",
        "gap",
        "experiments",
    ],
    "Look up": ["reference", "cli", "settings", "model_folder"],
    "The project": ["changelog", "contributing", "security", "licences"],
}
DECISIONS = sorted(f"adr/{path.stem}" for path in (HERE / "adr").glob("*.md"))
#: Pages at the top of the repository, and where the site has them.
TOP = {
    name.lower(): HERE.parent / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")
}
_LINK = re.compile(r"\]\((?P<path>[^):#\s]+)(?P<heading>#[^)\s]*)?\)")

myst_enable_extensions: list[str] = []
myst_heading_anchors = 4
highlight_language = "text"  # of blocks that name none: commands
default_role = "code"  # numpydoc's single backticks are names
numpydoc_show_class_members = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"brainclock {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1b5e8c", "color-brand-content": "#1b5e8c"},
    "dark_css_variables": {"color-brand-primary": "#7fb8e0", "color-brand-content": "#7fb8e0"},
}


def to_site(_app: Any, page: str, source: list[str]) -> None:
    """Give the first page the order of all others, and a place to what lies outside of this folder."""
    written = TOP.get(page, HERE / f"{page}.md")
    if page in TOP:
        source[0] = written.read_text(encoding="utf-8")

    def follow(link: re.Match[str]) -> str:
        target = (written.parent / link["path"]).resolve()
        target = next((HERE / f"{name}.md" for name, top in TOP.items() if top == target), target)
        if target == HERE / "adr":
            target = HERE / f"{DECISIONS[0]}.md"
        return f"]({os.path.relpath(target, (HERE / page).parent)}{link['heading'] or ''})"

    source[0] = _LINK.sub(follow, source[0])
    if page == "index":
        for caption, pages in {**NAVIGATION, "Decisions": DECISIONS}.items():
            entries = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def setup(app: Any) -> None:
    """Tell Sphinx what to call."""
    app.connect("source-read", to_site)
