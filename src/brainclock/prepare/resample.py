"""From voxels to the model grid: one interpolation, smoothed first where voxels grow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.config import Grid
from brainclock.execution.product import multiply_along
from brainclock.io.volume import Volume
from brainclock.prepare.orient import box_around

#: Standard deviation of the smoothing, in target voxels (scale-space sampling).
_SMOOTHING = 0.42


def to_grid(
    brain: Volume,
    mask: Bool[ndarray, "x y z"],
    grid: Grid,
    template_to_scan: Float64[ndarray, "4 4"],
) -> tuple[Float32[ndarray, "a b c"], Float32[ndarray, "a b c"]]:
    """Return intensity on the grid and how much of each voxel lies in the mask, 0 to 1.

    Outside the mask the image counts as unknown, not as dark: smoothing is a normalised convolution,
    so a brain stripped tightly keeps its border as bright as one stripped widely.
    """
    from scipy import ndimage

    # Rounded, so that the outermost voxels of a scan that is on the grid already don't fall off its edge.
    to_voxel = np.round(np.linalg.inv(brain.affine) @ template_to_scan @ grid.matrix, 9)
    growth = np.linalg.norm(to_voxel[:3, :3], axis=1)
    sigma = np.where(growth > 1.2, _SMOOTHING * growth, 0.0)
    # Outside the box all is 0 already; the smoothing reaches 3 sigma far.
    box = box_around(mask, margin=int(np.ceil(3 * sigma.max())) + 1)
    start = [piece.start for piece in box]
    weights = mask[box].astype(np.float32)
    image = brain.data[box] * weights
    if sigma.any():
        image = ndimage.gaussian_filter(image, sigma, truncate=3)
        weights = ndimage.gaussian_filter(weights, sigma, truncate=3)

    def sample(data: Float32[ndarray, "x y z"]) -> Float32[ndarray, "a b c"]:
        return np.asarray(
            ndimage.affine_transform(
                data, to_voxel[:3, :3], to_voxel[:3, 3] - start, output_shape=grid.shape, order=1
            )
        )

    share = sample(weights)
    intensity = np.where(share > 0.5, sample(image) / np.maximum(share, 0.5), 0)
    return intensity.astype(np.float32), share


def covered(volume: Volume, grid: Grid, template_to_scan: Float64[ndarray, "4 4"]) -> Bool[ndarray, "a b c"]:
    """Where the grid lies inside the scan's field of view (to half a voxel beyond the outer centres)."""
    to_voxel = np.linalg.inv(volume.affine) @ template_to_scan @ grid.matrix
    inside = np.ones(grid.shape, dtype=bool)
    i, j, k = np.ogrid[tuple(slice(size) for size in grid.shape)]
    for row, size in zip(to_voxel[:3], volume.data.shape, strict=True):
        place = row[0] * i + row[1] * j + row[2] * k + row[3]
        inside &= (place >= -0.5) & (place <= size - 0.5)
    return inside


def stretch(
    data: Float32[ndarray, "x y z"], axis: int, places: Float64[ndarray, " n"]
) -> Float32[ndarray, "a b c"]:
    """Interpolate along one axis by a cubic spline, level beyond the outer centres.

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
    axis : int
    places : ndarray of float64, shape (n,)
        Where along the axis, in voxels.
    """
    from scipy.interpolate import make_interp_spline

    count = data.shape[axis]
    spline = make_interp_spline(np.arange(count), np.eye(count), k=min(3, count - 1))
    weights: Float64[ndarray, "n count"] = spline(np.clip(places, 0, count - 1))
    return multiply_along(weights, data, axis)
