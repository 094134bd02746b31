import importlib.util
from pathlib import Path

from brainclock.cli.main import COMMANDS

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_page_is_what_the_commands_say():
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert page == maker.cli_page(), "run python docs/make_cli.py"
    for name in COMMANDS:
        assert f"\n## {name}\n" in page
    assert "| None |" not in page
    lines = [line for line in page.splitlines() if line.startswith("| `--set SET` |")]
    assert lines
    for line in lines:
        assert line.endswith("May be given several times. |")
