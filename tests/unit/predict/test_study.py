"""Joining predictions with a table of people, BIDS, ADNI and PPMI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.predict.study import read_study


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join("\t".join(line.split(" ")) for line in lines) + "\n")
    return path


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write(
        tmp_path / "predictions.tsv",
        "participant_id session_id predicted_age status quality_brain_volume_ml",
        "sub-02 n/a 71.5 ok 1200",
        "sub-01 n/a 60 ok 1300",
        "sub-01 n/a 62 ok 1300",
        "sub-03 n/a n/a failed n/a",
        "sub-04 n/a 80 ok 1100",
        "sub-99 n/a 80 ok 1100",
    )


@pytest.fixture
def participants(tmp_path: Path) -> Path:
    return write(
        tmp_path / "participants.tsv",
        "participant_id age sex site group mmse education handed",
        "01 59.5 female A HC 30 12 r",
        "02 70 M B AD 21 n/a l",
        "03 66 M B AD 20 9 r",
        "04 89+ F A HC 29 9 r",
    )


def test_people_are_joined_by_name_not_by_order(predictions: Path, participants: Path) -> None:
    names = ["mmse", "education", "handed", "quality_brain_volume_ml", "age", "sex"]
    read = read_study(predictions, participants, variables=names)
    study = read.study
    assert study.people == ("sub-02", "sub-01")
    assert study.predicted_age.tolist() == [71.5, 61]
    assert study.age.tolist() == [70, 59.5]
    assert study.group == ("AD", "HC")
    assert study.categories == {"sex": ("M", "F"), "site": ("B", "A"), "handed": ("l", "r")}
    np.testing.assert_array_equal(study.numbers["education"], [np.nan, 12])
    np.testing.assert_array_equal(study.numbers["quality_brain_volume_ml"], [1200, 1300])
    assert read.problems == {}


def test_every_row_has_its_fate(predictions: Path, participants: Path) -> None:
    counts = read_study(predictions, participants).counts
    assert counts == {
        "rows": 6,
        "failed": 1,
        "not_in_the_table": 1,
        "without_age": 0,
        "censored_age": 1,
        "later_visits": 0,
        "same_visit": 1,
        "people": 2,
    }


def test_a_score_that_is_no_number_is_a_problem_of_its_own(predictions: Path, tmp_path: Path) -> None:
    participants = write(
        tmp_path / "p.tsv",
        "participant_id age group mmse cdr",
        "01 59.5 HC 30 0,5",
        "02 70 AD 21 1",
    )
    read = read_study(predictions, participants, variables=["mmse", "cdr", "moca"])
    assert set(read.study.numbers) == {"mmse"}
    assert "p.tsv:2, column cdr" in read.problems["cdr"]
    assert "decimal point" in read.problems["cdr"]
    assert "no column moca" in read.problems["moca"]


def test_the_first_visit_counts_and_the_age_at_the_scan(tmp_path: Path) -> None:
    predictions = write(
        tmp_path / "predictions.tsv",
        "participant_id session_id predicted_age age",
        "sub-01 ses-2 66 64",
        "sub-01 ses-1 60 61",
        "sub-01 ses-1 62 61",
        "sub-01 ses-2 66 64",
    )
    participants = write(tmp_path / "participants.tsv", "participant_id age group", "sub-01 60 HC")
    read = read_study(predictions, participants)
    assert read.study.age.tolist() == [61]
    assert read.study.predicted_age.tolist() == [61]
    assert (read.counts["later_visits"], read.counts["same_visit"], read.counts["people"]) == (2, 1, 1)


def test_adni(tmp_path: Path) -> None:
    predictions = write(
        tmp_path / "predictions.tsv",
        "participant_id session_id predicted_age",
        "sub-ADNI002S0295 ses-M000 80",
        "sub-ADNI002S0295 ses-M006 82",
        "sub-ADNI011S0002 ses-M06 70",
    )
    table = tmp_path / "ADNIMERGE.csv"
    table.write_text(
        '"RID","PTID","VISCODE","SITE","DX_bl","AGE","PTGENDER","PTEDUCAT","CDRSB","MMSE","DX","Hippocampus",'
        '"WholeBrain","Years_bl"\n'
        '295,"002_S_0295","bl",2,"CN",74.3,"Male",16,0,29,"CN",7000,1100000,0\n'
        '295,"002_S_0295","m06",2,"CN",74.3,"Male",16,0.5,28,"MCI",6900,1090000,0.5\n'
        '2,"011_S_0002","m06",11,"AD",65,"Female",12,5,21,"Dementia",5500,950000,0.51\n'
    )
    study = read_study(predictions, table, variables=["MMSE", "CDRSB", "WholeBrain"], columns="adni").study
    assert study.people == ("sub-002s0295", "sub-011s0002")
    assert study.group == ("HC", "AD")
    assert study.age.tolist() == pytest.approx([74.3, 65.51])
    assert study.categories == {"sex": ("M", "F"), "site": ("2", "11")}
    assert study.numbers["CDRSB"].tolist() == [0, 5]


def test_ppmi(tmp_path: Path) -> None:
    predictions = write(
        tmp_path / "predictions.tsv",
        "participant_id session_id predicted_age",
        "sub-3001 ses-BL 63",
        "sub-PPMI3002 ses-V04 61",
    )
    participants = write(
        tmp_path / "curated.tsv",
        "PATNO SITE EVENT_ID COHORT age age_at_visit SEX EDUCYRS updrs3_score hy moca",
        "3001 10 BL 1 65 65.1 1 16 21 2 27",
        "3002 12 BL 2 60 60.2 0 14 1 0 29",
        "3002 12 V04 2 60 61.2 0 14 0 0 28",
    )
    study = read_study(predictions, participants, variables=["hy", "moca"], columns="ppmi").study
    assert study.group == ("PD", "HC")
    assert study.age.tolist() == [65.1, 61.2]
    assert study.categories["sex"] == ("M", "F")
    assert study.numbers["moca"].tolist() == [27, 28]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"group": "dx2"}, "a column dx2"),
        ({"column": "corrected_age"}, "raw"),
        ({"columns": "ukb"}, "one of bids, adni, ppmi"),
        ({"columns": "adni"}, "a column PTID"),
    ],
)
def test_what_cannot_be_joined_is_refused(
    predictions: Path, participants: Path, options: dict[str, str], word: str
) -> None:
    with pytest.raises(InputError, match=word):
        read_study(predictions, participants, **options)


def test_somebody_twice_in_the_table_is_refused(predictions: Path, tmp_path: Path) -> None:
    participants = write(tmp_path / "p.tsv", "participant_id age", "01 50", "sub-01 51")
    with pytest.raises(InputError, match="again, first in line 2"):
        read_study(predictions, participants)


def test_tables_of_other_people_are_refused(predictions: Path, tmp_path: Path) -> None:
    participants = write(tmp_path / "p.tsv", "participant_id age", "77 50")
    with pytest.raises(InputError, match="5 not in the table"):
        read_study(predictions, participants)
