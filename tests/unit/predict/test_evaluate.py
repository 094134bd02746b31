from dataclasses import replace

import numpy as np
import pytest

from brainclock.config import RunSettings
from brainclock.errors import InputError
from brainclock.model.card import Cohort, ModelCard
from brainclock.predict.evaluate import (
    FEWEST,
    TrainingAges,
    evaluate,
    metric_rows,
    training_ages,
)
from brainclock.predict.observation import AgeInterval, Observation
from brainclock.stats.conformal import coverage
from brainclock.stats.metrics import METRICS


def _people(number: int, seed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    ages = rng.uniform(20, 80, number)
    return [
        Observation(f"sub-{i}", float(age + rng.normal(1, 5)), float(age), "FM"[i % 2], f"s{i % 3}")
        for i, age in enumerate(ages)
    ]


def test_scans_of_a_person_are_averaged_before_anything_else() -> None:
    a, b, c = (Observation(f"sub-{n}", 50.0, 48.0) for n in "abc")
    scans = [a, replace(a, predicted_age=40.0, age=50.0), b, c]
    everyone = evaluate(scans, resamples=100).all
    assert (everyone.people, everyone.scans) == (3, 4)
    # the person's mean: predicted 45, age 49, error 4; the others 2 and 2
    assert everyone.estimates["mae"].value == pytest.approx(8 / 3)
    by_scan = evaluate(scans, unit="scan", resamples=100).all
    assert by_scan.estimates["mae"].value == pytest.approx((2 + 10 + 2 + 2) / 4)
    assert by_scan.people == 3


def test_strata_part_the_people() -> None:
    evaluation = evaluate(_people(90), resamples=100)
    assert evaluation.strata[0].by == "all"
    for by in ("decade", "sex", "site"):
        assert sum(s.people for s in evaluation.strata if s.by == by) == 90
    decades = [s.level for s in evaluation.strata if s.by == "decade"]
    assert decades == ["20", "30", "40", "50", "60", "70"]


def test_weighted_mean_of_the_strata_is_the_whole() -> None:
    evaluation = evaluate(_people(90), resamples=100)
    sites = [s for s in evaluation.strata if s.by == "site"]
    mean = sum(s.people * s.estimates["mae"].value for s in sites) / 90
    assert mean == pytest.approx(evaluation.all.estimates["mae"].value)


def test_a_sex_or_site_that_all_share_is_no_stratum() -> None:
    people = [replace(o, sex="n/a", site="n/a") for o in _people(20)]
    assert {s.by for s in evaluate(people, resamples=100).strata} == {"all", "decade"}


def test_a_stratum_does_not_depend_on_the_others() -> None:
    people = _people(60)
    whole = evaluate(people, resamples=200)
    alone = evaluate([o for o in people if o.site != "s2"], resamples=200)
    for site in ("s0", "s1"):
        (one,) = (s for s in whole.strata if (s.by, s.level) == ("site", site))
        (two,) = (s for s in alone.strata if (s.by, s.level) == ("site", site))
        assert one == two


def test_a_stratum_of_few_people_is_counted_not_measured() -> None:
    people = [*_people(90), Observation("sub-old", 80.0, 95.0, "F", "s0")]
    evaluation = evaluate(people, resamples=100)
    (old,) = (s for s in evaluation.strata if s.level == "90")
    assert old.people == 1
    assert old.people < FEWEST
    assert old.estimates == {}
    assert any("By decade, 1 with fewer than 3 people" in note for note in evaluation.notes)


def test_training_ages_add_their_metrics() -> None:
    people = _people(30)
    without = evaluate(people, resamples=100).all.estimates
    assert not {"r2_training_mean", "naive_mae_training_median"} & set(without)
    trained = evaluate(people, training_ages=TrainingAges(45.0, 44.0), resamples=100).all.estimates
    assert list(trained) == list(METRICS)


def test_intervals_cover_the_estimate_of_many_people() -> None:
    for name, estimate in evaluate(_people(200), resamples=500).all.estimates.items():
        if name not in {"macro_mae", "naive_mae_training_median", "r2_training_mean"}:
            assert estimate.low < estimate.value < estimate.high, name


def test_too_few_people_are_refused() -> None:
    with pytest.raises(InputError, match="found 2 people, expected 3 or more"):
        evaluate(_people(2))
    one = [replace(o, person="sub-1", sex="F") for o in _people(10)]
    with pytest.raises(InputError, match="found 1 people"):
        evaluate(one, unit="scan")


def test_one_id_with_two_sexes_is_refused() -> None:
    people = _people(10)
    with pytest.raises(InputError, match=r"Participant sub-0, column sex: found F and M"):
        evaluate([*people, replace(people[0], sex="M")])


def test_corrected_predictions_in_disguise_are_noted() -> None:
    people = _people(100)
    age = np.array([o.age for o in people])
    gap = np.array([o.predicted_age for o in people]) - age
    slope, intercept = np.polyfit(age, gap, 1)
    corrected = [replace(o, predicted_age=o.predicted_age - intercept - slope * o.age) for o in people]
    assert any("not correlated with age at all" in note for note in evaluate(corrected, resamples=100).notes)
    assert not any("not correlated" in note for note in evaluate(people, resamples=100).notes)


def test_the_tidy_table_has_every_number_once() -> None:
    evaluation = evaluate([*_people(30), Observation("sub-old", 80.0, 95.0, "F", "s0")], resamples=100)
    rows = metric_rows(evaluation)
    places = [(row["by"], row["level"], row["metric"]) for row in rows]
    assert len(set(places)) == len(places)
    (mae,) = (row for row in rows if (row["by"], row["metric"]) == ("all", "mae"))
    assert mae["value"] == evaluation.all.estimates["mae"].value
    assert ("decade", "90", None) in places


def test_training_ages_come_from_the_decades_of_all_cohorts() -> None:
    def cohort(**ages_by_decade: int) -> Cohort:
        decades = {name.removeprefix("d"): number for name, number in ages_by_decade.items()}
        return Cohort(
            name="c",
            scans=1,
            participants=1,
            age_range=(20.0, 80.0),
            sex={},
            ages_by_decade=decades,
        )

    card = ModelCard(name="m", settings=RunSettings(), cohorts=(cohort(d20=3, d70=1), cohort(d20=1, d30=3)))
    ages = training_ages(card)
    assert ages.mean == pytest.approx((4 * 25 + 3 * 35 + 75) / 8)
    assert ages.median == pytest.approx(30)
    assert training_ages(card.model_copy(update={"cohorts": (cohort(d40=7),)})) == TrainingAges(45.0, 45.0)


def _with_intervals(number: int, reach: float = 8.0, level: float | None = 0.9) -> list[Observation]:
    return [
        replace(o, interval=AgeInterval(o.predicted_age - reach, o.predicted_age + reach, level))
        for o in _people(number)
    ]


def test_coverage_is_counted_in_each_stratum() -> None:
    people = _with_intervals(90)
    evaluation = evaluate(people, resamples=100)
    assert evaluation.nominal == 0.9
    for stratum in evaluation.strata:
        own = {
            "all": people,
            "sex": [o for o in people if o.sex == stratum.level],
            "site": [o for o in people if o.site == stratum.level],
            "decade": [o for o in people if f"{o.age // 10 * 10:.0f}" == stratum.level],
        }[stratum.by]
        found = stratum.estimates["coverage"]
        inside = sum(abs(o.predicted_age - o.age) <= 8 for o in own)
        assert (found.value, found.low, found.high) == pytest.approx(coverage(inside, len(own)))
        assert stratum.estimates["interval_width"].value == pytest.approx(16)
    rows = metric_rows(evaluation)
    assert [row["unit"] for row in rows if row["metric"] == "coverage"] == ["1"] * len(evaluation.strata)


def test_intervals_that_do_not_fit_are_said_aloud() -> None:
    *_, note = evaluate(_with_intervals(90, reach=3.0), resamples=100).notes
    assert note.startswith("The 90 % intervals hold the age of ")
    assert "calibrate" in note
    assert not any("intervals hold" in note for note in evaluate(_with_intervals(90), resamples=100).notes)


def test_the_scans_of_a_person_have_one_interval() -> None:
    first, second, *others = _with_intervals(30)
    twice = [replace(first, person="sub-x", sex="F"), replace(second, person="sub-x", sex="F"), *others]
    evaluation = evaluate(twice, resamples=100)
    (x,) = (o for o in evaluation.observations if o.person == "sub-x")
    assert x.interval is not None
    assert x.interval.low == pytest.approx(x.predicted_age - 8)
    by_scan = evaluate(twice, unit="scan", resamples=100).all.estimates["coverage"]
    assert np.isnan(by_scan.low)  # scans of one person are no independent draws
    lacking = [replace(twice[0], interval=None), *twice[1:]]
    found = evaluate(lacking, resamples=100)
    assert any(note.startswith("1 of 29 have no interval") for note in found.notes)


def test_levels_are_not_mixed_and_may_be_unknown() -> None:
    mixed = [*_with_intervals(10), *_with_intervals(10, level=0.8)]
    with pytest.raises(InputError, match=r"several levels \(0.8, 0.9\)"):
        evaluate(mixed, resamples=100)
    unknown = evaluate(_with_intervals(30, level=None), resamples=100)
    assert unknown.nominal is None
    assert any("does not say of which level" in note for note in unknown.notes)
