from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.predict.observation import AgeInterval, Observation
from brainclock.predict.observations import read_observations


def _write(folder: Path, text: str, name: str = "predictions.tsv") -> Path:
    path = folder / name
    path.write_text(text.replace("|", "\t"))
    return path


def test_every_row_has_a_fate_and_all_are_counted(tmp_path: Path) -> None:
    table = _write(
        tmp_path,
        "participant_id|predicted_age|age|age_censored|status|sex|site\n"
        "sub-1|41.5|40|false|ok|F|A\n"
        "sub-2|n/a|50|false|failed|M|A\n"
        "sub-3|33|n/a|n/a|ok|M|A\n"
        "sub-4|88|89|true|ok|M|A\n"
        "sub-5|88|89+|n/a|ok|M|A\n"
        "sub-6|12|50|false|failed|M|n/a\n"
        "07|60|61|false|ok|n/a|n/a\n",
    )
    observations, counts = read_observations(table)
    assert observations == [
        Observation("sub-1@A", 41.5, 40.0, "F", "A"),
        Observation("sub-07", 60.0, 61.0),
    ]
    assert counts == {"rows": 7, "failed": 2, "without_age": 1, "censored_age": 2, "used": 2}


def test_anybodys_table_needs_two_columns(tmp_path: Path) -> None:
    table = _write(tmp_path, "Predicted_Age,AGE\n40,41\n50,52\n", "theirs.csv")
    observations, counts = read_observations(table)
    assert [(o.predicted_age, o.age) for o in observations] == [(40, 41), (50, 52)]
    assert len({o.person for o in observations}) == 2
    assert counts["used"] == 2


def test_ages_of_a_table_count_instead(tmp_path: Path) -> None:
    table = _write(
        tmp_path,
        "participant_id|session_id|predicted_age|age|site\n"
        "sub-1|ses-1|40|99|A\nsub-1|ses-2|42|99|A\nsub-2|n/a|50|99|B\nsub-3|n/a|60|99|B\n",
    )
    ages = _write(
        tmp_path,
        "participant_id|session_id|age|sex\n1|1|41|f\n1|2|43|f\n2|n/a|52|m\n",
        "ages.tsv",
    )
    observations, counts = read_observations(table, ages)
    assert [(o.person, o.age, o.sex) for o in observations] == [
        ("sub-1@A", 41, "F"),
        ("sub-1@A", 43, "F"),
        ("sub-2@B", 52, "M"),
    ]
    assert counts["without_age"] == 1


def test_months_declared_beside_the_table_become_years(tmp_path: Path) -> None:
    table = _write(tmp_path, "participant_id|predicted_age|age\nsub-1|10|126\n")
    (tmp_path / "predictions.json").write_text('{"age": {"Units": "months"}}')
    assert read_observations(table)[0][0].age == pytest.approx(10.5)


@pytest.mark.parametrize("name", ["corrected_predicted_age", "predicted_age_corrected", "adjusted_age"])
def test_corrected_columns_are_refused(tmp_path: Path, name: str) -> None:
    table = _write(tmp_path, f"{name}|age\n40|41\n")
    with pytest.raises(InputError, match=rf"corrected column {name}, expected raw predicted ages"):
        read_observations(table)
    with pytest.raises(InputError, match="corrected column"):
        read_observations(table, column=name)


def test_a_corrected_column_beside_the_raw_one_is_left_alone(tmp_path: Path) -> None:
    table = _write(tmp_path, "predicted_age|corrected_brain_age_gap|age\n40|0|41\n")
    assert read_observations(table)[0][0].predicted_age == 40


def test_another_column_can_be_named(tmp_path: Path) -> None:
    table = _write(tmp_path, "brain_age|age\n40|41\n")
    assert read_observations(table, column="brain_age")[0][0].predicted_age == 40
    with pytest.raises(InputError, match=r"expected a column predicted_age\. Name the column with --column"):
        read_observations(table)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("predicted_age|age\n", "found no rows"),
        ("predicted_age|years\n40|41\n", "expected a column age. Name a table with --ages"),
        (
            "predicted_age|age\n26,9|27\n",
            "predictions.tsv:2, column predicted_age.*Write a decimal point: 26.9",
        ),
        ("predicted_age|age\nold|27\n", "'old', expected years such as 63.5"),
        ("predicted_age|age\ninf|27\n", "expected a finite number"),
        ("predicted_age|age\n26|two\n", "column age.*'two'"),
        ("predicted_age|age|model\n26|27|a\n26|27|b\n", "predictions of 2 models .a, b."),
        ("predicted_age|age|key\n26|27|k\n26|27|k\n", "the scan k 2 times"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_observations(_write(tmp_path, text))


def test_ages_are_looked_up_by_participant(tmp_path: Path) -> None:
    table = _write(tmp_path, "predicted_age\n40\n")
    ages = _write(tmp_path, "participant_id|age\nsub-1|41\n", "ages.tsv")
    with pytest.raises(InputError, match="no column participant_id"):
        read_observations(table, ages)


def test_intervals_and_chances_are_read(tmp_path: Path) -> None:
    table = _write(
        tmp_path,
        "predicted_age|age|predicted_age_low|predicted_age_high|interval_level|older_than|probability_older\n"
        "40|41.0004|32|48|0.8|41|0.45\n50|52|n/a|n/a|n/a|52|n/a\n60|61|52|68|0.8|50|0.99\n",
    )
    (one, two, three), _ = read_observations(table)
    assert one.interval == AgeInterval(32.0, 48.0, 0.8)
    assert (one.chance, two.interval, two.chance) == (0.45, None, None)
    assert three.chance is None  # of another age than the own
    theirs = _write(tmp_path, "theirs|age|predicted_age_low|predicted_age_high\n40|41|32|48\n", "t.tsv")
    assert read_observations(theirs, column="theirs")[0][0].interval is None


@pytest.mark.parametrize(("cells", "word"), [("48|32", "from 48 to 32"), ("low|48", "'low'")])
def test_what_is_no_interval_is_refused(tmp_path: Path, cells: str, word: str) -> None:
    table = _write(tmp_path, f"predicted_age|age|predicted_age_low|predicted_age_high\n40|41|{cells}\n")
    with pytest.raises(InputError, match=word):
        read_observations(table)
