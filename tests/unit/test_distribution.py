"""What would be uploaded: the files in wheel and sdist, and their metadata."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.specifiers import SpecifierSet

import brainclock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist of the checkout."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_is_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "brainclock").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert found == expected
    for needed in (
        "py.typed",
        "__init__.pyi",
        "prepare/template.npz",
        "prepare/TEMPLATE-LICENSE.txt",
        "model/weights/whole-brain/weights.safetensors",
        "model/weights/slab/model.json",
        "report/evaluation.html.j2",
    ):
        assert f"brainclock/{needed}" in found


def test_weights_in_the_wheel_are_those_of_the_checkout(wheel: zipfile.ZipFile) -> None:
    for path in (ROOT / "src/brainclock/model/weights").rglob("*.safetensors"):
        assert wheel.read(path.relative_to(ROOT / "src").as_posix()) == path.read_bytes()


def test_metadata_are_what_an_index_takes(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Metadata.from_email(wheel.read(name), validate=True)  # an error names what is wrong
    assert str(metadata.version) == brainclock.__version__
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.requires_python == SpecifierSet(">=3.11")
    assert metadata.description_content_type == "text/markdown"
    assert (metadata.description or "").startswith("# brainclock")
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert b"brainclock = brainclock.cli.main:main" in wheel.read(entry)


def test_the_sdist_has_all_to_build_test_and_document(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "LICENSE",
        "SECURITY.md",
        "CITATION.cff",
        "docs/conf.py",
        "docs/tutorials/bids.md",
        "tests/conftest.py",
        "benchmarks/prepare.py",
        ".ci/release",
        "src/brainclock/model/weights/whole-brain/weights.safetensors",
    ):
        assert needed in found, needed
    assert not [name for name in found if "__pycache__" in name or name.startswith((".venv", "shared"))]
