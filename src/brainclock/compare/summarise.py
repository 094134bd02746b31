"""From the tables of all jobs to what they say: pure functions on rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from brainclock.compare.tables import PairedTest, Prediction, Summary
from brainclock.config import derive_seed
from brainclock.stats.bootstrap import bootstrap
from brainclock.stats.metrics import METRICS, age_metrics
from brainclock.stats.paired import holm, paired_difference

#: Measures of the summary, and the spread of the mean absolute error over seeds.
SHOWN = ("mae", "r2", "mean_error", "slope", "rmse", "median_absolute_error")
SEED_SD = "mae_sd_over_seeds"

Stratum = tuple[str, str, str]


def summarise(predictions: Sequence[Prediction], *, seed: int = 1, resamples: int = 2000) -> list[Summary]:
    """Return the measures of each rival in each condition, with bootstrap intervals over people.

    A person's rows of several seeds and repeats come into a resample together; a measure is over all of
    them, so that none is of an average of predictions, which would be an ensemble.
    """
    rows: list[Summary] = []
    for (scheme, site, condition), there in strata(predictions).items():
        for rival, mine in _by_rival(there).items():
            seeds = sorted({row.seed for row in mine})
            people = _numbered(row.participant_id for row in mine)
            age, predicted = (
                np.array([getattr(row, name) for row in mine]) for name in ("age", "predicted_age")
            )

            def measures(
                weights: Float64[ndarray, "b n"],
                age: Float64[ndarray, " n"] = age,
                predicted: Float64[ndarray, " n"] = predicted,
            ) -> dict[str, Float64[ndarray, " b"]]:
                found = age_metrics(predicted, age, weights)
                return {name: found[name] for name in SHOWN}

            rng = np.random.default_rng(derive_seed(seed, "summary", scheme, site, condition, rival))
            row = partial(Summary, scheme, site, condition, rival)
            who = len(set(people.tolist())), len(seeds)
            for name, found in bootstrap(measures, people, rng, resamples=resamples).items():
                rows.append(row(name, METRICS[name][0], *who, found.value, found.low, found.high))
            rows.append(row(SEED_SD, "years", *who, _spread_over_seeds(mine, seeds), math.nan, math.nan))
    return rows


def compare_rivals(
    predictions: Sequence[Prediction], reference: str, *, seed: int = 1, resamples: int = 2000
) -> list[PairedTest]:
    """Return the reference against each other rival, in each condition, on the people that both were asked.

    The unit is the person: absolute errors are averaged over seeds and repeats first. Holm's
    correction is over the rivals of one scheme, site and condition.
    """
    tests: list[PairedTest] = []
    for (scheme, site, condition), there in strata(predictions).items():
        errors = {rival: person_errors(mine) for rival, mine in _by_rival(there).items()}
        if reference not in errors:
            continue
        found = []
        for rival, theirs in errors.items():
            if rival == reference:
                continue
            both = sorted(errors[reference].keys() & theirs.keys())
            a, b = (np.array([mine[person] for person in both]) for mine in (errors[reference], theirs))
            rng = np.random.default_rng(derive_seed(seed, "test", scheme, site, condition, rival))
            found.append((rival, paired_difference(a, b, rng, resamples=resamples)))
        corrected = [
            holm(np.array([getattr(gap, name) for _, gap in found], dtype=np.float64))
            for name in ("p_wilcoxon", "p_bootstrap")
        ]
        tests += [
            PairedTest(
                scheme,
                site,
                condition,
                reference,
                rival,
                gap.people,
                gap.difference,
                gap.low,
                gap.high,
                gap.d_z,
                gap.rank_biserial,
                gap.p_wilcoxon,
                float(wilcoxon),
                gap.p_bootstrap,
                float(resampled),
            )
            for (rival, gap), wilcoxon, resampled in zip(found, *corrected, strict=True)
        ]
    return tests


def strata(predictions: Iterable[Prediction]) -> dict[Stratum, list[Prediction]]:
    """Return the rows that count by scheme, site left out (``all`` for folds) and condition."""
    found: dict[Stratum, list[Prediction]] = {}
    for row in predictions:
        if row.counts:
            site = row.part if row.scheme == "site" else "all"
            found.setdefault((row.scheme, site, row.condition), []).append(row)
    return found


def person_errors(rows: Iterable[Prediction]) -> dict[str, float]:
    """Return the mean absolute error of each person, over seeds and repeats, years."""
    errors: dict[str, list[float]] = {}
    for row in rows:
        errors.setdefault(row.participant_id, []).append(abs(row.predicted_age - row.age))
    return {person: float(np.mean(values)) for person, values in errors.items()}


def _by_rival(rows: Iterable[Prediction]) -> dict[str, list[Prediction]]:
    found: dict[str, list[Prediction]] = {}
    for row in rows:
        found.setdefault(row.rival, []).append(row)
    return found


def _spread_over_seeds(rows: Sequence[Prediction], seeds: Sequence[int]) -> float:
    """Return the standard deviation over seeds (n − 1) of the mean absolute error."""
    means = [
        np.mean([abs(row.predicted_age - row.age) for row in rows if row.seed == seed]) for seed in seeds
    ]
    return float(np.std(means, ddof=1)) if len(means) > 1 else math.nan


def _numbered(names: Iterable[str]) -> Int64[ndarray, " n"]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
