"""Regions of template space on the model grid, and years by region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16
from numpy import ndarray

from brainclock.config import Grid
from brainclock.errors import InputError
from brainclock.io.nifti import read_volume
from brainclock.io.tables import read_table
from brainclock.prepare.prepared import PreparedScan

#: What holds the voxels of the brain that no region names, and those outside of the brain mask.
ELSEWHERE, OUTSIDE = "elsewhere_in_the_brain", "outside_the_brain"
#: A label map must reach so much of the template brain on the model grid, else it lies in another space.
_LEAST_OVERLAP = 0.2
_MOST_LABELS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Disjoint regions on the model grid.

    Parameters
    ----------
    names : tuple of str
        Name of region 1, 2, ...
    labels : ndarray of int16, shape of the grid
        Number of the region in each voxel; 0 where there is none.
    source : str
        Where they come from.
    """

    names: tuple[str, ...]
    labels: Int16[ndarray, "x y z"]
    source: str

    def in_brain(self, prepared: PreparedScan) -> tuple[tuple[str, ...], Int16[ndarray, "x y z"]]:
        """Return names and labels that take up every voxel: regions, the rest of the brain, all outside."""
        count = len(self.names)
        labels = np.where(self.labels > 0, self.labels - 1, count)
        labels = np.where(prepared.mask, labels, count + 1).astype(np.int16)
        return (*self.names, ELSEWHERE, OUTSIDE), labels


@dataclass(frozen=True, slots=True)
class RegionShare:
    """One region of one map.

    Parameters
    ----------
    region : str
    volume_ml : float
        In template space, which is larger than most heads.
    share : float
        Sum of the map over the region, in the map's unit; positive means older.
    absolute_share : float
        Sum of the absolute map over the region as a part of that over all voxels, 0 to 1.
    """

    region: str
    volume_ml: float
    share: float
    absolute_share: float


def share_by_region(
    values: Float64[ndarray, "x y z"], regions: Regions, prepared: PreparedScan
) -> list[RegionShare]:
    """Return the regions of a map on the model grid; all shares together are the sum of the map.

    The last two rows are the rest of the brain and what lies outside of it.
    """
    names, labels = regions.in_brain(prepared)
    flat = labels.ravel()
    sums = np.bincount(flat, values.ravel(), minlength=len(names))
    sizes = np.bincount(flat, np.abs(values).ravel(), minlength=len(names))
    ml = float(abs(np.linalg.det(prepared.grid.matrix[:3, :3]))) / 1000
    volumes = np.bincount(flat, minlength=len(names)) * ml
    whole = sizes.sum() or 1.0
    return [
        RegionShare(name, float(volume), float(share), float(size / whole))
        for name, volume, share, size in zip(names, volumes, sums, sizes, strict=True)
    ]


@lru_cache(maxsize=4)
def default_regions(grid: Grid) -> Regions:
    """Return the regions that are drawn on the template by its tissue maps and plain geometry.

    They are good enough to say where years come from; they are no atlas. Both sides count together.
    """
    from brainclock.simulate.regions import regions
    from brainclock.simulate.template_images import template_images

    images = template_images(1)
    labels = np.zeros(images.t1.shape, dtype=np.int16)
    masks = regions(images)
    for number, mask in enumerate(masks.values(), start=1):
        labels[mask] = number
    on_grid = _nearest(labels, images.affine, grid)
    on_grid.flags.writeable = False
    return Regions(tuple(masks), on_grid, "ICBM 2009a tissue maps")


def template_brain(grid: Grid) -> Bool[ndarray, "x y z"]:
    """Return where the brain of the template lies on a grid."""
    from brainclock.prepare.template import load_template

    template = load_template()
    return _nearest(template.mask.astype(np.int16), template.affine, grid) > 0


def template_intensity(grid: Grid) -> Float32[ndarray, "x y z"]:
    """Return the template brain on a grid, to draw maps on: 0 outside of the brain."""
    from scipy import ndimage

    from brainclock.prepare.template import load_template

    template = load_template()
    to_template = np.round(np.linalg.inv(template.affine) @ grid.matrix, 9)
    image = ndimage.affine_transform(
        template.t1, to_template[:3, :3], to_template[:3, 3], output_shape=grid.shape, order=1
    )
    return np.where(template_brain(grid), image, 0).astype(np.float32)


def read_regions(labels: Path, table: Path, grid: Grid) -> Regions:
    """Read regions: a label image in template space and a table of their names.

    Parameters
    ----------
    labels : Path
        NIfTI in MNI152 space on any grid; each voxel of the model grid takes the nearest label.
    table : Path
        TSV or CSV with the columns ``index`` and ``name``, as BIDS has it.
    grid : Grid

    Raises
    ------
    InputError
        A file cannot be read, a label is not a whole number or has no name, a name or an index comes
        twice, or the labels miss the brain: they lie in another space.
    """
    names = _read_names(table)
    volume = read_volume(labels)
    codes = np.rint(volume.data).astype(np.int64)
    if not np.array_equal(codes, volume.data) or codes.min() < 0:
        found = "values that are no labels"
        raise InputError(str(labels), found, "whole numbers from 0", "Give a label image, not a map.")
    present = [int(code) for code in np.unique(codes) if code]
    if len(present) > _MOST_LABELS:
        found = f"{len(present)} labels"
        raise InputError(str(labels), found, f"at most {_MOST_LABELS}", "Give an atlas of regions.")
    for code in present:
        if code not in names:
            fix = "Add a row with its name, or set these voxels to 0."
            raise InputError(str(table), f"no name for label {code} of {labels.name}", "one", fix)
    order = np.zeros(int(codes.max()) + 1, dtype=np.int16)
    order[present] = np.arange(1, len(present) + 1)
    on_grid = _nearest(order[codes], volume.affine, grid)
    _check_place(on_grid, grid, labels)
    return Regions(tuple(names[code] for code in present), on_grid, str(labels))


def _read_names(table: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    rows = read_table(table)
    if not rows or not {"index", "name"} <= rows[0].keys():
        found = ", ".join(rows[0]) if rows else "no row"
        raise InputError(str(table), found, "columns index and name", "Name the columns so.")
    for row in rows:
        if not row["index"].isdigit():
            fix = "Give the number that the label has in the image."
            raise InputError(row.where("index"), repr(row["index"]), "a whole number", fix)
        code, name = int(row["index"]), row["name"]
        if code in names or name in names.values() or name in (ELSEWHERE, OUTSIDE):
            found = f"{code} {name!r}, of which one is taken"
            raise InputError(row.where(), found, "each index and name once", "Rename or remove the row.")
        names[code] = name
    return names


def _check_place(labels: Int16[ndarray, "x y z"], grid: Grid, path: Path) -> None:
    """Refuse labels whose voxels lie outside of the template brain, or that hardly touch the grid."""
    inside = (labels > 0) & template_brain(grid)
    share = float(inside.sum() / max(int((labels > 0).sum()), 1))
    if not inside.any() or share < _LEAST_OVERLAP:
        found = f"{100 * share:.0f} % of its labels in the template brain"
        fix = "Give labels in MNI152 space; a scan's own labels must be resampled first."
        raise InputError(str(path), found, "labels in template space", fix)


def _nearest(
    labels: Int16[ndarray, "x y z"], affine: Float64[ndarray, "4 4"], grid: Grid
) -> Int16[ndarray, "a b c"]:
    """Take the nearest label at each voxel of the grid; 0 outside of the image."""
    from scipy import ndimage

    to_labels = np.round(np.linalg.inv(affine) @ grid.matrix, 9)
    return np.asarray(
        ndimage.affine_transform(
            labels, to_labels[:3, :3], to_labels[:3, 3], output_shape=grid.shape, order=0, output=np.int16
        )
    )
