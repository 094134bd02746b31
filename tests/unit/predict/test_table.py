import json
from dataclasses import replace
from pathlib import Path

import pytest

from brainclock.io.scan import Scan
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.flags import FLAGS
from brainclock.predict.table import COLUMNS, data_dictionary, prediction_columns, prediction_row

SCAN = Scan("sub-01_ses-2", "sub-01", Path("ds/sub-01_T1w.nii.gz"), "ses-2", age=40.25, sex="F", site="A")
GOOD = BrainAge(44.12345, "ok", None, ("given_mask",), {"coverage": 0.99123456789}, "m@12", "abc")
BAD = BrainAge(None, "failed", "brain_volume: 12 ml", (), {"brain_volume_ml": 12.0}, "m@12", "abc")


def test_gap_is_the_difference_of_the_written_ages() -> None:
    row = prediction_row(SCAN, GOOD)
    assert (row["predicted_age"], row["age"], row["brain_age_gap"]) == ("44.123", "40.25", "3.873")


@pytest.mark.parametrize("age", [20.0, 100.0, 40.5, 0.0])
def test_ages_are_written_without_idle_zeros(age: float) -> None:
    text = prediction_row(replace(SCAN, age=age), GOOD)["age"]
    assert float(str(text)) == age
    assert len(str(text)) <= 4


def test_a_failed_scan_has_no_number_but_its_reason_and_figures() -> None:
    row = prediction_row(SCAN, BAD)
    assert row["predicted_age"] is row["brain_age_gap"] is None
    assert (row["status"], row["reason"], row["q_brain_volume_ml"]) == ("failed", "brain_volume: 12 ml", "12")


def test_no_gap_without_an_exact_age() -> None:
    assert prediction_row(replace(SCAN, age=None), GOOD)["brain_age_gap"] is None
    censored = prediction_row(replace(SCAN, age=89.0, age_censored=True), GOOD)
    assert (censored["age"], censored["age_censored"], censored["brain_age_gap"]) == ("89", "true", None)


def test_flags_of_the_scan_and_of_the_age_stand_together() -> None:
    assert prediction_row(SCAN, GOOD, ["age_outside_training_ages"])["flags"] == (
        "given_mask,age_outside_training_ages"
    )
    assert prediction_row(SCAN, BAD)["flags"] is None


def test_every_column_is_described() -> None:
    columns = prediction_columns([*GOOD.quality, *BAD.quality, *BAD.quality])
    assert columns == [*COLUMNS, "q_brain_volume_ml", "q_coverage"]
    described = data_dictionary(columns)
    assert list(described) == columns
    assert all(described[name]["Description"] for name in columns)
    for name in ("predicted_age", "age", "brain_age_gap"):
        assert described[name]["Units"] == "years"
    assert described["q_brain_volume_ml"]["Units"] == "ml"
    assert described["flags"]["Levels"] == FLAGS


def test_a_result_survives_json() -> None:
    for result in (GOOD, BAD):
        assert BrainAge.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def test_a_result_reads_as_a_sentence() -> None:
    assert str(GOOD) == "44.1 years"
    assert str(BAD) == "no age: brain_volume: 12 ml"
