"""The rivals without a network: a constant, volumes, voxels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.compare.jobs import Job
from brainclock.compare.people import COARSE_MM, make_looks
from brainclock.compare.volumes import features
from brainclock.model.regressor import IMAGE_FLOOR, fit_ridge
from brainclock.train.cohort import Cohort

_COMPONENTS = 50


def predict_classical(
    job: Job,
    cohort: Cohort,
    volumes: Float64[ndarray, "n 3"],
    training: Int[ndarray, " t"],
    held_out: Int[ndarray, " v"],
    out: Path,
) -> Float64[ndarray, " v"]:
    """Fit one classical rival on some rows of a cohort and return the ages of others, years.

    Parameters
    ----------
    job : Job
    cohort : Cohort
    volumes : ndarray of float, shape (n, 3), ml
        Of each scan (`volumes.VOLUMES`).
    training, held_out : ndarray of int
    out : Path
        Where the images of the voxel rivals are kept.
    """
    ages, people = cohort.ages[training], cohort.people(training)
    if job.method == "mean":
        return np.full(len(held_out), ages.mean())
    if job.method == "volume":
        table = features(volumes)
        return fit_ridge(table[training], ages, people).predict(table[held_out])
    images = _smooth_voxels(job, cohort, out)
    if job.method == "pca-gp":
        return _gaussian_process(images[training], ages, images[held_out])
    return fit_ridge(images[training], ages, people, floor=IMAGE_FLOOR).predict(images[held_out])


def _smooth_voxels(job: Job, cohort: Cohort, out: Path) -> Float64[ndarray, "n d"]:
    """Return the voxels of each scan, smoothed; those that are the same in everybody are left out."""
    from scipy import ndimage

    views = make_looks(cohort, job.settings, out)
    sigma = [COARSE_MM / step for step in views.spacing_mm]
    images = [
        ndimage.gaussian_filter(image[0, 0].astype(np.float64), sigma).ravel() for image in views.images
    ]
    voxels = np.stack(images)
    return voxels[:, np.ptp(voxels, axis=0) > 0]


def _gaussian_process(
    own: Float64[ndarray, "n d"], ages: Float64[ndarray, " n"], others: Float64[ndarray, "m d"]
) -> Float64[ndarray, " m"]:
    """Gaussian process with an RBF kernel and noise on the leading principal components."""
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    components = PCA(min(_COMPONENTS, len(own) - 1), svd_solver="full").fit(own)
    inside, outside = components.transform(own), components.transform(others)
    spread = max(float(np.sqrt((inside**2).sum(axis=1).mean())), 1e-12)
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(1.0, (1e-2, 1e3)) + WhiteKernel(0.1, (1e-4, 1e1))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound that is reached is an answer
        process.fit(inside / spread, ages)
    predicted: Float64[ndarray, " m"] = process.predict(outside / spread).astype(np.float64)
    return predicted
