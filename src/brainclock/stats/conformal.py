"""Intervals that hold without a model of the errors, from the errors on people never seen.

They hold for people like those of the calibration. Patients and new scanners are unlike them by
definition: no coverage is claimed there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from brainclock.errors import InputError

#: Fewer people than this in a bin of predicted age are joined with the next; at 19 a 95 % interval exists.
FEWEST_IN_BIN = 30
#: Fewer people than this are no calibration; at 19 a 95 % interval exists.
FEWEST = 19


@dataclass(frozen=True, slots=True)
class Calibration:
    """Errors on healthy people whom the model never saw, by predicted age.

    Parameters
    ----------
    edges : tuple of float
        Predicted ages that part the bins, ascending, years; a bin has its lower edge.
    errors : tuple of tuple of float
        age − predicted_age of the people in each bin, ascending, years.
    """

    edges: tuple[float, ...]
    errors: tuple[tuple[float, ...], ...]

    @property
    def people(self) -> int:
        """Number of people."""
        return sum(map(len, self.errors))

    def interval(
        self, predicted_age: Float64[ndarray, " n"], level: float = 0.9
    ) -> tuple[Float64[ndarray, " n"], Float64[ndarray, " n"]]:
        """Return lower and upper ends of the interval for the age, years; infinite where people are too few.

        Split conformal with absolute errors (Vovk et al. 2005, doi:10.1007/b106715), in the bin
        of the predicted age (Mondrian).
        """
        reach = np.array([conformal_quantile(np.abs(np.array(e)), level) for e in self.errors])
        own = reach[self._bins(predicted_age)]
        return predicted_age - own, predicted_age + own

    def probability_older(
        self, predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"]
    ) -> Float64[ndarray, " n"]:
        """Return the chance that a healthy person whose brain gets this prediction is older than ``age``.

        (½ + #{e > age − predicted_age} + ½ #{e = …}) / (n + 1) over the errors e of the bin: the conformal
        predictive distribution (Vovk et al. 2019, doi:10.1007/s10994-018-5755-8) with ties split evenly.
        """
        bins = self._bins(predicted_age)
        chances = np.empty(predicted_age.size)
        for i, (number, needed) in enumerate(zip(bins, age - predicted_age, strict=True)):
            errors = np.array(self.errors[number])
            above = (errors > needed).sum() + 0.5 * (errors == needed).sum()
            chances[i] = (0.5 + above) / (errors.size + 1)
        return chances

    def errors_at(self, predicted_age: float) -> Float64[ndarray, " m"]:
        """Return age − predicted age of the people in the bin of one predicted age, ascending, years."""
        (own,) = self._bins(np.array([predicted_age], dtype=np.float64))
        return np.array(self.errors[own], dtype=np.float64)

    def _bins(self, predicted_age: Float64[ndarray, " n"]) -> Int64[ndarray, " n"]:
        return np.searchsorted(np.array(self.edges, dtype=np.float64), predicted_age, side="right").astype(
            np.int64
        )


def calibrate(
    predicted_age: Float64[ndarray, " n"],
    age: Float64[ndarray, " n"],
    *,
    fewest_in_bin: int = FEWEST_IN_BIN,
) -> Calibration:
    """Keep the errors on healthy people whom the model never saw, one a person.

    Bins are the decades of predicted age; from the youngest on, a bin with too few people takes in the next,
    and the last is joined with the one before.

    Raises
    ------
    InputError
        Fewer than 19 people.
    """
    if age.size < FEWEST:
        fix = "Bring more healthy people whom the model never saw."
        raise InputError("calibration of intervals", f"{age.size} people", f"{FEWEST} or more", fix)
    starts = np.floor(predicted_age / 10) * 10
    edges: list[float] = []
    inside = 0
    for start in np.unique(starts):
        if inside >= fewest_in_bin:
            edges.append(float(start))
            inside = 0
        inside += int((starts == start).sum())
    if edges and inside < fewest_in_bin:
        edges.pop()
    bins = np.searchsorted(np.array(edges, dtype=np.float64), predicted_age, side="right")
    error = age - predicted_age
    return Calibration(
        tuple(edges), tuple(tuple(np.sort(error[bins == b]).tolist()) for b in range(len(edges) + 1))
    )


def left_out_coverage(
    predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"], level: float = 0.9
) -> Bool[ndarray, " n"]:
    """Return whose age lies in the interval that the errors of the others give.

    Nobody is judged by his own error; fewer than 20 people are refused as in `calibrate`.
    """
    inside = np.zeros(age.size, dtype=bool)
    for i in range(age.size):
        others = np.arange(age.size) != i
        low, high = calibrate(predicted_age[others], age[others]).interval(predicted_age[[i]], level)
        inside[i] = bool(low[0] <= age[i] <= high[0])
    return inside


def conformal_quantile(scores: Float64[ndarray, " n"], level: float) -> float:
    """Return the ⌈level (n + 1)⌉-th smallest score; infinity if there are too few."""
    rank = _ceil(level * (scores.size + 1))
    return math.inf if rank > scores.size else float(np.sort(scores)[rank - 1])


def cv_plus_interval(
    fold_predictions: Float64[ndarray, "k m"],
    errors: Float64[ndarray, " n"],
    folds: Int64[ndarray, " n"],
    level: float = 0.9,
) -> tuple[Float64[ndarray, " m"], Float64[ndarray, " m"]]:
    """Return the ends of the cross-conformal (CV+) interval of each new scan, years.

    Barber et al. 2021 (doi:10.1214/20-AOS1965, eq. 12). Guaranteed coverage is 1 − 2 (1 − level) − √(2/n),
    in practice about ``level``.

    Parameters
    ----------
    fold_predictions : ndarray of float, shape (k, m), years
        What the model of each fold says of the new scans.
    errors : ndarray of float, shape (n,), years
        |age − out-of-fold predicted age| of the training people.
    folds : ndarray of int, shape (n,)
        The fold that each of them was held out in, 0 … k − 1.
    """
    n = errors.size
    lows = np.sort(fold_predictions[folds] - errors[:, None], axis=0)
    highs = np.sort(fold_predictions[folds] + errors[:, None], axis=0)
    rank = _ceil(level * (n + 1))
    if rank > n:
        nothing = np.full(fold_predictions.shape[1], np.inf)
        return -nothing, nothing
    # ⌊(1 − level)(n + 1)⌋-th smallest is the rank-th largest
    return lows[n - rank], highs[rank - 1]


def conformal_p(gap: Float64[ndarray, " m"], healthy_gap: Float64[ndarray, " n"]) -> Float64[ndarray, " m"]:
    """Return how unusual each gap is among healthy people: (1 + #{healthy ≥ gap}) / (n + 1), one-sided.

    Give gaps corrected for age, else the answer depends on age.
    """
    ordered = np.sort(healthy_gap)
    above = ordered.size - np.searchsorted(ordered, gap, side="left")
    chances: Float64[ndarray, " m"] = (1.0 + above) / (ordered.size + 1.0)
    return chances


def coverage(inside: int, people: int, level: float = 0.95) -> tuple[float, float, float]:
    """Return the share inside their interval with its exact binomial interval (Clopper and Pearson 1934)."""
    from scipy import stats

    found = stats.binomtest(inside, people).proportion_ci(level, method="exact")
    return inside / people, float(found.low), float(found.high)


def coverage_by_level(
    chance: Float64[ndarray, " n"], levels: Float64[ndarray, " k"]
) -> Float64[ndarray, " k"]:
    """Return the share of people inside the central interval of each level.

    ``chance`` is the `probability_older` than the own age; it is uniform for people like those of the
    calibration, and then each share is its level.
    """
    inside: Float64[ndarray, " k"] = (np.abs(chance[:, None] - 0.5) <= levels / 2 + 1e-12).mean(axis=0)
    return inside


def _ceil(value: float) -> int:
    # 0.9 × 10 is 9.000000000000002 for some n: rounding must not ask for one more person
    return math.ceil(round(value, 9))
