"""Tables of people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.cells import Age
from brainclock.io.people import Person, describe, find_person, read_people
from brainclock.io.scan import Scan


def table(folder: Path, *lines: str, name: str = "participants.tsv") -> Path:
    path = folder / name
    path.write_text("".join(line.replace(" | ", "\t") + "\n" for line in lines), encoding="utf-8")
    return path


def test_one_row_a_person(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Participant_ID | Age | Gender | site | group",
        "sub-01 | 63.5 | male | A | HC",
        "02 | 89+ | F | n/a | n/a",
        "sub-3 | n/a | n/a | B | MCI",
    )
    assert read_people(path) == {
        "sub-01": {None: Person(Age(63.5), "M", "A", "HC")},
        "sub-02": {None: Person(Age(89.0, censored=True), "F", None, "n/a")},
        "sub-3": {None: Person(None, "n/a", "B", "MCI")},
    }


def test_a_group_is_none_only_where_the_table_has_none(tmp_path: Path) -> None:
    assert read_people(table(tmp_path, "participant_id", "1"))["sub-1"][None].group is None
    assert read_people(table(tmp_path, "participant_id | diagnosis", "1 | "))["sub-1"][None].group == "n/a"
    assert read_people(table(tmp_path, "participant_id | dx", "1 | none"))["sub-1"][None].group == "none"


@pytest.mark.parametrize(
    "lines",
    [
        ("participant_id | age", "sub-1 | 50", "sub-2 | 60", "sub-1 | 50"),
        ("participant_id | age", "sub-1 | 50", "sub-2 | 60", "1 | 51"),
        ("participant_id | session_id | age", "1 | a | 50", "1 | b | 60", "sub-1 | ses-a | 70"),
    ],
)
def test_the_same_person_twice_names_both_lines(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"participants\.tsv:4: found sub-1.* again, first in line 2"):
        read_people(table(tmp_path, *lines))


def test_two_sessions_are_not_the_same_person_twice(tmp_path: Path) -> None:
    people = read_people(table(tmp_path, "participant_id | session_id | age", "1 | a | 50", "1 | b | 60"))
    assert set(people["sub-1"]) == {"ses-a", "ses-b"}


def test_months_and_codes_that_the_json_declares(tmp_path: Path) -> None:
    described = {
        "age": {"Units": "months"},
        "sex": {"Levels": {"1": "male", "2": {"Description": "Female"}}},
    }
    (tmp_path / "participants.json").write_text(json.dumps(described))
    people = read_people(table(tmp_path, "participant_id | age | sex", "1 | 120 | 1", "2 | 6 | 2"))
    assert people["sub-1"][None] == Person(Age(10.0), "M")
    assert people["sub-2"][None] == Person(Age(0.5), "F")


def test_codes_that_nobody_declared_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people = read_people(table(tmp_path, "participant_id | sex", "1 | 1", "2 | 2", "3 | 1", "4 | F"))
    assert [people[f"sub-{i}"][None].sex for i in range(1, 5)] == ["n/a", "n/a", "n/a", "F"]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/participants.tsv: '1', '2' in column sex is neither F nor M; read as n/a."
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("participant_id | age", "1 | 50", "2 | 26,9"), r"participants\.tsv:3, column age: found '26,9'"),
        (("name | age", "1 | 50"), "found the columns name, age, expected a column participant_id"),
        (("participant_id | age", "- | 50"), "participants.tsv:2, column participant_id"),
        (("participant_id | age", "1 | 50 | 3"), "found 3 cells"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_people(table(tmp_path, *lines))


def test_a_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "participants.json").write_text("[1]")
    with pytest.raises(InputError, match=r"participants\.json: found no object"):
        read_people(table(tmp_path, "participant_id", "1"))


def test_an_empty_table_knows_nobody(tmp_path: Path) -> None:
    assert read_people(table(tmp_path, "participant_id | age")) == {}


HC_AT_1 = Person(Age(60.0), "F", "A", "HC")
PEOPLE = {
    "sub-1": {None: HC_AT_1, "ses-2": Person(Age(62.0), "n/a", None, "n/a")},
    "sub-2": {"ses-1": HC_AT_1, "ses-2": Person(Age(65.0), "F", "B", "MCI")},
    "sub-3": {"ses-1": HC_AT_1},
    "sub-A": {None: HC_AT_1},
    "sub-a": {None: Person(Age(30.0))},
    "sub-B": {None: HC_AT_1},
}


@pytest.mark.parametrize(
    ("participant", "session", "expected"),
    [
        ("sub-1", "ses-2", Person(Age(62.0), "F", "A", "HC")),  # at the session, the rest at inclusion
        ("sub-1", "ses-9", HC_AT_1),
        ("sub-1", None, HC_AT_1),
        ("sub-2", "ses-2", Person(Age(65.0), "F", "B", "MCI")),
        ("sub-2", "ses-9", Person(None, "F", None, "HC/MCI")),  # no age of another session
        ("sub-2", None, Person(None, "F", None, "HC/MCI")),
        ("sub-3", None, HC_AT_1),  # there is no other
        ("sub-3", "ses-2", Person(None, "F", "A", "HC")),
        ("sub-a", None, Person(Age(30.0))),
        ("sub-b", None, HC_AT_1),  # another case, and only one it can be
        ("sub-9", None, Person()),
    ],
)
def test_who_is_found(participant: str, session: str | None, expected: Person) -> None:
    assert find_person(PEOPLE, participant, session) == expected


def test_two_that_differ_by_case_are_not_guessed() -> None:
    assert find_person({"sub-Ab": {None: HC_AT_1}, "sub-aB": {None: HC_AT_1}}, "sub-ab", None) == Person()


def test_what_a_scan_says_is_kept() -> None:
    scan = Scan("sub-1", "sub-1", Path("a.nii"), age=70.0, site="X")
    described = describe(scan, Person(Age(89.0, censored=True), "F", "A", "HC"))
    assert (described.age, described.age_censored) == (70.0, False)
    assert (described.sex, described.site, described.group) == ("F", "X", "HC")
    assert describe(Scan("k", "p", Path("a")), Person(Age(89.0, censored=True))).age_censored
