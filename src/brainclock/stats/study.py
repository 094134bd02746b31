"""The people of a study as columns, and the terms of the models that compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import InputError

#: A category that is not known.
UNKNOWN = "n/a"
#: Written so among covariates, the square of the age about its mean.
AGE_SQUARED = "age²"


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Everybody in a study, one entry a person, in the same order everywhere.

    Parameters
    ----------
    people : tuple of str
        Who it is.
    predicted_age, age : ndarray of float, shape (n,), years
        The prediction is raw; the age is known.
    group : tuple of str
        ``n/a`` where unknown.
    numbers : mapping of str to ndarray of float, shape (n,)
        Scores, covariates and volumes by name; NaN where unknown.
    categories : mapping of str to tuple of str
        Sex, site and their like; ``n/a`` where unknown.

    Examples
    --------
    >>> import numpy as np
    >>> study = brainclock.Study(
    ...     people=("sub-01", "sub-02"),
    ...     predicted_age=np.array([61.0, 75.0]),
    ...     age=np.array([60.0, 68.0]),
    ...     group=("HC", "AD"),
    ... )
    >>> study.gap.tolist()
    [1.0, 7.0]
    """

    people: tuple[str, ...]
    predicted_age: Float64[ndarray, " n"]
    age: Float64[ndarray, " n"]
    group: tuple[str, ...]
    numbers: Mapping[str, Float64[ndarray, " n"]] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def gap(self) -> Float64[ndarray, " n"]:
        """predicted_age − age, years, raw."""
        gap: Float64[ndarray, " n"] = self.predicted_age - self.age
        return gap

    def members(self, *groups: str) -> Bool[ndarray, " n"]:
        """Return who is in one of these groups."""
        return np.array([own in groups for own in self.group], dtype=bool)

    def having(self, *names: str) -> tuple[str, ...]:
        """Return those of the variables that the study has."""
        has = {"age", AGE_SQUARED, *self.numbers, *self.categories}
        return tuple(name for name in names if name in has)

    def known(self, name: str) -> Bool[ndarray, " n"]:
        """Return for whom a variable is known.

        Raises
        ------
        InputError
            There is no such variable.
        """
        if name in ("age", AGE_SQUARED):
            return np.array(np.isfinite(self.age))
        if name in self.numbers:
            return np.array(np.isfinite(self.numbers[name]))
        if name in self.categories:
            return np.array([own != UNKNOWN for own in self.categories[name]], dtype=bool)
        has = ", ".join(["age", *self.numbers, *self.categories])
        raise InputError("study", f"no variable {name}", f"one of {has}", "Check its name.")


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The covariates of a model as columns, for those who have all of them.

    Parameters
    ----------
    rows : ndarray of bool, shape (people of the study,)
        Who enters the model.
    matrix : ndarray of float, shape (n, k)
        Numbers about their means; categories as 0/1, the largest level left out. No column of ones.
    names : tuple of str
        Of the columns: ``age``, ``site=Guys``.
    used : tuple of str
        Covariates that vary among these people; the others say nothing and are left out.
    alone : int
        People left out because nobody shares their level of a category.
    """

    rows: Bool[ndarray, " people"]
    matrix: Float64[ndarray, "n k"]
    names: tuple[str, ...]
    used: tuple[str, ...]
    alone: int

    @property
    def n(self) -> int:
        """How many people enter the model."""
        return int(self.rows.sum())


def make_terms(
    study: Study,
    among: Bool[ndarray, " n"],
    covariates: Sequence[str],
    needed: Sequence[str] = (),
) -> Terms:
    """Return the columns of some covariates for those ``among`` whose values are all known.

    Parameters
    ----------
    study : Study
    among : ndarray of bool, shape (n,)
    covariates : sequence of str
        ``age``, ``age²``, names of numbers and categories. One that is unknown for all of these people
        is left out.
    needed : sequence of str
        Further variables that must be known, such as the score.

    Raises
    ------
    InputError
        A variable that the study does not have, or nobody has all of them.
    """
    some = [name for name in covariates if (study.known(name) & among).any()]
    rows = among.copy()
    for name in (*some, *needed):
        rows &= study.known(name)
    categories = [name for name in some if name in study.categories]
    before = int(rows.sum())
    rows = _shared_levels(study, rows, categories)
    if not rows.any():
        found = f"nobody with {', '.join([*some, *needed])} all known"
        raise InputError("study", found, "people with complete data", "Leave out what few people have.")
    columns: list[Float64[ndarray, " n"]] = []
    names: list[str] = []
    used: list[str] = []
    for name in some:
        more = _columns(study, rows, name)
        columns += more.values()
        names += more
        used += [name] if more else []
    matrix = np.column_stack(columns) if columns else np.zeros((int(rows.sum()), 0))
    return Terms(rows, matrix, tuple(names), tuple(used), before - int(rows.sum()))


def _columns(study: Study, rows: Bool[ndarray, " n"], name: str) -> dict[str, Float64[ndarray, " m"]]:
    """Return the columns of one covariate by their names; none where it does not vary."""
    if name in study.categories:
        own = [level for level, inside in zip(study.categories[name], rows, strict=True) if inside]
        _, *others = [level for level, _ in sorted(Counter(own).items(), key=lambda c: (-c[1], c[0]))]
        return {f"{name}={level}": np.array([o == level for o in own], dtype=np.float64) for level in others}
    values = study.age[rows] if name in ("age", AGE_SQUARED) else study.numbers[name][rows]
    if np.ptp(values) == 0:
        return {}
    centred = values - values.mean()
    return {name: centred**2 if name == AGE_SQUARED else centred}


def _shared_levels(study: Study, rows: Bool[ndarray, " n"], categories: Sequence[str]) -> Bool[ndarray, " n"]:
    """Drop people who are alone in their level: a term of their own fits them exactly and tells nothing."""
    rows = rows.copy()
    while True:
        alone = np.zeros_like(rows)
        for name in categories:
            counts = Counter(o for o, inside in zip(study.categories[name], rows, strict=True) if inside)
            alone |= rows & np.array([counts[own] == 1 for own in study.categories[name]], dtype=bool)
        if not alone.any():
            return rows
        rows &= ~alone
