"""Does the age change where the map says? Deletion and insertion curves, in years.

Petsiuk et al. (2018), arXiv:1806.07421. Tissue is replaced by that of the mean brain of the same age, in the
order of the absolute map (deletion), or the scan's tissue is put into the mean brain (insertion). A faithful
map moves the age early: the area under |change| is large against that of maps that know nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy import ndarray
from torch import Tensor

from brainclock.errors import InputError
from brainclock.explain.layers import resting
from brainclock.model.ensemble import Ensemble

#: Parts of the brain's voxels at which the age is read.
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
_BATCH = 4


@dataclass(frozen=True, slots=True, eq=False)
class FaithfulnessCurve:
    """How the age moves.

    Parameters
    ----------
    fractions : ndarray of float64, shape (n,)
        Part of the brain's voxels exchanged so far, those with the largest absolute values first.
    years : ndarray of float64, shape (n,)
        Predicted age minus that at the start.
    area : float
        Area under |years|, as a mean over fractions.
    """

    fractions: Float64[ndarray, " n"]
    years: Float64[ndarray, " n"]
    area: float


def faithfulness(
    model: Ensemble,
    volume: Float[Tensor, "1 1 x y z"],
    baseline: Float[Tensor, "1 1 x y z"],
    values: Float64[ndarray, "i j k"],
    way: Literal["deletion", "insertion"] = "deletion",
    fractions: Sequence[float] = FRACTIONS,
) -> FaithfulnessCurve:
    """Return how the predicted age moves as voxels are exchanged in the order of a map.

    Parameters
    ----------
    model : Ensemble
        Comes back as it was.
    volume, baseline : Tensor, shape (1, 1, x, y, z)
        Scan, and mean brain in its outline (`Reference.brain_at`).
    values : ndarray of float64, shape of the grid
        The map; voxels outside of the brain don't count.
    way : {'deletion', 'insertion'}
    fractions : sequence of float
        From 0 to 1, rising.

    Raises
    ------
    InputError
        The baseline has another outline, the map another shape, or the fractions don't rise from 0 to 1.
    """
    mask = volume[0, 0] > 0
    if not torch.equal(mask, baseline[0, 0] > 0) or values.shape != tuple(mask.shape):
        found, fix = "another outline or shape", "Use Reference.brain_at and a map on the model grid."
        raise InputError("faithfulness", found, "scan, baseline and map on the same voxels", fix)
    parts = np.asarray(fractions, dtype=np.float64)
    if parts.size < 2 or parts[0] != 0 or parts[-1] != 1 or (np.diff(parts) <= 0).any():
        raise InputError("fractions", parts.tolist(), "numbers that rise from 0 to 1", "Mend them.")
    places = mask.flatten().nonzero().flatten()
    size = torch.from_numpy(np.abs(values).ravel()).to(places.device)[places]
    order = places[torch.argsort(size, descending=True, stable=True)]
    start, end = (volume, baseline) if way == "deletion" else (baseline, volume)
    ages = []
    with resting(model), torch.no_grad():
        for begin in range(0, parts.size, _BATCH):
            images = []
            for part in parts[begin : begin + _BATCH]:
                changed = start.flatten().clone()
                moved = order[: round(float(part) * order.numel())]
                changed[moved] = end.flatten()[moved]
                images.append(changed.reshape(start.shape))
            ages.append(model(torch.cat(images)).double().cpu().numpy())
    years = np.concatenate(ages)
    years = years - years[0]
    return FaithfulnessCurve(parts, years, float(np.trapezoid(np.abs(years), parts)))


def random_map(
    mask: Bool[ndarray, "x y z"],
    resolution_mm: float,
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> Float64[ndarray, "x y z"]:
    """Return noise as smooth as a map: a rival that knows nothing of brain or model.

    Parameters
    ----------
    mask : ndarray of bool, shape (x, y, z)
        Gives the shape.
    resolution_mm : float
        Effective resolution (FWHM) of the map that it is set against.
    spacing_mm : tuple of 3 float
    rng : numpy.random.Generator
    """
    from scipy.ndimage import gaussian_filter

    sigma = [resolution_mm / np.sqrt(8 * np.log(2)) / step for step in spacing_mm]
    return np.asarray(gaussian_filter(rng.standard_normal(mask.shape), sigma, mode="wrap"))


def edge_map(
    volume: Float[Tensor, "1 1 x y z"], spacing_mm: tuple[float, float, float]
) -> Float64[ndarray, "x y z"]:
    """Return the gradient magnitude of the scan: a rival that knows the anatomy but not the model."""
    image = volume[0, 0].double().cpu().numpy()
    slopes = np.gradient(image, *spacing_mm)
    return np.asarray(np.sqrt(sum(slope**2 for slope in slopes)))
