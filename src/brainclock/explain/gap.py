"""Where a brain age gap comes from: a person's map minus the map to be expected at that age.

With B(p) = M(p) − E[M(p) | age], Σ_p B(p) is the predicted age minus the predicted age to be expected of
healthy people of that age: the gap without its dependence on age, since both regressions have the same
terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from brainclock.errors import InputError
from brainclock.explain.age_map import AgeMap
from brainclock.explain.reference import Reference
from brainclock.explain.regions import Regions
from brainclock.explain.spread import shares_by_label
from brainclock.prepare.prepared import PreparedScan


@dataclass(frozen=True, slots=True)
class RegionGap:
    """One region's part of the gap.

    Parameters
    ----------
    region : str
    years : float
        More (positive) or less than to be expected at this age.
    low, high : float
        Percentile interval: what other healthy people in the reference would have made of it. It says
        how well the expectation is known, not how much healthy people differ; that is ``healthy_sd``.
    healthy_sd : float
        Standard deviation of the same number among the healthy people of the reference, years.
    """

    region: str
    years: float
    low: float
    high: float
    healthy_sd: float


def gap_map(age_map: AgeMap, reference: Reference, age: float) -> AgeMap:
    """Return the map of the gap: it sums to the predicted age minus the one to be expected at this age.

    Parameters
    ----------
    age_map : AgeMap
        Grad-RAM of the last layer.
    reference : Reference
        Of the same model.
    age : float
        Chronological age, years.

    Raises
    ------
    InputError
        The map is of another kind than the reference's.
    """
    if age_map.values.shape != reference.trend.shape[1:] or not age_map.additive:
        raise InputError(
            "gap map",
            f"a map by {age_map.method} at {age_map.layer or 'the image'}",
            "Grad-RAM of the last layer, as the reference has it",
            "Leave out --layer.",
        )
    return replace(
        age_map,
        values=age_map.values - reference.expected_map(age),
        intercept=reference.expected_age(age),
        method=f"{age_map.method} gap",
    )


def gap_by_region(
    gap: AgeMap,
    reference: Reference,
    age: float,
    regions: Regions,
    prepared: PreparedScan,
    *,
    level: float = 0.95,
) -> list[RegionGap]:
    """Return the gap by region; the years of all rows together are the whole gap.

    Parameters
    ----------
    gap : AgeMap
        What `gap_map` gave.
    reference : Reference
    age : float
        Years.
    regions : Regions
    prepared : PreparedScan
    level : float
        Of the intervals.
    """
    names, labels = regions.in_brain(prepared)
    shape = (gap.values.shape[0], gap.values.shape[1], gap.values.shape[2])
    parts = shares_by_label(labels, len(names), shape, gap.lattice)
    years = parts @ gap.values.ravel()
    own = parts @ (gap.values + reference.expected_map(age)).ravel()
    drawn = own - reference.expected_parts_drawn(age, parts)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    spread = reference.healthy_sd(parts)
    return [
        RegionGap(name, float(years[row]), float(low[row]), float(high[row]), float(spread[row]))
        for row, name in enumerate(names)
    ]
