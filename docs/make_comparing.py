"""Write the tables of settings and rivals into docs/comparing.md, read off the code.

Run ``python docs/make_comparing.py``.
"""

from __future__ import annotations

from pathlib import Path

from make_settings import _is_section, _sections, _value

from brainclock.compare.rivals import RIVALS
from brainclock.compare.settings import CompareSettings

PAGE = Path(__file__).with_name("comparing.md")


def comparing_page() -> str:
    """Return the page with its tables up to date."""
    text = PAGE.read_text(encoding="utf-8")
    return _filled(_filled(text, "rivals", _rivals()), "settings", _settings())


def _rivals() -> list[str]:
    rows = [f"| `{name}` | {rival.words} | {rival.about} |" for name, rival in RIVALS.items()]
    return ["| name | in tables | what it is |", "|---|---|---|", *rows]


def _settings() -> list[str]:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, section in _sections("", CompareSettings):
        if name.partition(".")[0] == "run":
            continue  # docs/settings.md has them
        for key, field in section.model_fields.items():
            if not _is_section(field):
                full = f"{name}.{key}" if name else key
                default = "" if field.is_required() else _value(field.get_default(call_default_factory=True))
                rows.append(f"| `{full}` | {default or 'required'} | {field.description} |")
    return rows


def _filled(text: str, name: str, rows: list[str]) -> str:
    begin, end = f"<!-- {name}: written by docs/make_comparing.py -->\n", f"<!-- end of {name} -->\n"
    before, rest = text.split(begin)
    return before + begin + "\n".join(rows) + "\n" + end + rest.split(end)[1]


if __name__ == "__main__":
    PAGE.write_text(comparing_page(), encoding="utf-8")
