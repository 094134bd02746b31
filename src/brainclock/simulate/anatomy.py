"""The brain that simulated people share: the template's, or a labelled volunteer's."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int16
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.simulate.muse import CLASSES, classes_of
from brainclock.simulate.regions import regions, right_half
from brainclock.simulate.template_images import TemplateImages, template_images
from brainclock.simulate.tissue import TISSUES
from brainclock.simulate.trajectories import REFERENCE_AGE, REMAINDER, load_trajectories

#: Structures of the template whose grey and white maps are not to be trusted.
_DEEP = ("thalamus", "caudate", "putamen", "pallidum", "brainstem")
#: Tissue of each class of a MUSE label map.
_TISSUE_OF_CLASS = {
    "csf": "csf",
    "ventricle": "csf",
    "cortex": "cortex",
    "hippocampus": "cortex",
    "striatum": "deep_grey",
    "pallidum": "deep_grey",
    "thalamus": "deep_grey",
    "cerebellar_grey": "cortex",
    "white": "white",
    "cerebellar_white": "white",
    "brainstem": "white",
}
#: Intensity over that of white matter where a deep structure of the template is grey, or white, throughout.
_DEEP_GREY, _DEEP_WHITE = 0.72, 1.0
#: The template's maps are means over many people, in whom a sulcus lies now here, now there: CSF is thinned
#: out and all borders are soft. So much more CSF, and this power of the shares, make one person of them.
_MORE_FLUID, _CRISP = 1.5, 2
#: How far lesions reach from the ventricles, about.
_PERIVENTRICULAR_MM = 8.0
#: Thickness of the layer of CSF around the brain.
_BUFFER_MM = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One brain with its CSF inside its skull, from which others are made.

    Parameters
    ----------
    labels : ndarray of int16, shape (x, y, z)
        Codes of ``trajectories.toml``. The brain with its CSF, and around it a layer of more CSF that may
        come in where a brain shrinks; 0 further out.
    inside : ndarray of bool, shape (x, y, z)
        The brain with its CSF, without that layer: what the skull holds, in all who are made from it.
    shares : ndarray of float32, shape (5, x, y, z)
        Share of each tissue of `TISSUES`, as in `TissueMap`, also in that layer; no lesions yet.
    affine : ndarray of float64, shape (4, 4)
        Voxel to mm, RAS+.
    age : float
        Years; the volumes are taken for those of a person of this age.
    name : str
        For messages.
    near_ventricles : ndarray of float32, shape (x, y, z)
        How likely a lesion is: 1 in white matter beside the lateral ventricles, falling off with distance.
    """

    labels: Int16[ndarray, "x y z"]
    inside: Bool[ndarray, "x y z"]
    shares: Float32[ndarray, "5 x y z"]
    affine: Float64[ndarray, "4 4"]
    age: float
    name: str
    near_ventricles: Float32[ndarray, "x y z"]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of one voxel step along each array axis, mm."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    def volumes_ml(self) -> dict[int, float]:
        """Return the volume of each structure inside the skull in ml, by its code."""
        voxel_ml = abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000
        counts = np.bincount(self.labels[self.inside])
        return {int(code): float(counts[code]) * voxel_ml for code in np.flatnonzero(counts)}


@functools.cache
def template_anatomy(spacing_mm: int = 2) -> Anatomy:
    """Return the anatomy of the ICBM 2009a template, on voxels of 1 or 2 mm.

    Grey, white matter and CSF are the template's own maps, made crisp; structures come from `regions`.

    Raises
    ------
    InputError
        nilearn or its images are missing, or the spacing is neither 1 nor 2 mm.
    """
    images = template_images(spacing_mm)
    table = load_trajectories()
    labels = np.zeros(images.t1.shape, dtype=np.int16)
    masks = regions(images)
    right = right_half(images)
    for name, mask in masks.items():
        codes = table.structure(name).codes
        labels[mask] = codes[0]
        if len(codes) == 2:
            labels[mask & ~right] = codes[1]
    deep = np.logical_or.reduce([masks[name] for name in _DEEP])
    return _anatomy(labels, _shares(images, deep), images.affine, REFERENCE_AGE, f"template, {spacing_mm} mm")


def _shares(images: TemplateImages, deep: Bool[ndarray, "x y z"]) -> Float32[ndarray, "5 x y z"]:
    """Return the share of each tissue: by the template's maps, in deep structures by its T1."""
    shares = np.zeros((len(TISSUES), *deep.shape), dtype=np.float32)
    shares[TISSUES.index("csf")] = _MORE_FLUID * np.clip(1 - images.grey - images.white, 0, 1)
    shares[TISSUES.index("cortex")], shares[TISSUES.index("white")] = images.grey, images.white
    shares **= _CRISP
    level = images.t1[deep] / np.median(images.t1[images.white > 0.9])
    white = np.clip((level - _DEEP_GREY) / (_DEEP_WHITE - _DEEP_GREY), 0, 1)
    shares[:, deep] = 0
    shares[TISSUES.index("white"), deep], shares[TISSUES.index("deep_grey"), deep] = white, 1 - white
    shares *= images.t1 > 0
    shares /= np.maximum(shares.sum(axis=0), np.float32(1e-6))
    return shares


def anatomy_from_labels(
    labels: Int[ndarray, "x y z"], affine: Float64[ndarray, "4 4"], age: float, *, source: str = "labels"
) -> Anatomy:
    """Return the anatomy of a person from a MUSE label map, as DLMUSE writes it.

    Parameters
    ----------
    labels : ndarray of int, shape (x, y, z)
        MUSE codes; 0 outside the brain with its CSF.
    affine : ndarray of float64, shape (4, 4)
        Voxel to mm, RAS+.
    age : float
        Age of the person at the scan, years.
    source : str
        For messages.

    Returns
    -------
    Anatomy
        On the same voxels, cut to the brain.

    Raises
    ------
    InputError
        A code isn't MUSE's, or there is none.
    """
    classes = classes_of(labels, source)
    box = _box(labels > 0)
    margin = [math.ceil(_BUFFER_MM / step) + 1 for step in np.linalg.norm(affine[:3, :3], axis=0)]
    classes, muse = (np.pad(one[box], [(n, n) for n in margin]) for one in (classes, labels))
    shift = np.eye(4)
    shift[:3, 3] = [piece.start - n for piece, n in zip(box, margin, strict=True)]
    table = np.zeros(256, dtype=np.int16)
    for one in load_trajectories().structures:
        for code, codes in zip(one.codes, one.muse, strict=True):
            table[list(codes)] = code
    shares = np.zeros((len(TISSUES), *classes.shape), dtype=np.float32)
    for name, tissue in _TISSUE_OF_CLASS.items():
        shares[TISSUES.index(tissue)] += classes == CLASSES.index(name)
    return _anatomy(table[muse], shares, affine @ shift, age, source)


def _anatomy(
    labels: Int16[ndarray, "x y z"],
    shares: Float32[ndarray, "5 x y z"],
    affine: Float64[ndarray, "4 4"],
    age: float,
    name: str,
) -> Anatomy:
    """Add the layer of CSF around the brain, and how near the ventricles the white matter is."""
    from scipy import ndimage

    known = load_trajectories()
    ventricles = np.isin(labels, known.structure("lateral_ventricle").codes)
    if not ventricles.any():
        fix = "Give a label map of a whole brain."
        raise InputError(name, "no lateral ventricle", "one on each side", fix)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    distance_mm = ndimage.distance_transform_edt(~ventricles, sampling=steps)
    white = shares[TISSUES.index("white")] * np.isin(labels, known.structure("white_matter").codes)
    near = np.exp(-distance_mm / _PERIVENTRICULAR_MM).astype(np.float32) * white
    inside = labels > 0
    layer = ndimage.distance_transform_edt(~inside, sampling=steps) <= _BUFFER_MM
    layer &= ~inside
    labels = np.where(layer, known.structure(REMAINDER).codes[0], labels).astype(np.int16)
    shares[TISSUES.index("csf"), layer] = 1
    for array in (labels, inside, shares, near):
        array.flags.writeable = False
    return Anatomy(labels, inside, shares, affine, age, name, near)


def _box(mask: Bool[ndarray, "x y z"]) -> tuple[slice, slice, slice]:
    where = np.argwhere(mask)
    (a, b, c), (d, e, f) = where.min(axis=0), where.max(axis=0) + 1
    return slice(int(a), int(d)), slice(int(b), int(e)), slice(int(c), int(f))
