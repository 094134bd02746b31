"""Images from label maps: real or simulated anatomy, any scanner's look.

Each class of tissue gets an intensity at random, then texture, partial volume and all that a scanner does
(the recipe of SynthSeg, Billot et al. 2023, doi:10.1016/j.media.2023.102789, which SynthBA, Puglisi et
al. 2024, arXiv:2406.00365, took to brain age). `paint` makes the tissue alone; `synthesise` adds the scanner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from pydantic import Field

from brainclock.config import Settings
from brainclock.io.volume import Volume
from brainclock.simulate.acquisition import (
    Image,
    Three,
    add_noise,
    bias_field,
    blur,
    err_in_mask,
    smooth_noise,
)
from brainclock.simulate.muse import CLASSES, class_code
from brainclock.simulate.tissue import TissueMap

Contrast = Literal["t1w", "any"]
ClassMap = UInt8[ndarray, "x y z"]

#: Inside the brain nothing is darker; 0 means outside.
DARK = 1e-3

#: T1w intensity of each class (white matter = 1), and how far scanners and sequences spread it, beyond a
#: common factor on all differences from white matter. Chosen wide, about `tissue.YOUNG_MEANS`.
_T1W = {
    "rim": (0.45, 0.15),
    "csf": (0.32, 0.10),
    "ventricle": (0.26, 0.08),
    "cortex": (0.73, 0.05),
    "hippocampus": (0.74, 0.05),
    "striatum": (0.80, 0.04),
    "pallidum": (0.93, 0.04),
    "thalamus": (0.86, 0.04),
    "cerebellar_grey": (0.72, 0.05),
    "white": (1.0, 0.0),
    "cerebellar_white": (0.98, 0.03),
    "brainstem": (0.93, 0.04),
}
#: Share of white matter in a class: between grey and white it is painted so in any contrast.
_WHITENESS = {
    "cortex": 0.0,
    "hippocampus": 0.05,
    "striatum": 0.2,
    "pallidum": 0.75,
    "thalamus": 0.5,
    "cerebellar_grey": 0.0,
    "white": 1.0,
    "cerebellar_white": 0.95,
    "brainstem": 0.75,
}


class SynthesisSettings(Settings):
    """How wildly images are synthesised. Ranges are the ends of uniform distributions."""

    contrast: Contrast = Field("t1w", description="like T1w scans, or any contrast at all")
    bias: float = Field(0.15, ge=0, le=1, description="logarithm of the bias field, at most")
    noise: float = Field(0.05, ge=0, le=0.5, description="Rician noise, share of white matter, at most")
    blur_mm: float = Field(3.0, ge=0, le=10, description="full width of a blur, at most")
    thick_mm: float = Field(4.0, ge=0, le=10, description="further full width along one axis: thick slices")
    gamma: float = Field(0.3, ge=0, le=2, description="logarithm of the exponent of the grey values")
    border_mm: float = Field(1.5, ge=0, le=6, description="how far the mask's border moves, at most")


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The intensities of one image.

    Parameters
    ----------
    levels : ndarray of float32, shape (c,)
        Mean of each class of `CLASSES`, the brightest near 1.
    grain : ndarray of float32, shape (c,)
        Standard deviation from voxel to voxel.
    drift : ndarray of float32, shape (c,)
        Half-width of a slow variation over the brain.
    mixing_mm : float
        Full width over which neighbouring tissues mix: partial volume.
    """

    levels: Float32[ndarray, " c"]
    grain: Float32[ndarray, " c"]
    drift: Float32[ndarray, " c"]
    mixing_mm: float


def draw_palette(contrast: Contrast, rng: np.random.Generator) -> Palette:
    """Draw the intensities of one image.

    Parameters
    ----------
    contrast : {'t1w', 'any'}
        ``t1w``: CSF darker than grey matter, grey darker than white, by how much is random. ``any``: the
        intensities of CSF, grey and white matter are random, other classes lie near their mixture.
    rng : numpy.random.Generator
    """
    n = len(CLASSES)
    levels = np.zeros(n)
    if contrast == "t1w":
        strength = rng.uniform(0.6, 1.4)
        for name, (mean, spread) in _T1W.items():
            levels[class_code(name)] = 1 - strength * (1 - mean) + spread * rng.standard_normal()
    else:
        csf, grey, white, rim = rng.uniform(0.05, 1.0, 4)
        for name, share in _WHITENESS.items():
            level = grey + (white - grey) * share
            levels[class_code(name)] = level + 0.05 * rng.standard_normal() * (0 < share < 1)
        levels[class_code("csf")] = csf
        levels[class_code("ventricle")] = csf + 0.05 * rng.standard_normal()
        levels[class_code("rim")] = rim
    levels[1:] = np.clip(levels[1:], 0.04, 1.2)
    return Palette(
        levels=(levels / levels.max()).astype(np.float32),
        grain=(rng.uniform(0.01, 0.06) * rng.uniform(0.5, 1.5, n)).astype(np.float32),
        drift=(rng.uniform(0.0, 0.08) * rng.uniform(0.5, 1.5, n)).astype(np.float32),
        mixing_mm=float(rng.uniform(1.5, 3.5)),
    )


def paint(classes: ClassMap, palette: Palette, spacing_mm: Three, rng: np.random.Generator) -> Image:
    """Return the tissues of a label map in the colours of a palette.

    Parameters
    ----------
    classes : ndarray of uint8, shape (x, y, z)
        Codes of `CLASSES` (`muse.classes_of`); 0 outside.
    palette : Palette
    spacing_mm : tuple of 3 float
    rng : numpy.random.Generator
        For the texture.

    Returns
    -------
    ndarray of float32, shape (x, y, z)
        0 outside, above 0 inside, white matter or what is brightest near 1.
    """
    box = _box(classes)
    inside = classes[box]
    grain = rng.standard_normal(inside.shape, dtype=np.float32)
    image = palette.levels[inside]
    image += palette.grain[inside] * grain
    image += palette.drift[inside] * smooth_noise(inside.shape, rng)
    weights = (inside > 0).astype(np.float32)
    image = _mix(image * weights, weights, palette.mixing_mm, spacing_mm)
    painted = np.zeros(classes.shape, dtype=np.float32)
    painted[box] = np.maximum(image, np.float32(DARK)) * weights
    return painted


def synthesise(
    classes: ClassMap, spacing_mm: Three, rng: np.random.Generator, settings: SynthesisSettings | None = None
) -> Image:
    """Return an image of a label map as some scanner might see it, stripped by somebody.

    The same generator gives the same image.

    Parameters
    ----------
    classes : ndarray of uint8, shape (x, y, z)
        As for `paint`.
    spacing_mm : tuple of 3 float
    rng : numpy.random.Generator
    settings : SynthesisSettings or None
        None takes the defaults.

    Returns
    -------
    ndarray of float32, shape (x, y, z)
        0 outside the brain, above 0 inside.
    """
    settings = settings or SynthesisSettings()
    image = paint(classes, draw_palette(settings.contrast, rng), spacing_mm, rng)
    box = _box(classes)
    data = image[box] ** np.float32(np.exp(settings.gamma * rng.uniform(-1, 1)))
    data *= bias_field(data.shape, settings.bias * float(rng.random()), rng)
    mask = err_in_mask(classes[box] > 0, spacing_mm, rng, border_mm=settings.border_mm * float(rng.random()))
    # what the mask gains beyond the brain is as bright as what a blur brings there
    weights = (data > 0).astype(np.float32)
    width = np.full(3, settings.blur_mm * rng.random())
    width[rng.integers(3)] += settings.thick_mm * rng.random() * (rng.random() < 0.3)
    data = blur(data, (float(width[0]), float(width[1]), float(width[2])), spacing_mm)
    weights = blur(weights, (float(width[0]), float(width[1]), float(width[2])), spacing_mm)
    data = add_noise(data / np.maximum(weights, 0.25), settings.noise * float(rng.random()) ** 2, rng)
    image[box] = np.where(mask, np.maximum(data, np.float32(DARK)), 0)
    return image


def render(
    tissue: TissueMap, rng: np.random.Generator, *, contrast: float = 1.0, texture: float = 0.02
) -> Volume:
    """Return the T1w image of a simulated brain, before its scanner: 0 outside, white matter near 1.

    Parameters
    ----------
    tissue : TissueMap
    rng : numpy.random.Generator
        For the texture.
    contrast : float
        Factor on the differences between the tissues and white matter (`Site.contrast`).
    texture : float
        Standard deviation of the grain, and half-width of a slow variation.
    """
    whole = tissue.shares.sum(axis=0)
    image = whole - np.float32(contrast) * (whole - tissue.intensity())
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    image *= 1 + np.float32(texture) * (grain + smooth_noise(image.shape, rng))
    return Volume(np.maximum(image, 0), tissue.affine, "simulated brain")


def _mix(image: Image, weights: Image, width_mm: float, spacing_mm: Three) -> Image:
    """Blur inside the mask: what lies outside does not enter."""
    widths = (width_mm, width_mm, width_mm)
    around = np.maximum(blur(weights, widths, spacing_mm), np.float32(0.05))
    return np.asarray(blur(image, widths, spacing_mm) / around)


def _box(classes: ClassMap) -> tuple[slice, slice, slice]:
    """Return the box around everything that is not 0, two voxels wider within the image."""
    pieces = []
    for axis, size in enumerate(classes.shape):
        others = tuple({0, 1, 2} - {axis})
        where = np.flatnonzero(classes.any(axis=others))
        first, last = (int(where[0]), int(where[-1])) if len(where) else (0, size - 1)
        pieces.append(slice(max(0, first - 2), min(size, last + 3)))
    return pieces[0], pieces[1], pieces[2]
