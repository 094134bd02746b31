"""From a coarse lattice to finer voxels without losing a year.

Each voxel of the lattice spreads its share over the target voxels within one step of its centre, with
linear weights that fall from its centre and add up to 1: the sum is kept by construction, not mended
afterwards. Beyond the outermost centres the outermost voxels go on to the border of the model grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.explain.age_map import AgeMap, Lattice
from brainclock.prepare.prepared import PreparedScan

#: A share of which a smaller part would reach the brain is not squeezed into it.
_LEAST_REACH = 0.05

_Corners = tuple[Int[ndarray, " m"], list[tuple[Int[ndarray, " m"], Float64[ndarray, " m"]]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """Voxels to spread over: their shape, the way to voxels of the model grid, that grid's shape."""

    shape: tuple[int, int, int]
    to_grid: Float64[ndarray, "4 4"]
    grid_shape: tuple[int, int, int]


def on_model_grid(age_map: AgeMap, prepared: PreparedScan) -> Float64[ndarray, "x y z"]:
    """Return the map on the model grid; the sum of all voxels is that of the map."""
    if age_map.values.shape == prepared.grid.shape and age_map.lattice == Lattice():
        return age_map.values
    shape = prepared.grid.shape
    return on_lattice(age_map.values, age_map.lattice, shape, Lattice(), shape)


def on_scan(age_map: AgeMap, prepared: PreparedScan) -> Float64[ndarray, "a b c"] | None:
    """Return the map on the voxels of the original scan, with the same sum; None if these aren't known.

    A share whose place lies outside of the scan's field of view goes to the nearest voxel.
    """
    if prepared.own is None:
        return None
    to_template = np.linalg.inv(prepared.template_to_scan) @ prepared.own.affine
    to_grid = np.linalg.inv(prepared.grid.matrix) @ to_template
    return _spread(age_map.values, age_map.lattice, _Target(prepared.own.shape, to_grid, prepared.grid.shape))


def on_lattice(
    values: Float64[ndarray, "i j k"],
    lattice: Lattice,
    shape: tuple[int, int, int],
    finer: Lattice,
    grid: tuple[int, int, int],
    within: Float64[ndarray, "a b c"] | None = None,
) -> Float64[ndarray, "a b c"]:
    """Return a map on a finer lattice, with the same sum.

    Parameters
    ----------
    values : ndarray of float64, shape (i, j, k)
    lattice : Lattice
        Of the values.
    shape : tuple of 3 int
        Of the finer lattice.
    finer : Lattice
    grid : tuple of 3 int
        Shape of the model grid.
    within : ndarray of float64, shape (a, b, c), or None
        How much each finer voxel may take, 0 to 1. A share that hardly reaches any such voxel (less
        than a twentieth of it) is spread as without.
    """
    dealt = []
    for axis in range(3):
        places = finer.start[axis] + finer.step[axis] * np.arange(shape[axis])
        dealt.append(_dealt(values.shape[axis], lattice.start[axis], lattice.step[axis], places, grid[axis]))
    if within is None:
        return _along_axes(dealt, values)
    reach = _along_axes([one.T for one in dealt], within)
    seen = reach >= _LEAST_REACH
    inside = np.divide(values, reach, out=np.zeros_like(values), where=seen)
    return np.asarray(within * _along_axes(dealt, inside) + _along_axes(dealt, np.where(seen, 0, values)))


def _along_axes(
    matrices: Sequence[Float64[ndarray, "_ _"]], values: Float64[ndarray, "i j k"]
) -> Float64[ndarray, "a b c"]:
    """Multiply each axis by its matrix."""
    for axis, matrix in enumerate(matrices):
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return values


def _dealt(
    count: int, start: float, step: float, places: Float64[ndarray, " n"], size: int
) -> Float64[ndarray, "n count"]:
    """Return, for one axis, which part of each lattice voxel's share goes to each target voxel.

    All lies along the axes of the model grid, so the weights of a target voxel are products over the axes.
    Columns add up to 1. ``places`` are those of the target in voxels of the model grid, which has ``size``.
    """
    along = np.clip((places - start) / step, 0, count - 1)
    weights = np.maximum(0, 1 - np.abs(along[:, None] - np.arange(count)))
    weights[(places < -0.5) | (places > size - 0.5)] = 0
    missed = np.flatnonzero(weights.sum(axis=0) == 0)
    weights[np.abs(places[:, None] - (start + step * missed)).argmin(axis=0), missed] = 1
    return np.asarray(weights / weights.sum(axis=0))


def shares_by_label(
    labels: Int[ndarray, "x y z"], count: int, shape: tuple[int, int, int], lattice: Lattice
) -> Float64[ndarray, "count voxels"]:
    """Return which part of each lattice voxel's share falls into each label of the model grid.

    Parameters
    ----------
    labels : ndarray of int, shape of the model grid
        0 to ``count − 1``.
    count : int
    shape : tuple of 3 int
        Of the lattice.
    lattice : Lattice

    Returns
    -------
    ndarray of float64, shape (count, voxels of the lattice in C order)
        Columns add up to 1. Times the values of a map on this lattice, it gives years by label.
    """
    size = int(np.prod(shape))
    grid = (labels.shape[0], labels.shape[1], labels.shape[2])
    flat = labels.ravel()
    table = np.zeros(count * size)
    for voxels, corners in _corners(shape, lattice, _Target(grid, np.eye(4), grid)):
        for corner, weight in corners:
            index = flat[voxels].astype(np.int64) * size + corner
            table += np.bincount(index, weight, minlength=count * size)
    matrix = table.reshape(count, size)
    return np.asarray(matrix / matrix.sum(axis=0))


def _spread(
    values: Float64[ndarray, "i j k"], lattice: Lattice, target: _Target
) -> Float64[ndarray, "x y z"]:
    """Share each value among the target voxels that it reaches."""
    shape = (values.shape[0], values.shape[1], values.shape[2])
    reach = np.zeros(values.size)
    for _, corners in _corners(shape, lattice, target):
        for corner, weight in corners:
            reach += np.bincount(corner, weight, minlength=values.size)
    flat = values.ravel()
    reached = reach > 0
    density = np.divide(flat, reach, out=np.zeros(values.size), where=reached)
    spread = np.zeros(int(np.prod(target.shape)))
    for voxels, corners in _corners(shape, lattice, target):
        spread[voxels] = sum(density[corner] * weight for corner, weight in corners)
    missed = np.flatnonzero(~reached)
    if missed.size:
        places = np.array(np.unravel_index(missed, shape), dtype=np.float64).T
        places = places * np.array(lattice.step) + np.array(lattice.start)
        back = np.linalg.inv(target.to_grid)
        nearest = np.rint(places @ back[:3, :3].T + back[:3, 3]).astype(np.int64)
        nearest = np.clip(nearest, 0, np.array(target.shape) - 1)
        np.add.at(spread, np.ravel_multi_index(tuple(nearest.T), target.shape), flat[missed])
    return spread.reshape(target.shape)


def _corners(shape: tuple[int, int, int], lattice: Lattice, target: _Target) -> Iterator[_Corners]:
    """Yield, plane by plane of the target, its voxels on the model grid and the weights of their 8 corners.

    The weights of a voxel add up to 1, and so does nothing else: the caller divides by what each corner
    reached.
    """
    _, height, depth = target.shape
    j, k = (axis.ravel() for axis in np.meshgrid(np.arange(height), np.arange(depth), indexing="ij"))
    linear, shift = target.to_grid[:3, :3], target.to_grid[:3, 3]
    for i in range(target.shape[0]):
        places = [
            row[0] * i + row[1] * j + row[2] * k + offset for row, offset in zip(linear, shift, strict=True)
        ]
        inside = np.ones(j.size, dtype=bool)
        for place, size in zip(places, target.grid_shape, strict=True):
            inside &= (place >= -0.5) & (place <= size - 0.5)
        if not inside.any():
            continue
        low, far = [], []
        for axis, place in enumerate(places):
            along = (place[inside] - lattice.start[axis]) / lattice.step[axis]
            along = np.clip(along, 0, shape[axis] - 1)
            below = np.minimum(along.astype(np.int64), max(shape[axis] - 2, 0))
            low.append(below)
            far.append(along - below)
        corners = []
        for up in product((0, 1), repeat=3):
            if any(step and size == 1 for step, size in zip(up, shape, strict=True)):
                continue
            index = ((low[0] + up[0]) * shape[1] + low[1] + up[1]) * shape[2] + low[2] + up[2]
            weight = np.ones(index.size)
            for step, share in zip(up, far, strict=True):
                weight = weight * (share if step else 1 - share)
            corners.append((index, weight))
        yield i * height * depth + np.flatnonzero(inside), corners
