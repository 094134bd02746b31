"""How well a measure repeats itself in the same people, and what change it can see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.stats.linear import Effect

#: Fewer people than this give no interval worth the name.
FEWEST = 5


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A number with its confidence interval; NaN where it has none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Agreement of k measurements of n people.

    Parameters
    ----------
    people, sessions : int
    icc_agreement : Coefficient
        ICC(2,1): absolute agreement, sessions random.
    icc_consistency : Coefficient
        ICC(3,1): consistency, sessions fixed.
    within_sd : float
        √MSE, the standard error of measurement for consistency, in the unit of the measure.
    smallest_change : float
        MDC₉₅ = 1.96 √2 within_sd: a smaller difference between two scans may be chance.
    """

    people: int
    sessions: int
    icc_agreement: Coefficient
    icc_consistency: Coefficient
    within_sd: float
    smallest_change: float


def reliability(values: Float64[ndarray, "n k"], level: float = 0.95) -> Reliability:
    """Return intraclass correlations with their intervals, and the error of one measurement.

    Shrout and Fleiss 1979 (doi:10.1037/0033-2909.86.2.420); McGraw and Wong 1996
    (doi:10.1037/1082-989X.1.1.30).

    Parameters
    ----------
    values : ndarray of float, shape (n, k)
        A row a person, a column a session; nothing missing.

    Raises
    ------
    InputError
        Fewer than 5 people or 2 sessions, or all values are the same.
    """
    n, k = values.shape
    if n < FEWEST or k < 2:
        fix = "Bring more people who were scanned twice."
        found = f"{n} people with {k} sessions"
        raise InputError("reliability", found, f"{FEWEST} or more people with 2 or more", fix)
    msr, msc, mse = _mean_squares(values)
    if msr + mse <= 1e-24 * max(1.0, float(np.abs(values).max()) ** 2):
        fix = "Check that the column holds what was measured."
        raise InputError("reliability", "the same value for everybody", "values that differ", fix)
    within = float(np.sqrt(mse))
    return Reliability(
        n,
        k,
        _agreement(n, k, msr, msc, mse, level),
        _consistency(n, k, msr, mse, level),
        within,
        1.96 * np.sqrt(2).item() * within,
    )


def _mean_squares(values: Float64[ndarray, "n k"]) -> tuple[float, float, float]:
    """Mean squares of people, sessions, and what is left, of the two-way layout."""
    n, k = values.shape
    centred = values - values.mean()
    people, sessions = centred.mean(axis=1), centred.mean(axis=0)
    left = centred - people[:, None] - sessions
    msr = k * float(people @ people) / (n - 1)
    msc = n * float(sessions @ sessions) / (k - 1)
    return msr, msc, float((left * left).sum()) / ((n - 1) * (k - 1))


def _agreement(n: int, k: int, msr: float, msc: float, mse: float, level: float) -> Coefficient:
    from scipy import stats

    icc = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    if mse == 0 and msc == 0:
        return Coefficient(icc, icc, icc)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    v = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    upper, lower = (float(stats.f.ppf((1 + level) / 2, *df)) for df in ((n - 1, v), (v, n - 1)))
    rest = k * msc + (k * n - k - n) * mse
    low = n * (msr - upper * mse) / (upper * rest + n * msr)
    high = n * (lower * msr - mse) / (rest + n * lower * msr)
    return Coefficient(icc, low, high)


def _consistency(n: int, k: int, msr: float, mse: float, level: float) -> Coefficient:
    from scipy import stats

    if mse == 0:
        return Coefficient(1.0, 1.0, 1.0)
    f, df = msr / mse, (n - 1, (n - 1) * (k - 1))
    low = f / float(stats.f.ppf((1 + level) / 2, *df))
    high = f * float(stats.f.ppf((1 + level) / 2, df[1], df[0]))
    return Coefficient((f - 1) / (f + k - 1), (low - 1) / (low + k - 1), (high - 1) / (high + k - 1))


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Limits of agreement of two measurements (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8).

    Parameters
    ----------
    bias : Coefficient
        Mean of second − first, with its t interval.
    lower, upper : Coefficient
        bias ± 1.96 SD of the differences, each with its interval: SE² = SD² (1/n + 1.96²/(2(n − 1))).
    sd : float
        Of the differences.
    scatter_slope_p : float
        Whether |difference| grows with the mean (ordinary regression, two-sided); NaN if not defined.
    """

    bias: Coefficient
    lower: Coefficient
    upper: Coefficient
    sd: float
    scatter_slope_p: float


def bland_altman(
    first: Float64[ndarray, " n"], second: Float64[ndarray, " n"], level: float = 0.95
) -> BlandAltman:
    """Compare two measurements of the same people; raises `InputError` for fewer than 5."""
    from scipy import stats

    n = first.size
    if n < FEWEST:
        fix = "Bring more people who were scanned twice."
        raise InputError("Bland–Altman", f"{n} people", f"{FEWEST} or more", fix)
    difference, mean = second - first, (first + second) / 2
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf((1 + level) / 2, n - 1))

    def around(value: float, error: float) -> Coefficient:
        return Coefficient(value, value - t * error, value + t * error)

    error = sd * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1))).item()
    grows = float(stats.linregress(mean, np.abs(difference)).pvalue) if np.ptp(mean) > 0 else np.nan
    return BlandAltman(
        around(bias, sd / np.sqrt(n).item()),
        around(bias - 1.96 * sd, error),
        around(bias + 1.96 * sd, error),
        sd,
        grows,
    )


def rate_of_change(
    value: Float64[ndarray, " n"],
    age: Float64[ndarray, " n"],
    person: Int64[ndarray, " n"],
    level: float = 0.95,
) -> Effect:
    """Return the mean change of a measure per year within people.

    Each person's ages and values are taken about their own means; the slope of one on the other over all
    people is the fixed-effects (within) estimate, its error clustered by person with the factor G/(G − 1)
    and G − 1 degrees of freedom (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13). 1 for a predicted age
    that keeps pace with the calendar.

    Parameters
    ----------
    value : ndarray of float, shape (n,)
        A row a scan.
    age : ndarray of float, shape (n,), years
    person : ndarray of int, shape (n,)

    Raises
    ------
    InputError
        Fewer than 5 people with scans at different ages.
    """
    from scipy import stats

    _, row = np.unique(person, return_inverse=True)
    counts = np.bincount(row)
    years = age - (np.bincount(row, age) / counts)[row]
    change = value - (np.bincount(row, value) / counts)[row]
    spread = np.bincount(row, years * years)
    people = int((spread > 1e-12).sum())
    if people < FEWEST:
        fix = "Bring more people who were scanned at different ages."
        raise InputError("longitudinal slope", f"{people} people", f"{FEWEST} or more", fix)
    slope = float(years @ change / spread.sum())
    scores = np.bincount(row, years * (change - slope * years))
    error = float(np.sqrt(scores @ scores * people / (people - 1)) / spread.sum())
    reach = float(stats.t.ppf((1 + level) / 2, people - 1)) * error
    p = float(2 * stats.t.sf(abs(slope) / error, people - 1)) if error > 0 else np.nan
    return Effect(slope, slope - reach, slope + reach, float(people - 1), p)
