"""The result of preparing a scan: a value on the model grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.config import Grid
from brainclock.prepare.upright import mask_onto


@dataclass(frozen=True, slots=True, eq=False)
class OwnSpace:
    """Where the voxels of the original file lie, and the brain in it.

    Parameters
    ----------
    shape : tuple of 3 int
        Of the original file.
    affine : ndarray of float64, shape (4, 4)
        Of the original file: voxel to scanner mm.
    brain : ndarray of bool, shape (x, y, z)
        The mask, on the voxels on which it was found.
    brain_affine : ndarray of float64, shape (4, 4)
        Of these voxels, to the same mm.
    """

    shape: tuple[int, int, int]
    affine: Float64[ndarray, "4 4"]
    brain: Bool[ndarray, "x y z"]
    brain_affine: Float64[ndarray, "4 4"]

    def mask(self) -> Bool[ndarray, "i j k"]:
        """Return the brain with its CSF on the voxels of the original file."""
        return mask_onto(self.brain, self.brain_affine, self.shape, self.affine)


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
    own : OwnSpace or None
        The voxels of the original file; None where they were not kept.
    """

    data: Float32[ndarray, "x y z"]
    mask: Bool[ndarray, "x y z"]
    grid: Grid
    template_to_scan: Float64[ndarray, "4 4"]
    quality: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    own: OwnSpace | None = None
