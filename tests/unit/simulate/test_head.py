from __future__ import annotations

import hashlib

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.simulate.head import head_pose, simulate_brain, simulate_head

COARSE = 4.0


def test_the_seed_decides_every_byte() -> None:
    digests = [
        hashlib.sha256(simulate_head(s, spacing_mm=COARSE).data.tobytes()).hexdigest() for s in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_spacing_may_differ_by_axis() -> None:
    volume = simulate_head(1, spacing_mm=(4.0, 4.0, 6.0))
    assert min(np.multiply(volume.data.shape, volume.spacing_mm)) > 150
    assert volume.spacing_mm == (4.0, 4.0, 6.0)
    assert volume.data.dtype == np.float32
    assert np.isfinite(volume.data).all()


def test_the_pose_is_where_the_brain_lies() -> None:
    """The centroid of the brain, mapped back to the template, is the centroid of the template's brain."""
    centroids = []
    for seed in (1, 2, 3):
        brain = simulate_brain(seed, spacing_mm=COARSE)
        inside = np.argwhere(brain.data > 0)
        scan_mm = brain.affine @ np.append(inside.mean(axis=0), 1.0)
        centroids.append((np.linalg.inv(head_pose(seed)) @ scan_mm)[:3])
    assert np.ptp(centroids, axis=0).max() < 0.7
    assert abs(centroids[0][0]) < 0.7  # the template is symmetric about x = 0


def test_poses_stay_within_what_is_promised() -> None:
    for seed in range(4):
        pose = head_pose(seed)
        scales = np.linalg.svd(pose[:3, :3])[1]
        assert scales.min() > 0.75
        assert scales.max() < 1.1
        assert np.linalg.det(pose) > 0
        assert np.degrees(np.arccos(pose[2, 2] / np.linalg.norm(pose[2, :3]))) < 20


def test_people_of_different_ages_differ_as_ages_do() -> None:
    """Dark voxels inside the brain, CSF, are more in the old than in the young."""
    dark = []
    for age in (25.0, 85.0):
        brain = simulate_brain(1, age=age, spacing_mm=COARSE)
        inside = brain.data[brain.data > 0]
        dark.append((inside < 0.5 * np.percentile(inside, 95)).mean())
    assert dark[1] > 1.3 * dark[0]


def test_the_head_surrounds_the_same_brain_with_dark_bone_and_bright_skin() -> None:
    from scipy import ndimage

    head, brain = simulate_head(4, spacing_mm=2.0), simulate_brain(4, spacing_mm=2.0)
    inside = brain.data > 0
    assert np.corrcoef(head.data[inside], brain.data[inside])[0, 1] > 0.9
    outward_mm = ndimage.distance_transform_edt(~inside) * 2.0
    upper = np.zeros_like(inside)
    upper[:, :, 80:] = True
    bone, skin = (
        np.median(head.data[upper & (outward_mm >= a) & (outward_mm < b)]) for a, b in ((3, 8), (10, 13))
    )
    assert bone < 0.5 * np.median(head.data[inside]) < skin
    volume_ml = inside.sum() * 8e-3
    assert 1100 < volume_ml < 1800


def test_a_stripped_brain_is_exactly_zero_outside() -> None:
    brain = simulate_brain(1, spacing_mm=COARSE)
    assert (brain.data == 0).mean() > 0.75


def test_an_impossible_age_is_refused() -> None:
    with pytest.raises(InputError, match="18 to 95"):
        simulate_head(1, age=110.0, spacing_mm=COARSE)


@pytest.mark.parametrize("spacing", [0.1, 20.0, float("nan")])
def test_an_impossible_spacing_is_refused(spacing: float) -> None:
    with pytest.raises(InputError, match=r"0.5 to 10 mm"):
        simulate_head(1, spacing_mm=spacing)
