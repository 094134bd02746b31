from __future__ import annotations

from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from brainclock.cli.main import main
from brainclock.predict import licences
from brainclock.predict.licences import Component, installed_components


def package(folder: Path, name: str, metadata: str, files: tuple[str, ...] = ()) -> PathDistribution:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}")
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return PathDistribution(info)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Component]:
    """A package that needs one that needs it in turn, one that is not here, and not some others."""
    root = "".join(
        f"Requires-Dist: {line}\n"
        for line in (
            "Needed_One>=1",
            "gone",
            "extra-only; extra == 'cluster'",
            "elsewhere; sys_platform == 'none'",
        )
    )
    known = {
        "root": package(tmp_path, "root", f"License-Expression: MIT\nLicense: other\n{root}"),
        "needed-one": package(
            tmp_path,
            "needed-one",
            "License: a whole text\nClassifier: License :: OSI Approved\n"
            "Classifier: License :: OSI Approved :: GNU LGPL v3\nRequires-Dist: root\nRequires-Dist: plain\n",
            ("needed.libs/libquadmath-96973f99.so.0.0.0", "needed/code.py"),
        ),
        "plain": package(tmp_path, "plain", "License: BSD-3-Clause\n"),
        "extra-only": package(tmp_path, "extra-only", "License-Expression: MIT\n"),
        "elsewhere": package(tmp_path, "elsewhere", "License-Expression: MIT\n"),
    }

    def distribution(name: str) -> PathDistribution:
        if name not in known:
            raise licences.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(licences, "distribution", distribution)
    return {one.name: one for one in installed_components("root")}


def test_all_that_is_needed_is_found_once_and_nothing_else(parts: dict[str, Component]) -> None:
    assert list(parts) == ["needed-one", "plain", "root"]


def test_the_expression_counts_then_classifiers_then_the_text(parts: dict[str, Component]) -> None:
    assert [one.licence for one in parts.values()] == ["GNU LGPL v3", "BSD-3-Clause", "MIT"]
    assert [one.copyleft for one in parts.values()] == [True, False, False]


def test_libraries_inside_are_named(parts: dict[str, Component]) -> None:
    assert [one.libraries for one in parts.values()] == [("libquadmath",), (), ()]


def test_the_doctor_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--licences"]) == 0
    head, *lines = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert head == ["package", "version", "licence", "libraries"]
    rows = {line[0]: line for line in lines}
    assert rows["brainclock"][2] == "Apache-2.0"
    assert rows["fill-voids"][2].startswith("LGPL-3.0")
    assert "libquadmath (LGPL-2.1-or-later)" in rows["numpy"][3]
    assert all(len(line) == 4 for line in lines)
