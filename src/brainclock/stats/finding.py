"""One thing that was computed in the analysis of a study, or why it could not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from brainclock.errors import InputError
from brainclock.stats.bootstrap import Estimate
from brainclock.stats.groups import benjamini_hochberg
from brainclock.stats.linear import Effect

#: The parts of an analysis, in their order, and the question that each answers.
ANALYSES: dict[str, str] = {
    "group_difference": "Do brains of this group look older than those of controls?",
    "adjusted_mean": "What is the mean gap of each group at the same covariates?",
    "severity": "Within this group, does the gap go along with the score?",
    "added_value": "Does the gap say more than age, sex and brain volume?",
    "sex_interaction": "Does the difference depend on sex?",
    "site_offset": "How far are the controls of a site from those of all sites?",
    "sensitivity": "Does the difference depend on correction and covariates?",
    "power": "What would this many people have found in 4 of 5 studies?",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the analysis.

    Parameters
    ----------
    analysis : str
        A name in ``ANALYSES``.
    group : str
        Whom it is about: ``AD``, ``AD − HC``, a site.
    outcome : str
        What was looked at: ``brain_age_gap``, a score.
    method : str
        ``OLS, HC3``; with the correction, where there is one.
    covariates : str
        That were held fixed, after those that do not vary were left out.
    n : int
        People who entered it.
    measure : str
        What the value is: ``difference (years)``, ``partial r``.
    value, low, high, df, p : float
        NaN where it has none.
    q : float
        p adjusted for the false discovery rate over all that was run.
    note : str
        What to bear in mind; for a part that could not be run, the reason.
    run : bool
        Whether it could be run.
    """

    analysis: str
    group: str
    outcome: str
    method: str
    covariates: str = ""
    n: int = 0
    measure: str = ""
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    df: float = np.nan
    p: float = np.nan
    q: float = np.nan
    note: str = ""
    run: bool = True

    def with_effect(self, effect: Effect, measure: str) -> Finding:
        """Return the row with an estimate, its interval and its test."""
        return replace(
            self,
            measure=measure,
            value=effect.value,
            low=effect.low,
            high=effect.high,
            df=effect.df if np.isfinite(effect.df) else np.nan,
            p=effect.p,
        )

    def with_estimate(self, estimate: Estimate, measure: str) -> Finding:
        """Return the row with an estimate and its bootstrap interval, without a test."""
        return replace(self, measure=measure, value=estimate.value, low=estimate.low, high=estimate.high)

    def not_run(self, error: InputError) -> Finding:
        """Return the row of what could not be computed, with the reason."""
        return replace(self, note=str(error), run=False)


def with_false_discovery_rates(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the rows with q: Benjamini and Hochberg over every p that was computed."""
    adjusted = benjamini_hochberg(np.array([finding.p for finding in findings], dtype=np.float64))
    return tuple(replace(f, q=float(q)) for f, q in zip(findings, adjusted, strict=True))
