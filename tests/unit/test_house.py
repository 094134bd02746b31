"""What holds for every file of the repository."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

import brainclock
from brainclock.cli.bids import is_bids_line, one_label_each
from brainclock.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(path for top in ("src", "tests", "docs", "benchmarks") for path in (ROOT / top).rglob("*.py"))
SOURCE = [path for path in CODE if path.is_relative_to(ROOT / "src")]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_no_file_is_too_long() -> None:
    assert not {named(path): n for path in CODE if (n := len(text_of(path).splitlines())) > 400}


def test_nothing_prints_outside_the_command_line() -> None:
    assert not [named(path) for path in SOURCE if "print" in called_by_name(path)]


def test_nothing_is_put_off() -> None:
    assert not [named(path) for path in SOURCE if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text_of(path))]


def called_by_name(path: Path) -> set[str]:
    calls = (node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.Call))
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def test_no_room_is_a_drawer_for_everything() -> None:
    names = {part for path in CODE for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & {"utils", "util", "helpers", "common", "misc", "manager", "tools"}


def test_every_room_has_its_level() -> None:
    contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    levelled = {name.strip() for level in layers for name in level.split("|")}
    package = ROOT / "src" / "brainclock"
    rooms = {
        path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert levelled == {f"brainclock.{room}" for room in rooms - {"__init__", "__main__"}}
    assert not [contract for contract in contracts if "ignore_imports" in contract]


def test_tests_mirror_the_source() -> None:
    unit = ROOT / "tests" / "unit"
    rooms = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")} - {Path("docs")}
    assert not [room for room in rooms if not (ROOT / "src" / "brainclock" / room).is_dir()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for match in _LINK.finditer(text_of(page)):
        target = match["target"]
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, heading = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} in {named(page)}"
        if heading:
            assert heading in headings(found), f"{target} in {named(page)}"


def headings(page: Path) -> set[str]:
    lines = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def shell_lines() -> Iterator[tuple[str, list[str]]]:
    """Each command line in the pages, and the page."""
    for page in PAGES:
        for block in _BLOCK.finditer(text_of(page)):
            if block["language"] in ("", "sh", "bash", "console"):
                for line in block["text"].replace("\\\n", " ").splitlines():
                    yield named(page), shlex.split(line.removeprefix("$ "), comments=True)


def test_the_commands_on_the_pages_exist() -> None:
    commands = get_command(app()).commands
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    seen = set()
    for page, words in shell_lines():
        if words[:1] == ["make"]:
            assert words[1] in targets, f"{words} in {page}"
        if words[:1] == ["brainclock"] and is_bids_line(words[1:], list(commands)):
            words = ["brainclock", "bids", *one_label_each(words[1:])]
        if words[:1] != ["brainclock"] or words[1].startswith("-"):
            continue
        assert words[1] in commands, f"{words} in {page}"
        known = {spelling for parameter in commands[words[1]].params for spelling in parameter.opts} | {
            "--help"
        }
        assert {word.split("=")[0] for word in words[2:] if word.startswith("-")} <= known, (
            f"{words} in {page}"
        )
        seen.add(words[1])
    assert {"predict", "train", "evaluate"} <= seen


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_on_the_pages_names_what_is_public(page: Path) -> None:
    for block in _BLOCK.finditer(text_of(page)):
        if block["language"] == "python":
            ast.parse(block["text"])
            used = set(re.findall(r"\bbrainclock\.(\w+)", block["text"]))
            assert used <= set(brainclock.__all__), page


def test_everybody_names_the_same_version() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert project["version"] == brainclock.__version__
    citation = text_of(ROOT / "CITATION.cff")
    assert f"\nversion: {brainclock.__version__}\n" in citation
    for paper in ("2511.22102", "2210.01189"):
        assert f'value: "arXiv:{paper}"' in citation
        assert f"arxiv.org/abs/{paper}" in text_of(ROOT / "README.md")


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    pinned = dict(line.split("==") for line in text_of(ROOT / "constraints.txt").split())
    known = {name.lower() for name in pinned}
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *extras["dev"], *extras["docs"]]:
        assert re.split(r"[\[>=<]", requirement)[0].strip().lower() in known, requirement
    assert all("+" not in version for version in pinned.values()), "a local version exists on one index only"


def test_what_decides_is_tests_and_linters() -> None:
    lines = text_of(ROOT / ".ci" / "run").splitlines()
    assert [line for line in lines if line.startswith("make ")] == ["make test", "make lint"]
    command = ["make", "--dry-run", "install", "demo", "test", "lint", "bench", "docs", "release"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
