"""What a scanner does to a head: each effect a pure function of an image, its parameters and a generator.

Intensities are shares of white matter. The effects and their ranges are those that T1w scans show: bias
field, Rician noise (Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618), blur and voxel size, contrast,
motion between lines of k-space (after Shaw et al. 2019, arXiv:1906.04538), pose, errors of the brain mask.
`acquire` puts them together as one site would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.execution.product import multiply_along
from brainclock.io.volume import Volume

Image = Float32[ndarray, "x y z"]
Affine = Float64[ndarray, "4 4"]
Three = tuple[float, float, float]

#: Full width at half maximum of a Gaussian, in standard deviations.
_FWHM = 2.3548
#: Voxels of a scan, at most: about 0.5 mm over a whole head.
_MOST_VOXELS = 4e8


@dataclass(frozen=True, slots=True)
class Site:
    """How one scanner images, on average; each scan differs a little from it.

    Parameters
    ----------
    name : str
    spacing_mm : tuple of 3 float
        Of the voxels, along right, front and top.
    blur_mm : float
        Full width at half maximum of the blur beyond the voxels.
    noise : float
        Standard deviation of the Rician noise, share of white matter.
    bias : float
        Standard deviation of the logarithm of the bias field.
    gamma : float
        Exponent of the intensities.
    contrast : float
        Factor on the differences between the tissues and white matter.
    gain : float
        Intensity of white matter in the file.
    motion : float
        Share of the scans in which the head moves.
    """

    name: str = "site"
    spacing_mm: Three = (1.0, 1.0, 1.0)
    blur_mm: float = 0.8
    noise: float = 0.02
    bias: float = 0.08
    gamma: float = 1.0
    contrast: float = 1.0
    gain: float = 800.0
    motion: float = 0.05


def draw_site(name: str, rng: np.random.Generator) -> Site:
    """Draw a site: field strength (bias, noise, contrast), resolution and gain of its own."""
    inplane, thick = rng.uniform(0.8, 1.2), rng.uniform(1.0, 1.5)
    order = rng.permutation([inplane, inplane, thick])
    return Site(
        name=name,
        spacing_mm=(float(order[0]), float(order[1]), float(order[2])),
        blur_mm=float(rng.uniform(0.3, 1.5)),
        noise=float(np.exp(rng.uniform(np.log(0.007), np.log(0.04)))),
        bias=float(rng.uniform(0.03, 0.15)),
        gamma=float(np.exp(rng.normal(0, 0.1))),
        contrast=float(rng.uniform(0.85, 1.2)),
        gain=float(np.exp(rng.uniform(np.log(200), np.log(2000)))),
        motion=float(rng.uniform(0.02, 0.1)),
    )


def acquire(
    volume: Volume,
    site: Site,
    rng: np.random.Generator,
    *,
    pose: Affine | None = None,
    moved: bool | None = None,
    field_mm: tuple[Float64[ndarray, " 3"], Three] | None = None,
) -> Volume:
    """Return the scan that a site makes of a head.

    Parameters
    ----------
    volume : Volume
        Head or brain, white matter near 1, 0 in the air.
    site : Site
    rng : numpy.random.Generator
    pose : ndarray of float64, shape (4, 4), or None
        Maps the head's own mm to those of the scanner; None draws one (`draw_pose`).
    moved : bool or None
        Whether the head moves during the scan; None leaves it to chance (``site.motion``).
    field_mm : tuple of ndarray and tuple, or None
        As for `revoxel`.

    Returns
    -------
    Volume
        On the site's voxels.

    Raises
    ------
    InputError
        The site's voxels are not a size that a scanner has.
    """
    pose = draw_pose(rng) if pose is None else pose
    blurred = blur(volume.data, (site.blur_mm * float(rng.uniform(0.9, 1.1)),) * 3, volume.spacing_mm)
    scan = revoxel(Volume(blurred, volume.affine, volume.source), site.spacing_mm, pose, field_mm)
    data = np.maximum(scan.data, 0) ** np.float32(site.gamma * np.exp(rng.normal(0, 0.03)))
    data *= bias_field(data.shape, site.bias * float(rng.uniform(0.7, 1.3)), rng)
    if rng.random() < site.motion if moved is None else moved:
        data = move(data, scan.spacing_mm, rng)
    data = add_noise(data, site.noise * float(rng.uniform(0.8, 1.25)), rng)
    gain = np.float32(site.gain * rng.uniform(0.9, 1.1))
    return Volume(data * gain, scan.affine, volume.source)


def bias_field(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Image:
    """Return a smooth field above 0 of mean 1: the exponential of cosines of at most 1.5 periods.

    Parameters
    ----------
    shape : tuple of 3 int
    strength : float
        Standard deviation of the logarithm.
    rng : numpy.random.Generator
    """
    n = 4
    order = np.add.outer(np.add.outer(np.arange(n), np.arange(n)), np.arange(n))
    weights = rng.standard_normal((n, n, n)) * (order > 0) * (order < n) / np.maximum(order, 1)
    log_field = weights.astype(np.float32)
    for axis, size in enumerate(shape):
        waves = np.cos(np.pi * np.outer((np.arange(size) + 0.5) / size, np.arange(n)))
        log_field = multiply_along(waves, log_field, axis)
    log_field *= np.float32(strength / max(float(log_field.std()), 1e-6))
    field = np.exp(log_field)
    return np.asarray(field / field.mean(), dtype=np.float32)


def add_noise(data: Image, sd: float, rng: np.random.Generator) -> Image:
    """Return the magnitude of the image with complex Gaussian noise of standard deviation ``sd``."""
    real = data + np.float32(sd) * rng.standard_normal(data.shape, dtype=np.float32)
    imaginary = np.float32(sd) * rng.standard_normal(data.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary))


def blur(data: Image, fwhm_mm: Three, spacing_mm: Three) -> Image:
    """Return the image blurred by a Gaussian of this full width at half maximum along each axis."""
    from scipy import ndimage

    sigma = [width / _FWHM / step for width, step in zip(fwhm_mm, spacing_mm, strict=True)]
    return np.asarray(ndimage.gaussian_filter(data, sigma, truncate=3, output=np.float32, mode="nearest"))


def revoxel(
    volume: Volume,
    spacing_mm: Three,
    pose: Affine,
    field_mm: tuple[Float64[ndarray, " 3"], Three] | None = None,
) -> Volume:
    """Return the image on voxels of another size, in another pose.

    Each voxel is a mean over its own size (a Gaussian of that variance), so thick slices are blurred.

    Parameters
    ----------
    volume : Volume
    spacing_mm : tuple of 3 float
    pose : ndarray of float64, shape (4, 4)
        Old mm to new mm.
    field_mm : tuple of ndarray and tuple, or None
        Middle of the field of view (old mm) and its size along right, front and top; None takes a box that
        holds the whole image.

    Raises
    ------
    InputError
        The voxels are not a size that a scanner has.
    """
    from scipy import ndimage

    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] = corners[:, :3] * np.array(volume.data.shape) - 0.5
    place = (pose @ volume.affine @ corners.T)[:3]
    middle, size_mm = (place.max(axis=1) + place.min(axis=1)) / 2, np.ptp(place, axis=1)
    if field_mm is not None:
        middle, size_mm = (pose @ np.array([*field_mm[0], 1.0]))[:3], np.array(field_mm[1])
    if not all(0.2 <= step <= 10 for step in spacing_mm) or np.prod(size_mm / spacing_mm) > _MOST_VOXELS:
        fix = "Choose a spacing in that range."
        raise InputError("spacing_mm", spacing_mm, "0.2 to 10 mm, in an image that fits", fix)
    shape = tuple(max(1, round(float(size / step))) for size, step in zip(size_mm, spacing_mm, strict=True))
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = middle - np.array(spacing_mm) * (np.array(shape) - 1) / 2
    to_old = np.linalg.inv(pose @ volume.affine) @ affine
    growth = np.linalg.norm(to_old[:3, :3], axis=1)
    sigma = np.sqrt(np.maximum(growth**2 - 1, 0) / 12)
    data = volume.data if sigma.max() < 0.1 else ndimage.gaussian_filter(volume.data, sigma, truncate=3)
    sampled = ndimage.affine_transform(
        data, to_old[:3, :3], to_old[:3, 3], output_shape=shape, order=1, output=np.float32
    )
    return Volume(np.asarray(sampled), affine, volume.source)


def draw_pose(
    rng: np.random.Generator, *, degrees: float = 10.0, shift_mm: float = 10.0, scale: float = 0.01
) -> Affine:
    """Draw a pose in the scanner: turned about each axis, shifted, a little too large or too small.

    Parameters
    ----------
    rng : numpy.random.Generator
    degrees, shift_mm, scale : float
        Half-widths of the ranges.

    Returns
    -------
    ndarray of float64, shape (4, 4)
        The head's own mm to those of the scanner.
    """
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    turn = Rotation.from_euler("xyz", rng.uniform(-degrees, degrees, 3), degrees=True).as_matrix()
    pose[:3, :3] = turn * (1 + rng.uniform(-scale, scale))
    pose[:3, 3] = rng.uniform(-shift_mm, shift_mm, 3)
    return pose


def move(
    data: Image,
    spacing_mm: Three,
    rng: np.random.Generator,
    *,
    share: tuple[float, float] = (0.05, 0.2),
    degrees: float = 3.0,
    shift_mm: float = 3.0,
) -> Image:
    """Return the image of a head that moved: some lines of k-space are those of the head elsewhere.

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
    spacing_mm : tuple of 3 float
    rng : numpy.random.Generator
    share : tuple of 2 float
        Of the lines, lowest and highest; never the middle of k-space.
    degrees, shift_mm : float
        Half-widths of the ranges of one movement.
    """
    from scipy import fft, ndimage

    axis = int(rng.integers(3))
    step = draw_pose(rng, degrees=degrees, shift_mm=shift_mm, scale=0.0)
    to_voxel = np.diag(1 / np.array(spacing_mm)) @ step[:3, :3] @ np.diag(spacing_mm)
    middle = (np.array(data.shape) - 1) / 2
    offset = middle + step[:3, 3] / np.array(spacing_mm) - to_voxel @ middle
    elsewhere = ndimage.affine_transform(data, to_voxel, offset, order=1, output=np.float32)
    # lines along one axis of k-space: the others stay in the image, which is the same and quicker
    here, there = fft.fft(data, axis=axis), fft.fft(elsewhere, axis=axis)
    lines = data.shape[axis]
    length = max(1, round(float(rng.uniform(*share)) * lines))
    quiet = max(1, lines // 16)  # from the middle of k-space (line 0) on, either way
    first = int(rng.integers(quiet, max(quiet + 1, lines - quiet - length)))
    taken = [slice(None)] * 3
    taken[axis] = slice(first, first + length)
    here[tuple(taken)] = there[tuple(taken)]
    return np.asarray(np.abs(fft.ifft(here, axis=axis)), dtype=np.float32)


def err_in_mask(
    mask: Bool[ndarray, "x y z"], spacing_mm: Three, rng: np.random.Generator, *, border_mm: float = 1.0
) -> Bool[ndarray, "x y z"]:
    """Return a mask whose border lies further out here and further in there, by about ``border_mm``."""
    reach = max(border_mm, 0.5 * max(spacing_mm))
    soft = blur(mask.astype(np.float32), (_FWHM * reach,) * 3, spacing_mm)
    # at a flat border a mask smoothed by s falls off as Φ(d / s): levels of Φ(±0.8) lie 0.8 s apart
    level = smooth_noise(mask.shape, rng)
    return np.asarray(soft > np.clip(0.5 + 0.28 * border_mm / reach * level, 0.05, 0.95))


def smooth_noise(shape: tuple[int, ...], rng: np.random.Generator, *, knots: int = 6) -> Image:
    """Return a smooth random field, from −1 to 1, that turns over about a fifth of the image."""
    lattice = rng.uniform(-1, 1, (knots, knots, knots)).astype(np.float32)
    return between_knots(lattice, [np.linspace(0, knots - 1, size) for size in shape])


def between_knots(
    lattice: Float32[ndarray, "*c a b d"], places: Sequence[ndarray]
) -> Float32[ndarray, "*c x y z"]:
    """Return trilinear values of a lattice at places along each of its last three axes, in knots."""
    for axis, place in zip((-3, -2, -1), places, strict=True):
        tent = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(lattice.shape[axis])))
        lattice = multiply_along(tent, lattice, axis)
    return lattice
