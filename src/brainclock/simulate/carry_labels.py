"""Labels that follow a deformation without losing volume to the voxels."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float32, Int16
from numpy import ndarray

from brainclock.simulate.anatomy import Anatomy
from brainclock.simulate.deformation import Deformation

_ROUNDS = 12
#: Largest step of a handicap in one round, shares of a voxel.
_STEP = 0.1


def carry_labels(anatomy: Anatomy, deformation: Deformation) -> Int16[ndarray, "x y z"]:
    """Return the labels of an anatomy as they lie in the result of a deformation; 0 outside the skull.

    The nearest voxel alone would change small structures by a tenth: whole layers double or vanish. Here
    each voxel goes to the structure that fills most of it, with a handicap for each structure that makes the
    number of its voxels the volume that was measured.

    Parameters
    ----------
    anatomy : Anatomy
    deformation : Deformation
        Of that anatomy.
    """
    corners, weights = _corners(anatomy.labels, deformation.origin)
    corners, weights = corners[:, anatomy.inside.ravel()], weights[:, anatomy.inside.ravel()]
    carried = corners[0].copy()
    mixed = np.flatnonzero((corners != corners[0]).any(axis=0))
    corners, weights = corners[:, mixed], weights[:, mixed]
    share = np.stack([(weights * (corners == corner)).sum(axis=0) for corner in corners])
    codes = np.array(list(deformation.achieved))
    size = int(anatomy.labels.max()) + 1
    before = np.bincount(anatomy.labels[anatomy.inside], minlength=size)[codes]
    goal = before * np.array(list(deformation.achieved.values()))
    sure = np.bincount(np.delete(carried, mixed), minlength=size)[codes]
    border = np.bincount(corners.ravel(), minlength=size)[codes] / 4  # voxels that it might have, about
    handicap = np.zeros(size, dtype=np.float32)
    for _ in range(_ROUNDS):
        best = (share + handicap[corners]).argmax(axis=0)
        carried[mixed] = np.take_along_axis(corners, best[None], axis=0)[0]
        missing = goal - sure - np.bincount(carried[mixed], minlength=size)[codes]
        if (np.abs(missing) <= np.maximum(1, 0.002 * goal)).all():
            break
        step = np.clip(missing / np.maximum(border, 1), -_STEP, _STEP)
        handicap[codes] += step.astype(np.float32)
    whole = np.zeros(anatomy.labels.shape, dtype=np.int16)
    whole[anatomy.inside] = carried
    return whole


def _corners(
    labels: Int16[ndarray, "x y z"], origin: Float32[ndarray, "3 x y z"]
) -> tuple[Int16[ndarray, "8 n"], Float32[ndarray, "8 n"]]:
    """Return the labels of the eight voxels around where each voxel comes from, and their weights."""
    shape = labels.shape
    low, part = [], []
    for axis, n in enumerate(shape):
        index = np.arange(n, dtype=np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        at = np.clip(origin[axis] + index, 0, n - 1).ravel()
        floor = np.minimum(at.astype(np.intp), n - 2)
        low.append(floor)
        part.append(at - floor.astype(np.float32))
    flat = np.ravel_multi_index(tuple(low), shape)
    strides = (shape[1] * shape[2], shape[2], 1)
    found, weights = [], []
    for corner in itertools.product((0, 1), repeat=3):
        found.append(labels.ravel()[flat + sum(c * s for c, s in zip(corner, strides, strict=True))])
        sides = [p if c else 1 - p for c, p in zip(corner, part, strict=True)]
        weights.append(sides[0] * sides[1] * sides[2])
    return np.stack(found), np.stack(weights)
