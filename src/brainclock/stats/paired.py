"""Two errors of the same people: how far apart, how surely, and with how many looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from numpy.random import Generator

from brainclock.stats.bootstrap import participant_weights

#: Fewer people than this are not tested.
FEWEST = 6


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of a − b over people, its uncertainty and its size; NaN where it is not defined.

    Parameters
    ----------
    people : int
    difference, low, high : float
        Mean difference and its bootstrap interval.
    d_z : float
        Mean over standard deviation (n − 1) of the differences (Cohen 1988, section 2.3.5).
    rank_biserial : float
        (rank sum of differences above 0 − below 0) over their total, −1 to 1 (Kerby 2014).
    p_wilcoxon : float
        Signed-rank test, two-sided.
    p_bootstrap : float
        Two-sided: twice the smaller share of resampled means on one side of 0, (1 + k)/(1 + resamples) each.
    """

    people: int
    difference: float
    low: float
    high: float
    d_z: float
    rank_biserial: float
    p_wilcoxon: float
    p_bootstrap: float


def paired_difference(
    a: Float64[ndarray, " n"],
    b: Float64[ndarray, " n"],
    generator: Generator,
    *,
    resamples: int = 2000,
    level: float = 0.95,
) -> PairedDifference:
    """Compare two measures of the same n people.

    Parameters
    ----------
    a, b : ndarray of float, shape (n,)
        One value each a person, for example mean absolute errors over seeds.
    generator : numpy.random.Generator
    resamples : int
        Of people, with replacement; the interval is the percentile one.
    level : float

    Returns
    -------
    PairedDifference
        With fewer than 6 people the mean alone.
    """
    from scipy import stats

    gaps = a - b
    n = gaps.size
    mean = float(gaps.mean()) if n else np.nan
    if n < FEWEST:
        return PairedDifference(n, mean, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    blocks = participant_weights(np.arange(n), generator, resamples=resamples)
    means = np.concatenate([weights @ gaps / n for weights in blocks])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    side = min(int((means <= 0).sum()), int((means >= 0).sum()))
    spread = float(gaps.std(ddof=1))
    moved = gaps[gaps != 0]
    ranks = stats.rankdata(np.abs(moved))
    signed = float((np.sign(moved) * ranks).sum() / ranks.sum()) if moved.size else 0.0
    return PairedDifference(
        n,
        mean,
        float(low),
        float(high),
        mean / spread if spread > 0 else np.nan,
        signed,
        float(stats.wilcoxon(gaps).pvalue) if moved.size else 1.0,
        min(1.0, 2 * (1 + side) / (1 + resamples)),
    )


def holm(p: Float64[ndarray, " k"]) -> Float64[ndarray, " k"]:
    """Return p adjusted for the chance of any false discovery (Holm 1979); NaN stays and does not count.

    Sorted, the i-th smallest of k is multiplied by k − i + 1, and none falls below the one before.
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if order.size else steps
    return adjusted
