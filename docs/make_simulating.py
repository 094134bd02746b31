"""Write the table of settings into docs/simulating.md, read off the settings themselves.

Run ``python docs/make_simulating.py``.
"""

from __future__ import annotations

from pathlib import Path

from make_settings import _is_section, _sections, _value

from brainclock.simulate.settings import CohortSettings

PAGE = Path(__file__).with_name("simulating.md")
_BEGIN, _END = "<!-- settings: written by docs/make_simulating.py -->\n", "<!-- end of settings -->\n"


def simulating_page() -> str:
    """Return the page with its table up to date."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, section in _sections("", CohortSettings):
        for key, field in section.model_fields.items():
            if not _is_section(field):
                full = f"{name}.{key}" if name else key
                rows.append(f"| `{full}` | {_value(field.default)} | {field.description} |")
    return before + _BEGIN + "\n".join(rows) + "\n" + _END + after


if __name__ == "__main__":
    PAGE.write_text(simulating_page(), encoding="utf-8")
