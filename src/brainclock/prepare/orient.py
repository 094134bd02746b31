"""Axes in the order right, anterior, superior: a permutation and flips, no interpolation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.io.volume import Volume


def reorient(volume: Volume) -> Volume:
    """Return the same voxels with array axes as close to RAS+ as permutation and flips allow."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    orientation = io_orientation(volume.affine)
    data = np.ascontiguousarray(apply_orientation(volume.data, orientation))
    affine = volume.affine @ inv_ornt_aff(orientation, volume.data.shape)
    return Volume(data, affine, volume.source)


def restore(mask: Bool[ndarray, "x y z"], affine: Float64[ndarray, "4 4"]) -> Bool[ndarray, "i j k"]:
    """Undo `reorient` for a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (x, y, z)
        On the axes that `reorient` gave.
    affine : ndarray of float64, shape (4, 4)
        Of the original volume.
    """
    from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

    back = ornt_transform(axcodes2ornt("RAS"), io_orientation(affine))
    return np.ascontiguousarray(apply_orientation(mask, back))


def box_around(mask: Bool[ndarray, "x y z"], margin: int = 0) -> tuple[slice, slice, slice]:
    """Return the box around a mask, wider by ``margin`` voxels within the image; all of it if it is empty."""
    pieces = []
    for axis, size in enumerate(mask.shape):
        where = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        first, last = (where[0], where[-1]) if len(where) else (0, size - 1)
        pieces.append(slice(max(0, int(first) - margin), min(size, int(last) + 1 + margin)))
    return pieces[0], pieces[1], pieces[2]
