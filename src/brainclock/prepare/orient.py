"""Axes in the order right, anterior, superior: a permutation and flips, no interpolation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from brainclock.io.volume import Volume


def reorient(volume: Volume) -> Volume:
    """Return the same voxels with array axes as close to RAS+ as permutation and flips allow."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    orientation = io_orientation(volume.affine)
    data = np.ascontiguousarray(apply_orientation(volume.data, orientation))
    affine = volume.affine @ inv_ornt_aff(orientation, volume.data.shape)
    return Volume(data, affine, volume.source)


def box_around(mask: Bool[ndarray, "x y z"], margin: int = 0) -> tuple[slice, slice, slice]:
    """Return the box around a mask, wider by ``margin`` voxels within the image; all of it if it is empty."""
    pieces = []
    for axis, size in enumerate(mask.shape):
        where = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        first, last = (where[0], where[-1]) if len(where) else (0, size - 1)
        pieces.append(slice(max(0, int(first) - margin), min(size, int(last) + 1 + margin)))
    return pieces[0], pieces[1], pieces[2]
