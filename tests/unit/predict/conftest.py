from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brainclock.io.scan import Scan
from brainclock.model.folder import load_model, save_model
from brainclock.stats.age_bias import AgeBiasCorrection
from brainclock.stats.conformal import Calibration
from tiny_model import build_model_folder, write_brain


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def calibrated_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with errors of −19 to 19 years, each once, and a line of age bias."""
    loaded = load_model(model_folder)
    known = {
        "calibration": Calibration((), (tuple(float(e) for e in range(-19, 20)),)),
        "age_bias": AgeBiasCorrection("de_lange", 39, (30.0, 70.0), 0.8, 10.0, (0.7, 0.9)),
    }
    folder = tmp_path_factory.mktemp("models") / "calibrated"
    save_model(loaded.model, loaded.card.model_copy(update=known), loaded.familiarity, folder)
    return folder


@pytest.fixture(scope="session")
def brain_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("brains")
    for seed in range(3):
        write_brain(folder, f"sub-{seed}", seed)
    return folder


@pytest.fixture
def brains(brain_files: Path, tmp_path: Path) -> list[Scan]:
    """Three scans that a test may change."""
    folder = tmp_path / "brains"
    shutil.copytree(brain_files, folder)
    names = [f"sub-{seed}" for seed in range(3)]
    return [
        Scan(
            name,
            name,
            folder / f"{name}_T1w.nii.gz",
            mask_path=folder / f"{name}_desc-brain_mask.nii.gz",
            in_template=True,
        )
        for name in names
    ]
