"""What lies beside a scan and speaks of it: the tables of its dataset, and its own JSON."""

from __future__ import annotations

import logging
from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.people import People, Person, find_column, find_person, read_people
from brainclock.io.read import read_json
from brainclock.io.tables import read_table

logger = logging.getLogger("brainclock")

#: Tables of a dataset. What an earlier one says wins: the age at the session, then that at inclusion.
TABLES = ("scans.tsv", "sessions.tsv", "participants.tsv")
#: ``raw/derivatives/pipeline/sub-01/ses-1/anat/`` lies so many folders deep.
_DEPTH = 6


class Surroundings:
    """The tables around scans, each read once."""

    def __init__(self) -> None:
        self._tables: dict[Path, list[Path]] = {}
        self._people: dict[Path, People] = {}

    def cohort(self, image: Path) -> Path | None:
        """Return the nearest folder above a scan that has a table of people."""
        return next((folder for folder in image.parents[:_DEPTH] if self._tables_in(folder)), None)

    def person(self, image: Path, participant_id: str, session_id: str | None) -> Person:
        """Return what the tables around a scan say of the person.

        First ``sub-01_sessions.tsv`` in the folder of the participant, then ``scans.tsv``,
        ``sessions.tsv`` and ``participants.tsv`` in the folder of the cohort.

        Raises
        ------
        InputError
            One of the tables cannot be used.
        """
        person = Person()
        for folder in image.parents[:_DEPTH]:
            own = folder / f"{participant_id}_sessions.tsv"
            if folder.name == participant_id and own.is_file():
                person = person.or_else(
                    find_person(self._read(own, participant_id), participant_id, session_id)
                )
        cohort = self.cohort(image)
        for table in self._tables_in(cohort) if cohort is not None else ():
            person = person.or_else(find_person(self._read(table, None), participant_id, session_id))
        return person

    def _tables_in(self, folder: Path) -> list[Path]:
        if folder not in self._tables:
            self._tables[folder] = [folder / name for name in TABLES if (folder / name).is_file()]
        return self._tables[folder]

    def _read(self, table: Path, owner: str | None) -> People:
        if table not in self._people:
            self._people[table] = _read_table_of_people(table, owner)
        return self._people[table]


def says_stripped(image: Path) -> bool:
    """Whether the JSON of an image says ``SkullStripped``."""
    sidecar = image.with_name(image.name.split(".nii", 1)[0] + ".json")
    if not sidecar.is_file():
        return False
    try:
        described = read_json(sidecar)
    except InputError as error:
        logger.warning("%s It is left aside.", error)
        return False
    return isinstance(described, dict) and described.get("SkullStripped") is True


def _read_table_of_people(table: Path, owner: str | None) -> People:
    if owner is None and table.name != "participants.tsv":
        rows = read_table(table)
        if not rows or find_column(rows[0], "participant_id") is None:
            return {}  # the list of one session's files, as BIDS has it: it names nobody
    return read_people(table, participant_id=owner)
