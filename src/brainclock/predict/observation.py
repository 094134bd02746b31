"""A predicted age beside the true age, of a scan or of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.errors import InputError


@dataclass(frozen=True, slots=True)
class AgeInterval:
    """Where the age should lie, years, for this share of people (None: not said)."""

    low: float
    high: float
    level: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A predicted age beside the true age: of a scan, or of a person, averaged over scans.

    Parameters
    ----------
    person : str
        Who it is: ``participant_id``, with ``@site`` where the site is known, for two sites may use one
        id for two people.
    predicted_age, age : float
        Years; the prediction is raw, never corrected for age.
    sex, site : str
        ``n/a`` where unknown.
    scans : int
        How many scans it stands for.
    interval : AgeInterval or None
    chance : float or None
        Of a healthy person with such a brain to be older than this age.
    """

    person: str
    predicted_age: float
    age: float
    sex: str = "n/a"
    site: str = "n/a"
    scans: int = 1
    interval: AgeInterval | None = None
    chance: float | None = None


def average_scans(observations: Sequence[Observation]) -> list[Observation]:
    """Return one observation a person: the mean over their scans."""
    scans: dict[str, list[Observation]] = {}
    for o in observations:
        scans.setdefault(o.person, []).append(o)
    return [
        Observation(
            person,
            float(column_of(own, "predicted_age").mean()),
            float(column_of(own, "age").mean()),
            own[0].sex,
            own[0].site,
            sum(o.scans for o in own),
            _mean_interval(own),
            None if len(own) > 1 else own[0].chance,
        )
        for person, own in scans.items()
    ]


def _mean_interval(own: Sequence[Observation]) -> AgeInterval | None:
    """Return the mean ends; None if a scan lacks them."""
    known = [o.interval for o in own if o.interval is not None]
    if len(known) < len(own):
        return None
    low, high = (float(np.mean(ends)) for ends in zip(*((i.low, i.high) for i in known), strict=True))
    return AgeInterval(low, high, known[0].level)


def level_of(observations: Sequence[Observation]) -> float | None:
    """Return the level of all intervals; None where there are none or it is not said."""
    levels = {o.interval.level for o in observations if o.interval is not None}
    if len(levels) > 1:
        found = ", ".join("not said" if level is None else f"{level:g}" for level in sorted(levels, key=str))
        fix = "Predict all scans with one --level."
        raise InputError("Intervals of the predictions", f"several levels ({found})", "one", fix)
    return next(iter(levels), None)


def check_sexes(observations: Sequence[Observation]) -> None:
    """Refuse two sexes under one id: they are two people, and must not be averaged."""
    sexes: dict[str, set[str]] = {}
    for o in observations:
        sexes.setdefault(o.person, set()).add(o.sex)
    for person, own in sexes.items():
        if len(own) > 1:
            found = " and ".join(sorted(own))
            fix = "Mend the table, or give a site column if two sites use one id."
            raise InputError(f"Participant {person}, column sex", found, "one value", fix)


def column_of(observations: Sequence[Observation], name: str) -> Float64[ndarray, " n"]:
    """Return one number of each."""
    return np.array([getattr(o, name) for o in observations], dtype=np.float64)
