from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from brainclock.errors import InputError, ModelError
from brainclock.io.nifti import read_volume, write_volume
from brainclock.io.scan import Scan
from brainclock.model.folder import load_model
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.predict import POSSIBLE_AGES, load, predict, predict_scan
from tiny_model import build_model_folder


def test_a_path_an_image_and_a_volume_have_the_same_age(brains: list[Scan], model_folder: Path) -> None:
    scan = brains[0]
    assert scan.mask_path is not None
    mask = read_volume(scan.mask_path).data > 0
    by_path = predict(scan.path, model_folder, mask=scan.mask_path, in_template=True)
    by_volume = predict(read_volume(scan.path), model_folder, mask=mask, in_template=True)
    by_image = predict(nibabel.load(scan.path), load_model(model_folder), mask=mask, in_template=True)
    assert by_path == by_volume == by_image == predict_scan(scan, str(model_folder))
    assert by_path.status == "ok"
    assert by_path.flags == ("given_mask", "already_stripped", "in_template_space")
    assert by_path.preparation == load_model(model_folder).card.preparation


def test_a_refused_scan_is_an_answer_without_a_number(brains: list[Scan], model_folder: Path) -> None:
    scan = brains[0]
    volume = read_volume(scan.path)
    small = replace(volume, affine=volume.affine @ np.diag([0.5, 0.5, 0.5, 1.0]))
    answer = predict(small, model_folder, mask=volume.data > 0, in_template=True)
    assert answer.predicted_age is None
    assert answer.status == "failed"
    assert answer.reason is not None
    assert answer.reason.startswith("coverage: ")
    assert answer.quality["coverage"] < 0.3
    assert answer.model == load_model(model_folder).card.identity


@pytest.mark.parametrize("intercept", [-40.0, 400.0])
def test_an_age_that_nobody_has_is_refused(brains: list[Scan], tmp_path: Path, intercept: float) -> None:
    folder = build_model_folder(tmp_path / "off", intercept=intercept)
    answer = predict_scan(brains[0], folder)
    assert answer.predicted_age is None
    assert answer.reason is not None
    assert answer.reason.startswith("predicted_age: ")
    assert f"allowed {POSSIBLE_AGES[0]:g} to {POSSIBLE_AGES[1]:g}" in answer.reason
    assert answer.quality["coverage"] == 1


def test_what_cannot_be_used_is_an_error(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        predict(tmp_path / "no.nii", model_folder)
    with pytest.raises(InputError, match="found 3 scans, expected one"):
        predict(brains[0].path.parent, model_folder)
    with pytest.raises(InputError, match="an array for an image on disk, expected a path"):
        predict(brains[0].path, model_folder, mask=np.ones((2, 2, 2), bool))
    with pytest.raises(ModelError, match=r"lacks model\.json"):
        predict(brains[0].path, tmp_path)


def test_names_of_files_say_how_the_scan_came(brains: list[Scan], model_folder: Path) -> None:
    scan = brains[0]
    volume = read_volume(scan.path)
    path = scan.path.with_name("sub-9_space-MNI152NLin2009cAsym_desc-brain_T1w.nii.gz")
    write_volume(path, volume.data, volume.affine)
    answer = predict(path, model_folder, mask=scan.mask_path)
    assert answer.flags == ("given_mask", "already_stripped", "in_template_space")
    assert answer.predicted_age == pytest.approx(predict_scan(scan, model_folder).predicted_age)


def test_a_model_is_loaded_once(model_folder: Path) -> None:
    assert load(str(model_folder)) is load(str(model_folder))


def test_an_answer_is_a_value(brains: list[Scan], model_folder: Path) -> None:
    assert isinstance(predict_scan(brains[0], model_folder), BrainAge)
    assert predict_scan(brains[0], model_folder) == predict_scan(brains[0], model_folder)
    assert predict_scan(brains[0], model_folder) != predict_scan(brains[1], model_folder)
