"""What a map is like, and how alike two maps are, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import InputError

#: How deep the edge of the brain is taken to be.
EDGE_MM = 4.0
#: The strongest so many of the voxels are compared between two maps.
TOP_SHARE = 0.05
_SSIM_SIGMA = 1.5  # voxels; Wang et al. (2004)


@dataclass(frozen=True, slots=True)
class Nuance:
    """How fine and how well placed a map is. All of the absolute map.

    Parameters
    ----------
    entropy : float
        Shannon entropy of the shares of the voxels inside the brain over its largest possible value: 1 is an
        even map, 0 a single voxel.
    effective_resolution_mm : float
        Width (FWHM) of the Gaussian that noise would have to be smoothed with to be as smooth as the
        map (Forman et al. 1995, doi:10.1002/mrm.1910330508); geometric mean of the axes.
    inside_share : float
        Part of the map inside the brain mask.
    edge_share : float
        Part of the map within 4 mm of the border of the mask, on either side.
    """

    entropy: float
    effective_resolution_mm: float
    inside_share: float
    edge_share: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two maps are inside the brain.

    Parameters
    ----------
    spearman : float
        Rank correlation of the signed values.
    spearman_absolute : float
        Of the absolute values.
    ssim : float
        Mean structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861) of the maps, each divided
        by its root mean square: the term of contrast and structure alone. The term of luminance would make
        a map and its opposite alike, for its sign is theirs as well.
    top_overlap : float
        Dice overlap of the 5 % of voxels with the largest absolute values.
    """

    spearman: float
    spearman_absolute: float
    ssim: float
    top_overlap: float


def nuance(
    values: Float64[ndarray, "x y z"], mask: Bool[ndarray, "x y z"], spacing_mm: tuple[float, float, float]
) -> Nuance:
    """Return how fine and how well placed a map on the model grid is; NaN throughout for a map of zeros."""
    from scipy import ndimage

    size = np.abs(values)
    whole = float(size.sum())
    if whole == 0:
        return Nuance(np.nan, np.nan, np.nan, np.nan)
    inside = size[mask]
    shares = inside[inside > 0] / inside.sum()
    entropy = float(-(shares * np.log(shares)).sum() / np.log(max(inside.size, 2)))
    outward = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    inward = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    edge = (outward <= EDGE_MM) & (inward <= EDGE_MM)
    return Nuance(
        entropy,
        effective_resolution_mm(values, mask, spacing_mm),
        float(inside.sum() / whole),
        float(size[edge].sum() / whole),
    )


def effective_resolution_mm(
    values: Float64[ndarray, "x y z"], mask: Bool[ndarray, "x y z"], spacing_mm: tuple[float, float, float]
) -> float:
    """Return the smoothness of a map in the mask as a width, mm.

    From the correlation r of neighbours: for Gaussian noise smoothed by σ, r = exp(−step² / 4σ²).
    """
    widths = []
    for axis, step in enumerate(spacing_mm):
        ahead = np.roll(values, -1, axis)
        both = mask & np.roll(mask, -1, axis)
        both[tuple(slice(-1, None) if i == axis else slice(None) for i in range(3))] = False
        one, other = values[both], ahead[both]
        spread = one.std() * other.std() if both.any() else 0.0
        r = float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 0 else np.nan
        if not 0 < r < 1:
            widths.append(step if r <= 0 else np.nan)
            continue
        widths.append(np.sqrt(8 * np.log(2)) * step * np.sqrt(-1 / (4 * np.log(r))))
    return float(np.exp(np.mean(np.log(widths))))


def likeness(
    one: Float64[ndarray, "x y z"], other: Float64[ndarray, "i j k"], mask: Bool[ndarray, "x y z"]
) -> Likeness:
    """Return how alike two maps on one grid are; NaN where a map is constant."""
    if one.shape != other.shape:
        found, fix = f"shapes {one.shape} and {other.shape}", "Bring both onto the model grid."
        raise InputError("comparison of maps", found, "one shape", fix)
    first, second = one[mask], other[mask]
    return Likeness(
        spearman(first, second),
        spearman(np.abs(first), np.abs(second)),
        _ssim(one, other, mask),
        _top_overlap(np.abs(first), np.abs(second)),
    )


def spearman(one: Float64[ndarray, " n"], other: Float64[ndarray, " n"]) -> float:
    """Return the rank correlation, ties at their mean rank; NaN where one is constant."""
    from scipy.stats import rankdata

    a, b = rankdata(one), rankdata(other)
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else np.nan


def retest_agreement(
    first: Float64[ndarray, "n r"], second: Float64[ndarray, "n r"]
) -> tuple[float, Float64[ndarray, " r"]]:
    """Return how well two scans of the same people agree in the years of their regions.

    Parameters
    ----------
    first, second : ndarray of float64, shape (people, regions), years

    Returns
    -------
    within : float
        Median over people of the correlation of the two profiles of regions.
    between : ndarray of float64, shape (regions,)
        For each region, the intraclass correlation ICC(1,1) over people: (MSB − MSW) / (MSB + MSW)
        (Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420). NaN where nobody differs.

    Raises
    ------
    InputError
        The shapes differ, or there are fewer than 2 people or regions.
    """
    if first.shape != second.shape or min(first.shape) < 2:
        found = f"shapes {first.shape} and {second.shape}"
        raise InputError("retest", found, "2 or more people and regions, twice", "Give both scans of each.")
    a = first - first.mean(axis=1, keepdims=True)
    b = second - second.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    within = float(np.median((a * b).sum(axis=1)[size > 0] / size[size > 0])) if (size > 0).any() else np.nan
    means = (first + second) / 2
    between = 2 * means.var(axis=0, ddof=1)
    inside = ((first - second) ** 2).mean(axis=0) / 2
    total = between + inside
    return within, np.divide(between - inside, total, out=np.full(total.shape, np.nan), where=total > 0)


def regions_for(absolute_shares: Sequence[float], share: float = 0.8) -> int:
    """Return how many regions, the largest first, make up so much of the absolute map."""
    ordered = np.sort(np.asarray(absolute_shares))[::-1]
    return int(np.searchsorted(np.cumsum(ordered), share * ordered.sum() * (1 - 1e-12)) + 1)


def _top_overlap(one: Float64[ndarray, " n"], other: Float64[ndarray, " n"]) -> float:
    count = max(1, round(TOP_SHARE * one.size))
    tops = [set(np.argpartition(size, -count)[-count:].tolist()) for size in (one, other)]
    return len(tops[0] & tops[1]) / count


def _ssim(
    one: Float64[ndarray, "x y z"], other: Float64[ndarray, "x y z"], mask: Bool[ndarray, "x y z"]
) -> float:
    from scipy.ndimage import gaussian_filter

    sizes = [float(np.sqrt(np.mean(image[mask] ** 2))) for image in (one, other)]
    if min(sizes) == 0:
        return np.nan
    a, b = one / sizes[0], other / sizes[1]

    def smooth(image: Float64[ndarray, "x y z"]) -> Float64[ndarray, "x y z"]:
        return np.asarray(gaussian_filter(image, _SSIM_SIGMA))

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    c2 = (0.03 * 2) ** 2
    index = (2 * both + c2) / (var_a + var_b + c2)
    return float(index[mask].mean())
