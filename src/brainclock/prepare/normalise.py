"""Intensities that mean the same in every scan, as far as one number can make them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from brainclock.errors import ScanRefused

#: The darkest value inside the mask: above 0, so that the mask can be read off the image.
DARKEST = 1e-3
BRIGHTEST = 1.6


def normalise(
    intensity: Float32[ndarray, "x y z"], mask: Bool[ndarray, "x y z"]
) -> Float32[ndarray, "x y z"]:
    """Divide by the 95th percentile in the mask (white matter), clip, and put 0 outside.

    Raises
    ------
    ScanRefused
        The mask is empty on the grid or the brain is black.
    """
    white = float(np.percentile(intensity[mask], 95)) if mask.any() else 0.0
    if white <= 0:
        raise ScanRefused("contrast", "the brain is black or lies outside the model's field of view")
    scaled = np.clip(intensity / white, DARKEST, BRIGHTEST)
    return np.where(mask, scaled, 0).astype(np.float32)
