"""The curves of ageing, and what is drawn from them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from brainclock.errors import ConfigError, InputError
from brainclock.simulate.people import draw_person, visit
from brainclock.simulate.settings import CohortSettings, load_cohort_settings
from brainclock.simulate.trajectories import AGES, load_trajectories

PATIENTS = CohortSettings.model_validate({"ad": {"share": 0.4}, "pd": {"share": 0.4}})


def test_curves_pass_through_the_table_and_are_monotone_between() -> None:
    for one in load_trajectories().structures:
        at_knots = [math.exp(one.log_factor(age)) for age in AGES]
        np.testing.assert_allclose(at_knots, one.factor, rtol=1e-9)
        for low, high in itertools.pairwise(AGES):
            inside = [one.log_factor(age) for age in np.linspace(low, high, 7)]
            steps = np.diff(inside)
            assert (steps >= -1e-12).all() or (steps <= 1e-12).all(), one.name


def test_codes_are_unique_and_every_muse_code_has_one_structure() -> None:
    table = load_trajectories()
    codes = [code for one in table.structures for code in one.codes]
    assert len(codes) == len(set(codes)) == len(table.names())
    muse = [code for one in table.structures for side in one.muse for code in side]
    assert len(muse) == len(set(muse))


def test_old_brains_have_large_ventricles_and_little_cortex() -> None:
    table = load_trajectories()
    assert table.structure("lateral_ventricle").log_factor(80.0) > math.log(2.5)
    assert table.structure("cortex_frontal").log_factor(80.0) < math.log(0.8)
    assert abs(table.structure("fourth_ventricle").log_factor(80.0)) < 0.1


def test_disease_is_linear_in_severity_between_and_beyond_its_knots() -> None:
    hippocampus = load_trajectories().structure("hippocampus")
    knots = load_trajectories().disease.ad
    assert hippocampus.log_disease("ad", 0.0, knots) == 0
    assert hippocampus.log_disease("ad", 0.35, knots) == pytest.approx(math.log(0.89))
    assert hippocampus.log_disease("ad", 0.175, knots) == pytest.approx(math.log(0.89) / 2)
    assert hippocampus.log_disease("ad", 1.2, knots) < hippocampus.log_disease("ad", 1.0, knots)


def test_a_person_depends_on_seed_and_number_alone() -> None:
    assert draw_person(7, PATIENTS, 1) == draw_person(7, PATIENTS, 1)
    assert draw_person(7, PATIENTS, 1) != draw_person(7, PATIENTS, 2)
    assert draw_person(7, PATIENTS, 1) != draw_person(8, PATIENTS, 1)


def test_groups_gaps_and_sexes_come_out_as_they_were_asked_for() -> None:
    people = [draw_person(index, PATIENTS, 3) for index in range(1, 1001)]
    shares = {group: np.mean([one.group == group for one in people]) for group in ("HC", "AD", "PD")}
    assert shares["AD"] == pytest.approx(0.4, abs=0.05)
    assert shares["HC"] == pytest.approx(0.2, abs=0.05)
    gaps = np.array([one.brain_age_gap for one in people])
    assert abs(gaps.mean()) < 0.4
    assert gaps.std() == pytest.approx(3.5, abs=0.3)
    assert np.mean([one.sex == "F" for one in people]) == pytest.approx(0.5, abs=0.05)
    ages = [one.age for one in people if one.group == "AD"]
    assert min(ages) >= 55
    assert max(ages) <= 90


def test_volumes_spread_as_the_table_says_gap_included() -> None:
    settings = CohortSettings(ages=(50.0, 50.0))
    hippocampus = load_trajectories().structure("hippocampus")
    drawn = [
        visit(draw_person(i, settings, 5), 0.0, settings).factors[hippocampus.codes[0]] for i in range(800)
    ]
    assert np.std(np.log(drawn)) == pytest.approx(hippocampus.log_spread(50.0), rel=0.12)
    assert np.mean(np.log(drawn)) == pytest.approx(hippocampus.log_factor(50.0), abs=0.01)


def test_scores_follow_severity_and_atrophy_stays_away_in_a_null_cohort() -> None:
    ill = CohortSettings.model_validate({"ad": {"share": 1.0}})
    null = CohortSettings.model_validate({"ad": {"share": 1.0}, "null": True})
    code = load_trajectories().structure("hippocampus").codes[0]
    severity, mmse, change, change_null = [], [], [], []
    for index in range(200):
        person = draw_person(index, ill, 2)
        now, without = visit(person, 0.0, ill), visit(person, 0.0, null)
        severity.append(now.severity)
        mmse.append(now.scores["mmse"])
        change.append(now.injected[code])
        change_null.append(without.injected[code])
        assert without.scores == now.scores
    assert np.corrcoef(severity, mmse)[0, 1] < -0.6
    assert np.corrcoef(severity, change)[0, 1] < -0.6
    assert abs(np.corrcoef(severity, change_null)[0, 1]) < 0.2


def test_brains_age_between_visits_at_the_same_gap() -> None:
    settings = CohortSettings(ages=(40.0, 80.0))
    person = draw_person(1, settings, 1)
    first, later = visit(person, 0.0, settings), visit(person, 5.0, settings)
    assert later.brain_age - first.brain_age == pytest.approx(5)
    code = load_trajectories().structure("lateral_ventricle").codes[0]
    assert later.factors[code] > first.factors[code]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("ages=[5, 90]", "18 to 95"),
        ("ages=[60, 50]", "range of ages"),
        ("change.hipocampus=0.8", "no structure"),
        ("change.hippocampus=0.01", "0.3 and 3"),
        ("gap=3", "gap is not a setting"),
        ("ad.share=1.5", "ad.share"),
        ("ad.severity=[0.5, 2]", "severity"),
        ("anatomy_mm=3", "anatomy_mm"),
    ],
)
def test_impossible_settings_are_refused_by_name(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")) as refusal:
        load_cohort_settings(None, [override])
    assert "docs/simulating.md" in str(refusal.value)


def test_shares_of_more_than_everybody_are_refused() -> None:
    with pytest.raises(ConfigError, match="more than 1"):
        load_cohort_settings(None, ["ad.share=0.7", "pd.share=0.7"])
    with pytest.raises(InputError, match="no '='"):
        load_cohort_settings(None, ["ad.share"])
