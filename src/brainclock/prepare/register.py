"""Find the affine map between the template and a brain, wherever and however the brain lies.

Three scales (8, 4, 2 mm), from 19 starting rotations, or from a pose, and a similarity to all 12 unknowns.
Nothing is drawn at random, and neither the number of threads nor the grid of the scan decides the answer.
At last the brain is fitted mirrored, too, to see whether its header tells the wrong way up or front; left
and right the template, being symmetric, cannot tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.errors import ScanRefused
from brainclock.io.volume import Volume
from brainclock.prepare.affine_fit import Fit, explained, fit_affine, greatest_move_mm, rotation
from brainclock.prepare.orient import box_around
from brainclock.prepare.pyramid import Scale, build_scale
from brainclock.prepare.template import load_template

#: Spacing and blur (mm) of the scales.
_SCALES = ((8, 6.4), (4, 3.2), (2, 2.0))
#: Residuals beyond this, in units of the template's intensity, hardly count.
_SOFTNESS = 0.4
_START_DEGREES = 30.0
#: Front to back, top to bottom, and both.
_FLIPS = ((1.0, -1.0, 1.0), (1.0, 1.0, -1.0), (1.0, -1.0, -1.0))
#: Maps this near to each other at the corners of a 140 mm cube are one.
_SAME_MM = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How the template lies in a scan.

    Parameters
    ----------
    template_to_scan : ndarray of float64, shape (4, 4)
        Template mm (RAS+) to scan mm (RAS+).
    r2 : float
        Share of the template's variance (over brain and rim, 2 mm) that the scan explains.
    axis_scales : tuple of 3 float
        Singular values of the map, falling: scan mm per template mm.
    shear : float
        Greatest deviation from a right angle between the images of the template's axes, as a cosine.
    rotation_degrees : float
        Angle of the rotation nearest to the map.
    mirror_margin : float
        R² at 4 mm minus the best R² of the brain mirrored front to back, top to bottom, or both; below 0
        the header tells the wrong way up or front. A whole brain the right way has 0.1 to 0.2.
    starts_used : int
        Starting rotations that were tried.
    """

    template_to_scan: Float64[ndarray, "4 4"]
    r2: float
    axis_scales: tuple[float, float, float]
    shear: float
    rotation_degrees: float
    mirror_margin: float
    starts_used: int


def register(
    brain: Volume, mask: Bool[ndarray, "x y z"], pose: Float64[ndarray, "4 4"] | None = None
) -> Registration:
    """Find the affine map (12 unknowns) from the template to a brain.

    Parameters
    ----------
    brain : Volume
        The scan; what lies outside the mask is not looked at. Any order and direction of axes.
    mask : ndarray of bool, shape of ``brain.data``
        The brain with its CSF.
    pose : ndarray of float64, shape (4, 4), or None
        About how the template lies in the scan (mm to mm), from `find_pose`: the only rotation that is
        started from. None starts from 19.

    Returns
    -------
    Registration
        Also for a poor fit: whether it is good enough is decided by the gates.

    Raises
    ------
    ScanRefused
        The mask is empty or too small or thin to leave a trace at 8 mm, or hardly anything in it is
        brighter than 0.
    """
    data, affine = _cut_out(brain, mask)
    coarse, middle, fine = (build_scale(data, affine, spacing, blur) for spacing, blur in _SCALES)
    guess = _first_guess(coarse)
    rotations = _start_rotations() if pose is None else [nearest_rotation(pose)]
    start = _search(coarse, middle, [Fit(turn @ guess.matrix, guess.shift_mm) for turn in rotations])
    fit = fit_affine(
        fine, start, similarity=False, rich=True, tolerance_mm=0.005, iterations=25, softness=_SOFTNESS
    )
    guess = Fit(rotations[0] @ guess.matrix, guess.shift_mm)
    return Registration(
        template_to_scan=_as_map(fit),
        r2=explained(fine, fit),
        axis_scales=_axis_scales(fit.matrix),
        shear=_shear(fit.matrix),
        rotation_degrees=_rotation_degrees(fit.matrix),
        mirror_margin=_mirror_margin(coarse, middle, fit, guess),
        starts_used=len(rotations),
    )


def find_pose(brain: Volume, mask: Bool[ndarray, "x y z"]) -> Float64[ndarray, "4 4"]:
    """Find about how the template lies in a scan, mm to mm: as `register`, but no finer than 4 mm.

    Parameters and errors as for `register`; a rough mask is enough.
    """
    data, affine = _cut_out(brain, mask)
    coarse, middle = (build_scale(data, affine, spacing, blur) for spacing, blur in _SCALES[:2])
    guess = _first_guess(coarse)
    starts = [Fit(turn @ guess.matrix, guess.shift_mm) for turn in _start_rotations()]
    return _as_map(_search(coarse, middle, starts))


def nearest_rotation(matrix: Float64[ndarray, "n n"]) -> Float64[ndarray, "3 3"]:
    """Return the rotation nearest to the linear part of a map (polar decomposition)."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    return np.asarray(left @ right)


def in_view(template_to_scan: Float64[ndarray, "4 4"], scan: Volume) -> float:
    """Share of the template brain inside the scan's box of voxels (to their outer faces)."""
    template = load_template()
    where = np.argwhere(template.mask)
    to_voxel = np.linalg.inv(scan.affine) @ template_to_scan @ template.affine
    voxel = where @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    top = np.array(scan.data.shape) - 0.5
    return float(((voxel >= -0.5) & (voxel <= top)).all(axis=1).mean())


def _as_map(fit: Fit) -> Float64[ndarray, "4 4"]:
    """Template mm to scan mm, to 1e-6: far below what the fit can know, above what libraries differ by."""
    whole = np.eye(4)
    whole[:3, :3] = fit.matrix
    whole[:3, 3] = fit.shift_mm - fit.matrix @ load_template().centroid_mm
    return np.round(whole, 6)


def _cut_out(
    brain: Volume, mask: Bool[ndarray, "x y z"]
) -> tuple[Float32[ndarray, "a b c"], Float64[ndarray, "4 4"]]:
    """Return the box around the mask, 0 outside the mask, in units of the 95th percentile."""
    if not mask.any():
        raise ScanRefused("brain_mask", "The brain mask is empty, so there is nothing to register.")
    box = box_around(mask)
    inside = mask[box]
    data = np.where(inside, np.maximum(brain.data[box], 0), np.float32(0))
    values = data[inside]
    rank = int(0.95 * (len(values) - 1))
    level = float(np.partition(values, rank)[rank])
    if level <= 0:
        raise ScanRefused("brain_mask", "The scan is 0 nearly everywhere inside the brain mask.")
    affine = brain.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    return np.minimum(data / np.float32(level), np.float32(2)), affine


def _first_guess(scale: Scale) -> Fit:
    """Centre onto centre, volume onto volume, untilted."""
    template = load_template()
    bright = scale.image > 0.3
    if not bright.any():
        raise ScanRefused("brain_mask", "The brain mask is too small or too thin to be registered.")
    to_mm = np.linalg.inv(np.vstack([scale.to_voxel, [0, 0, 0, 1]]))
    centre = to_mm[:3, :3] @ np.argwhere(bright).mean(axis=0) + to_mm[:3, 3]
    volume = bright.sum() * abs(np.linalg.det(to_mm[:3, :3]))
    template_volume = template.mask.sum() * abs(np.linalg.det(template.affine[:3, :3]))
    size = float(np.clip((volume / template_volume) ** (1 / 3), 0.5, 2.0))
    return Fit(size * np.eye(3), centre)


def _start_rotations() -> list[Float64[ndarray, "3 3"]]:
    """No rotation, and 30° either way about each axis and each pair of axes."""
    axes = np.eye(3)
    vectors = [np.zeros(3)]
    vectors += [sign * axis for axis in axes for sign in (1, -1)]
    vectors += [s * a + t * b for a, b in combinations(axes, 2) for s in (1, -1) for t in (1, -1)]
    return [rotation(np.deg2rad(_START_DEGREES) * vector) for vector in vectors]


def _search(coarse: Scale, middle: Scale, starts: list[Fit]) -> Fit:
    """From all starts to one map: few steps for many, more steps for the best."""
    tried = [_fit_coarse(coarse, start, tolerance_mm=1.0, iterations=5) for start in starts]
    tried = [_fit_coarse(coarse, start) for start in _distinct(tried)[:4]]
    tried = [
        fit_affine(middle, start, similarity=False, rich=True, tolerance_mm=0.1, iterations=15)
        for start in _distinct(tried)[:3]
    ]
    return _best(tried)


def _fit_coarse(scale: Scale, start: Fit, *, tolerance_mm: float = 0.5, iterations: int = 12) -> Fit:
    return fit_affine(
        scale, start, similarity=True, rich=False, tolerance_mm=tolerance_mm, iterations=iterations
    )


def _best(fits: list[Fit]) -> Fit:
    return min(fits, key=lambda fit: fit.cost)


def _distinct(fits: list[Fit]) -> list[Fit]:
    """Best first, without those that are near to a better one."""
    kept: list[Fit] = []
    for fit in sorted(fits, key=lambda fit: fit.cost):
        moves = [greatest_move_mm(fit.matrix - other.matrix, fit.shift_mm - other.shift_mm) for other in kept]
        if all(move > _SAME_MM for move in moves):
            kept.append(fit)
    return kept


def _mirror_margin(coarse: Scale, middle: Scale, fit: Fit, guess: Fit) -> float:
    """R² at 4 mm minus the best of the mirrored brain's, started from the fit and from the first guess.

    That of a brain back to front is high (0.68 to 0.76 at 4 mm, where the right way has 0.84 to 0.88): only
    the two ways of one brain can be compared, so this is measured for each.
    """
    mirrored = []
    for flip in _FLIPS:
        starts = [Fit(start.matrix @ np.diag(flip), start.shift_mm) for start in (fit, guess)]
        start = _best([_fit_coarse(coarse, start) for start in starts])
        found = fit_affine(middle, start, similarity=False, rich=True, tolerance_mm=0.5, iterations=15)
        mirrored.append(explained(middle, found))
    return explained(middle, fit) - max(mirrored)


def _axis_scales(matrix: Float64[ndarray, "3 3"]) -> tuple[float, float, float]:
    largest, middle, smallest = np.linalg.svd(matrix, compute_uv=False)
    return float(largest), float(middle), float(smallest)


def _shear(matrix: Float64[ndarray, "3 3"]) -> float:
    axes = matrix / np.linalg.norm(matrix, axis=0)
    return float(np.abs(axes.T @ axes)[np.triu_indices(3, 1)].max())


def _rotation_degrees(matrix: Float64[ndarray, "3 3"]) -> float:
    cosine = (np.trace(nearest_rotation(matrix)) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
