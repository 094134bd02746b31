import importlib.util
from pathlib import Path

from brainclock.config import Grid, RunSettings, Settings

DOCS = Path(__file__).resolve().parents[3] / "docs"


def _maker():
    spec = importlib.util.spec_from_file_location("make_settings", DOCS / "make_settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _names(section, prefix=""):
    for key, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Settings) and kind is not Grid:
            yield from _names(kind, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", field


def test_the_page_is_what_the_settings_say():
    expected = _maker().settings_page()
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == expected, "run python docs/make_settings.py"


def test_every_setting_says_what_it_means_and_is_on_the_page():
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name, field in _names(RunSettings):
        assert field.description, name
        assert f"| `{name}` |" in page
