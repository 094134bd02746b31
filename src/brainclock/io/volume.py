"""A scan in memory: one array and where its voxels lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One 3D image.

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
        Intensities in arbitrary units, finite.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices to scanner (or template) mm, RAS+.
    source : str
        Where it came from, for messages: a path, or ``"array"``.

    Examples
    --------
    >>> import numpy as np
    >>> head = brainclock.Volume(np.ones((180, 220, 180), np.float32), np.diag([1.0, 1.0, 1.2, 1.0]))
    >>> head.spacing_mm
    (1.0, 1.0, 1.2)
    """

    data: Float32[ndarray, "x y z"]
    affine: Float64[ndarray, "4 4"]
    source: str = "array"

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of one voxel step along each array axis, mm."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])
