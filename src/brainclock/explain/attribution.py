"""Maps by captum, to set beside Grad-RAM: SmoothGrad, integrated gradients, occlusion of regions.

All change the intensity inside the brain mask only. The mask belongs to what the network sees: a baseline
of another outline, or noise outside of the brain, would explain the outline.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from numpy import ndarray
from torch import Tensor

from brainclock.errors import InputError
from brainclock.explain.age_map import SENSITIVITY, AgeMap, Lattice
from brainclock.explain.layers import resting
from brainclock.model.ensemble import Ensemble
from brainclock.prepare.normalise import DARKEST

SMOOTHGRAD, INTEGRATED, OCCLUSION = "smoothgrad", "integrated-gradients", "occlusion"

Volume5 = Float[Tensor, "1 1 x y z"]


def integrated_gradients(
    model: Ensemble, volume: Volume5, baseline: Volume5, *, steps: int = 32, batch: int = 4
) -> AgeMap:
    """Return the integrated gradients from a baseline brain to the scan, years.

    Sundararajan et al. (2017), arXiv:1703.01365. The shares add up to the age of the scan minus that of
    the baseline, up to the error of the quadrature (Gauss–Legendre), which is
    ``completeness_error``.

    Parameters
    ----------
    model : Ensemble
        Comes back as it was.
    volume : Tensor, shape (1, 1, x, y, z)
        Prepared intensity.
    baseline : Tensor, shape (1, 1, x, y, z)
        A brain with the same mask, such as the mean brain of the same age (`Reference.brain_at`).
    steps : int
        Points on the way.
    batch : int
        Points in memory at once.

    Raises
    ------
    InputError
        The baseline has another mask.
    """
    from captum.attr import IntegratedGradients

    _check_mask(volume, baseline)
    with resting(model):
        read = _reader(model, volume)
        found = IntegratedGradients(read).attribute(
            volume.clone().requires_grad_(True), baselines=baseline, n_steps=steps, internal_batch_size=batch
        )
        return _age_map(found, read, volume, INTEGRATED, intercept=_age(read, baseline))


def smoothgrad(
    model: Ensemble, volume: Volume5, seed: int, *, samples: int = 25, noise: float = 0.1, batch: int = 4
) -> AgeMap:
    """Return SmoothGrad: the mean gradient of the age over noisy copies of the scan.

    Smilkov et al. (2017), arXiv:1706.03825. A sensitivity, not a share: positive where more intensity
    means older.

    Parameters
    ----------
    model : Ensemble
        Comes back as it was.
    volume : Tensor, shape (1, 1, x, y, z)
    seed : int
        Of the noise.
    samples : int
        Noisy copies.
    noise : float
        Standard deviation, as a part of the intensity of white matter.
    batch : int
        Copies in memory at once.
    """
    from captum.attr import NoiseTunnel, Saliency

    with resting(model), torch.random.fork_rng(devices=[]):  # captum draws from the global generator
        torch.manual_seed(seed)
        read = _reader(model, volume)
        found = NoiseTunnel(Saliency(read)).attribute(
            volume.clone().requires_grad_(True),
            nt_type="smoothgrad",
            nt_samples=samples,
            nt_samples_batch_size=batch,
            stdevs=noise,
            abs=False,
        )
        return _age_map(found, read, volume, SMOOTHGRAD, intercept=math.nan)


def occlusion(
    model: Ensemble,
    volume: Volume5,
    baseline: Volume5,
    labels: Int[ndarray, "x y z"],
    *,
    batch: int = 4,
) -> AgeMap:
    """Return the years that each region adds: age of the scan minus its age with baseline tissue there.

    The years of a region are spread evenly over its voxels inside the mask. Regions act together, so the sum
    means nothing.

    Parameters
    ----------
    model : Ensemble
        Comes back as it was.
    volume, baseline : Tensor, shape (1, 1, x, y, z)
        As for `integrated_gradients`: tissue is replaced by tissue, for a hole would look like a ventricle.
    labels : ndarray of int, shape of the grid
        Region in each voxel. Region 0 is one as well.
    batch : int
        Regions at once.

    Raises
    ------
    InputError
        The baseline has another mask.
    """
    from captum.attr import FeatureAblation

    _check_mask(volume, baseline)
    mask = (volume > 0)[0, 0].cpu().numpy()
    numbers = np.where(mask, labels, labels.max() + 1).astype(np.int64)
    _, packed = np.unique(numbers, return_inverse=True)
    feature_mask = torch.from_numpy(packed.reshape(1, 1, *labels.shape))
    with resting(model), torch.no_grad():
        read = _reader(model, volume)
        found = FeatureAblation(read).attribute(
            volume,
            baselines=baseline,
            feature_mask=feature_mask.to(volume.device),
            perturbations_per_eval=batch,
        )
        sizes = torch.bincount(feature_mask.flatten())[feature_mask].to(found)
        shares = torch.where(volume > 0, found / sizes, torch.zeros_like(found))
        return _age_map(shares, read, volume, OCCLUSION, intercept=math.nan)


def _reader(model: Ensemble, volume: Volume5) -> Callable[[Float[Tensor, "n 1 x y z"]], Float[Tensor, " n"]]:
    """Return the age as a function of the intensity inside a fixed mask."""
    mask = volume > 0

    def read(volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, " n"]:
        ages: Tensor = model(torch.where(mask, volumes.clamp(min=DARKEST), 0))
        return ages

    return read


def _age(read: Callable[[Tensor], Tensor], volume: Volume5) -> float:
    with torch.no_grad():
        return float(read(volume)[0])


def _age_map(
    found: Volume5, read: Callable[[Tensor], Tensor], volume: Volume5, method: str, intercept: float
) -> AgeMap:
    return AgeMap(
        values=found.detach()[0, 0].double().cpu().numpy(),
        lattice=Lattice(),
        predicted_age=_age(read, volume),
        intercept=intercept,
        method=method,
        unit=SENSITIVITY if method == SMOOTHGRAD else "years",
        additive=method == INTEGRATED,
    )


def _check_mask(volume: Volume5, baseline: Volume5) -> None:
    if baseline.shape != volume.shape or not torch.equal(baseline > 0, volume > 0):
        raise InputError(
            "baseline",
            "a brain of another outline",
            "one that is above 0 where the scan is",
            "Make it for this scan with Reference.brain_at.",
        )


def as_volume(data: Float32[ndarray, "x y z"], model: Ensemble) -> Volume5:
    """Return prepared intensity as the model takes it, on the model's device."""
    return torch.from_numpy(data)[None, None].to(model.device)
