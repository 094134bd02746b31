"""Predictions and a table of people to one value: everybody in a study, once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brainclock.errors import InputError
from brainclock.io.cells import UNKNOWN, Age, parse_age, parse_sex, participant_label
from brainclock.io.people import find_column, read_coding
from brainclock.io.tables import MISSING, Row, read_table
from brainclock.predict.observations import predicted_age_of, prediction_column
from brainclock.predict.study_columns import COLUMN_MAPS, StudyColumns
from brainclock.stats.study import AGE_SQUARED, Study


@dataclass(frozen=True, slots=True, eq=False)
class ReadStudy:
    """A study as it was read.

    Parameters
    ----------
    study : Study
    counts : mapping of str to int
        What became of the rows of predictions: ``rows``, ``failed``, ``not_in_the_table``, ``without_age``,
        ``censored_age``, ``later_visits``, ``same_visit``, ``people``; the last seven add up to the first.
    problems : mapping of str to str
        Variables that cannot be used, each with the sentence that says why; the rest is there.
    """

    study: Study
    counts: dict[str, int]
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Visit:
    """One row of predictions beside the row of its person."""

    person: str
    predicted_ages: list[float]
    age: float
    cells: dict[str, str]
    places: dict[str, str]


def read_study(
    predictions: str | Path,
    participants: str | Path,
    *,
    variables: Sequence[str] = (),
    group: str | None = None,
    column: str = "predicted_age",
    columns: str = "bids",
) -> ReadStudy:
    """Join predictions with a table of people, one entry a person: the first visit that has a prediction.

    Scans of one visit are averaged. Everybody is found by ``participant_id`` (and ``session_id``, where both
    tables have one), never by the order of rows.

    Parameters
    ----------
    predictions : str or Path
        TSV or CSV with ``participant_id`` and ``column``, ours or anybody's.
    participants : str or Path
        A row a person, or a row a visit, with group, scores and covariates.
    variables : sequence of str
        Scores, covariates and volumes, columns of ``participants`` or else of ``predictions``. ``age``,
        ``sex`` and ``site`` are read as such. A column of numbers is a number, any other a category.
    group : str, optional
        Column of the groups.
    column : str
        Of the predicted age.
    columns : {'bids', 'adni', 'ppmi'}
        Where the table keeps age, sex, site, group and ids.

    Raises
    ------
    InputError
        A table cannot be read or joined, a prediction or an age is none, or nobody is left. A variable that
        cannot be read is a problem of its own and stops nothing.

    Examples
    --------
    >>> read = brainclock.read_study("predictions.tsv", "participants.tsv", variables=["mmse"])
    >>> read.counts["people"], sorted(set(read.study.group))
    (60, ['AD', 'HC'])
    """
    predictions, participants = Path(predictions), Path(participants)
    if columns not in COLUMN_MAPS:
        raise InputError("--columns", columns, f"one of {', '.join(COLUMN_MAPS)}", "Choose one.")
    named = COLUMN_MAPS[columns]
    rows = _rows_with_ids(predictions, ("participant_id",))
    people = _People(_rows_with_ids(participants, named.participant_id), named, participants)
    found = prediction_column(rows[0], column, predictions)
    if group is not None and find_column(people.rows[0], group.casefold()) is None:
        has = f"the columns {', '.join(people.rows[0])}"
        raise InputError(str(participants), has, f"a column {group}", "Name it with --group.")
    fates: Counter[str] = Counter()
    visits: dict[str, list[_Visit]] = {}
    for row in rows:
        fates[_add(row, found, people, visits)] += 1
    kept = [_first_visit(own, fates) for own in visits.values()]
    if not kept:
        fix = "Check that both tables use the same participant_id, and that the ages are there."
        found_counts = ", ".join(f"{number} {fate.replace('_', ' ')}" for fate, number in fates.items())
        raise InputError(str(predictions), f"no usable row ({found_counts})", "people with ages", fix)
    names = ["failed", "not_in_the_table", "without_age", "censored_age", "later_visits", "same_visit"]
    counts = {"rows": len(rows), **{name: fates[name] for name in names}, "people": len(kept)}
    study, problems = _columns(kept, people, rows[0], variables, group)
    return ReadStudy(study, counts, problems)


class _People:
    """The rows of the table of people, found by person and visit."""

    def __init__(self, rows: list[Row], named: StudyColumns, table: Path) -> None:
        self.rows, self.named = rows, named
        self.units = read_coding(table).age_units
        self.sex_levels = read_coding(table).sex_levels
        self.age = find_column(rows[0], *_folded(named.age))
        self.since = find_column(rows[0], *_folded(named.years_since))
        self.who = find_column(rows[0], *_folded(named.participant_id)) or ""
        self.when = find_column(rows[0], *_folded(named.session_id))
        self._by_visit: dict[tuple[str, str | None], Row] = {}
        for row in rows:
            visit = self._person(row[self.who], row.where(self.who)), self._visit(row, self.when)
            if visit in self._by_visit:
                line = self._by_visit[visit].line
                fix = "Keep one of the two, or tell visits apart by a column session_id."
                what = f"{row[self.who]} again, first in line {line}"
                raise InputError(row.where(), what, "each person (and visit) once", fix)
            self._by_visit[visit] = row
        self._visits = Counter(person for person, _ in self._by_visit)

    def find(self, row: Row) -> tuple[str, Row | None]:
        """Return the name of the person of a row of predictions, and what the table says at that visit."""
        who = find_column(row, "participant_id") or ""
        when = find_column(row, "session_id")
        person, visit = self._person(row[who], row.where(who)), self._visit(row, when)
        match = self._by_visit.get((person, visit)) or self._by_visit.get((person, None))
        if match is None and visit is None and self._visits[person] == 1:
            match = next(own for (name, _), own in self._by_visit.items() if name == person)
        return person, match

    def age_of(self, row: Row) -> Age | None:
        """Return the age at the visit: the column of ages, and the years that passed since."""
        if self.age is None:
            return None
        age = parse_age(row[self.age], where=row.where(self.age), units=self.units)
        if age is None or self.since is None or row[self.since].casefold() in UNKNOWN:
            return age
        return Age(age.years + _number(row[self.since], row.where(self.since)), age.censored)

    def _person(self, cell: str, where: str) -> str:
        label = participant_label(cell, where=where).removeprefix("sub-").casefold()
        return label.removeprefix(self.named.prefix.casefold())

    def _visit(self, row: Row, column: str | None) -> str | None:
        cell = "" if column is None else row[column].casefold().removeprefix("ses-")
        return None if cell in UNKNOWN else self.named.session_key(cell)


def _rows_with_ids(table: Path, names: Sequence[str]) -> list[Row]:
    rows = read_table(table)
    if not rows:
        raise InputError(str(table), "no rows", "a row a person", "Check the path.")
    if find_column(rows[0], *_folded(names)) is None:
        found = f"the columns {', '.join(rows[0])}"
        fix = "Add it: people are found by it. For ADNI and PPMI give --columns."
        raise InputError(str(table), found, f"a column {names[0]}", fix)
    return rows


def _add(row: Row, column: str, people: _People, visits: dict[str, list[_Visit]]) -> str:
    """Put a row of predictions with its visit; return what became of it."""
    predicted_age = predicted_age_of(row, column)
    if predicted_age is None:
        return "failed"
    person, match = people.find(row)
    if match is None:
        return "not_in_the_table"
    age = people.age_of(match)
    own = _age_at_the_scan(row)
    if own is not None and (age is None or people.when is None):  # the table tells no visits apart
        age = own
    if age is None:
        return "without_age"
    if age.censored:
        return "censored_age"
    cells = {**_cells(row), **_cells(match)}
    same = [v for v in visits.get(person, []) if v.places["line"] == match.where() and v.age == age.years]
    if same:
        same[0].predicted_ages.append(predicted_age)
        return "same_visit"
    places = {"line": match.where()} | {name.casefold(): row.where(name) for name in row}
    places |= {name.casefold(): match.where(name) for name in match}
    visits.setdefault(person, []).append(_Visit(person, [predicted_age], age.years, cells, places))
    return "visit"


def _age_at_the_scan(row: Row) -> Age | None:
    """Return the age in a row of predictions, if it has one."""
    column, said = find_column(row, "age"), find_column(row, "age_censored")
    age = None if column is None else parse_age(row[column], where=row.where(column))
    censored = said is not None and row[said].casefold() == "true"
    return Age(age.years, True) if age is not None and censored else age


def _cells(row: Row) -> dict[str, str]:
    return {name.casefold(): cell for name, cell in row.items() if cell.casefold() not in UNKNOWN}


def _first_visit(own: list[_Visit], fates: Counter[str]) -> _Visit:
    first, *later = sorted(own, key=lambda visit: visit.age)
    extra = sum(len(visit.predicted_ages) - 1 for visit in later)
    fates["later_visits"] += len(later) + extra
    fates["same_visit"] -= extra
    return first


def _columns(
    kept: Sequence[_Visit], people: _People, row: Row, variables: Sequence[str], group: str | None
) -> tuple[Study, dict[str, str]]:
    """Return the study, and what cannot be read of it."""
    named = people.named
    group_names = _folded(named.group) if group is None else (group.casefold(),)
    groups = [_first(visit, group_names) for visit in kept]
    has = {name.casefold() for name in (*people.rows[0], *row)}
    categories = {
        "sex": tuple(_sex(_first(visit, _folded(named.sex)), people) for visit in kept),
        "site": tuple(_first(visit, _folded(named.site)) or MISSING for visit in kept),
    }
    categories = {name: own for name, own in categories.items() if set(own) != {MISSING}}
    numbers, problems = {}, {}
    for name in dict.fromkeys(variables):
        if name in ("age", AGE_SQUARED, "sex", "site"):
            continue
        try:
            if name.casefold() not in has:
                fix = "Check its name; the other analyses go on without it."
                raise InputError("study", f"no column {name}", "one in either table", fix)
            read = _read_variable(kept, name)
        except InputError as error:
            problems[name] = str(error)
            continue
        if isinstance(read, tuple):
            categories[name] = read
        else:
            numbers[name] = read
    study = Study(
        tuple(f"sub-{visit.person}" for visit in kept),
        np.array([np.mean(visit.predicted_ages) for visit in kept], dtype=np.float64),
        np.array([visit.age for visit in kept], dtype=np.float64),
        tuple(named.groups.get((g or "").casefold(), g or MISSING) for g in groups),
        numbers,
        categories,
    )
    return study, problems


def _read_variable(kept: Sequence[_Visit], name: str) -> tuple[str, ...] | np.ndarray:
    """Return numbers, or categories where hardly a cell is a number."""
    cells = [visit.cells.get(name.casefold()) for visit in kept]
    known = [cell for cell in cells if cell is not None]
    if not known:
        fix = "Leave it out, or fill it in."
        raise InputError(name, "no value for anybody in the study", "values for some people", fix)
    if sum(map(_is_number, known)) < len(known) / 2:
        return tuple(MISSING if cell is None else cell for cell in cells)
    values = [
        math.nan if cell is None else _number(cell, visit.places[name.casefold()])
        for cell, visit in zip(cells, kept, strict=True)
    ]
    return np.array(values, dtype=np.float64)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _number(cell: str, where: str) -> float:
    if _is_number(cell):
        return float(cell)
    fix = "Write a decimal point." if _is_number(cell.replace(",", ".")) else "Write n/a if it is unknown."
    raise InputError(where, repr(cell), "a number, or n/a", fix)


def _first(visit: _Visit, names: Sequence[str]) -> str | None:
    return next((visit.cells[name] for name in names if name in visit.cells), None)


def _sex(cell: str | None, people: _People) -> str:
    cell = people.named.sexes.get((cell or "").casefold(), cell or "")
    return parse_sex(cell, people.sex_levels) or MISSING


def _folded(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.casefold() for name in names)
