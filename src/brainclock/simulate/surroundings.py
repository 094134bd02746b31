"""Skull, scalp, face and neck around any brain, good enough for brain extraction.

Drawn from ellipsoids, tubes and distances on a canvas of 2 mm in template space, then fitted to the box
around the brain. No part of it is anybody's face, and nothing in it ages.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.io.volume import Volume
from brainclock.simulate.acquisition import Three, between_knots
from brainclock.simulate.template_images import template_images

Mask = Bool[ndarray, "x y z"]
Image = Float32[ndarray, "x y z"]
Affine = Float64[ndarray, "4 4"]

_CANVAS_MM = 2.0
_CANVAS_SHAPE = (104, 136, 156)
_CANVAS_CENTRE_MM = (0.0, -16.0, -46.0)
#: What a scanner sees of it: the neck goes on below.
_FIELD_CENTRE_MM, _FIELD_SIZE_MM = (0.0, -10.0, -12.0), (180.0, 236.0, 240.0)
#: What is darker is no brain, share of white matter.
_BRAIN = 0.05
#: Intensities over that of white matter, about those of 3 T scans.
_AIR, _BONE, _FLUID, _MARROW, _MUSCLE, _FAT, _SKIN = 0.02, 0.07, 0.14, 0.4, 0.42, 0.75, 0.5


def put_in_head(brain: Volume, rng: np.random.Generator) -> Volume:
    """Return a whole head around a brain, before any scanner (`acquisition.acquire`).

    Parameters
    ----------
    brain : Volume
        With its CSF; white matter near 1, 0 outside; array axes along right, front and top.
    rng : numpy.random.Generator
        For the thickness of skull and scalp, and the texture of everything.

    Returns
    -------
    Volume
        On voxels of the brain's size, in its space, in a box that holds head and neck.

    Raises
    ------
    InputError
        There is no brain, or its axes point elsewhere.
    """
    fit = _fit(brain)
    inside = _resample(brain.data, brain.affine, _CANVAS_SHAPE, fit @ _canvas_affine()) > _BRAIN
    around = _surroundings(inside, rng) * np.float32(rng.uniform(0.85, 1.15))
    canvas = fit @ _canvas_affine()
    # on the brain's own lattice, so that it is not interpolated
    to_voxel = np.linalg.inv(brain.affine)
    low = np.round((to_voxel @ canvas)[:3, 3]).astype(int)
    high = np.round((to_voxel @ canvas @ np.array([*_CANVAS_SHAPE, 1.0]))[:3]).astype(int)
    low, high = np.minimum(low, 0), np.maximum(high, brain.data.shape)
    x, y, z = (int(n) for n in high - low)
    affine = brain.affine.copy()
    affine[:3, 3] = (brain.affine @ np.array([*low, 1.0]))[:3]
    head = _resample(around, canvas, (x, y, z), affine)
    box = tuple(slice(-a, n - a) for a, n in zip(low.tolist(), brain.data.shape, strict=True))
    # it is 0 outside itself, so it fades into its surroundings
    head[box] = brain.data + head[box] * (1 - np.clip(4 * brain.data, 0, 1))
    return Volume(head, affine, brain.source)


def field_of_view(brain: Volume) -> tuple[Float64[ndarray, " 3"], Three]:
    """Return the middle of what a scanner sees of a head around this brain, mm, and its size, mm."""
    return np.asarray((_fit(brain) @ np.array([*_FIELD_CENTRE_MM, 1.0]))[:3]), _FIELD_SIZE_MM


def _fit(brain: Volume) -> Affine:
    """Return the map from template mm to the brain's mm that fits the box around the one to the other's."""
    template = template_images(2)
    if not np.allclose(brain.affine[:3, :3], np.diag(brain.spacing_mm)):
        fix = "Reorient it."
        raise InputError(brain.source, "axes in other directions", "right, front, top", fix)
    low, high = _box_mm(Volume(template.t1, template.affine, "template"))
    to_low, to_high = _box_mm(brain)
    scale = (to_high - to_low) / (high - low)
    fit = np.diag([*scale, 1.0])
    fit[:3, 3] = to_low - scale * low
    return fit


def _box_mm(brain: Volume) -> tuple[Float64[ndarray, " 3"], Float64[ndarray, " 3"]]:
    """Return the lowest and the highest corner of a brain, mm."""
    brighter = brain.data > _BRAIN
    lines = [brighter.any(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
    if not all(line.any() for line in lines):
        raise InputError(brain.source, "no brain", "white matter near 1, 0 outside", "Check the image.")
    places = [np.flatnonzero(line) for line in lines]
    low, high = (brain.affine @ np.array([*(place[end] for place in places), 1.0]) for end in (0, -1))
    return low[:3], high[:3]


def _surroundings(brain: Mask, rng: np.random.Generator) -> Image:
    """Everything but the brain, on the canvas: 0 in the brain and in the air."""
    from scipy import ndimage

    thickness = float(rng.uniform(0.85, 1.25)) * (1 + 0.25 * _texture(rng, 25.0))
    brain = ndimage.binary_fill_holes(brain)
    outward_mm = ndimage.distance_transform_edt(~brain).astype(np.float32) * _CANVAS_MM / thickness
    soft = _face() | _neck()
    inside = ndimage.gaussian_filter(((outward_mm < 15) | soft).astype(np.float32), 2.0) > 0.5
    depth_mm = ndimage.distance_transform_edt(inside).astype(np.float32) * _CANVAS_MM / thickness
    coarse, fine = _texture(rng, 14.0), _texture(rng, 6.0)

    head = np.where(inside, _MUSCLE + 0.10 * coarse + 0.10 * fine, 0).astype(np.float32)
    head[inside & (np.abs(coarse) < 0.07)] = _FAT  # in sheets between the muscles
    _paint_face(head)
    _paint_neck(head)
    head[inside & (depth_mm < 6)] = _FAT  # under the skin
    head[inside & (depth_mm < 2.5)] = _SKIN
    cranium = inside & (_above_the_face() | (outward_mm < 5))
    head[cranium & (outward_mm < 9)] = _BONE
    marrow = cranium & (outward_mm > 4.5) & (outward_mm < 7.5)
    head[marrow] = np.clip(_MARROW + 0.3 * coarse[marrow], _BONE, _FAT)
    head[inside & (outward_mm < 2.5)] = _FLUID
    head[_tube((0, -46), 9) & (_z() < -62) & ~brain] = _FLUID
    head[_tube((0, -46), 6) & (_z() < -62)] = 0.75  # spinal cord, so that the brain does not end in bone
    head *= 1 + 0.2 * fine
    head[brain] = 0
    return np.maximum(ndimage.gaussian_filter(head, 0.5), 0).astype(np.float32) * ~brain


def _face() -> Mask:
    nose = _ellipsoid((0, 84, -46), (13, 20, 20)) | _ellipsoid((0, 94, -56), (15, 12, 10))
    chin = _ellipsoid((0, 66, -118), (26, 20, 16))
    ears = _ellipsoid((80, -22, -42), (10, 16, 26)) | _ellipsoid((-80, -22, -42), (10, 16, 26))
    cheeks = _ellipsoid((0, 28, -72), (60, 58, 62)) | _ellipsoid((0, 40, -40), (62, 42, 40))
    return np.asarray(cheeks | nose | chin | ears)


def _paint_face(head: Image) -> None:
    """Orbits with eyes, sinuses, nose, mouth with tongue, and jaws, in place."""
    for side in (-1, 1):
        head[_ellipsoid((32 * side, 52, -32), (20, 26, 18))] = _FAT
        head[_ellipsoid((32 * side, 64, -32), (13, 13, 13))] = _FLUID
        head[_ellipsoid((30 * side, 44, -58), (12, 16, 15))] = _AIR
        head[_ellipsoid((14 * side, 72, -8), (10, 5, 8))] = _AIR
        head[_ellipsoid((56 * side, -26, -38), (9, 12, 10))] *= 0.3  # air cells behind the ear
    head[_ellipsoid((0, 46, -48), (11, 34, 18))] = 0.22
    head[_ellipsoid((0, 26, -50), (7, 20, 14))] = _AIR
    jaws = (_ellipsoid((0, 34, -84), (44, 52, 8)), _ellipsoid((0, 32, -108), (46, 50, 9)))
    for jaw in jaws:
        head[jaw] = _MARROW
    head[_ellipsoid((0, 22, -92), (34, 52, 22))] = _MUSCLE * 1.15  # tongue and what is around it
    head[_ellipsoid((0, 44, -80), (24, 32, 3))] = _AIR


def _paint_neck(head: Image) -> None:
    """Airway, and a spine of vertebrae and discs, in place."""
    head[_tube((0, -4), 8) & (_z() < -60)] = _AIR
    spine = _tube((0, -27), 12) & (_z() < -66)
    head[spine] = _MARROW * 1.1
    head[spine & (np.mod(_z(), 18) < 5)] = 0.2
    processes = _ellipsoid((0, -78, -120), (6, 22, 60))
    head[processes & (np.mod(_z() + 6, 18) < 9)] = _MARROW
    head[_ellipsoid((38, -20, -140), (7, 7, 80)) | _ellipsoid((-38, -20, -140), (7, 7, 80))] = 0.95  # vessels


def _neck() -> Mask:
    x, y, z = _canvas_mm()
    return ((x / 58) ** 2 + ((y + 40) / 60) ** 2 < 1) & (z < -60)


def _above_the_face() -> Mask:
    _, y, z = _canvas_mm()
    return np.broadcast_to(z > np.where(y > 20, -22, -50), _CANVAS_SHAPE)


def _texture(rng: np.random.Generator, size_mm: float) -> Image:
    """Return random patches of about this size, −1 to 1."""
    sizes = [n * _CANVAS_MM for n in _CANVAS_SHAPE]
    knots = [int(size / size_mm) + 2 for size in sizes]
    lattice = rng.uniform(-1, 1, knots).astype(np.float32)
    return between_knots(lattice, [np.arange(n) * _CANVAS_MM / size_mm for n in _CANVAS_SHAPE])


def _canvas_affine() -> Affine:
    affine = np.diag([_CANVAS_MM, _CANVAS_MM, _CANVAS_MM, 1.0])
    affine[:3, 3] = np.array(_CANVAS_CENTRE_MM) - _CANVAS_MM * (np.array(_CANVAS_SHAPE) - 1) / 2
    return affine


def _canvas_mm() -> list[Float64[ndarray, ...]]:
    """Template coordinates of the canvas along each axis, mm, ready to broadcast."""
    affine = _canvas_affine()
    axes = (affine[i, 3] + _CANVAS_MM * np.arange(n) for i, n in enumerate(_CANVAS_SHAPE))
    return [axis.reshape([-1 if i == j else 1 for j in range(3)]) for i, axis in enumerate(axes)]


def _z() -> Float64[ndarray, ...]:
    return _canvas_mm()[2]


def _ellipsoid(centre: tuple[int, int, int], radii: tuple[int, int, int]) -> Mask:
    x, y, z = ((axis - c) / r for axis, c, r in zip(_canvas_mm(), centre, radii, strict=True))
    return np.asarray(x**2 + y**2 + z**2 < 1)


def _tube(centre: tuple[int, int], radius: int) -> Mask:
    """Return an upright tube."""
    x, y, z = _canvas_mm()
    return np.broadcast_to((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + 0 * z < radius**2, _CANVAS_SHAPE)


def _resample(
    image: Float32[ndarray, "a b c"], image_affine: Affine, shape: tuple[int, int, int], affine: Affine
) -> Image:
    """Return trilinear values on other voxels along the same axes; 0 beyond the image."""
    for axis, size in enumerate(shape):
        step = image_affine[axis, axis]
        place = (affine[axis, 3] - image_affine[axis, 3] + affine[axis, axis] * np.arange(size)) / step
        low = np.floor(place).astype(int)
        part = (place - low).astype(np.float32).reshape([-1 if axis == i else 1 for i in range(3)])
        padded = np.pad(image, [(1, 1) if axis == i else (0, 0) for i in range(3)])
        first, second = (np.clip(low + 1 + ahead, 0, image.shape[axis] + 1) for ahead in (0, 1))
        image = padded.take(first, axis) * (1 - part) + padded.take(second, axis) * part
    return image
