"""Shapes and types are checked at run time in every test; the real scans are found if they are there."""

from __future__ import annotations

import logging
import os
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
