"""The result of preparing a scan: a value on the model grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.config import Grid


@dataclass(frozen=True, slots=True, eq=False)
class PreparedScan:
    """A brain on the model grid.

    Parameters
    ----------
    data : ndarray of float32, shape ``grid.shape``
        Normalised intensity: exactly 0 outside the mask, above 0 inside, white matter near 1.
    mask : ndarray of bool, shape ``grid.shape``
        The brain with its CSF, on the same grid. ``mask == (data > 0)``.
    grid : Grid
        Where the voxels lie in template space.
    template_to_scan : ndarray of float64, shape (4, 4)
        Maps points in template mm (RAS+) to points in scanner mm (RAS+) of the original scan.
        Its inverse maps scan to template.
    quality : mapping of str to float
        Quality measures, names as in ``docs/preparation.md``.
    provenance : mapping of str to object
        What was done, JSON-able: steps, settings, hashes, versions.
    scan_mask : ndarray of bool, shape of the scan, or None
        The brain on the voxels of the original file; None where it was not kept.
    scan_affine : ndarray of float64, shape (4, 4), or None
        Of the original file: voxel to scanner mm.
    """

    data: Float32[ndarray, "x y z"]
    mask: Bool[ndarray, "x y z"]
    grid: Grid
    template_to_scan: Float64[ndarray, "4 4"]
    quality: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    scan_mask: Bool[ndarray, "i j k"] | None = None
    scan_affine: Float64[ndarray, "4 4"] | None = None
