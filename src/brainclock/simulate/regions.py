"""Plausible regions of the template from its tissue maps and plain geometry: not an atlas.

Boxes, ellipsoids and tubes in template mm, meant on both sides. Nilearn's grey and white maps are unreliable
in the deep nuclei, so there T1 and geometry decide. Earlier regions win.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.simulate.template_images import TemplateImages

_HIPPOCAMPUS = ((21, -9, -21), (27, -16, -19), (30, -25, -13), (27, -35, -4))
_CAUDATE = ((12, 17, 0), (12, 14, 9), (14, 4, 17), (17, -8, 22), (18, -18, 23))


class _Space:
    """Template coordinates of each voxel, mm; ``ax`` is the distance from the midline."""

    def __init__(self, images: TemplateImages) -> None:
        steps, origin = np.diag(images.affine)[:3], images.affine[:3, 3]
        axes = [origin[i] + steps[i] * np.arange(n) for i, n in enumerate(images.t1.shape)]
        self.x, self.y, self.z = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij")
        self.ax = np.abs(self.x)

    def ellipsoid(
        self, centre: tuple[float | int, ...], radii: tuple[float | int, ...]
    ) -> Bool[ndarray, "x y z"]:
        parts = zip((self.ax, self.y, self.z), centre, radii, strict=True)
        return np.asarray(sum(((axis - c) / r) ** 2 for axis, c, r in parts) < 1)

    def tube(self, points: tuple[tuple[float | int, ...], ...], radius: float) -> Bool[ndarray, "x y z"]:
        """Return what lies within a radius of a polyline."""
        here = np.stack([self.ax, self.y, self.z], axis=-1)
        inside = np.zeros(self.ax.shape, dtype=bool)
        for start, end in itertools.pairwise(points):
            a, d = np.array(start, dtype=np.float32), np.subtract(end, start).astype(np.float32)
            along = np.clip((here - a) @ d / (d @ d), 0, 1)
            inside |= np.square(here - a - along[..., None] * d).sum(-1) < radius**2
        return inside


def regions(images: TemplateImages) -> dict[str, Bool[ndarray, "x y z"]]:
    """Return the masks of the structures: disjoint, together the brain with its CSF.

    Parameters
    ----------
    images : TemplateImages

    Returns
    -------
    dict of str to ndarray of bool
        Name of the structure (as in ``trajectories.toml``, both sides together) to its mask.
    """
    left_over = images.t1 > 0
    made: dict[str, Bool[ndarray, "x y z"]] = {}
    for name, mask in _in_order(images):
        made[name] = mask & left_over
        left_over &= ~mask
    return made


def right_half(images: TemplateImages) -> Bool[ndarray, "x y z"]:
    """Return the half of the grid at x ≥ 0 mm."""
    x: Float64[ndarray, " x"] = images.affine[0, 3] + images.affine[0, 0] * np.arange(images.t1.shape[0])
    return np.broadcast_to((x >= 0)[:, None, None], images.t1.shape)


def _in_order(images: TemplateImages) -> Iterator[tuple[str, Bool[ndarray, "x y z"]]]:
    at = _Space(images)
    grey, white = images.grey, images.white
    brain = images.t1 > 0
    fluid = np.clip(1 - grey - white, 0, 1) * brain > 0.5
    tissue = brain & ~fluid
    yield "lateral_ventricle", _lateral_ventricle(at, fluid)
    yield "third_ventricle", fluid & (at.ax <= 5) & _within(at.y, -34, 6) & _within(at.z, -16, 8)
    yield "fourth_ventricle", fluid & (at.ax <= 12) & _within(at.y, -52, -36) & _within(at.z, -46, -20)
    yield "external_csf", fluid
    yield from _nuclei(at, images, tissue)
    cerebellum = (at.y < -32) & (at.z < -6 - 0.30 * at.ax - 0.35 * np.maximum(0, -60 - at.y))
    yield "brainstem", tissue & (at.z < -8) & _stem(at, cerebellum)
    yield "cerebellum", tissue & cerebellum
    cortex = tissue & (grey >= white)
    for lobe, mask in _lobes(at, grey):
        yield f"cortex_{lobe}", cortex & mask
    yield "white_matter", tissue


def _lateral_ventricle(at: _Space, fluid: Bool[ndarray, "x y z"]) -> Bool[ndarray, "x y z"]:
    """Return the largest connected piece on each side, without the third ventricle and cisterns."""
    from scipy import ndimage

    box = fluid & _within(at.ax, 1, 38) & _within(at.y, -48, 32) & _within(at.z, -4, 30)
    box &= ~((at.ax < 6) & (at.z < 7)) & ~((at.ax < 14) & (at.y < -28) & (at.z < 14))
    box &= ~((at.ax > 24) & (at.y > -28))
    ventricle = np.zeros_like(box)
    for side in (at.x > 0, at.x < 0):
        pieces, _ = ndimage.label(box & side)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        ventricle |= pieces == int(sizes.argmax())
    return np.asarray(ventricle)


def _nuclei(
    at: _Space, images: TemplateImages, tissue: Bool[ndarray, "x y z"]
) -> Iterator[tuple[str, Bool[ndarray, "x y z"]]]:
    deep = tissue & _within(images.t1, 0.55, 0.83)
    not_white = tissue & (images.white < 0.6)
    yield "hippocampus", not_white & at.tube(_HIPPOCAMPUS, 6.5)
    yield "amygdala", not_white & at.ellipsoid((23, -4, -19), (8, 7.5, 8))
    yield "caudate", deep & (images.grey > 0.3) & at.tube(_CAUDATE, 6.5)
    yield "pallidum", tissue & at.ellipsoid((19, -5, -1), (6, 9, 7))
    yield "putamen", deep & (at.ax > 17) & at.ellipsoid((26, 2, 0), (7.5, 18, 12))
    yield "thalamus", deep & at.ellipsoid((11, -19, 7), (9.5, 14, 9.5))
    yield "accumbens", tissue & at.ellipsoid((10, 11, -7), (5, 5, 5))


def _stem(at: _Space, cerebellum: Bool[ndarray, "x y z"]) -> Bool[ndarray, "x y z"]:
    front = (at.ax < 17) & (at.y > -44) & (at.y < -10) & ~cerebellum
    back = (at.ax < 14) & (at.y > -44) & (at.y <= -32)
    return np.asarray((front | back) & ~((at.ax > 12) & (at.y > -18)))


def _lobes(at: _Space, grey: Float32[ndarray, "x y z"]) -> Iterator[tuple[str, Bool[ndarray, "x y z"]]]:
    temporal = (at.ax > 14) & (at.y > -56) & (at.y <= 22) & (at.z < -3 - 0.42 * (at.y - 5))
    yield "temporal", temporal & ~((at.y > 6) & (at.ax < 22) & (at.z > -24))
    low, high = (at.z < 10) & (at.y < -60), (at.z >= 10) & (at.y < -60 - 0.7 * (at.z - 10))
    yield "occipital", low | high
    insula = _within(at.ax, 28, 42) & _within(at.y, -22, 26) & _within(at.z, -12, 18)
    yield "insula", insula & (grey > 0.5)
    yield "frontal", at.y > -8 - 0.33 * (at.z - 15)
    yield "parietal", np.ones_like(low)


def _within(values: Float32[ndarray, "x y z"], low: float | int, high: float | int) -> Bool[ndarray, "x y z"]:
    return np.asarray((values >= low) & (values <= high))
