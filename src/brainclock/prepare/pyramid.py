"""A brain at one scale of the registration: equally blurred, whatever grid it came on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from numpy import ndarray

from brainclock.prepare.template import PSF_VARIANCE_MM2, load_template

#: Width of the rim of zeros around the template brain that is compared too: it carries size and place.
_RIM_MM = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """A brain and template points to look it up at, both of one point spread.

    Parameters
    ----------
    image : ndarray of float32, shape (x, y, z)
        The brain, in units of its 95th percentile, with zeros all around.
    to_voxel : ndarray of float64, shape (3, 4)
        Scan mm to voxels of ``image``.
    points : ndarray of float32, shape (n, 3)
        Template points, mm, relative to the template's centroid.
    values : ndarray of float32, shape (n,)
        The template at ``points``.
    """

    image: Float32[ndarray, "x y z"]
    to_voxel: Float64[ndarray, "3 4"]
    points: Float32[ndarray, "n 3"]
    values: Float32[ndarray, " n"]


def build_scale(
    brain: Float32[ndarray, "x y z"],
    affine: Float64[ndarray, "4 4"],
    spacing_mm: int,
    blur_mm: float,
) -> Scale:
    """Bring a brain and the template to voxels of about ``spacing_mm`` and to one point spread.

    The brain is averaged over whole voxels up to ``spacing_mm``; what is then missing to ``blur_mm``,
    counting the voxel (variance h²/12) and the linear interpolation to come (h²/6), is a Gaussian. So
    thick slices, fine voxels and any place of the grid look alike.

    Parameters
    ----------
    brain : ndarray of float32, shape (x, y, z)
        Intensities, 0 outside the brain.
    affine : ndarray of float64, shape (4, 4)
        Voxel to scan mm.
    spacing_mm : int
        2, 4, 8, ...
    blur_mm : float
        Standard deviation of the common point spread.
    """
    from scipy.ndimage import gaussian_filter

    zoom = np.linalg.norm(affine[:3, :3], axis=0)
    factor = np.maximum(1, np.round(spacing_mm / zoom)).astype(int)
    width = zoom * factor
    sigma = np.sqrt(np.maximum(blur_mm**2 - width**2 / 4, 0)) / width
    margin = np.ceil(3 * sigma).astype(int) + 1
    blocks = np.pad(block_mean(brain, factor), [(m, m) for m in margin])
    image = gaussian_filter(blocks, sigma, mode="constant", truncate=3.0)
    to_mm = affine.copy()
    to_mm[:3, 3] += affine[:3, :3] @ ((factor - 1) / 2 - margin * factor)
    to_mm[:3, :3] = affine[:3, :3] * factor
    points, values = _template_points(spacing_mm, blur_mm)
    return Scale(image, np.linalg.inv(to_mm)[:3], points, values)


def block_mean(data: Float32[ndarray, "x y z"], factor: Int[ndarray, " 3"]) -> Float32[ndarray, "a b c"]:
    """Mean of whole blocks of voxels; the last block of an axis is filled up with zeros."""
    for axis, size in enumerate(factor):
        if size == 1:
            continue
        data = np.moveaxis(data, axis, 0)
        short = -len(data) % size
        padded = np.pad(data, ((0, short), (0, 0), (0, 0)))
        total = padded[::size].copy()
        for start in range(1, size):
            total += padded[start::size]
        data = np.moveaxis(total / np.float32(size), 0, axis)
    return data


@cache
def _template_points(
    spacing_mm: int, blur_mm: float
) -> tuple[Float32[ndarray, "n 3"], Float32[ndarray, " n"]]:
    """Points of a body-centred lattice, twice ``spacing_mm`` wide, in the brain and its rim of zeros.

    The lattice is symmetric about the midline. Below its field of view the template says nothing: it is
    continued (``nearest``), not set to zero.
    """
    from scipy.ndimage import binary_dilation, gaussian_filter

    template, step = load_template(), spacing_mm // 2
    sigma = np.sqrt(blur_mm**2 - PSF_VARIANCE_MM2) / 2
    smooth = gaussian_filter(template.t1, sigma, mode="nearest", truncate=3.0)
    rim = binary_dilation(template.mask, iterations=round(_RIM_MM / 2))
    lattice: Bool[ndarray, "x y z"] = np.zeros(rim.shape, dtype=bool)
    middle = (np.array(rim.shape) - 1) // 2
    for shift in (0, step):
        start = (middle + shift) % (2 * step)
        lattice[start[0] :: 2 * step, start[1] :: 2 * step, start[2] :: 2 * step] = True
    where = np.argwhere(lattice & rim)
    points = where @ template.affine[:3, :3].T + template.affine[:3, 3] - template.centroid_mm
    return points.astype(np.float32), smooth[tuple(where.T)]
