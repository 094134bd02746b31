from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainclock.config import Grid, PrepareSettings
from brainclock.errors import InputError
from brainclock.io.find import find_scans
from brainclock.io.nifti import read_volume
from brainclock.io.scan import Scan
from brainclock.io.volume import Volume
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.derivatives import read_own, read_prepared, write_prepared
from brainclock.prepare.prepared import OwnSpace, PreparedScan

SCAN = Scan(
    "sub-01_ses-2", "sub-01", Path("/somewhere/raw/sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"), "ses-2"
)
INPUTS = {"ImageSha256": "12", "MaskSha256": None, "InTemplateSpace": False, "Stripped": False}
STEM = "sub-01_ses-2_space-MNI152NLin2009aSym_res-2_desc-preproc_T1w"


@pytest.fixture
def written(prepared: PreparedScan, tmp_path: Path) -> Path:
    return write_prepared(prepared, SCAN, INPUTS, tmp_path / "out")


def test_what_is_written_is_read_again_exactly(written: Path, prepared: PreparedScan) -> None:
    again = read_prepared(written)
    assert again.data.tobytes() == prepared.data.tobytes()
    np.testing.assert_array_equal(again.mask, prepared.mask)
    np.testing.assert_array_equal(again.template_to_scan, prepared.template_to_scan)
    assert again.grid == prepared.grid
    assert again.quality == prepared.quality
    assert again.provenance == json.loads(json.dumps(prepared.provenance))


def test_equal_scans_are_equal_bytes_wherever_they_lie(
    written: Path, prepared: PreparedScan, tmp_path: Path
) -> None:
    moved = replace(SCAN, path=Path("/elsewhere/sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"))
    write_prepared(prepared, moved, INPUTS, tmp_path / "again")
    files = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "out" / file).read_bytes()
    sidecar = written.with_name(f"{STEM}.json").read_text()
    assert "somewhere" not in sidecar


def test_names_and_sidecar_are_as_bids_has_them(written: Path) -> None:
    assert written.name == f"{STEM}.nii.gz"
    assert written.parent.parts[-3:] == ("sub-01", "ses-2", "anat")
    sidecar = json.loads(written.with_name(f"{STEM}.json").read_text())
    assert sidecar["SkullStripped"] is True
    assert sidecar["Sources"] == ["sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"]
    section = sidecar["Preparation"]
    both = np.array(section["TemplateToScan"]) @ np.array(section["ScanToTemplate"])
    np.testing.assert_allclose(both, np.eye(4), atol=1e-9)
    assert section["Inputs"] == INPUTS
    names = {path.name for path in written.parent.iterdir()}
    assert "sub-01_ses-2_space-MNI152NLin2009aSym_res-2_desc-brain_mask.nii.gz" in names
    (scan,) = find_scans([written.parents[2]])
    assert (scan.key, scan.in_template, scan.stripped) == ("sub-01_ses-2", True, True)


@pytest.mark.parametrize(
    ("spacing", "label"), [((1.5, 1.5, 1.5), "1p5"), ((1.0, 1.2, 1.0), "1x1p2x1"), ((3.0, 3.0, 3.0), "3")]
)
def test_the_resolution_is_a_label_without_points(
    prepared: PreparedScan, tmp_path: Path, spacing: tuple[float, float, float], label: str
) -> None:
    other = replace(prepared, grid=Grid.box(prepared.grid.shape, spacing, (0.0, 0.0, 0.0)))
    assert f"_res-{label}_" in write_prepared(other, SCAN, INPUTS, tmp_path).name


def test_masks_lie_on_their_images(
    written: Path, prepared: PreparedScan, head: Volume, brain_mask: np.ndarray
) -> None:
    own = read_volume(written.with_name("sub-01_ses-2_desc-brain_mask.nii.gz"))
    np.testing.assert_array_equal(own.data > 0, brain_mask)
    np.testing.assert_allclose(own.affine, head.affine, atol=1e-5)
    on_grid = read_volume(written.with_name(written.name.replace("preproc_T1w", "brain_mask")))
    np.testing.assert_array_equal(on_grid.data > 0, prepared.mask)
    np.testing.assert_allclose(on_grid.affine, prepared.grid.matrix, atol=1e-5)


def test_itk_reads_the_transforms(written: Path, prepared: PreparedScan) -> None:
    """ITK maps points of the image that is made to points of the image it is made of, in LPS."""
    import SimpleITK as sitk  # noqa: N813

    there, back = (
        sitk.ReadTransform(str(written.with_name(f"sub-01_ses-2_from-{a}_to-{b}_mode-image_xfm.txt")))
        for a, b in (("T1w", "MNI152NLin2009aSym"), ("MNI152NLin2009aSym", "T1w"))
    )
    flip = np.array([-1.0, -1.0, 1.0])
    point = np.array([12.0, -34.0, 56.0])
    in_scan = (prepared.template_to_scan @ np.append(point, 1))[:3]
    np.testing.assert_allclose(there.TransformPoint(flip * point), flip * in_scan, atol=1e-9)
    np.testing.assert_allclose(back.TransformPoint(flip * in_scan), flip * point, atol=1e-9)


def test_a_prepared_scan_is_taken_as_it_is(written: Path, prepared: PreparedScan) -> None:
    scan = Scan("sub-01", "sub-01", written, in_template=True, stripped=True)
    again = prepare_scan(scan, PrepareSettings())
    assert again.data.tobytes() == prepared.data.tobytes()
    assert again.quality == prepared.quality


def test_the_voxels_of_the_original_are_known_from_its_mask(prepared: PreparedScan, tmp_path: Path) -> None:
    affine = np.array([[0, -1.5, 0, 20], [2, 0, 0, -9], [0, 0, 1, 4], [0, 0, 0, 1.0]])
    brain = np.zeros((9, 8, 7), dtype=bool)
    brain[2:6, 3:7, 1:4] = True
    own = OwnSpace(brain.shape, affine, brain, affine)
    path = write_prepared(replace(prepared, own=own), SCAN, INPUTS, tmp_path)
    again = prepare_scan(Scan("sub-01", "sub-01", path, in_template=True, stripped=True), PrepareSettings())
    assert again.own is not None
    assert again.own.shape == brain.shape
    np.testing.assert_allclose(again.own.affine, affine)
    np.testing.assert_array_equal(again.own.mask(), brain)
    path.with_name("sub-01_ses-2_desc-brain_mask.nii.gz").unlink()
    bare = read_own(path, PrepareSettings())
    assert bare is not None
    assert bare.own is None


def test_a_scan_prepared_otherwise_is_not_prepared_twice(written: Path) -> None:
    with pytest.raises(InputError, match="with other settings"):
        read_own(written, PrepareSettings(bias="none"))


def test_another_image_is_not_ours(written: Path, tmp_path: Path) -> None:
    written.with_name(f"{STEM}.json").write_text(json.dumps({"SkullStripped": True}))
    assert read_own(written, PrepareSettings()) is None
    written.with_name(f"{STEM}.json").write_text("{")
    assert read_own(written, PrepareSettings()) is None
    assert read_own(tmp_path / "head.nii.gz", PrepareSettings()) is None
    with pytest.raises(InputError, match="no account of a preparation"):
        read_prepared(written)


def test_an_image_that_was_changed_is_refused(written: Path, prepared: PreparedScan) -> None:
    from brainclock.io.nifti import write_volume

    write_volume(written, prepared.data * np.float32(1.01), prepared.grid.matrix)
    with pytest.raises(InputError, match="that were changed"):
        read_own(written, PrepareSettings())


@pytest.mark.parametrize("key", ["TemplateToScan", "Quality", "ImageSha256", "Provenance"])
def test_a_damaged_account_is_a_sentence(written: Path, key: str) -> None:
    path = written.with_name(f"{STEM}.json")
    sidecar = json.loads(path.read_text())
    sidecar["Preparation"][key] = ["?"]
    path.write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=r"damaged account|that were changed"):
        read_prepared(written)
