"""How far predicted ages are from true ages.

All numbers are of raw predictions. After a correction that uses the true age even a useless model
looks accurate (Butler et al. 2021, doi:10.1002/hbm.25533), so nothing here may be fed corrected ages.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

_NOTHING = 1e-12  # years²; a variance below this is rounding

#: Name, unit and meaning of each number, in the order in which they are shown.
METRICS: dict[str, tuple[str, str]] = {
    "mae": ("years", "mean absolute error"),
    "median_absolute_error": ("years", "median absolute error"),
    "rmse": ("years", "root of the mean squared error"),
    "macro_mae": ("years", "mean over the decades of age of the mean absolute error in each"),
    "r2": ("1", "1 − SSE/SST about the mean age of these people; below 0 for less than that constant"),
    "r2_training_mean": ("1", "1 − SSE/SST about the mean age of the training people"),
    "r": ("1", "Pearson correlation of predicted age and age; blind to slope and offset"),
    "r_squared": ("1", "square of r; not R²"),
    "slope": ("1", "slope of predicted age on age; below 1 shrinks to the mean"),
    "intercept": ("years", "intercept of predicted age on age"),
    "mean_error": ("years", "mean of predicted age − age; above 0 is too old"),
    "gap_sd": ("years", "standard deviation of the brain age gap (n − 1)"),
    "gap_age_r": ("1", "Pearson correlation of the brain age gap and age; 0 without age bias"),
    "naive_mae": ("years", "mean absolute error of the best constant, the median age of these people"),
    "naive_mae_training_median": ("years", "mean absolute error of the median age of the training people"),
    "skill": ("1", "1 − mae / naive_mae; what to compare between cohorts of different ages"),
}


def age_metrics(
    predicted_age: Float64[ndarray, " n"],
    age: Float64[ndarray, " n"],
    weights: Float64[ndarray, "b n"] | None = None,
    *,
    training_mean: float | None = None,
    training_median: float | None = None,
) -> dict[str, Float64[ndarray, " b"]]:
    """Return the metrics of METRICS for each row of weights; NaN where one is not defined.

    Parameters
    ----------
    predicted_age : ndarray of float, shape (n,), years
        Raw predictions, never corrected for age.
    age : ndarray of float, shape (n,), years
    weights : ndarray of float, shape (b, n)
        How often each row counts (whole numbers, not all 0); None counts each once.
    training_mean, training_median : float, optional
        Of the training people's ages; without them the metrics that need them are left out.
    """
    if weights is None:
        weights = np.ones((1, age.size))
    gap = predicted_age - age
    error = np.abs(gap)
    total = weights.sum(axis=1)

    def mean(values: Float64[ndarray, " n"]) -> Float64[ndarray, " b"]:
        means: Float64[ndarray, " b"] = (weights @ values) / total
        return means

    # Moments about fixed points near the data: no cancellation, whatever the ages.
    y, p = age - age.mean(), predicted_age - predicted_age.mean()
    var_age = mean(y * y) - mean(y) ** 2
    var_predicted = mean(p * p) - mean(p) ** 2
    covariance = mean(y * p) - mean(y) * mean(p)
    slope = _ratio(covariance, var_age)
    r = _correlation(covariance, var_age, var_predicted)
    mae, mse, mean_error = mean(error), mean(gap * gap), mean(gap)
    var_gap = mean((p - y) ** 2) - mean(p - y) ** 2
    deviation = np.abs(age - weighted_median(age, weights)[:, None])
    naive_mae = (weights * deviation).sum(axis=1) / total

    metrics = {
        "mae": mae,
        "median_absolute_error": weighted_median(error, weights),
        "rmse": np.sqrt(mse),
        "macro_mae": _macro_mae(error, age, weights),
        "r2": 1 - _ratio(mse, var_age),
        "r": r,
        "r_squared": r**2,
        "slope": slope,
        "intercept": mean(predicted_age) - slope * mean(age),
        "mean_error": mean_error,
        "gap_sd": np.sqrt(_ratio(np.maximum(var_gap, 0) * total, total - 1)),
        "gap_age_r": _correlation(covariance - var_age, var_age, var_gap),
        "naive_mae": naive_mae,
        "skill": 1 - _ratio(mae, naive_mae),
    }
    if training_mean is not None:
        metrics["r2_training_mean"] = 1 - _ratio(mse, mean((age - training_mean) ** 2))
    if training_median is not None:
        metrics["naive_mae_training_median"] = mean(np.abs(age - training_median))
    return {name: metrics[name] for name in METRICS if name in metrics}


def weighted_median(
    values: Float64[ndarray, " n"], weights: Float64[ndarray, "b n"]
) -> Float64[ndarray, " b"]:
    """Median of the values, each repeated as often as its whole-numbered weight says, for each row."""
    order = np.argsort(values, kind="stable")
    ranks = weights[:, order].cumsum(axis=1)
    total = ranks[:, -1:]
    lower = (ranks < np.floor((total + 1) / 2)).sum(axis=1)
    upper = (ranks < np.floor(total / 2) + 1).sum(axis=1)
    ordered = values[order]
    medians: Float64[ndarray, " b"] = (ordered[lower] + ordered[upper]) / 2
    return medians


def decades(age: Float64[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """Return the decade of each age: 60 for 60.0 up to, not including, 70.0 years."""
    starts: Float64[ndarray, " n"] = np.floor(age / 10) * 10
    return starts


def _macro_mae(
    error: Float64[ndarray, " n"], age: Float64[ndarray, " n"], weights: Float64[ndarray, "b n"]
) -> Float64[ndarray, " b"]:
    """Mean over the decades that have people in the resample."""
    starts = decades(age)
    member = (starts[:, None] == np.unique(starts)).astype(np.float64)
    means = _ratio(weights @ (error[:, None] * member), weights @ member)
    present = np.isfinite(means)
    macro: Float64[ndarray, " b"] = np.where(present, means, 0).sum(axis=1) / present.sum(axis=1)
    return macro


def _ratio(numerator: ndarray, denominator: ndarray) -> ndarray:
    """Quotient; NaN where the denominator is 0 or, by rounding, about 0."""
    safe = denominator > _NOTHING
    quotient: ndarray = np.where(safe, numerator / np.where(safe, denominator, 1), np.nan)
    return quotient


def _correlation(covariance: ndarray, var_a: ndarray, var_b: ndarray) -> ndarray:
    safe = (var_a > _NOTHING) & (var_b > _NOTHING)
    correlation: ndarray = np.clip(_ratio(covariance, np.sqrt(np.where(safe, var_a * var_b, 0))), -1, 1)
    return correlation
