"""A table of predictions, ours or anybody's, read so that predicted and true ages stand side by side."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.cells import UNKNOWN, participant_label, session_label
from brainclock.io.people import (
    People,
    Person,
    find_column,
    find_person,
    read_coding,
    read_people,
    read_persons,
)
from brainclock.io.tables import MISSING, Row, read_table
from brainclock.predict.observation import AgeInterval, Observation

#: A column with such a word in its name was corrected with the true age.
_CORRECTED = re.compile(r"correct|adjust|debias|unbias", re.IGNORECASE)

#: Ages are written to three decimals, years.
_SAME_AGE = 0.0011


def read_observations(
    predictions: Path, ages: Path | None = None, *, column: str = "predicted_age"
) -> tuple[list[Observation], dict[str, int]]:
    """Return the scans with a prediction and an exact age, and what became of every row.

    Parameters
    ----------
    predictions : Path
        TSV or CSV with ``column``; perhaps ``participant_id`` (else each row is a person),
        ``session_id``, ``age``, ``age_censored``, ``sex``, ``site``, ``status``, ``model``,
        ``predicted_age_low``, ``predicted_age_high``, ``interval_level``, ``older_than``,
        ``probability_older``.
    ages : Path, optional
        A table of people; its ages count instead of those in ``predictions``, and its sex and site
        come first.
    column : str
        The column with the predicted age, years.

    Returns
    -------
    observations : list of Observation
    counts : dict of str to int
        ``rows``, ``failed``, ``without_age``, ``censored_age``, ``used``: the last four add up to the first.

    Raises
    ------
    InputError
        There is no such column, or its name says that it was corrected; a cell is no age; the table
        holds the predictions of several models, or a scan twice; no age is given at all.
    """
    rows = read_table(predictions)
    if not rows:
        raise InputError(str(predictions), "no rows", "a row a scan", "Check the path.")
    column = prediction_column(rows[0], column, predictions)
    _one_model(rows, predictions)
    if ages is None and find_column(rows[0], "age") is None:
        fix = "Name a table with --ages."
        raise InputError(str(predictions), f"the columns {', '.join(rows[0])}", "a column age", fix)
    persons = read_persons(rows, read_coding(predictions))
    if ages is not None:
        persons = _look_up(rows, persons, read_people(ages))
    fates: Counter[str] = Counter()
    observations = []
    for row, person in zip(rows, persons, strict=True):
        predicted_age = predicted_age_of(row, column)
        fate = _fate(predicted_age, person, row)
        fates[fate] += 1
        if fate == "used" and predicted_age is not None and person.age is not None:
            site = person.site or MISSING
            name = _name(row, site)
            age = person.age.years
            interval, chance = _interval(row, column), _chance(row, column, age)
            one = Observation(name, predicted_age, age, person.sex, site, 1, interval, chance)
            observations.append(one)
    counts = {"rows": len(rows)} | {
        fate: fates[fate] for fate in ("failed", "without_age", "censored_age", "used")
    }
    return observations, counts


def prediction_column(row: Row, wanted: str, table: Path) -> str:
    """Return the column of raw predicted ages; raises `InputError` if there is none or it was corrected."""
    corrected = [name for name in row if _CORRECTED.search(name)]
    column = find_column(row, wanted.casefold())
    if _CORRECTED.search(wanted) or (column is None and corrected):
        found = f"the corrected column {wanted if _CORRECTED.search(wanted) else corrected[0]}"
        fix = "After a correction that uses the age every model looks accurate: give the raw predictions."
        raise InputError(str(table), found, "raw predicted ages", fix)
    if column is None:
        found = f"the columns {', '.join(row)}"
        raise InputError(str(table), found, f"a column {wanted}", "Name the column with --column.")
    return column


def _one_model(rows: Sequence[Row], table: Path) -> None:
    """Two models in one table would be averaged, and a scan that comes twice would count twice."""
    model, key = find_column(rows[0], "model"), find_column(rows[0], "key")
    if model is not None and len(models := {row[model] for row in rows} - UNKNOWN) > 1:
        found = f"predictions of {len(models)} models ({', '.join(sorted(models)[:3])})"
        raise InputError(str(table), found, "those of one", "Evaluate each model by itself.")
    if key is not None:
        (name, number), *_ = Counter(row[key] for row in rows).most_common(1)
        if number > 1 and name.casefold() not in UNKNOWN:
            raise InputError(str(table), f"the scan {name} {number} times", "each once", "Keep one row.")


def predicted_age_of(row: Row, column: str) -> float | None:
    """Return the predicted age of a row; None where the scan failed."""
    status = find_column(row, "status")
    text = row[column]
    if text.casefold() in UNKNOWN or (status is not None and row[status].casefold() == "failed"):
        return None
    try:
        value = float(text)
    except ValueError:
        fix = (
            f"Write a decimal point: {text.replace(',', '.')}." if "," in text else "Write n/a if it failed."
        )
        raise InputError(row.where(column), repr(text), "years such as 63.5, or n/a", fix) from None
    if not math.isfinite(value):
        raise InputError(row.where(column), repr(text), "a finite number", "Write n/a if it failed.")
    return value


def _interval(row: Row, column: str) -> AgeInterval | None:
    """Return the interval of the predicted age; None where it has none."""
    low, high, level = (_number(row, name) for name in (f"{column}_low", f"{column}_high", "interval_level"))
    if low is None or high is None:
        return None
    if low > high:
        found = f"an interval from {low:g} to {high:g}"
        raise InputError(row.where(), found, "a lower and a higher end", "Mend the row.")
    return AgeInterval(low, high, level)


def _chance(row: Row, column: str, age: float) -> float | None:
    """Return the chance of being older than the own age; None if it is of another age."""
    if column.casefold() != "predicted_age":
        return None
    of, chance = _number(row, "older_than"), _number(row, "probability_older")
    return chance if of is not None and abs(of - age) < _SAME_AGE else None


def _number(row: Row, name: str) -> float | None:
    column = find_column(row, name.casefold())
    if column is None or row[column].casefold() in UNKNOWN:
        return None
    try:
        return float(row[column])
    except ValueError:
        fix = "Write n/a if it is unknown."
        raise InputError(row.where(column), repr(row[column]), "a number, or n/a", fix) from None


def _look_up(rows: Sequence[Row], persons: Sequence[Person], people: People) -> list[Person]:
    """Return what the table of people says of each row; sex and site that it lacks, the row's own."""
    who, when = find_column(rows[0], "participant_id"), find_column(rows[0], "session_id")
    if who is None:
        fix = "Add it: ages are looked up by it."
        raise InputError(str(rows[0].table), "no column participant_id", "one", fix)
    found = []
    for row, person in zip(rows, persons, strict=True):
        name = participant_label(row[who], where=row.where(who))
        session = None if when is None else session_label(row[when], where=row.where(when))
        found.append(find_person(people, name, session).or_else(replace(person, age=None)))
    return found


def _name(row: Row, site: str) -> str:
    """Return who it is: two sites may use one id for two people; without ids each row is a person."""
    column = find_column(row, "participant_id")
    name = f"row {row.line}" if column is None else participant_label(row[column], where=row.where(column))
    return name if site == MISSING else f"{name}@{site}"


def _fate(predicted_age: float | None, person: Person, row: Row) -> str:
    """Return what becomes of a row: the name of its count."""
    if predicted_age is None:
        return "failed"
    if person.age is None:
        return "without_age"
    said = find_column(row, "age_censored")
    censored = person.age.censored or (said is not None and row[said].casefold() == "true")
    return "censored_age" if censored else "used"
