"""Volumes that can be had from a prepared scan: the brain, its fluid, and the fluid deep inside."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray

from brainclock.config import Grid

#: Names of the volumes, ml. Deep fluid is that of the ventricles, mostly.
VOLUMES = ("brain_ml", "fluid_ml", "deep_fluid_ml")

_DEEP_MM = 20.0  # from the border of the mask; sulci end before


def volumes_ml(volume: Shaped[ndarray, "x y z"], grid: Grid, scale: float) -> dict[str, float]:
    """Return the volumes of one head, in its own size.

    Fluid is the darkest of three classes of intensity (Lloyd's k-means from the 10th, 50th and 90th
    percentile), so it does not hang on a threshold.

    Parameters
    ----------
    volume : ndarray of float, shape (x, y, z)
        Prepared intensity: 0 outside the mask.
    grid : Grid
    scale : float
        Volume of the head over its volume on the grid (`Cohort.scales`).
    """
    from scipy import ndimage

    mask = volume > 0
    inside = volume[mask].astype(np.float64)
    voxel_ml = abs(float(np.linalg.det(grid.matrix[:3, :3]))) * scale / 1000
    if not inside.size:
        return dict.fromkeys(VOLUMES, 0.0)
    fluid = np.zeros(volume.shape, dtype=bool)
    fluid[mask] = _darkest(inside)
    deep = ndimage.distance_transform_edt(mask, sampling=grid.spacing_mm) > _DEEP_MM
    counts = mask.sum(), fluid.sum(), (fluid & deep).sum()
    return {name: float(count) * voxel_ml for name, count in zip(VOLUMES, counts, strict=True)}


def features(volumes: Float64[ndarray, "n 3"]) -> Float64[ndarray, "n 5"]:
    """Return the volumes and the two shares of the brain that are fluid."""
    brain = np.maximum(volumes[:, :1], 1e-9)
    return np.hstack([volumes, volumes[:, 1:] / brain])


def _darkest(values: Float64[ndarray, " n"]) -> Shaped[ndarray, " n"]:
    """Which values belong to the lowest of three classes."""
    centres = np.percentile(values, (10, 50, 90))
    for _ in range(50):
        edges = (centres[1:] + centres[:-1]) / 2
        member = np.searchsorted(edges, values)
        sums, counts = np.bincount(member, values, 3), np.bincount(member, minlength=3)
        moved = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
        if np.abs(moved - centres).max() < 1e-6:
            break
        centres = moved
    lowest: ndarray = np.searchsorted((centres[1:] + centres[:-1]) / 2, values) == 0
    return lowest
