from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.io.volume import Volume
from brainclock.simulate.acquisition import (
    Site,
    acquire,
    add_noise,
    bias_field,
    blur,
    draw_pose,
    draw_site,
    err_in_mask,
    move,
    revoxel,
    smooth_noise,
)

ONE_MM = (1.0, 1.0, 1.0)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def ball(radius: float = 10.0, size: int = 32, spacing: float = 1.0) -> Volume:
    place = (np.indices((size, size, size)) - (size - 1) / 2) * spacing
    data = (np.sqrt((place**2).sum(axis=0)) < radius).astype(np.float32)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -spacing * (size - 1) / 2
    return Volume(data, affine, "ball")


def test_the_bias_field_is_positive_smooth_and_as_strong_as_asked() -> None:
    field = bias_field((40, 50, 30), 0.1, rng())
    assert field.min() > 0
    assert field.mean() == pytest.approx(1, abs=1e-4)
    assert np.log(field).std() == pytest.approx(0.1, rel=1e-3)
    assert np.abs(np.diff(field, axis=0)).max() < 0.05
    assert np.allclose(bias_field((8, 8, 8), 0.0, rng()), 1)


def test_noise_is_rician() -> None:
    """In air the mean is sd √(π/2); in bright tissue it is Gaussian (Gudbjartsson & Patz 1995)."""
    air = add_noise(np.zeros((60, 60, 60), np.float32), 0.1, rng())
    assert air.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.01)
    bright = add_noise(np.ones((60, 60, 60), np.float32), 0.05, rng())
    assert bright.std() == pytest.approx(0.05, rel=0.02)


def test_blur_has_the_width_that_is_asked_for_in_mm() -> None:
    point = np.zeros((41, 41, 41), np.float32)
    point[20, 20, 20] = 1
    spread = blur(point, (4.0, 6.0, 6.0), (1.0, 1.0, 2.0))
    assert spread.sum() == pytest.approx(1, rel=1e-3)
    for axis, (width, step) in enumerate(zip((4.0, 6.0, 6.0), (1.0, 1.0, 2.0), strict=True)):
        line = spread.sum(axis=tuple({0, 1, 2} - {axis}))
        sd = step * np.sqrt((line * (np.arange(41) - 20) ** 2).sum() / line.sum())
        assert sd == pytest.approx(width / 2.3548, rel=0.06)


def test_new_voxels_keep_volume_and_place_in_any_pose() -> None:
    pose = draw_pose(rng(3), scale=0.0)
    scan = revoxel(ball(), (1.0, 1.3, 2.0), pose)
    assert scan.spacing_mm == pytest.approx((1.0, 1.3, 2.0))
    assert scan.data.sum() * 2.6 == pytest.approx(ball().data.sum(), rel=0.03)
    weights = scan.data / scan.data.sum()
    centre = [(np.indices(scan.data.shape)[axis] * weights).sum() for axis in range(3)]
    assert np.allclose((scan.affine @ [*centre, 1.0])[:3], pose[:3, 3], atol=0.1)


def test_thick_slices_hold_means_and_not_samples() -> None:
    fine = Volume(rng().standard_normal((8, 8, 96)).astype(np.float32), np.eye(4))
    thick = revoxel(fine, (1.0, 1.0, 6.0), np.eye(4))
    assert thick.data.std() < 0.6 * fine.data.std()


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (1.0, 1.0, 20.0), (float("nan"), 1.0, 1.0)])
def test_voxels_that_no_scanner_has_are_refused(spacing: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match=r"0\.2 to 10 mm"):
        revoxel(ball(), spacing, np.eye(4))


def test_motion_ghosts_but_keeps_the_brightness() -> None:
    still = blur(ball().data, (3.0, 3.0, 3.0), ONE_MM)
    moved = move(still, ONE_MM, rng(2))
    assert moved.mean() == pytest.approx(still.mean(), rel=0.05)
    ghost = np.abs(moved - still)
    assert 1e-3 < ghost.max() < 0.5
    none = move(still, ONE_MM, rng(2), degrees=0.0, shift_mm=0.0)
    assert np.allclose(none, still, atol=1e-4)


def test_an_erring_mask_errs_both_ways_about_as_far_as_asked() -> None:
    mask = ball(20.0, 64).data > 0
    radius = np.sqrt(((np.indices(mask.shape) - 31.5) ** 2).sum(axis=0))
    wrong = err_in_mask(mask, ONE_MM, rng(), border_mm=1.5)
    assert (wrong & ~mask).any()
    assert (mask & ~wrong).any()
    assert np.abs(radius[wrong ^ mask] - 20).max() < 3
    assert (err_in_mask(mask, ONE_MM, rng(), border_mm=0.0) ^ mask).mean() < 0.01


def test_smooth_noise_is_smooth_and_within_its_range() -> None:
    field = smooth_noise((30, 40, 20), rng())
    assert np.abs(field).max() <= 1
    assert np.abs(np.diff(field, axis=1)).max() < 0.3


def test_poses_stay_in_their_ranges() -> None:
    for seed in range(30):
        pose = draw_pose(rng(seed), degrees=5.0, shift_mm=3.0, scale=0.01)
        assert np.abs(pose[:3, 3]).max() <= 3
        sizes = np.linalg.svd(pose[:3, :3])[1]
        assert sizes.min() >= 0.99 - 1e-9
        assert sizes.max() <= 1.01 + 1e-9


def test_a_scan_depends_on_the_generator_alone_and_looks_like_its_site() -> None:
    site = dataclasses.replace(draw_site("a", rng()), spacing_mm=(1.0, 1.0, 2.0), gain=500.0, noise=0.01)
    first, again, other = (acquire(ball(), site, rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.data, again.data)
    assert first.data.shape != other.data.shape or not np.array_equal(first.data, other.data)
    assert first.spacing_mm == pytest.approx((1.0, 1.0, 2.0))
    assert 300 < np.percentile(first.data, 98) < 800


def test_sites_differ_and_the_head_moves_when_told() -> None:
    assert len({draw_site("a", rng(seed)).noise for seed in range(20)}) == 20
    quiet = Site(noise=0.0, bias=0.0, blur_mm=0.0)
    still, moved = (acquire(ball(), quiet, rng(1), pose=np.eye(4), moved=moved) for moved in (False, True))
    outside = ball(14.0).data == 0
    assert still.data[outside].max() == 0
    assert moved.data[outside].max() > 0
