"""Shapes and types are checked at run time in every test; the real scans are found if they are there."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "2")
_hook = install_import_hook("brainclock", "beartype.beartype")
_hook.__enter__()

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scans; a test that needs it is skipped where it is missing."""
    if not (SHARED_DATA / "ixi").is_dir():
        pytest.skip("needs the real scans, which are not on this machine")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _log_level_of_each_test() -> Iterator[None]:
    """Commands set the level of the log for their process; here many share one."""
    yield
    logging.getLogger("brainclock").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def _study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples in the documentation work on, made once."""
    from simulated_study import write_study

    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a test in a copy of the study, of its own."""
    folder = shutil.copytree(_study, tmp_path / "study")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tiny_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let a tiny model be the one that comes with the package."""
    from brainclock.explain import explain
    from brainclock.model import folder as models
    from brainclock.predict import predict
    from tiny_model import build_model_folder

    folder = build_model_folder(tmp_path / "shipped" / models.DEFAULT, name=models.DEFAULT)
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "shipped")
    for module in (explain, predict):
        module.load.cache_clear()
    yield folder
    for module in (explain, predict):
        module.load.cache_clear()
