"""How good predicted ages are, for everybody and by decade, sex and site, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.predict.observation import (
    Observation,
    average_scans,
    check_sexes,
    column_of,
    level_of,
)
from brainclock.stats.bootstrap import Estimate, bootstrap
from brainclock.stats.conformal import coverage
from brainclock.stats.metrics import METRICS, age_metrics, decades

if TYPE_CHECKING:
    from brainclock.model.card import ModelCard

#: Fewer people than this have no metrics.
FEWEST = 3
#: Below this many people a percentile interval is too narrow (about 4 % at 20).
NARROW = 20

Unit = Literal["participant", "scan"]

#: What is measured of intervals, with unit and meaning, after ``METRICS``.
INTERVALS: dict[str, tuple[str, str]] = {
    "coverage": ("1", "share of the people with an interval whose age lies in it; exact binomial interval"),
    "interval_width": ("years", "mean distance of the ends of the intervals"),
}


@dataclass(frozen=True, slots=True)
class TrainingAges:
    """Ages of the people who trained the model: their mean and median, years."""

    mean: float
    median: float


def training_ages(card: ModelCard) -> TrainingAges:
    """Return mean and median age of the training people, from the decades in the model card.

    People of a decade count as evenly spread over it, which is exact to about a year; R² and naive
    error change with the square of what is missing.
    """
    people: Counter[int] = Counter()
    for cohort in card.cohorts:
        people.update({int(decade): number for decade, number in cohort.ages_by_decade.items()})
    number = people.total()
    mean = sum(count * (decade + 5) for decade, count in people.items()) / number
    younger = 0
    for decade in sorted(people):
        if younger + people[decade] >= number / 2:
            break
        younger += people[decade]
    return TrainingAges(mean, decade + 10 * (number / 2 - younger) / people[decade])


@dataclass(frozen=True, slots=True)
class Stratum:
    """The metrics of some of the people.

    Parameters
    ----------
    by : {'all', 'decade', 'sex', 'site'}
    level : str
        ``60`` for the decade from 60 to 70 years, ``F``, a site; ``all``.
    people, scans : int
    ages : tuple of float
        Youngest and oldest, years.
    estimates : mapping of str to Estimate
        In the order of ``METRICS``, then of ``INTERVALS`` if anybody has one; empty below FEWEST people.
    """

    by: str
    level: str
    people: int
    scans: int
    ages: tuple[float, float]
    estimates: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that is known about how good the predictions are.

    Parameters
    ----------
    observations : tuple of Observation
        One a person, or one a scan, as ``unit`` says.
    strata : tuple of Stratum
        All people first, then by decade, sex and site.
    counts : mapping of str to int
        What became of the rows of the table: rows, failed, without_age, censored_age, used.
    unit : {'participant', 'scan'}
    resamples : int
    level : float
        Of the intervals.
    seed : int
    notes : tuple of str
        What the reader must know.
    nominal : float or None
        Level of the intervals of the predicted ages; None where there are none or it is not said.
    """

    observations: tuple[Observation, ...]
    strata: tuple[Stratum, ...]
    counts: dict[str, int]
    unit: Unit
    resamples: int
    level: float
    seed: int
    notes: tuple[str, ...]
    nominal: float | None = None

    @property
    def all(self) -> Stratum:
        """The metrics of all people together."""
        return self.strata[0]


def evaluate(
    observations: Sequence[Observation],
    *,
    counts: dict[str, int] | None = None,
    unit: Unit = "participant",
    training_ages: TrainingAges | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 1,
) -> Evaluation:
    """Compare predicted ages with true ages.

    Parameters
    ----------
    observations : sequence of Observation
        One a scan, as `read_observations` gives them.
    counts : mapping of str to int, optional
        What became of the rows that are not here; kept for the reader.
    unit : {'participant', 'scan'}
        Average the scans of a person first, or let each scan count; the bootstrap draws people in both.
    training_ages : TrainingAges, optional
        Adds R² about the training mean, and the error of always saying the training median.
    resamples, level, seed
        Of the percentile bootstrap; each stratum has its own random stream.

    Raises
    ------
    InputError
        Fewer than 3 people; a person with two sexes; intervals of several levels; fewer than 100 resamples.
    """
    if resamples < 100:
        raise InputError("--resamples", resamples, "100 or more, better 2000", "Draw more.")
    check_sexes(observations)
    nominal = level_of(observations)
    kept = average_scans(observations) if unit == "participant" else list(observations)
    people = len({o.person for o in kept})
    if people < FEWEST:
        where = "The predictions with a known age"
        raise InputError(where, f"{people} people", f"{FEWEST} or more", "Give more scans or more ages.")

    def stratum(by: str, name: str, rows: list[Observation]) -> Stratum:
        generator = np.random.default_rng(derive_seed(seed, "evaluate", by, name))
        return _stratum(by, name, rows, generator, training_ages, resamples, level)

    groups = [("all", "all", kept)]
    for by, names in _levels(kept).items():
        groups += [
            (by, name, [o for o, own in zip(kept, names, strict=True) if own == name])
            for name in sorted(set(names), key=_by_number)
        ]
    strata = [stratum(*group) for group in groups]
    if any(o.interval is not None for o in kept):
        strata = [_with_coverage(s, rows) for s, (_, _, rows) in zip(strata, groups, strict=True)]
    return Evaluation(
        tuple(kept),
        tuple(strata),
        counts or {"rows": len(observations), "used": len(observations)},
        unit,
        resamples,
        level,
        seed,
        (*_notes(strata), *_notes_on_intervals(strata[0], kept, nominal)),
        nominal,
    )


def _stratum(
    by: str,
    name: str,
    rows: list[Observation],
    generator: np.random.Generator,
    training_ages: TrainingAges | None,
    resamples: int,
    level: float,
) -> Stratum:
    predicted_age, age = column_of(rows, "predicted_age"), column_of(rows, "age")
    _, participants = np.unique([o.person for o in rows], return_inverse=True)
    people = int(participants.max()) + 1
    estimates: dict[str, Estimate] = {}
    if people >= FEWEST:

        def statistic(weights: Float64[ndarray, "b n"]) -> dict[str, Float64[ndarray, " b"]]:
            return age_metrics(
                predicted_age,
                age,
                weights,
                training_mean=training_ages.mean if training_ages else None,
                training_median=training_ages.median if training_ages else None,
            )

        estimates = bootstrap(statistic, participants, generator, resamples=resamples, level=level)
    ages = float(age.min()), float(age.max())
    return Stratum(by, name, people, sum(o.scans for o in rows), ages, estimates)


def _with_coverage(stratum: Stratum, rows: Sequence[Observation]) -> Stratum:
    """Add how many ages lie in their intervals; the binomial interval needs each person once."""
    known = [(o, o.interval) for o in rows if o.interval is not None]
    if not stratum.estimates or not known:
        return stratum
    inside = sum(interval.low <= o.age <= interval.high for o, interval in known)
    share, low, high = coverage(inside, len(known))
    if len({o.person for o, _ in known}) < len(known):
        low = high = np.nan
    width = float(np.mean([interval.high - interval.low for _, interval in known]))
    more = {"coverage": Estimate(share, low, high), "interval_width": Estimate(width, np.nan, np.nan)}
    return replace(stratum, estimates={**stratum.estimates, **more})


def _levels(observations: Sequence[Observation]) -> dict[str, list[str]]:
    """Name of each observation's stratum; a sex or site that all share is no stratum."""
    starts = decades(column_of(observations, "age"))
    levels = {
        "decade": [f"{start:.0f}" for start in starts],
        "sex": [o.sex for o in observations],
        "site": [o.site for o in observations],
    }
    return {by: names for by, names in levels.items() if by == "decade" or len(set(names)) > 1}


def _by_number(name: str) -> tuple[int, float, str]:
    return (0, float(name), "") if name.isdecimal() else (1 + (name == "n/a"), 0.0, name)


def _notes(strata: Sequence[Stratum]) -> tuple[str, ...]:
    everyone = strata[0]
    notes = []
    if everyone.people < NARROW:
        notes.append(f"With {everyone.people} people the intervals are too narrow: read them with care.")
    elif any(FEWEST <= s.people < NARROW for s in strata):
        notes.append(f"The intervals of strata with fewer than {NARROW} people are too narrow.")
    few = Counter(s.by for s in strata if s.people < FEWEST)
    for by, number in few.items():
        notes.append(f"By {by}, {number} with fewer than {FEWEST} people: counted, not measured.")
    bias = everyone.estimates["gap_age_r"].value
    if everyone.people >= NARROW and abs(bias) < 1e-6:
        notes.append(
            "The gap is not correlated with age at all, as after a correction that uses the age. If these "
            "predictions were corrected, none of these numbers measures accuracy: evaluate the raw ones."
        )
    return tuple(notes)


def _notes_on_intervals(
    everyone: Stratum, observations: Sequence[Observation], nominal: float | None
) -> list[str]:
    share = everyone.estimates.get("coverage")
    if share is None:
        return []
    notes = []
    if (without := sum(o.interval is None for o in observations)) > 0:
        notes.append(
            f"{without} of {len(observations)} have no interval: they do not count for the coverage."
        )
    if nominal is None:
        notes.append("The table does not say of which level its intervals are.")
    elif not share.low <= nominal <= share.high and np.isfinite(share.low):
        notes.append(
            f"The {100 * nominal:g} % intervals hold the age of {100 * share.value:.0f} % of these people "
            f"(95 % interval {100 * share.low:.0f} to {100 * share.high:.0f}): they do not fit them. Healthy "
            "people of another scanner can calibrate the model (brainclock calibrate); for patients no "
            "coverage is claimed."
        )
    return notes


def metric_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """One row for each number of each stratum: the tidy table."""
    rows: list[dict[str, object]] = []
    for stratum in evaluation.strata:
        about = {
            "by": stratum.by,
            "level": stratum.level,
            "people": stratum.people,
            "scans": stratum.scans,
            "youngest": stratum.ages[0],
            "oldest": stratum.ages[1],
        }
        for name, estimate in stratum.estimates.items():
            unit = (METRICS | INTERVALS)[name][0]
            numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            rows.append({**about, "metric": name, "unit": unit, **numbers})
        if not stratum.estimates:
            rows.append({**about, "metric": None, "unit": None, "value": None, "low": None, "high": None})
    return rows
