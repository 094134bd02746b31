"""Slices of a head on sheets that a page can show: one picture a plane, outlines as paths, in few bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Shaped, UInt8
from numpy import ndarray

from brainclock.config import Grid
from brainclock.io.volume import Volume
from brainclock.prepare.template import load_template

if TYPE_CHECKING:
    from PIL.Image import Image

#: Slices of a plane; they lie on the sheet in so many columns.
SLICES, COLUMNS = 12, 4
#: Each plane, the axis across it, and the axes along a picture's rows and columns.
PLANES: dict[str, tuple[int, int, int]] = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}
#: Of template space: a head without its neck, mm.
_HEAD_MM = ((-88.0, 88.0), (-124.0, 100.0), (-80.0, 104.0))
#: The outermost slices lie so far inside the brain or the head, as a share of its length.
_INSET = 0.1
#: A field of view that is longer is cut, mm.
_LONGEST_MM = 260.0
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Box:
    """Where slices are cut: a box along three axes, mm, and the places of the slices along each.

    Parameters
    ----------
    extent_mm : tuple of 3 tuples of 2 float
        Ends along each axis.
    places_mm : tuple of 3 tuples of float
        Along each axis.
    """

    extent_mm: tuple[tuple[float, float], ...]
    places_mm: tuple[tuple[float, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Box:
        """Return what `as_dict` gave."""
        return cls(*(tuple(map(tuple, values[name])) for name in ("extent_mm", "places_mm")))

    def size(self, plane: str, step_mm: float = 1.0) -> tuple[int, int]:
        """Return width and height of one slice, pixels of ``step_mm``."""
        _, across, up = PLANES[plane]
        sides = [self.extent_mm[axis][1] - self.extent_mm[axis][0] for axis in (across, up)]
        return round(sides[0] / step_mm), round(sides[1] / step_mm)


def template_box(grid: Grid) -> Box:
    """Return where a registered head is cut: as much of the template's brain as the model sees."""
    corners = np.stack(np.meshgrid(*((-0.5, size - 0.5) for size in grid.shape), indexing="ij"), axis=-1)
    seen = corners.reshape(8, 3) @ grid.matrix[:3, :3].T + grid.matrix[:3, 3]
    brain = load_template().corners_mm
    low = np.maximum(seen.min(axis=0), brain.min(axis=0))
    high = np.minimum(seen.max(axis=0), brain.max(axis=0))
    return Box(_HEAD_MM, tuple(_places(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)))


def head_box(head: Volume, brain: Bool[ndarray, "x y z"] | None) -> tuple[Box, Float64[ndarray, "4 4"]]:
    """Return where a head that is not registered is cut, along its own axes, and the way to its voxels.

    Parameters
    ----------
    head : Volume
        Axes about right, anterior, superior.
    brain : ndarray of bool, shape of ``head.data``, or None
        The slices lie in it; None: in the head.
    """
    step = np.array(head.spacing_mm)
    sides = np.array(head.data.shape) * step
    shown = head.data > 0 if brain is None or not brain.any() else brain
    places = []
    for axis, side in enumerate(sides):
        where = np.flatnonzero(shown.any(axis=tuple({0, 1, 2} - {axis})))
        ends = (where[0], where[-1] + 1) if where.size else (0, head.data.shape[axis])
        places.append(_places(*(float(end * step[axis] - side / 2) for end in ends)))
    half = np.minimum(sides, _LONGEST_MM) / 2
    to_voxel = np.diag([*(1 / step), 1.0])
    to_voxel[:3, 3] = (np.array(head.data.shape) - 1) / 2
    return Box(tuple((-float(h), float(h)) for h in half), tuple(places)), to_voxel


def _places(low: float, high: float) -> tuple[float, ...]:
    inset = _INSET * (high - low)
    return tuple(round(float(place), 1) for place in np.linspace(low + inset, high - inset, SLICES))


def cut(
    data: Shaped[ndarray, "x y z"],
    to_voxel: Float64[ndarray, "4 4"],
    box: Box,
    plane: str,
    step_mm: float = 1.0,
) -> Float64[ndarray, "n h w"]:
    """Sample the slices of a plane, linearly; 0 outside of the data.

    Parameters
    ----------
    data : ndarray, shape (x, y, z)
    to_voxel : ndarray of float64, shape (4, 4)
        Points (mm) of the box to voxels of the data.
    box : Box
    plane : str
        One of `PLANES`.
    step_mm : float
        Side of a pixel.

    Returns
    -------
    ndarray of float64, shape (slices, height, width)
        The first row is the top: superior, or anterior in an axial slice. Left of the picture is the left
        of the person, or posterior in a sagittal one.
    """
    from scipy import ndimage

    axis, across, up = PLANES[plane]
    width, height = box.size(plane, step_mm)
    points = np.empty((3, SLICES, height, width))
    points[axis] = np.array(box.places_mm[axis])[:, None, None]
    points[across] = box.extent_mm[across][0] + step_mm * (np.arange(width) + 0.5)
    points[up] = (box.extent_mm[up][1] - step_mm * (np.arange(height) + 0.5))[:, None]
    voxels = np.tensordot(to_voxel[:3, :3], points, axes=1) + to_voxel[:3, 3][:, None, None, None]
    return np.asarray(ndimage.map_coordinates(data.astype(np.float32), voxels, order=1), dtype=np.float64)


def on_sheet(slices: Shaped[ndarray, "n h w ..."]) -> Shaped[ndarray, "H W ..."]:
    """Lay slices out in rows and columns, the first at the top left."""
    n, height, width, *rest = slices.shape
    table = slices.reshape(n // COLUMNS, COLUMNS, height, width, *rest)
    return np.ascontiguousarray(
        np.moveaxis(table, 1, 2).reshape(n // COLUMNS * height, COLUMNS * width, *rest)
    )


def grey_jpeg(slices: Float64[ndarray, "n h w"], white: float) -> str:
    """Return a sheet as a grey JPEG in base 64; ``white`` and more is white."""
    from PIL.Image import fromarray

    sheet = (
        np.clip(255 / white * slices, 0, 255).astype(np.uint8) if white > 0 else np.zeros_like(slices, "u1")
    )
    return _encode(fromarray(on_sheet(sheet)), "JPEG", quality=_QUALITY)


def palette_png(slices: UInt8[ndarray, "n h w"], palette: UInt8[ndarray, "k 4"]) -> str:
    """Return a sheet as a PNG in base 64; each pixel is a row of the palette: red, green, blue, opacity."""
    from PIL.Image import fromarray

    sheet = fromarray(on_sheet(slices))
    sheet.putpalette(palette[:, :3].tobytes())
    return _encode(sheet, "PNG", transparency=palette[:, 3].tobytes())


def _encode(sheet: Image, kind: str, **options: Any) -> str:
    stream = io.BytesIO()
    sheet.save(stream, format=kind, optimize=True, **options)
    return base64.b64encode(stream.getvalue()).decode()


def outline(slices: Float64[ndarray, "n h w"]) -> str:
    """Return the lines along which slices cross one half as the ``d`` of an SVG path on their sheet.

    Smoothed by about a pixel, for a mask is all corners.
    """
    from contourpy import contour_generator
    from scipy import ndimage

    _, height, width = slices.shape
    parts = []
    for number, one in enumerate(slices):
        smooth = np.pad(ndimage.gaussian_filter(one, 0.8), 1)  # closed at the border of the picture
        row, column = divmod(number, COLUMNS)
        corner = np.array([column * width - 0.5, row * height - 0.5])
        for line in contour_generator(z=smooth).lines(0.5):
            points = np.asarray(line)[:-1:2] + corner
            if len(points) > 4:
                parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist()) + "Z")
    return "".join(parts)
