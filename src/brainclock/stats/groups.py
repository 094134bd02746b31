"""How two groups differ: in years, in standard deviations, in ranks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.stats.linear import Effect

#: Fewer people than this are no group.
FEWEST = 3


def hedges_g(a: Float64[ndarray, " n"], b: Float64[ndarray, " m"]) -> float:
    """Return Hedges' g of a − b: difference over the pooled standard deviation, times 1 − 3/(4N − 9).

    N = n + m (Hedges 1981, doi:10.3102/10769986006002107).
    """
    n, m = a.size, b.size
    pooled = np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2))
    return float((a.mean() - b.mean()) / pooled * (1 - 3 / (4 * (n + m) - 9)))


def adjusted_g(
    values: Float64[ndarray, " n"],
    patient: Bool[ndarray, " n"],
    covariates: Float64[ndarray, "n k"],
) -> Callable[[Float64[ndarray, "b n"]], dict[str, Float64[ndarray, " b"]]]:
    """Return the statistic, for the bootstrap, of the adjusted difference over the residual SD, small-sample.

    Without covariates it is Hedges' g (patients − controls); with them, the difference is that of the linear
    model and the standard deviation its residual one, √(SSE/(N − 2 − k)), with the same factor
    1 − 3/(4N − 9). A resample without one of the groups gives NaN.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    patient : ndarray of bool, shape (n,)
    covariates : ndarray of float, shape (n, k)
        Without a column of ones.
    """
    centred = covariates - covariates.mean(axis=0)
    scale = np.maximum(centred.std(axis=0), 1e-300)
    design = np.column_stack([np.ones(values.size), patient.astype(np.float64), centred / scale])
    y = values - values.mean()

    def statistic(weights: Float64[ndarray, "b n"]) -> dict[str, Float64[ndarray, " b"]]:
        gram = np.einsum("bn,ni,nj->bij", weights, design, design, optimize=True)
        moment = (weights * y) @ design
        total, terms = weights.sum(axis=1), design.shape[1]
        g = np.full(len(weights), np.nan)
        usable = np.linalg.matrix_rank(gram, tol=1e-8, hermitian=True) == terms
        beta = np.linalg.solve(gram[usable], moment[usable][:, :, None])[:, :, 0]
        sse = (weights[usable] * (y - beta @ design.T) ** 2).sum(axis=1)
        sd = np.sqrt(sse / (total[usable] - terms))
        small = 1 - 3 / (4 * total[usable] - 9)
        g[usable] = np.where(sd > 1e-12, beta[:, 1] / np.maximum(sd, 1e-12) * small, np.nan)
        return {"g": g}

    return statistic


def mann_whitney(a: Float64[ndarray, " n"], b: Float64[ndarray, " m"], level: float = 0.95) -> Effect:
    """Return the chance that a value of ``a`` exceeds one of ``b`` (ties count half) and the rank test's p.

    The p is of Mann and Whitney's U, normal approximation with correction for ties and continuity; the
    interval is DeLong's (DeLong et al. 1988, doi:10.2307/2531595), cut at 0 and 1.

    Raises
    ------
    InputError
        A group has fewer than 3 people.
    """
    from scipy import stats

    if min(a.size, b.size) < FEWEST:
        fix = "Bring more people, or leave the group out."
        raise InputError("comparison of groups", f"{min(a.size, b.size)} people", f"{FEWEST} or more", fix)
    p = float(stats.mannwhitneyu(a, b, alternative="two-sided", method="asymptotic").pvalue)
    wins = (a[:, None] > b).astype(np.float64) + 0.5 * (a[:, None] == b)
    auc = float(wins.mean())
    spread = wins.mean(axis=1).var(ddof=1) / a.size + wins.mean(axis=0).var(ddof=1) / b.size
    reach = float(stats.norm.ppf((1 + level) / 2) * np.sqrt(spread))
    return Effect(auc, max(0.0, auc - reach), min(1.0, auc + reach), np.inf, p)


def smallest_difference(n: int, m: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the difference, in standard deviations, that a t test of n and m people finds so often.

    Two-sided. The noncentrality at which Student's t exceeds its critical value that often (Cohen 1988), over
    √(n m / (n + m)); the other tail is below 1 in 100 000.
    """
    from scipy import special, stats

    df = n + m - 2
    noncentrality = special.nctdtrinc(df, 1 - power, stats.t.ppf(1 - alpha / 2, df))
    return float(noncentrality / np.sqrt(n * m / (n + m)))


def smallest_correlation(n: int, covariates: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the partial correlation that n people find so often: tanh((z₁₋α/₂ + z_power)/√(n − k − 3))."""
    from scipy import stats

    needed = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(np.tanh(needed / np.sqrt(n - covariates - 3)))


def benjamini_hochberg(p: Float64[ndarray, " m"]) -> Float64[ndarray, " m"]:
    """Return the p-values adjusted for the false discovery rate; NaN stays NaN and does not count.

    Benjamini and Hochberg 1995 (doi:10.1111/j.2517-6161.1995.tb02031.x).
    """
    from scipy import stats

    adjusted = np.full(p.size, np.nan)
    known = np.isfinite(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted
