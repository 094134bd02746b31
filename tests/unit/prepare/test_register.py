"""Known maps at the corners of the brain; the same map however the brain is stored."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray
from threadpoolctl import threadpool_limits

from brainclock.errors import ScanRefused
from brainclock.io.volume import Volume
from brainclock.prepare.affine_fit import rotation
from brainclock.prepare.register import Registration, find_pose, in_view, nearest_rotation, register
from brainclock.prepare.template import load_template
from posed_brain import corner_distances_mm, draw_pose, make_pose, move, pose_brain, scan_again, spoil


@pytest.fixture(scope="module")
def pose() -> ndarray:
    return make_pose((6.0, -4.0, 3.0), (0.96, 0.9, 0.85), (0.03, -0.02, 0.04), (5.0, -12.0, 8.0))


@pytest.fixture(scope="module")
def brain(pose: ndarray) -> tuple[Volume, ndarray]:
    return pose_brain(pose)


@pytest.fixture(scope="module")
def found(brain: tuple[Volume, ndarray]) -> Registration:
    return register(*brain)


def apart_mm(found: Registration, pose: ndarray) -> float:
    return float(corner_distances_mm(found.template_to_scan, pose).max())


def restored(volume: Volume, mask: ndarray, order: tuple[int, ...], flipped: tuple[int, ...]):
    """The same brain in the same place, its array axes in another order and direction."""
    affine = volume.affine[:, [*order, 3]].copy()
    data, mask = volume.data.transpose(order), mask.transpose(order)
    for axis in flipped:
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
        data, mask = np.flip(data, axis), np.flip(mask, axis)
    return Volume(np.ascontiguousarray(data), affine), np.ascontiguousarray(mask)


def test_it_finds_a_known_map_and_says_what_it_is(found: Registration, pose: ndarray):
    assert apart_mm(found, pose) < 0.6
    assert found.r2 > 0.99
    np.testing.assert_allclose(found.axis_scales, np.linalg.svd(pose[:3, :3])[1], rtol=0.005)
    assert found.rotation_degrees == pytest.approx(np.sqrt(61), abs=1.5)  # shears turn a little, too
    axes = pose[:3, :3] / np.linalg.norm(pose[:3, :3], axis=0)
    assert found.shear == pytest.approx(np.abs(axes.T @ axes - np.eye(3)).max(), abs=0.005)
    assert found.mirror_margin > 0.1


@pytest.mark.parametrize(("seed", "degrees"), [(1, 20.0), (2, 40.0)])
def test_far_tilts_shifts_stretches_and_shears_are_found(seed: int, degrees: float):
    pose = draw_pose(np.random.default_rng(seed), degrees)
    found = register(*pose_brain(pose))
    assert apart_mm(found, pose) < 0.6
    assert found.mirror_margin > 0.1


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_contrast_bias_noise_and_a_wrong_border_cost_little(seed: int):
    rng = np.random.default_rng(seed)
    pose = draw_pose(rng, 25.0)
    found = register(*spoil(*pose_brain(pose), rng))
    assert apart_mm(found, pose) < 5.0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 3.0), (3.0, 1.2, 1.2), (1.2, 1.2, 5.0), (3.0, 3.0, 3.0)])
def test_thick_slices_give_the_same_map(
    spacing: tuple[float, float, float], found: Registration, pose: ndarray
):
    thick = register(*pose_brain(pose, spacing))
    assert apart_mm(thick, found.template_to_scan) < 0.9
    assert apart_mm(thick, pose) < 0.9


@pytest.mark.parametrize(
    ("order", "flipped"), [((1, 2, 0), ()), ((0, 1, 2), (0,)), ((2, 0, 1), (1,)), ((2, 1, 0), (0, 1, 2))]
)
def test_the_order_and_direction_of_axes_change_nothing(
    order: tuple[int, ...], flipped: tuple[int, ...], brain: tuple[Volume, ndarray], found: Registration
):
    other = register(*restored(*brain, order, flipped))
    assert apart_mm(other, found.template_to_scan) < 0.02
    assert other.r2 == pytest.approx(found.r2, abs=1e-5)


def test_the_place_of_the_blocks_matters_little(pose: ndarray):
    """Fine voxels are averaged in blocks from one end of the box; flipped, from the other."""
    fine = pose_brain(pose, (1.1, 1.3, 1.2))
    there, back = register(*fine), register(*restored(*fine, (0, 1, 2), (0, 1, 2)))
    assert apart_mm(there, back.template_to_scan) < 0.4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_tilt_in_the_header_only_turns_the_map(
    axis: int, brain: tuple[Volume, ndarray], found: Registration
):
    volume, mask = brain
    tilt = np.eye(4)
    tilt[:3, :3] = rotation(np.deg2rad(40.0) * np.eye(3)[axis])
    tilt[:3, 3] = 40, -60, 25
    tilted = register(Volume(volume.data, tilt @ volume.affine), mask)
    assert apart_mm(tilted, tilt @ found.template_to_scan) < 0.05


def test_a_tilt_by_resampling_gives_the_same_map(brain: tuple[Volume, ndarray], found: Registration):
    again = register(*scan_again(*brain, (24.0, 0.0, 32.0), (2.0, 2.0, 2.0)))
    assert apart_mm(again, found.template_to_scan) < 0.5


@pytest.mark.parametrize("flip", [(1, -1, 1), (1, 1, -1), (1, -1, -1)])
def test_a_header_that_tells_the_wrong_way_is_noticed(flip: tuple[int, ...], brain: tuple[Volume, ndarray]):
    volume, mask = brain
    wrong = register(Volume(volume.data, np.diag([*flip, 1.0]) @ volume.affine), mask)
    assert wrong.mirror_margin < -0.1


def test_left_and_right_exchanged_cannot_be_noticed(brain: tuple[Volume, ndarray], found: Registration):
    volume, mask = brain
    exchanged = register(Volume(volume.data, np.diag([-1.0, 1.0, 1.0, 1.0]) @ volume.affine), mask)
    assert exchanged.r2 == pytest.approx(found.r2, abs=2e-4)
    assert np.linalg.det(exchanged.template_to_scan) > 0


@pytest.mark.data
def test_a_real_brain_back_to_front_fits_well_and_is_noticed(shared_data: Path):
    """Its R² alone would pass; in its own right way it is better."""
    from brainclock.io.nifti import read_volume

    volume = read_volume(shared_data / "ds002748" / "sub-52" / "anat" / "sub-52_desc-brain_T1w.nii.gz")
    mask = volume.data > 0
    right = register(volume, mask)
    wrong = register(Volume(volume.data, np.diag([1.0, -1.0, 1.0, 1.0]) @ volume.affine), mask)
    assert right.mirror_margin > 0.05
    assert wrong.mirror_margin < -0.05
    assert wrong.r2 > 0.6


def test_the_share_of_the_template_in_view_is_that_of_the_field(pose: ndarray, brain: tuple[Volume, ndarray]):
    volume, mask = brain
    kept = int(np.flatnonzero(mask.any(axis=(0, 1)))[-1]) - 10  # the top 20 mm were not scanned
    scan = Volume(volume.data[:, :, :kept].copy(), volume.affine)
    cut = register(scan, mask[:, :, :kept].copy())
    template = load_template()
    to_voxel = np.linalg.inv(volume.affine) @ pose @ template.affine
    height = move(np.argwhere(template.mask), to_voxel)[:, 2]
    seen = float((height < kept - 0.5).mean())
    assert 0.8 < seen < 0.98
    assert in_view(cut.template_to_scan, scan) == pytest.approx(seen, abs=0.03)
    assert in_view(pose, volume) == 1.0


def test_a_pose_is_near_and_a_start_from_it_ends_where_19_starts_do(
    found: Registration, pose: ndarray, brain: tuple[Volume, ndarray]
):
    near = find_pose(*brain)
    assert corner_distances_mm(near, pose).max() < 3
    again = register(*brain, near)
    assert again.starts_used == 1
    assert corner_distances_mm(again.template_to_scan, found.template_to_scan).max() < 0.05
    assert again.mirror_margin == pytest.approx(found.mirror_margin, abs=0.05)


def test_the_nearest_rotation_has_neither_scale_nor_shear():
    turn = rotation(np.array([0.3, -0.2, 0.5]))
    stretched = turn @ np.diag([0.9, 1.1, 1.3])
    np.testing.assert_allclose(nearest_rotation(stretched), turn, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_neither_threads_nor_what_lies_outside_the_mask_matter(
    threads: int, brain: tuple[Volume, ndarray], found: Registration
):
    volume, mask = brain
    noise = np.random.default_rng(0).uniform(0, 9, mask.shape).astype(np.float32)
    with threadpool_limits(threads):
        again = register(Volume(np.where(mask, volume.data, noise), volume.affine), mask)
    np.testing.assert_array_equal(again.template_to_scan, found.template_to_scan)
    assert (again.r2, again.mirror_margin) == (found.r2, found.mirror_margin)


def test_the_unit_of_the_intensities_does_not_matter(brain: tuple[Volume, ndarray], found: Registration):
    volume, mask = brain
    scaled = register(Volume(volume.data * np.float32(4096), volume.affine), mask)
    np.testing.assert_array_equal(scaled.template_to_scan, found.template_to_scan)


def cube(shape: tuple[int, int, int], sides: tuple[int, int, int]) -> ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(0, side) for side in sides)] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "value", "words"),
    [
        (cube((30, 30, 30), (0, 0, 0)), 1.0, "mask is empty"),
        (cube((30, 30, 30), (1, 1, 1)), 1.0, "too small or too thin"),
        (cube((60, 60, 60), (60, 60, 1)), 1.0, "too small or too thin"),
        (cube((1, 1, 1), (1, 1, 1)), 1.0, "too small or too thin"),
        (cube((30, 30, 30), (20, 20, 20)), 0.0, "0 nearly everywhere"),
        (cube((30, 30, 30), (20, 20, 20)), -5.0, "0 nearly everywhere"),
    ],
    ids=["empty", "voxel", "sheet", "one voxel", "zero", "negative"],
)
def test_nothing_to_register_is_refused(mask: ndarray, value: float, words: str):
    volume = Volume(np.full(mask.shape, value, dtype=np.float32), np.eye(4))
    with pytest.raises(ScanRefused, match=words) as refusal:
        register(volume, mask)
    assert refusal.value.gate == "brain_mask"


@pytest.mark.parametrize("kind", ["constant", "noise", "inverted"])
def test_what_is_no_brain_gets_a_map_and_bad_marks_but_no_error(
    kind: str, brain: tuple[Volume, ndarray], found: Registration
):
    volume, mask = brain
    if kind == "inverted":
        bad = register(Volume(np.where(mask, 1.2 - volume.data, 0).astype(np.float32), volume.affine), mask)
    else:
        rng = np.random.default_rng(1)
        mask = cube((60, 70, 50), (60, 70, 50))
        data = np.ones(mask.shape) if kind == "constant" else rng.uniform(0, 1, mask.shape)
        bad = register(Volume(data.astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0])), mask)
        assert bad.r2 < 0.6
    assert np.isfinite(bad.template_to_scan).all()
    assert bad.r2 < found.r2


def test_starts_reach_every_pair_of_axes():
    from brainclock.prepare.register import _start_rotations

    turns = _start_rotations()
    assert len(turns) == 19
    for one, other in itertools.combinations(turns, 2):
        assert np.abs(one - other).max() > 0.1
    for turn in turns:
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
