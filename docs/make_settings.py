"""Write docs/settings.md: every setting, its default and its meaning, read off the settings themselves.

Run ``python docs/make_settings.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic.fields import FieldInfo

from brainclock.config import Grid, RunSettings, Settings

PAGE = Path(__file__).with_name("settings.md")

HEAD = """# Settings

<!-- Written by docs/make_settings.py: change src/brainclock/config.py instead. -->

Everything that a run depends on. Give a TOML file with `--config run.toml`, single values with
`--set section.name=value` (the last one wins); what is not given has its default. A name that is not here,
or an impossible value, is an error. Each run writes the settings that it used to `run.json`.

```toml
seed = 2

[train]
objective = "l1"
steps = 4000
```"""

_SIGNS = (
    (Ge, "ge", "≥"),
    (Gt, "gt", ">"),
    (Le, "le", "≤"),
    (Lt, "lt", "<"),
    (MultipleOf, "multiple_of", "multiple of"),
)


def settings_page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for name, section in _sections("", RunSettings):
        parts.append(f"\n## {f'`{name}`' if name else 'The run'}\n\n{_about(section)}\n")
        parts.append("| setting | default | allowed | meaning |\n|---|---|---|---|")
        for key, field in section.model_fields.items():
            if not _is_section(field):
                full = f"{name}.{key}" if name else key
                parts.append(
                    f"| `{full}` | {_value(field.default)} | {_allowed(field)} | {field.description} |"
                )
    return "\n".join(parts) + "\n"


def _sections(name: str, section: type[Settings]) -> Iterator[tuple[str, type[Settings]]]:
    yield name, section
    for key, field in section.model_fields.items():
        if _is_section(field):
            assert isinstance(field.annotation, type)
            yield from _sections(f"{name}.{key}" if name else key, field.annotation)


def _is_section(field: FieldInfo) -> bool:
    kind = field.annotation
    return isinstance(kind, type) and issubclass(kind, Settings) and kind is not Grid


def _about(section: type[Settings]) -> str:
    return inspect.cleandoc(section.__doc__ or "").partition("\nExamples\n")[0].replace("``", "`").strip()


def _value(value: object) -> str:
    if isinstance(value, Grid):
        spacing = " × ".join(f"{step:g}" for step in value.spacing_mm)
        return f"{' × '.join(map(str, value.shape))} voxels of {spacing} mm"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' if isinstance(item, str) else f"{item}" for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    if field.annotation is Grid:
        return "a table with `shape` (3 integers) and `affine` (4 rows of 4; voxel to mm)"
    choices = _choices(field.annotation)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    limits = [
        f"{sign} {getattr(rule, attribute):g}"
        for kind, attribute, sign in _SIGNS
        for rule in field.metadata
        if isinstance(rule, kind)
    ]
    return ", ".join(limits)


def _choices(annotation: Any) -> list[object]:
    """Values of a Literal, also inside a tuple."""
    if getattr(annotation, "__name__", "") == "Literal" or str(annotation).startswith("typing.Literal"):
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) for choice in _choices(part)]


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
