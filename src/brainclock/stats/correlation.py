"""Correlation of two measures when others are held fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.stats.linear import Effect, check_design, residualise

Kind = Literal["spearman", "pearson"]


@dataclass(frozen=True, slots=True, eq=False)
class PartialCorrelation:
    """A partial correlation and what is left of both measures, to draw.

    Parameters
    ----------
    effect : Effect
        r, its interval (Fisher z), degrees of freedom n − 2 − k, p of t = r √(df / (1 − r²)).
    x, y : ndarray of float, shape (n,)
        Residuals, of ranks for Spearman.
    """

    effect: Effect
    x: Float64[ndarray, " n"]
    y: Float64[ndarray, " n"]


def partial_correlation(
    x: Float64[ndarray, " n"],
    y: Float64[ndarray, " n"],
    covariates: Float64[ndarray, "n k"],
    names: tuple[str, ...],
    *,
    kind: Kind = "spearman",
    level: float = 0.95,
) -> PartialCorrelation:
    """Correlate what k covariates leave of two measures.

    For Spearman every variable is ranked first (ties get their mean rank). The interval is tanh(z ± u s)
    with s² = 1/(n − k − 3), times 1 + r²/2 for Spearman (Bonett and Wright 2000, doi:10.1007/BF02294183).

    Parameters
    ----------
    x, y : ndarray of float, shape (n,)
    covariates : ndarray of float, shape (n, k)
        Without a column of ones.
    names : tuple of str
        Of the covariates.

    Raises
    ------
    InputError
        Fewer than 4 people more than covariates, collinear covariates, or a measure that is the same for all
        people, or that the covariates determine.
    """
    from scipy import stats

    n, k = covariates.shape
    if n - k < 4:
        fix = "Bring more people, or leave covariates out."
        raise InputError("partial correlation", f"{n} people for {k} covariates", f"{k + 4} or more", fix)
    if kind == "spearman":
        x, y = rank(x[:, None])[:, 0], rank(y[:, None])[:, 0]
        covariates = rank(covariates)
    design = np.column_stack([np.ones(n), covariates - covariates.mean(axis=0)])
    check_design(design, ("intercept", *names))
    left_x, left_y = (_left(values, design) for values in (x, y))
    r = float(np.clip(left_x @ left_y / np.sqrt((left_x @ left_x) * (left_y @ left_y)), -1, 1))
    df = n - 2 - k
    t = r * np.sqrt(df / (1 - r * r)) if abs(r) < 1 else np.inf
    variance = (1 + (r * r / 2 if kind == "spearman" else 0)) / (n - k - 3)
    reach = float(stats.norm.ppf((1 + level) / 2) * np.sqrt(variance))
    z = np.arctanh(r) if abs(r) < 1 else np.copysign(np.inf, r)
    p = float(2 * stats.t.sf(abs(t), df))
    effect = Effect(r, float(np.tanh(z - reach)), float(np.tanh(z + reach)), float(df), p)
    return PartialCorrelation(effect, left_x, left_y)


def weighted_partial_correlation(
    x: Float64[ndarray, " n"],
    y: Float64[ndarray, " n"],
    covariates: Float64[ndarray, "n k"],
    weights: Float64[ndarray, "b n"],
) -> Float64[ndarray, " b"]:
    """Return the partial (Pearson) correlation for each row of weights, for the bootstrap; NaN if undefined.

    The inverse R⁻¹ of the correlation of all variables has it: −R⁻¹₁₂ / √(R⁻¹₁₁ R⁻¹₂₂). For Spearman give
    ranks (the ranks of the whole sample, not of each resample).
    """
    values = np.column_stack([x, y, covariates])
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-300)
    total = weights.sum(axis=1)
    means = weights @ values / total[:, None]
    moments = np.einsum("bn,ni,nj->bij", weights, values, values, optimize=True) / total[:, None, None]
    spread = moments - means[:, :, None] * means[:, None, :]
    r = np.full(len(weights), np.nan)
    usable = np.linalg.matrix_rank(spread, tol=1e-9, hermitian=True) == values.shape[1]
    inverse = np.linalg.inv(spread[usable])
    r[usable] = -inverse[:, 0, 1] / np.sqrt(inverse[:, 0, 0] * inverse[:, 1, 1])
    return r


def rank(values: Float64[ndarray, "n k"]) -> Float64[ndarray, "n k"]:
    """Return the ranks in each column, from 1; equal values get their mean rank."""
    from scipy import stats

    ranks: Float64[ndarray, "n k"] = stats.rankdata(values, axis=0).astype(np.float64).reshape(values.shape)
    return ranks


def _left(values: Float64[ndarray, " n"], design: Float64[ndarray, "n p"]) -> Float64[ndarray, " n"]:
    left = residualise(values - values.mean(), design)
    if np.ptp(values) == 0 or left @ left <= 1e-16 * values.size * values.var():
        found = "a measure that is the same for all people, or that the covariates determine"
        fix = "Leave it out, or bring people who differ."
        raise InputError("partial correlation", found, "measures that vary", fix)
    return left
