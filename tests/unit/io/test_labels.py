from __future__ import annotations

from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.labels import find_labels


def put(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_labels_are_found_in_the_derivatives_of_the_dataset(tmp_path) -> None:
    image = put(tmp_path, "sub-1/ses-2/anat/sub-1_ses-2_run-1_T1w.nii.gz")
    where = "derivatives/dlmuse/sub-1/ses-2/anat/sub-1_ses-2_run-{}_desc-dlmuse_dseg.nii.gz"
    right = put(tmp_path, where.format(1))
    put(tmp_path, where.format(2))
    put(tmp_path, "derivatives/fmriprep/sub-1/ses-2/anat/sub-1_ses-2_run-1_desc-aseg_dseg.nii.gz")
    put(tmp_path, "derivatives/muse/sub-1/ses-2/anat/sub-1_ses-2_run-1_space-MNI152_desc-muse_dseg.nii.gz")
    assert find_labels(image) == right


def test_labels_are_found_beside_a_scan_and_from_one_derivative_to_another(tmp_path) -> None:
    image = put(tmp_path, "sub-1_T1w.nii.gz")
    beside = put(tmp_path, "sub-1_desc-muse_dseg.nii")
    assert find_labels(image) == beside
    prepared = put(tmp_path, "in/derivatives/bc/sub-1/anat/sub-1_space-MNI_res-2_desc-preproc_T1w.nii.gz")
    labels = put(tmp_path, "in/derivatives/dlmuse/sub-1/anat/sub-1_desc-dlmuse_dseg.nii.gz")
    assert find_labels(prepared) == labels


def test_without_labels_there_are_none(tmp_path) -> None:
    assert find_labels(put(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")) is None
    put(tmp_path, "head_desc-dlmuse_dseg.nii.gz")
    assert find_labels(put(tmp_path, "head.nii.gz")) is None


def test_two_label_maps_of_one_scan_are_refused(tmp_path) -> None:
    image = put(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    for pipeline in ("a", "b"):
        put(tmp_path, f"derivatives/{pipeline}/sub-1/anat/sub-1_desc-dlmuse_dseg.nii.gz")
    with pytest.raises(InputError, match="Remove all but one"):
        find_labels(image)
