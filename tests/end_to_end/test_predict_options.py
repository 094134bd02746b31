"""``brainclock predict`` with a level, an age, stability and embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.io.tables import read_table
from brainclock.model.folder import load_model, save_model
from brainclock.stats.conformal import Calibration
from tiny_model import build_model_folder, write_brain


@pytest.fixture
def model(tmp_path: Path) -> Path:
    loaded = load_model(build_model_folder(tmp_path / "tiny"))
    errors = Calibration((), (tuple(float(e) for e in range(-19, 20)),))
    card = loaded.card.model_copy(update={"calibration": errors})
    save_model(loaded.model, card, loaded.familiarity, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def command(tmp_path: Path, model: Path) -> list[str]:
    write_brain(tmp_path, "sub-1", 1)
    mask = str(tmp_path / "sub-1_desc-brain_mask.nii.gz")
    image = str(tmp_path / "sub-1_T1w.nii.gz")
    return ["predict", image, "--mask", mask, "--template-space", "--model", str(model)]


def test_one_image_is_answered_in_lines(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--level", "0.8", "--older-than", "45", "--stability"]) == 0
    age, older, stable = capsys.readouterr().out.splitlines()
    assert "(80 % interval" in age
    assert older.startswith("older than 45 years: ")
    assert stable.startswith("on turned voxels: SD ")
    assert main([*command, "--level", "0.8", "--older-than", "45", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["predicted_age_high"] == pytest.approx(answer["predicted_age"] + 16)
    assert answer["interval_level"] == 0.8
    assert 0 < answer["probability_older"] < 1
    assert answer["stability_sd"] is None


def test_a_folder_holds_it_all(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--level", "0.8", "--older-than", "45", "--stability", "--embeddings", "-o", str(out)]
    assert main([*command, *options, "--quiet"]) == 0
    (row,) = read_table(out / "predictions.tsv")
    assert float(row["stability_max"]) > 0
    assert (row["interval_level"], row["older_than"]) == ("0.8", "45")
    assert np.load(out / "embeddings.npy", allow_pickle=False).shape[0] == 1
    described = json.loads((out / "predictions.json").read_text())
    assert all(described[name]["Description"] for name in row)


def test_embeddings_need_a_folder(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--embeddings"]) == 2
    assert "--embeddings: found no --output" in capsys.readouterr().err
