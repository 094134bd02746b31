from __future__ import annotations

import numpy as np

from brainclock.config import Grid
from brainclock.io.volume import Volume
from brainclock.prepare.resample import covered, to_grid

RNG = np.random.default_rng(0)


def test_a_grid_like_the_scan_gives_the_scan() -> None:
    """Slabs come on the model grid already: nothing is interpolated."""
    tilt = np.deg2rad(10)
    affine = np.array(
        [
            [np.cos(tilt), -np.sin(tilt), 0, -5],
            [np.sin(tilt), np.cos(tilt), 0, 4],
            [0, 0, 1.0, 9],
            [0, 0, 0, 1],
        ]
    )
    data = RNG.uniform(1, 2, (12, 5, 9)).astype(np.float32)
    mask = RNG.uniform(size=data.shape) < 0.7
    grid = Grid(shape=(12, 5, 9), affine=tuple(tuple(row) for row in affine.tolist()))
    intensity, share = to_grid(Volume(data, affine), mask, grid, np.eye(4))
    np.testing.assert_allclose(intensity, np.where(mask, data, 0), atol=1e-5)
    np.testing.assert_allclose(share, mask, atol=1e-6)


def test_a_ramp_is_kept_whatever_the_map_and_the_spacing() -> None:
    """Smoothing and linear interpolation leave a linear image as it is, up to the very border of the mask."""
    shape = (40, 44, 36)
    affine = np.diag([1.0, 1.0, 1.2, 1.0])
    mask = np.zeros(shape, dtype=bool)
    mask[6:34, 6:38, 6:30] = True
    turn = np.deg2rad(25)
    move = np.eye(4)
    move[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    move[:3, 3] = 20, 22, 20
    grid = Grid.box((14, 14, 10), (2.5, 2.5, 2.5), (0.0, 0.0, 0.0))
    slope = np.array([0.02, -0.03, 0.01])

    def ramp(mm: np.ndarray) -> np.ndarray:
        return 5 + mm @ slope

    where = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    data = ramp(where * np.diag(affine)[:3]).astype(np.float32)
    intensity, share = to_grid(Volume(data, affine), mask, grid, move)
    inside = share > 0.5
    points = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    to_mm = move @ grid.matrix
    expected = ramp(points @ to_mm[:3, :3].T + to_mm[:3, 3])
    assert inside.sum() > 500
    from scipy.ndimage import binary_erosion

    deep = binary_erosion(inside, iterations=2)
    np.testing.assert_allclose(intensity[deep], expected[deep], atol=1e-3)
    np.testing.assert_allclose(intensity[inside], expected[inside], atol=0.05)
    assert (intensity[~inside] == 0).all()


def test_what_lies_outside_the_mask_is_unknown_not_dark() -> None:
    data = np.full((20, 20, 20), 3, dtype=np.float32)
    mask = np.zeros(data.shape, dtype=bool)
    mask[5:15, 5:15, 5:15] = True
    data[~mask] = -100
    grid = Grid.box((7, 7, 7), (2.0, 2.0, 2.0), (9.5, 9.5, 9.5))
    intensity, share = to_grid(Volume(data, np.eye(4)), mask, grid, np.eye(4))
    np.testing.assert_allclose(intensity[share > 0.5], 3, rtol=1e-5)
    assert (share > 0.5).sum() == 5**3


def test_the_surroundings_of_the_brain_have_no_part_in_it() -> None:
    data = RNG.uniform(1, 2, (30, 30, 30)).astype(np.float32)
    mask = np.zeros(data.shape, dtype=bool)
    mask[10:20, 9:21, 11:19] = True
    grid = Grid.box((6, 6, 6), (3.0, 3.0, 3.0), (14.0, 14.0, 14.0))
    plain = to_grid(Volume(data, np.eye(4)), mask, grid, np.eye(4))
    other = to_grid(Volume(np.where(mask, data, 1000), np.eye(4)), mask, grid, np.eye(4))
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one, two)


def test_covered_counts_the_field_of_view() -> None:
    volume = Volume(np.zeros((10, 10, 5), dtype=np.float32), np.eye(4))
    grid = Grid.box((10, 10, 10), (1.0, 1.0, 1.0), (4.5, 4.5, 4.5))
    seen = covered(volume, grid, np.eye(4))
    assert seen[:, :, :5].all()
    assert not seen[:, :, 5:].any()
