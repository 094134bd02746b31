"""Intensities that mean the same in every scan, as far as one number can make them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from brainclock.errors import ScanRefused

#: The darkest value inside the mask: above 0, so that the mask can be read off the image.
DARKEST = 1e-3
BRIGHTEST = 1.6


def normalise(
    intensity: Float32[ndarray, "x y z"], share: Float32[ndarray, "x y z"]
) -> Float32[ndarray, "x y z"]:
    """Divide by the 95th percentile in the mask (white matter), clip, and fade to 0 where the mask ends.

    A voxel of which only half is brain is black, one that is all brain keeps its value. So a border drawn
    a fraction of a voxel elsewhere, as it is in the next scan of the same head, changes the image little.

    Parameters
    ----------
    intensity : ndarray of float32, shape (x, y, z)
    share : ndarray of float32, shape (x, y, z)
        How much of each voxel is brain, 0 to 1; the mask is where it is above 0.5.

    Raises
    ------
    ScanRefused
        The mask is empty on the grid or the brain is black.
    """
    mask = share > 0.5
    white = float(np.percentile(intensity[mask], 95)) if mask.any() else 0.0
    if white <= 0:
        raise ScanRefused("contrast", "the brain is black or lies outside the model's field of view")
    faded = np.clip(intensity / white, 0, BRIGHTEST) * np.clip(2 * share - 1, 0, 1)
    return np.where(mask, np.maximum(faded, DARKEST), 0).astype(np.float32)
