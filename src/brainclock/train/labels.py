"""Label maps of the people who train, on the model grid: what looks can be painted from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.io.nifti import read_volume
from brainclock.prepare.prepared import PreparedScan
from brainclock.simulate.muse import class_code, classes_of

#: Labels that cover less of the brain are of another scan or in another space.
_LEAST_OVERLAP = 0.7


def classes_on_grid(labels: Path, prepared: PreparedScan) -> UInt8[ndarray, "x y z"]:
    """Return the class of tissue in each voxel of a prepared scan, moved as the scan was.

    Parameters
    ----------
    labels : Path
        MUSE labels in the space of the scan, on any grid.
    prepared : PreparedScan
        Its mask says where the brain ends: labels beyond it go, and what it holds beyond the labels is the
        class ``rim``.

    Raises
    ------
    InputError
        The file cannot be read, has other codes, or lies elsewhere.
    """
    from scipy import ndimage

    volume = read_volume(labels)
    classes = classes_of(np.rint(volume.data).astype(np.int32), str(labels))
    to_voxel = np.linalg.inv(volume.affine) @ prepared.template_to_scan @ prepared.grid.matrix
    moved = ndimage.affine_transform(
        classes, to_voxel[:3, :3], to_voxel[:3, 3], output_shape=prepared.grid.shape, order=0
    )
    labelled = moved > 0
    both = float((labelled & prepared.mask).sum())
    overlap = 2 * both / float(labelled.sum() + prepared.mask.sum())
    if overlap < _LEAST_OVERLAP:
        found = f"an overlap (Dice) of {overlap:.2f} with the brain of its scan"
        fix = "Give labels in the scanner's own space."
        raise InputError(str(labels), found, f"{_LEAST_OVERLAP} or more", fix)
    moved[prepared.mask & (moved == 0)] = class_code("rim")
    moved[~prepared.mask] = 0
    return np.asarray(moved)
