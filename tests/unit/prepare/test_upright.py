from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from brainclock.io.volume import Volume
from brainclock.prepare.affine_fit import rotation
from brainclock.prepare.register import nearest_rotation
from brainclock.prepare.upright import mask_onto, turn_upright

MIDDLE_MM = np.array([0.0, -18.0, 8.0])


def smooth(mm: np.ndarray) -> np.ndarray:
    """A smooth image of formulas, template mm, shape (..., 3)."""
    x, y, z = np.moveaxis(mm, -1, 0)
    near = np.exp(-(((x + 5) / 40) ** 2) - ((y + 10) / 50) ** 2 - ((z - 12) / 35) ** 2)
    return (100 * near * (1.3 + np.cos(x / 9) * np.sin(y / 11 + z / 10))).astype(np.float32)


def map_of(degrees: float) -> np.ndarray:
    """Template mm to scan mm: turned, stretched, shifted."""
    pose = np.eye(4)
    pose[:3, :3] = rotation(np.deg2rad(degrees) * np.array([0.6, 0.0, 0.8])) @ np.diag([1.05, 0.95, 1.1])
    pose[:3, 3] = (12.0, -30.0, 25.0)
    return pose


def places(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def scan_of(pose: np.ndarray, spacing: tuple[float, float, float]) -> Volume:
    shape = tuple(int(260 / step) for step in spacing)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = pose[:3, :3] @ MIDDLE_MM + pose[:3, 3] - np.array(spacing) * (np.array(shape) - 1) / 2
    back = np.linalg.inv(pose)
    return Volume(smooth(places(shape, affine) @ back[:3, :3].T + back[:3, 3]), affine)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 1.5, 3.0)])
def test_a_turned_head_stands_upright_where_its_affine_says(spacing: tuple[float, float, float]) -> None:
    pose = map_of(35)
    head = turn_upright(scan_of(pose, spacing), pose)
    assert head.spacing_mm == pytest.approx((1, 1, 1))
    np.testing.assert_allclose(head.affine[:3, :3], nearest_rotation(pose), atol=1e-12)
    middle = head.affine[:3, :3] @ ((np.array(head.data.shape) - 1) / 2) + head.affine[:3, 3]
    np.testing.assert_allclose(middle, pose[:3, :3] @ MIDDLE_MM + pose[:3, 3])
    back = np.linalg.inv(pose) @ head.affine
    truth = smooth(places(head.data.shape, back))
    assert np.abs(head.data - truth).max() < 0.02 * truth.max()


def test_linear_interpolation_is_that_of_scipy_and_outside_is_zero() -> None:
    pose = map_of(20)
    scan = scan_of(pose, (1.0, 1.0, 1.0))
    scan = Volume(scan.data[60:], scan.affine @ np.array(np.r_[np.c_[np.eye(3), [60, 0, 0]], [[0, 0, 0, 1]]]))
    head = turn_upright(scan, pose)
    where = np.moveaxis(places(head.data.shape, np.linalg.inv(scan.affine) @ head.affine), -1, 0)
    inner = ((where >= 0) & (where <= np.array(scan.data.shape)[:, None, None, None] - 1)).all(axis=0)
    outer = (where[0] < -1.01) | (where[0] > scan.data.shape[0] + 0.01)
    theirs = map_coordinates(scan.data, where[:, inner], order=1)
    np.testing.assert_allclose(head.data[inner], theirs, atol=2e-3)
    assert outer.any()
    assert not head.data[outer].any()


def test_a_mask_goes_there_and_back() -> None:
    pose = map_of(25)
    scan = scan_of(pose, (2.0, 2.0, 2.0))
    head = turn_upright(scan, pose)
    mask = scan.data > 30
    again = mask_onto(
        mask_onto(mask, scan.affine, head.data.shape, head.affine), head.affine, scan.data.shape, scan.affine
    )
    assert again.shape == mask.shape
    assert 2 * (again & mask).sum() / (again.sum() + mask.sum()) > 0.99


def test_the_number_of_threads_does_not_matter() -> None:
    pose = map_of(35)
    scan = scan_of(pose, (2.0, 1.0, 2.0))
    before, results = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(turn_upright(scan, pose).data.tobytes())
    torch.set_num_threads(before)
    assert results[0] == results[1]
