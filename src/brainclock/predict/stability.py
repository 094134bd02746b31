"""How far an age moves when the same head is sampled a little otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import ScanRefused
from brainclock.io.volume import Volume

#: The voxels are turned by this about each of the axes, degrees.
DEGREES = 3.0
#: Corners of a tetrahedron: four turns that favour no direction.
AXES = ((1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Stability:
    """How far an age moves, years.

    Parameters
    ----------
    sd : float
        Standard deviation (n − 1) of the age as it is and those of the turned voxels.
    largest : float
        Largest distance of the latter from the former.
    """

    sd: float
    largest: float


def measure_stability(
    predicted_age: float,
    read_age: Callable[[Volume, Bool[ndarray, "x y z"] | None], float],
    volume: Volume,
    mask: Bool[ndarray, "x y z"] | None = None,
) -> Stability | None:
    """Return how far the age moves over four fixed turns of the voxels by 3° and half a voxel.

    The head stays where it is: it is interpolated on other voxels, as if the slices had lain otherwise, and
    all steps are done again. Nothing is random.

    Parameters
    ----------
    predicted_age : float
        Of the scan as it is, years.
    read_age : callable
        From a volume and its mask to an age; may raise `ScanRefused`.
    volume : Volume
    mask : ndarray of bool, shape of ``volume.data``, or None

    Returns
    -------
    Stability or None
        None if one of the turned volumes was refused: the scan lies at the limit of a gate.
    """
    try:
        ages = np.array([read_age(*turned) for turned in turn_voxels(volume, mask)], dtype=np.float64)
    except ScanRefused:
        return None
    return Stability(
        float(np.append(ages, predicted_age).std(ddof=1)), float(np.abs(ages - predicted_age).max())
    )


def turn_voxels(
    volume: Volume, mask: Bool[ndarray, "x y z"] | None = None
) -> Iterator[tuple[Volume, Bool[ndarray, "a b c"] | None]]:
    """Yield the volume and its mask on four other grids, each large enough to hold all of it."""
    for axis in AXES:
        affine, shape = _turned_grid(volume, axis)
        where = np.linalg.inv(volume.affine) @ affine
        # what is 0 all around a stripped brain stays so: no voxel is made of ringing
        support = _inside(volume.data != 0, where, shape)
        # the outermost voxels reach half a voxel beyond their middles, which counts in a slab
        data = _sample(volume.data, where, shape, 3, "nearest")
        low, high = float(volume.data.min()), float(volume.data.max())
        data = np.where(support, np.clip(data, low, high), 0).astype(np.float32)
        turned = None if mask is None else _inside(mask, where, shape)
        yield Volume(data, affine, volume.source), turned


def _turned_grid(
    volume: Volume, axis: tuple[float, float, float]
) -> tuple[Float64[ndarray, "4 4"], tuple[int, int, int]]:
    """Return the affine and the shape of voxels of the same size, turned about the middle of the volume."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_rotvec(np.deg2rad(DEGREES) * np.array(axis) / np.sqrt(3)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ volume.affine[:3, :3]
    corners = np.array(list(product(*((-0.5, size - 0.5) for size in volume.data.shape))))
    mm = corners @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    steps = mm @ np.linalg.inv(affine[:3, :3]).T
    first = steps.min(axis=0)  # a corner of the first voxel, not its middle: half a voxel off
    affine[:3, 3] = affine[:3, :3] @ first
    i, j, k = (int(n) for n in np.ceil(np.ptp(steps, axis=0)) + 1)
    return affine, (i, j, k)


def _inside(
    mask: Bool[ndarray, "x y z"], where: Float64[ndarray, "4 4"], shape: tuple[int, int, int]
) -> Bool[ndarray, "a b c"]:
    share = _sample(mask.astype(np.float32), where, shape, 1, "grid-constant")
    inside: Bool[ndarray, "a b c"] = share > 0.5
    return inside


def _sample(
    data: ndarray,
    where: Float64[ndarray, "4 4"],
    shape: tuple[int, int, int],
    order: Literal[1, 3],
    beyond: Literal["nearest", "grid-constant"],
) -> ndarray:
    from scipy import ndimage

    matrix, offset = where[:3, :3], where[:3, 3]
    return np.asarray(
        ndimage.affine_transform(data, matrix, offset, output_shape=shape, order=order, mode=beyond)
    )
