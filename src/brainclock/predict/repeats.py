"""People who were scanned more than once: how far their ages repeat, and how fast they change."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.predict.observation import Observation
from brainclock.stats.reliability import Coefficient, bland_altman, rate_of_change, reliability


@dataclass(frozen=True, slots=True)
class Repeated:
    """One number about repetition.

    Parameters
    ----------
    of : str
        ``predicted_age`` or ``corrected_brain_age_gap``.
    measure : str
        What it is: ``ICC(2,1)``.
    unit : str
    people : int
    value, low, high : float
        NaN where it has none.
    note : str
        How to read it, or why there is no number.
    run : bool
    """

    of: str
    measure: str
    unit: str
    people: int
    value: float
    low: float
    high: float
    note: str
    run: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Everything about people who were scanned more than once.

    Parameters
    ----------
    rows : tuple of Repeated
    first, second : ndarray of float, shape (n,), years
        Predicted ages of both scans of each pair.
    limits : tuple of float or None
        Bias, lower and upper limit of agreement, years.
    within_years : float
        Two scans no further apart are a repetition.
    """

    rows: tuple[Repeated, ...]
    first: Float64[ndarray, " n"]
    second: Float64[ndarray, " n"]
    limits: tuple[float, float, float] | None
    within_years: float


def analyse_repeats(observations: Sequence[Observation], *, within_years: float = 0.25) -> Repeats:
    """Measure how predicted ages repeat and change.

    A pair is the first two scans of a person that lie no further apart than ``within_years``. The gap is
    corrected by its line on age over the people of the pairs, so that their spread of ages does not pass for
    reliability.

    Parameters
    ----------
    observations : sequence of Observation
        One a scan.
    within_years : float

    Raises
    ------
    InputError
        Nobody was scanned twice.
    """
    scans: dict[str, list[Observation]] = {}
    for observation in observations:
        scans.setdefault(observation.person, []).append(observation)
    several = {person: sorted(own, key=_age) for person, own in scans.items() if len(own) > 1}
    if not several:
        fix = "Give one row a scan, with participant_id and age."
        raise InputError("predictions", "nobody with two scans", "people who were scanned twice", fix)
    pairs = [pair for own in several.values() if (pair := _pair(own, within_years)) is not None]
    ages = np.array([[o.age for o in pair] for pair in pairs], dtype=np.float64).reshape(-1, 2)
    predicted = np.array([[o.predicted_age for o in pair] for pair in pairs], dtype=np.float64).reshape(-1, 2)
    rows = [
        *_agreement("predicted_age", predicted, "the spread of ages raises it: read that of the gap"),
        *_agreement("corrected_brain_age_gap", _corrected(predicted, ages), ""),
    ]
    limits = None
    try:
        found = bland_altman(predicted[:, 0], predicted[:, 1])
        limits = found.bias.value, found.lower.value, found.upper.value
        for measure, number in (
            ("bias (second − first)", found.bias),
            ("lower limit of agreement", found.lower),
            ("upper limit of agreement", found.upper),
        ):
            rows.append(_row("predicted_age", measure, "years", len(pairs), number, ""))
    except InputError as error:
        rows.append(_failed("predicted_age", "limits of agreement", len(pairs), error))
    rows.append(_change(several, within_years))
    return Repeats(tuple(rows), predicted[:, 0], predicted[:, 1], limits, within_years)


def _pair(own: Sequence[Observation], within_years: float) -> tuple[Observation, Observation] | None:
    """Return the first two scans, by age, that are close enough."""
    return next(((a, b) for a, b in itertools.pairwise(own) if b.age - a.age <= within_years), None)


def _corrected(predicted: Float64[ndarray, "n 2"], ages: Float64[ndarray, "n 2"]) -> Float64[ndarray, "n 2"]:
    """Return gaps minus the line of each person's mean gap on mean age (Smith et al. 2019)."""
    gap: Float64[ndarray, "n 2"] = predicted - ages
    mean = ages.mean(axis=1)
    if len(gap) < 3 or np.ptp(mean) < 1:
        return gap
    slope, intercept = np.polyfit(mean, gap.mean(axis=1), 1)
    corrected: Float64[ndarray, "n 2"] = gap - (intercept + slope * ages)
    return corrected


def _agreement(of: str, values: Float64[ndarray, "n 2"], note: str) -> list[Repeated]:
    try:
        found = reliability(values)
    except InputError as error:
        return [_failed(of, "ICC", len(values), error)]
    n, within, smallest = found.people, found.within_sd, found.smallest_change
    return [
        _row(of, "ICC(2,1)", "1", n, found.icc_agreement, note or "absolute agreement"),
        _row(of, "ICC(3,1)", "1", n, found.icc_consistency, note or "consistency"),
        _row(of, "within-person SD", "years", n, Coefficient(within, np.nan, np.nan), ""),
        _row(
            of,
            "smallest credible change",
            "years",
            n,
            Coefficient(smallest, np.nan, np.nan),
            "1.96 √2 within-person SD: a smaller difference between two scans may be chance",
        ),
    ]


def _change(several: dict[str, list[Observation]], within_years: float) -> Repeated:
    of, measure = "predicted_age", "rate of change"
    apart = {p: own for p, own in several.items() if own[-1].age - own[0].age > within_years}
    kept = [(i, o) for i, own in enumerate(apart.values()) for o in own]
    try:
        if not kept:
            fix = "Bring scans that lie further apart."
            found = f"nobody with scans more than {within_years:g} years apart"
            raise InputError("longitudinal slope", found, "5 people or more", fix)
        effect = rate_of_change(
            np.array([o.predicted_age for _, o in kept], dtype=np.float64),
            np.array([o.age for _, o in kept], dtype=np.float64),
            np.array([i for i, _ in kept], dtype=np.int64),
        )
    except InputError as error:
        return _failed(of, measure, len(apart), error)
    number = Coefficient(effect.value, effect.low, effect.high)
    return _row(of, measure, "years per year", len(apart), number, "1 keeps pace with the calendar")


def _row(of: str, measure: str, unit: str, people: int, number: Coefficient, note: str) -> Repeated:
    return Repeated(of, measure, unit, people, number.value, number.low, number.high, note)


def _failed(of: str, measure: str, people: int, error: InputError) -> Repeated:
    return Repeated(of, measure, "", people, np.nan, np.nan, np.nan, str(error), run=False)


def _age(observation: Observation) -> float:
    return observation.age
