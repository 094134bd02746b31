"""The images of ICBM 2009a (symmetric) that nilearn bundles: the average of many young adults."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from brainclock.errors import InputError

_FILES = {
    "t1": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "grey": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "white": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}


@dataclass(frozen=True, slots=True, eq=False)
class TemplateImages:
    """The template on one grid; where ``t1`` is 0 there is no brain.

    Parameters
    ----------
    t1, grey, white : ndarray of float32, shape (x, y, z)
        T1 intensity and tissue probabilities, 0 to 1.
    affine : ndarray of float64, shape (4, 4)
        Voxel to template mm, RAS+.
    """

    t1: Float32[ndarray, "x y z"]
    grey: Float32[ndarray, "x y z"]
    white: Float32[ndarray, "x y z"]
    affine: Float64[ndarray, "4 4"]


@functools.cache
def template_images(spacing_mm: int) -> TemplateImages:
    """Return the template at 1 or 2 mm, cut to the brain and a margin of 8 mm.

    Raises
    ------
    InputError
        nilearn or its images are missing, or the spacing is neither 1 nor 2 mm.
    """
    import nibabel

    if spacing_mm not in (1, 2):
        raise InputError("spacing_mm", spacing_mm, "1 or 2 mm", "Choose one of them.")
    folder = _folder()
    images = {name: nibabel.load(folder / file) for name, file in _FILES.items()}
    affine = np.asarray(images["t1"].affine, dtype=np.float64)
    data = {name: np.asarray(image.dataobj, dtype=np.float32) / 255 for name, image in images.items()}
    if spacing_mm == 2:
        data = {name: _halve(image) for name, image in data.items()}
        affine = affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    data["t1"] = np.where(data["t1"] > 0.1, data["t1"], np.float32(0))  # the halved border fades
    inside = np.argwhere(data["t1"] > 0)
    margin = 8 // spacing_mm
    low = np.maximum(inside.min(axis=0) - margin, 0)
    high = np.minimum(inside.max(axis=0) + margin + 1, data["t1"].shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    cut = {name: np.ascontiguousarray(image[box]) for name, image in data.items()}
    shift = np.eye(4)
    shift[:3, 3] = low
    return TemplateImages(cut["t1"], cut["grey"], cut["white"], affine @ shift)


def _folder() -> Path:
    """Return where nilearn keeps its images, found without its slow import."""
    spec = importlib.util.find_spec("nilearn")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "datasets" / "data"
        if all((folder / file).is_file() for file in _FILES.values()):
            return folder
    found = "no nilearn" if spec is None else "no ICBM152 images in nilearn"
    raise InputError("template", found, "nilearn >= 0.12 with its bundled images", "Install nilearn.")


def _halve(image: Float32[ndarray, "a b c"]) -> Float32[ndarray, "x y z"]:
    """Weigh neighbours 1-2-1 along each axis and keep every second voxel: symmetry is kept."""
    smooth = np.pad(image, 1)
    for axis in range(3):
        smooth = np.moveaxis(smooth, axis, 0)
        smooth = np.moveaxis((smooth[:-2] + 2 * smooth[1:-1] + smooth[2:])[::2] / 4, 0, axis)
    return np.ascontiguousarray(smooth)
