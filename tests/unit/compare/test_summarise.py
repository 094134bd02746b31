from __future__ import annotations

import numpy as np
import pytest

from brainclock.compare.summarise import SEED_SD, compare_rivals, person_errors, strata, summarise
from brainclock.compare.tables import PairedTest, Prediction, Summary, read_rows, write_rows
from brainclock.errors import InputError


def predictions(
    shifts: dict[str, float], people: int = 30, seeds: tuple[int, ...] = (1, 2), **cells
) -> list[Prediction]:
    """Each rival errs by its shift, and by noise that depends on person, rival and seed."""
    rng = np.random.default_rng(0)
    found = []
    for rival, shift in shifts.items():
        for seed in seeds:
            for person in range(people):
                age = 20.0 + 2 * person
                about = {
                    "rival": rival, "condition": "base", "scheme": "folds", "part": str(person % 3 + 1),
                    "repeat": 1, "seed": seed, "training_people": 20, "key": f"sub-{person}",
                    "participant_id": f"sub-{person}", "site": "here", "sex": "F", "age": age,
                    "predicted_age": age + shift + rng.normal(), "counts": True,
                }  # fmt: skip
                found.append(Prediction(**(about | cells)))
    return found


def of(rows, **cells):
    return [row for row in rows if all(getattr(row, name) == value for name, value in cells.items())]


def test_errors_are_averaged_over_seeds_for_each_person_first():
    rows = predictions({"l1": 3.0})
    errors = person_errors(rows)
    expected = np.mean([abs(row.predicted_age - row.age) for row in of(rows, participant_id="sub-7")])
    assert errors["sub-7"] == pytest.approx(expected)
    assert len(errors) == 30


def test_a_second_scan_does_not_count():
    rows = predictions({"l1": 1.0}) + predictions({"l1": 50.0}, counts=False)
    (mae,) = of(summarise(rows, resamples=100), measure="mae")
    assert mae.value < 2.5
    assert mae.people == 30


def test_seeds_do_not_make_an_interval_narrower_as_if_they_were_people():
    noise = np.random.default_rng(3).normal(0, 4, 30)

    def rows(seeds: tuple[int, ...]) -> list[Prediction]:
        made = predictions({"l1": 0.0}, seeds=seeds)
        return [
            Prediction(**{name: getattr(row, name) for name in Prediction.__slots__} | {
                "predicted_age": row.age + noise[int(row.participant_id[4:])]
            })
            for row in made
        ]  # fmt: skip

    one, many = (of(summarise(rows(seeds)), measure="mae")[0] for seeds in ((1,), (1, 2, 3, 4)))
    assert many.value == pytest.approx(one.value)
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.1)
    (spread,) = of(summarise(rows((1, 2)), resamples=100), measure=SEED_SD)
    assert spread.value == pytest.approx(0.0)


def test_a_better_rival_is_found_and_equal_ones_are_not():
    tests = compare_rivals(predictions({"rnc-ridge": 0.0, "l1": 4.0, "mse": 0.0}), "rnc-ridge")
    assert {test.rival for test in tests} == {"l1", "mse"}
    (l1,), (mse,) = of(tests, rival="l1"), of(tests, rival="mse")
    assert l1.difference < -2
    assert l1.p_wilcoxon_holm < 0.001
    assert l1.high < 0
    assert mse.p_wilcoxon_holm > 0.05
    assert l1.p_wilcoxon_holm == pytest.approx(2 * l1.p_wilcoxon)


def test_only_people_whom_both_were_asked_are_compared():
    rows = predictions({"rnc-ridge": 0.0}) + predictions({"l1": 1.0}, people=12)
    (test,) = compare_rivals(rows, "rnc-ridge")
    assert test.people == 12


def test_sites_and_conditions_are_apart():
    rows = predictions({"rnc-ridge": 0.0, "l1": 1.0}) + predictions(
        {"rnc-ridge": 0.0, "l1": -5.0}, scheme="site", part="there"
    )
    rows += predictions({"l1": 9.0}, condition="people=40")
    assert list(strata(rows)) == [
        ("folds", "all", "base"),
        ("site", "there", "base"),
        ("folds", "all", "people=40"),
    ]
    means = {
        (row.site, row.condition): row.value
        for row in of(summarise(rows, resamples=100), rival="l1", measure="mae")
    }
    assert means["all", "base"] < 2 < means["there", "base"] < 7 < means["all", "people=40"]
    assert [test.site for test in compare_rivals(rows, "rnc-ridge")] == ["all", "there"]


def test_tables_are_read_as_they_were_written(tmp_path):
    rows = predictions({"l1": 1.0}, people=3)
    tests = compare_rivals(predictions({"rnc-ridge": 0.0, "l1": 4.0}, people=4), "rnc-ridge")
    for name, kind, table in (("predictions", Prediction, rows), ("tests", PairedTest, tests)):
        write_rows(tmp_path / f"{name}.tsv", kind, table)
        assert repr(read_rows(tmp_path / f"{name}.tsv", kind)) == repr(table)
        assert (tmp_path / f"{name}.json").is_file()


def test_other_tables_are_refused(tmp_path):
    write_rows(tmp_path / "a.tsv", Prediction, predictions({"l1": 1.0}, people=3))
    with pytest.raises(InputError, match="expected the columns scheme"):
        read_rows(tmp_path / "a.tsv", Summary)
    text = (tmp_path / "a.tsv").read_text().replace("\t1\t20\t", "\tone\t20\t", 1)
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(InputError, match=r"a\.tsv:2, column seed"):
        read_rows(tmp_path / "a.tsv", Prediction)
