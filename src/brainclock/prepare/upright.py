"""A head turned upright, in one field of view, so that how it lay in the scanner hardly matters.

Brain extraction, bias field and registration all depend a little on the voxels that they see. Here they
see the head on voxels of 1 mm along the axes of the template, whatever the axes of the scan.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.io.volume import Volume
from brainclock.prepare.orient import box_around
from brainclock.prepare.register import nearest_rotation
from brainclock.prepare.resample import stretch

#: Middle (template mm) and voxels of the field: the greatest heads fit in.
_MIDDLE_MM = (0.0, -18.0, 8.0)
_SHAPE = (190, 230, 210)
_STEP_MM = 1.0


def turn_upright(scan: Volume, pose: Float64[ndarray, "4 4"]) -> Volume:
    """Return a head on voxels of 1 mm along the axes of the template: turned and shifted, not scaled.

    Voxels that are longer are first divided by a cubic spline, then all is interpolated linearly.

    Parameters
    ----------
    scan : Volume
        Not below 0. Outside its field of view the result is 0.
    pose : ndarray of float64, shape (4, 4)
        About how the template lies in the scan (mm to mm).

    Returns
    -------
    Volume
        Of 190 × 230 × 210 voxels. Its affine is oblique: it leads to the mm of the scan.
    """
    rotation = nearest_rotation(pose)
    middle = pose[:3, :3] @ _MIDDLE_MM + pose[:3, 3]
    affine = np.eye(4)
    affine[:3, :3] = _STEP_MM * rotation
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(_SHAPE) - 1) / 2)
    fine = _divided(scan)
    data = _sample(fine.data, np.linalg.inv(fine.affine) @ affine, _SHAPE)
    return Volume(np.clip(data, 0, float(scan.data.max())), affine, scan.source)


def mask_onto(
    mask: Bool[ndarray, "x y z"],
    affine: Float64[ndarray, "4 4"],
    shape: tuple[int, ...],
    onto: Float64[ndarray, "4 4"],
) -> Bool[ndarray, "a b c"]:
    """Bring a mask onto other voxels: those that are mostly inside.

    Parameters
    ----------
    mask : ndarray of bool, shape (x, y, z)
    affine : ndarray of float64, shape (4, 4)
        Its voxel to mm.
    shape : tuple of 3 int
        Of the other voxels.
    onto : ndarray of float64, shape (4, 4)
        The other voxel to mm.
    """
    to_target = np.linalg.inv(onto) @ affine
    ends = np.array([(piece.start - 1, piece.stop) for piece in box_around(mask)])
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)
    reached = corners @ to_target[:3, :3].T + to_target[:3, 3]
    first = np.clip(np.floor(reached.min(axis=0)), 0, shape).astype(int)
    last = np.clip(np.ceil(reached.max(axis=0)) + 1, 0, shape).astype(int)
    where = np.linalg.inv(to_target)
    where[:3, 3] += where[:3, :3] @ first
    there = np.zeros(shape, dtype=bool)
    box = tuple(slice(start, stop) for start, stop in zip(first, last, strict=True))
    if there[box].size:
        there[box] = _sample(mask.astype(np.float32), where, there[box].shape) > 0.5
    return there


def _divided(scan: Volume) -> Volume:
    """Divide voxels longer than the step into equal parts, so that little is lost by linear interpolation."""
    data, affine = scan.data, scan.affine.copy()
    for axis, side in enumerate(scan.spacing_mm):
        parts = round(side / _STEP_MM)
        if parts > 1:
            data = stretch(data, axis, (np.arange(parts * data.shape[axis]) + 0.5) / parts - 0.5)
            affine[:3, axis] /= parts
            affine[:3, 3] -= affine[:3, axis] * (parts - 1) / 2
    return Volume(data, affine, scan.source)


def _sample(
    data: Float32[ndarray, "x y z"], where: Float64[ndarray, "4 4"], shape: tuple[int, ...]
) -> Float32[ndarray, "a b c"]:
    """Interpolate linearly at ``where`` (voxel to voxel of ``data``), 0 outside; on all threads."""
    import torch
    from torch.nn import functional

    i, j, k = (torch.arange(size, dtype=torch.float64) for size in shape)
    grid = torch.empty((1, *shape, 3))
    for axis, (row, size) in enumerate(zip(where[:3].tolist(), data.shape, strict=True)):
        # grid_sample counts from -1 to 1 between the outer faces, and the last axis first
        across = 2 / size * ((row[0] * i)[:, None] + row[1] * j + row[3] + 0.5) - 1
        along = 2 / size * row[2] * k
        torch.add(across.float()[..., None], along.float(), out=grid[0, ..., 2 - axis])
    image = torch.from_numpy(np.ascontiguousarray(data))[None, None]
    return np.asarray(functional.grid_sample(image, grid, align_corners=False)[0, 0].numpy())
