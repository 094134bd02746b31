"""Brains have the volumes asked for, nothing folds, and the same seed gives the same bytes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.io.nifti import read_volume
from brainclock.io.volume import Volume
from brainclock.simulate.anatomy import Anatomy, anatomy_from_labels, template_anatomy
from brainclock.simulate.brain import age_brain, age_image, make_brain, random_field
from brainclock.simulate.deformation import deform
from brainclock.simulate.people import draw_person, visit
from brainclock.simulate.settings import CohortSettings
from brainclock.simulate.tissue import TISSUES
from brainclock.simulate.trajectories import load_trajectories

SETTINGS = CohortSettings()


def of_age(age: float) -> dict[int, float]:
    """Return the median factors of an age."""
    return {
        code: math.exp(one.log_factor(age))
        for one in load_trajectories().structures
        for code in one.codes
        if one.name != "external_csf"
    }


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return template_anatomy(2)


def test_regions_have_the_volumes_of_the_reference(anatomy: Anatomy) -> None:
    """Both sides, ml, on the 1 mm template; the 2 mm template is within its voxels."""
    volumes = {load_trajectories().names()[code]: ml for code, ml in anatomy.volumes_ml().items()}
    expected = {
        "lateral_ventricle": 15.9,
        "hippocampus": 9.9,
        "caudate": 8.8,
        "putamen": 11.2,
        "thalamus": 10.2,
    }
    for name, ml in expected.items():
        assert volumes[f"{name}_right"] + volumes[f"{name}_left"] == pytest.approx(ml, rel=0.07), name
    assert sum(volumes.values()) == pytest.approx(1883, rel=0.03)


def test_every_voxel_of_the_brain_is_something(anatomy: Anatomy) -> None:
    np.testing.assert_allclose(anatomy.shares[:, anatomy.inside].sum(axis=0), 1, atol=1e-5)
    assert (anatomy.labels[anatomy.inside] > 0).all()
    assert (anatomy.shares[:, anatomy.labels == 0] == 0).all()


@pytest.mark.parametrize("age", [20.0, 50.0, 85.0])
def test_every_structure_has_the_volume_asked_for(anatomy: Anatomy, age: float) -> None:
    wanted = of_age(age)
    done = deform(anatomy, wanted)
    assert done.min_jacobian > 0
    # the volume that a reader of the images would measure: sums of what the structures' masks became
    codes = [code for code in wanted if (anatomy.labels == code).any()]
    masks = np.stack([(anatomy.labels == code).astype(np.float32) for code in codes])
    after = done.carry(masks).sum(axis=(1, 2, 3), dtype=np.float64)
    before = (masks * anatomy.inside).sum(axis=(1, 2, 3), dtype=np.float64)
    for code, factor in zip(codes, after / before, strict=True):
        assert factor == pytest.approx(wanted[code], rel=0.03), load_trajectories().names()[code]
        assert factor == pytest.approx(done.achieved[code], rel=1e-3)


def test_skull_stays_and_csf_takes_the_difference(anatomy: Anatomy) -> None:
    done = deform(anatomy, of_age(85.0))
    before = anatomy.volumes_ml()
    after = {code: before[code] * factor for code, factor in done.achieved.items()}
    assert sum(after.values()) == pytest.approx(sum(before.values()), rel=1e-4)
    assert after[10] > 1.8 * before[10]
    assert done.carry(anatomy.shares)[:, ~anatomy.inside].max() == 0


def test_labels_count_what_the_volumes_say(anatomy: Anatomy) -> None:
    person = draw_person(1, SETTINGS, 1)
    brain = make_brain(anatomy, person, visit(person, 0.0, SETTINGS), shape_mm=1.5)
    counts = np.bincount(brain.tissue.labels.ravel(), minlength=300)
    voxel_ml = abs(np.linalg.det(brain.tissue.affine[:3, :3])) / 1000
    for code, ml in brain.volumes_ml(anatomy).items():
        assert counts[code] * voxel_ml == pytest.approx(ml, abs=max(0.02 * ml, 2 * voxel_ml))


def test_the_same_person_is_the_same_brain_and_lesions_are_as_many_as_asked_for(anatomy: Anatomy) -> None:
    person = draw_person(4, SETTINGS, 1)
    now = visit(person, 0.0, SETTINGS)
    one, two = (make_brain(anatomy, person, now, shape_mm=1.5).tissue for _ in range(2))
    assert one.shares.tobytes() == two.shares.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    lesion, white = (one.shares[TISSUES.index(name)].sum() for name in ("lesion", "white"))
    assert lesion / (lesion + white) == pytest.approx(now.lesion_share, rel=0.25)
    np.testing.assert_allclose(one.shares[:, one.labels > 0].sum(axis=0), 1, atol=1e-4)


def test_folds_and_full_skulls_are_errors_with_the_structure(anatomy: Anatomy) -> None:
    names = load_trajectories()
    white = dict.fromkeys(names.structure("white_matter").codes, 1.5)
    with pytest.raises(InputError, match="white_matter"):
        deform(anatomy, white)
    wild = np.zeros((3, *anatomy.labels.shape), dtype=np.float32)
    wild[0] = 40 * np.sin(np.arange(anatomy.labels.shape[0]) * 1.5)[:, None, None]
    with pytest.raises(InputError, match=r"fold in [a-z]+_?|within 3 %"):
        deform(anatomy, {}, wild)


def test_shapes_are_smooth_of_size_one_and_the_same_on_other_voxels(anatomy: Anatomy) -> None:
    field = random_field(anatomy, 1, 3)[0]
    assert field.std() == pytest.approx(1, abs=0.4)
    assert np.abs(np.diff(field, axis=0)).max() < 0.6
    every_second = {
        name: getattr(anatomy, name)[..., ::2, ::2, ::2]
        for name in ("labels", "inside", "shares", "near_ventricles")
    }
    coarse = replace(anatomy, affine=anatomy.affine @ np.diag([2.0, 2.0, 2.0, 1.0]), **every_second)
    np.testing.assert_allclose(random_field(coarse, 1, 3)[0], field[::2, ::2, ::2], atol=1e-3)


def test_labels_of_another_kind_and_impossible_ages_are_refused(anatomy: Anatomy) -> None:
    empty = np.zeros((10, 10, 10), dtype=np.int16)
    with pytest.raises(InputError, match="label"):
        anatomy_from_labels(empty, np.eye(4), 40.0)
    with pytest.raises(InputError, match="ventricle"):
        anatomy_from_labels(empty + np.int16(81), np.eye(4), 40.0)
    with pytest.raises(InputError, match="18 to 95"):
        age_brain(anatomy, 120.0)


@pytest.mark.data
def test_a_volunteer_ages_with_the_scan(shared_data: Path) -> None:
    folder = shared_data / "ixi" / "derivatives" / "dlmuse" / "sub-IXI012" / "anat"
    labels = read_volume(next(folder.glob("*_dseg.nii.gz")))
    own = anatomy_from_labels(np.rint(labels.data).astype(np.int16), labels.affine, 38.8)
    brain = age_brain(own, 80.0)
    names = load_trajectories().names()
    achieved = {names[code]: factor for code, factor in brain.deformation.achieved.items()}
    assert achieved["lateral_ventricle_left"] > 2
    assert achieved["cortex_frontal_left"] < 0.88
    assert brain.deformation.min_jacobian > 0
    image = read_volume(next((shared_data / "ixi" / "sub-IXI012").glob("**/*_T1w.nii.gz")))
    aged = age_image(Volume(image.data, image.affine), own, brain)
    outside = np.isclose(aged.data, image.data, atol=1)[labels.data == 0]
    assert outside.mean() > 0.9  # all but what is near the brain
    ventricle = brain.tissue.labels == 22
    at = np.rint(
        np.linalg.inv(image.affine)
        @ brain.tissue.affine
        @ np.vstack([np.argwhere(ventricle).T, np.ones(ventricle.sum())])
    )
    dark = aged.data[tuple(at[:3].astype(int))].mean()
    assert dark < 0.6 * aged.data[labels.data == 83].mean()
