"""Ask, in null cohorts and with planted gaps, all made of numbers, whether the analysis of the gap is right.

``python benchmarks/gap_null.py [--cohorts 500] [--people 120]``. Each cohort has healthy people and patients
of other ages at three sites, predictions that shrink to the mean, ties in the scores and missing values.

Without an effect, the p-values of every test must be uniform: the last column is that of Kolmogorov and
Smirnov, and should be above 0.01. The rival is the naive analysis, Student's t and Spearman's correlation of
the raw gap without age: how often each finds something where there is nothing (5 % would be right). With
gaps planted in patients that grow with their age, the corrected gap must rise by 0.9 to 1.1 years for each
planted year; raw gaps do not. With gaps that do not, the adjusted difference must be their mean.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from brainclock.stats.age_bias import cross_fitted_gap
from brainclock.stats.finding import Finding
from brainclock.stats.gap_groups import group_differences, sex_interaction, value_beyond_volume
from brainclock.stats.gap_severity import severity
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import Study

PLAN = GapPlan(severity=("mmse",), volumes=("brain_ml",), resamples=1)


def cohort(seed: int, n: int, planted: float = 0.0, growing: float = 0.0) -> tuple[Study, np.ndarray]:
    """Return a study and the gaps planted in its patients, who are older: they grow by so much a year."""
    rng = np.random.default_rng(seed)
    ill = np.arange(n) % 2 == 1
    age = np.clip(rng.normal(np.where(ill, 75, 68), 8), 45, 95)
    years = ill * (planted * rng.uniform(0, 2, n) + growing * (age - 75))
    site, sex = rng.choice(["A", "B", "C"], n), rng.choice(["F", "M"], n)
    look = np.select([site == "A", site == "B"], [3.0, -2.0], 0.0)
    predicted = 20 + 0.7 * age + years + look + rng.normal(0, 4, n)
    mmse = np.clip(np.round(29 - 0.05 * (age - 70) + rng.normal(0, 2, n)), 0, 30)  # follows age, not the gap
    brain = 1150 - 4 * (age - 70) - 40 * ill + 90 * (sex == "M") + rng.normal(0, 60, n)
    for values in (mmse, brain):
        values[rng.random(n) < 0.05] = np.nan
    study = Study(
        tuple(f"sub-{i}" for i in range(n)),
        predicted,
        age,
        tuple(np.where(ill, "AD", "HC").tolist()),
        {"mmse": mmse, "brain_ml": brain},
        {"sex": tuple(sex.tolist()), "site": tuple(site.tolist())},
    )
    return study, years


def tests_of(study: Study) -> dict[str, float]:
    """Return the p-value of each test of the analysis, and of the naive one."""
    found: list[Finding] = group_differences(study, PLAN, ["AD"])
    found += severity(study, PLAN, "AD", "mmse")[0]
    found.append(sex_interaction(study, PLAN, "AD"))
    found += value_beyond_volume(study, PLAN, "AD")
    p = {f"{row.analysis}: {row.method}": row.p for row in found if row.run and np.isfinite(row.p)}
    ill = study.members("AD")
    known = ill & np.isfinite(study.numbers["mmse"])
    p["naive: t test of raw gaps"] = float(stats.ttest_ind(study.gap[ill], study.gap[~ill]).pvalue)
    naive = stats.spearmanr(study.gap[known], study.numbers["mmse"][known])
    p["naive: Spearman of raw gaps"] = float(naive.pvalue)
    return p


def null(cohorts: int, people: int) -> None:
    """Print, for each test, how often it finds something in nothing."""
    p: dict[str, list[float]] = {}
    for seed in range(cohorts):
        for name, value in tests_of(cohort(seed, people)[0]).items():
            p.setdefault(name, []).append(value)
    print(f"{cohorts} cohorts of {people} people without an effect")
    print(f"{'test':<72}{'below 0.05':>11}{'KS p':>8}")
    for name, values in p.items():
        found = np.array(values)
        ks = stats.kstest(found, "uniform").pvalue
        print(f"{name:<72}{(found < 0.05).mean():>11.1%}{ks:>8.3f}")


def planted(cohorts: int, people: int) -> None:
    """Print how many years come back for each planted year."""
    slopes: dict[str, list[float]] = {"raw gap": [], "corrected gap": []}
    differences = []
    for seed in range(cohorts):
        study, years = cohort(100_000 + seed, people, planted=6.0, growing=0.3)
        ill = study.members("AD")
        corrected = cross_fitted_gap(study.predicted_age, study.age, ~ill)
        for name, gap in (("raw gap", study.gap), ("corrected gap", corrected)):
            slopes[name].append(np.polyfit(years[ill], gap[ill], 1)[0])
        study, _ = cohort(200_000 + seed, people, planted=6.0)
        row = group_differences(study, PLAN, ["AD"])[0]
        differences.append((row.value - 6.0, row.low <= 6.0 <= row.high))
    print(f"\n{cohorts} cohorts of {people} people with a planted gap")
    for name, values in slopes.items():
        error = np.std(values, ddof=1) / np.sqrt(cohorts)
        print(f"years of {name} for each planted year: {np.mean(values):.3f} ± {error:.3f}")
    off, inside = np.array(differences, dtype=float).T
    print(f"adjusted difference − planted: {off.mean():+.3f} years; in its 95 % interval {inside.mean():.1%}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=500)
    parser.add_argument("--people", type=int, default=120)
    given = parser.parse_args()
    null(given.cohorts, given.people)
    planted(given.cohorts, given.people)


if __name__ == "__main__":
    main()
