"""What is asked of a study."""

from __future__ import annotations

from dataclasses import dataclass

from brainclock.stats.study import AGE_SQUARED

#: Held fixed if nothing else is asked.
COVARIATES = ("age", AGE_SQUARED, "sex", "site")


@dataclass(frozen=True, slots=True)
class GapPlan:
    """The questions of a gap analysis.

    Parameters
    ----------
    controls : str
        Name of the group with whom the others are compared.
    severity : tuple of str
        Scores whose correlation with the gap is asked for, within each other group.
    covariates : tuple of str
        Held fixed when groups are compared; without ``age²`` also in correlations.
    volumes : tuple of str
        Brain volumes that the gap must say more than.
    level : float
        Of the intervals.
    resamples, seed : int
        Of the bootstrap.

    Examples
    --------
    >>> brainclock.GapPlan(severity=("mmse",), volumes=("brain_ml",)).covariates
    ('age', 'age²', 'sex', 'site')
    """

    controls: str = "HC"
    severity: tuple[str, ...] = ()
    covariates: tuple[str, ...] = COVARIATES
    volumes: tuple[str, ...] = ()
    level: float = 0.95
    resamples: int = 2000
    seed: int = 1
