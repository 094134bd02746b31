"""What the tables beside the scans say of the people: age, sex, site, group.

``participants.tsv`` and ``sessions.tsv`` as in BIDS, or any table with a column ``participant_id``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.cells import UNKNOWN, Age, parse_age, parse_sex, participant_label, session_label
from brainclock.io.read import read_json
from brainclock.io.scan import Scan
from brainclock.io.tables import MISSING, Row, read_table

logger = logging.getLogger("brainclock")

#: Columns that are read: of each, the first name that a table has.
_AGE = ("age",)
_SEX = ("sex", "gender")
_SITE = ("site",)
_GROUP = ("group", "diagnosis", "dx")


@dataclass(frozen=True, slots=True)
class Person:
    """What one row says of somebody.

    Parameters
    ----------
    age : Age or None
    sex : {'F', 'M', 'n/a'}
    site : str or None
    group : str or None
        As the table spells it; ``n/a`` where its cell is empty, None where it has no such column.
    """

    age: Age | None = None
    sex: str = MISSING
    site: str | None = None
    group: str | None = None

    def or_else(self, other: Person) -> Person:
        """Return this, and what the other says where this says nothing."""
        no_group = self.group is None or (self.group == MISSING and other.group is not None)
        return Person(
            age=other.age if self.age is None else self.age,
            sex=other.sex if self.sex == MISSING else self.sex,
            site=other.site if self.site is None else self.site,
            group=other.group if no_group else self.group,
        )


#: Rows by participant, then by session; the session is None where a row is for the person as such.
People = Mapping[str, Mapping[str | None, Person]]


@dataclass(frozen=True, slots=True)
class Coding:
    """How the JSON beside a table declares its columns: unit of the age, meaning of the levels of sex."""

    age_units: str = "years"
    sex_levels: Mapping[str, str] = field(default_factory=dict)


def read_people(table: Path, *, participant_id: str | None = None) -> dict[str, dict[str | None, Person]]:
    """Read a table of people.

    Columns, whatever their case: ``participant_id``, and where they are there ``session_id``, ``age``,
    ``sex`` (or ``gender``), ``site``, ``group`` (or ``diagnosis``, ``dx``). The JSON beside the table may
    declare ``Units`` of the age and ``Levels`` of sex.

    Parameters
    ----------
    table : Path
    participant_id : str or None
        Whose table it is, where it has no such column (``sub-01_sessions.tsv``).

    Returns
    -------
    dict of dict of Person
        By ``sub-…``, then by ``ses-…`` or None.

    Raises
    ------
    InputError
        The table cannot be read, has no ``participant_id``, has two rows for one participant (and
        session), or an age that is none.
    """
    rows = read_table(table)
    who = find_column(rows[0], "participant_id") if rows else None
    when = find_column(rows[0], "session_id") if rows else None
    if rows and who is None and participant_id is None:
        found, fix = f"the columns {', '.join(rows[0])}", "Add it, or rename a column."
        raise InputError(str(table), found, "a column participant_id", fix)
    people: dict[str, dict[str | None, Person]] = {}
    first: dict[tuple[str, str | None], Row] = {}
    for row, person in zip(rows, read_persons(rows, read_coding(table)), strict=True):
        given = participant_id if who is None else row[who]
        name = participant_label(given or "", where=row.where(who))
        session = None if when is None else session_label(row[when], where=row.where(when))
        if (name, session) in first:
            found = f"{name} {session or ''}".strip() + f" again, first in line {first[name, session].line}"
            fix = "Keep one of the two, or tell them apart by a column session_id."
            raise InputError(row.where(), found, "each participant (and session) once", fix)
        first[name, session] = row
        people.setdefault(name, {})[session] = person
    return people


def read_persons(rows: Sequence[Row], coding: Coding) -> list[Person]:
    """Return what each row says; raises `InputError` for an age that is none."""
    if not rows:
        return []
    age, sex, site, group = (find_column(rows[0], *names) for names in (_AGE, _SEX, _SITE, _GROUP))
    strange: set[str] = set()
    persons = []
    for row in rows:
        said = "" if sex is None else row[sex]
        known = parse_sex(said, coding.sex_levels)
        if known is None:
            strange.add(said)
        persons.append(
            Person(
                None if age is None else parse_age(row[age], where=row.where(age), units=coding.age_units),
                known or MISSING,
                None if site is None or row[site].casefold() in UNKNOWN else row[site],
                None if group is None else _group(row[group]),
            )
        )
    if strange:
        cells = ", ".join(repr(cell) for cell in sorted(strange))
        logger.warning("%s: %s in column %s is neither F nor M; read as n/a.", rows[0].table, cells, sex)
    return persons


def find_column(columns: Iterable[str], *names: str) -> str | None:
    """Return the column that has the first of these names that is there, whatever its case."""
    by_name = {column.casefold(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def read_coding(table: Path) -> Coding:
    """Return what the JSON beside a table declares; that of ``sub-01_sessions.tsv`` may lie a folder up.

    Raises
    ------
    InputError
        The JSON cannot be read.
    """
    places = [table.with_suffix(".json")]
    if table.name.startswith("sub-"):
        places.append(table.parent.parent / f"{table.stem.rpartition('_')[2]}.json")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return Coding()
    described = read_json(path)
    if not isinstance(described, dict):
        raise InputError(str(path), "no object", "a JSON object with a key for each column", "Mend the file.")
    units = _described(described, _AGE).get("Units", "years")
    levels = _described(described, _SEX).get("Levels", {})
    meanings = levels.items() if isinstance(levels, dict) else ()
    return Coding(str(units), {str(level): _meaning(meaning) for level, meaning in meanings})


def find_person(people: People, participant_id: str, session_id: str | None) -> Person:
    """Return what the rows say of a person at a session.

    The row of the session comes first, then that of the person. An age of another session is never
    taken; sex, site and group are, where a person's rows agree. Where they name several groups, all are
    returned (``HC/MCI``), so that nobody is taken for healthy by accident.
    """
    rows = people.get(participant_id)
    if rows is None:
        alike = [name for name in people if name.casefold() == participant_id.casefold()]
        rows = people[alike[0]] if len(alike) == 1 else {}
    if session_id is None and len(rows) == 1:
        return next(iter(rows.values()))
    sexes = {person.sex for person in rows.values()} - {MISSING}
    sites = {person.site for person in rows.values()} - {None}
    groups = {person.group for person in rows.values() if person.group not in (None, MISSING)}
    empty = any(person.group == MISSING for person in rows.values())
    otherwise = Person(
        sex=sexes.pop() if len(sexes) == 1 else MISSING,
        site=sites.pop() if len(sites) == 1 else None,
        group="/".join(sorted(filter(None, groups))) or (MISSING if empty else None),
    )
    return rows.get(session_id, Person()).or_else(rows.get(None, Person())).or_else(otherwise)


def describe(scan: Scan, person: Person) -> Scan:
    """Return the scan with what is known of the person, where the scan does not say it already."""
    age = None if scan.age is None else Age(scan.age, scan.age_censored)
    known = Person(age, scan.sex, scan.site, scan.group).or_else(person)
    return replace(
        scan,
        age=None if known.age is None else known.age.years,
        age_censored=known.age is not None and known.age.censored,
        sex=known.sex,
        site=known.site,
        group=known.group,
    )


def _group(cell: str) -> str:
    # "none" stays: it may well mean that there is no diagnosis.
    return MISSING if cell.casefold() in UNKNOWN - {"none", "null"} else cell


def _described(described: Mapping[str, object], names: tuple[str, ...]) -> Mapping[str, object]:
    column = find_column(described, *names)
    value = None if column is None else described[column]
    return value if isinstance(value, dict) else {}


def _meaning(level: object) -> str:
    """Return what a level means: a text, or an object with a ``Description``."""
    return str(level.get("Description", "")) if isinstance(level, dict) else str(level)
