"""The whole analysis on made-up studies: what is planted is found, what cannot be run says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.finding import ANALYSES, Finding
from brainclock.stats.gap import GapAnalysis, analyse_gap
from brainclock.stats.gap_groups import group_differences
from brainclock.stats.gap_severity import severity
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import Study, make_terms

PLAN = GapPlan(severity=("mmse", "cdr"), volumes=("brain_ml",), resamples=200)


def made_up(seed: int = 0, *, gap: float = 6.0, slope: float = 0.3, n: int = 240) -> Study:
    """HC, MCI, AD at three sites; the last older; MMSE falls and CDR rises with the planted gap."""
    rng = np.random.default_rng(seed)
    group = np.array(["HC"] * (n // 2) + ["MCI"] * (n // 4) + ["AD"] * (n - n // 2 - n // 4))
    age = np.clip(rng.normal(np.where(group == "AD", 76, 70), 7), 50, 95)
    sex, site = rng.choice(["F", "M"], n), rng.choice(["A", "B", "C"], n)
    ill = np.select([group == "AD", group == "MCI"], [gap, gap / 3], 0) * rng.uniform(0.3, 1.7, n)
    at_site = np.select([site == "A", site == "B"], [4.0, -2.0], 0)
    predicted = 20 + 0.7 * age + ill + at_site + rng.normal(0, 4, n)
    mmse = np.clip(np.round(30 - slope * 2 * ill - 0.05 * (age - 70) + rng.normal(0, 1.5, n)), 0, 30)
    cdr = np.digitize(slope * ill + rng.normal(0, 0.8, n), [1.0, 2.0, 3.0]) * 0.5
    volume = 1200 - 3 * (age - 70) - 12 * ill + 80 * (sex == "M") + rng.normal(0, 60, n)
    return Study(
        tuple(f"sub-{i:03d}" for i in range(n)),
        predicted,
        age,
        tuple(group.tolist()),
        {"mmse": mmse, "cdr": cdr, "brain_ml": volume},
        {"sex": tuple(sex.tolist()), "site": tuple(site.tolist())},
    )


def found(analysis: GapAnalysis, name: str, group: str, measure: str, **more: str) -> Finding:
    rows = [
        f
        for f in analysis.findings
        if (f.analysis, f.group, f.measure) == (name, group, measure)
        and all(getattr(f, key) == value for key, value in more.items())
    ]
    assert len(rows) == 1, [f for f in analysis.findings if f.analysis == name]
    return rows[0]


@pytest.fixture(scope="module")
def analysis() -> GapAnalysis:
    return analyse_gap(made_up(), PLAN)


def test_the_planted_difference_is_found(analysis: GapAnalysis) -> None:
    row = found(analysis, "group_difference", "AD − HC", "difference (years)")
    assert row.low < 6 < row.high
    assert row.covariates == "age, age², sex, site"
    assert row.note == "60 AD, 120 HC"
    assert row.p < 1e-6


def test_every_question_is_listed_and_nothing_failed(analysis: GapAnalysis) -> None:
    assert {finding.analysis for finding in analysis.findings} == set(ANALYSES)
    failed = [finding.note for finding in analysis.findings if not finding.run]
    assert len(failed) == 2  # a random effect of three sites, for each group of patients
    assert all("3 sites" in note for note in failed)
    assert analysis.groups == ("HC", "AD", "MCI")


def test_adjusted_means_differ_by_the_adjusted_difference(analysis: GapAnalysis) -> None:
    means = {g: found(analysis, "adjusted_mean", g, "adjusted mean (years)").value for g in analysis.groups}
    row = found(analysis, "group_difference", "AD − HC", "difference (years)")
    assert means["AD"] - means["HC"] == pytest.approx(row.value)


def test_severity_has_the_expected_sign_within_patients(analysis: GapAnalysis) -> None:
    row = found(analysis, "severity", "AD", "partial r", outcome="mmse", method="partial Spearman")
    assert row.note == "expected below 0"
    assert row.value < -0.3
    assert row.df == row.n - 2 - 4  # age, sex, two terms of site
    odds = found(analysis, "severity", "AD", "odds ratio per 5 years", outcome="cdr")
    assert odds.low > 1


def test_false_discovery_rates_count_every_p(analysis: GapAnalysis) -> None:
    p = np.array([finding.p for finding in analysis.findings])
    q = np.array([finding.q for finding in analysis.findings])
    known = np.isfinite(p)
    np.testing.assert_allclose(q[known], stats.false_discovery_control(p[known]))
    assert np.isnan(q[~known]).all()


def test_site_offsets_are_those_planted(analysis: GapAnalysis) -> None:
    for site, planted in (("A", 4 - 2 / 3), ("B", -2 - 2 / 3), ("C", -2 / 3)):
        row = found(analysis, "site_offset", site, "offset (years)")
        assert row.low < planted < row.high


def test_corrections_and_covariates_are_crossed(analysis: GapAnalysis) -> None:
    rows = [f for f in analysis.findings if f.analysis == "sensitivity" and f.group == "AD − HC" and f.run]
    assert len(rows) == 3 * 5 + 1
    by = {(f.outcome, f.covariates): f.value for f in rows}
    full = "age, age², sex, site"
    assert by["gap, raw", full] == pytest.approx(fit_alone(analysis.study), rel=1e-9)
    assert by["gap, raw", "age"] == pytest.approx(by["gap, de_lange", "age"], abs=0.2)
    assert by["gap, raw", ""] < by["gap, de_lange", ""] - 1  # patients are older: age bias hides the gap


def fit_alone(study: Study) -> float:
    pair = study.members("HC", "AD")
    few = Study(
        tuple(np.array(study.people)[pair]),
        study.predicted_age[pair],
        study.age[pair],
        tuple(np.array(study.group)[pair].tolist()),
        {},
        {name: tuple(np.array(values)[pair].tolist()) for name, values in study.categories.items()},
    )
    return group_differences(few, PLAN, ["AD"])[0].value


def test_the_same_study_gives_the_same_numbers() -> None:
    few = replace(PLAN, severity=("mmse",), resamples=100)
    first, second = (analyse_gap(made_up(n=80), few).findings for _ in range(2))
    assert repr(first) == repr(second)


def test_null_cohorts_have_uniform_p_values() -> None:
    plan = replace(PLAN, resamples=1, volumes=())
    by_group, by_score = [], []
    for seed in range(40):  # each statistic by itself: 500 cohorts in the tests of its file
        study = made_up(seed, gap=0, n=100)
        by_group.append(group_differences(study, plan, ["AD", "MCI"])[0].p)
        by_score.append(severity(study, plan, "HC", "mmse")[0][0].p)
    assert stats.kstest(by_group, "uniform").pvalue > 0.01
    assert stats.kstest(by_score, "uniform").pvalue > 0.01


def test_without_controls_severity_still_runs() -> None:
    analysis = analyse_gap(made_up(), replace(PLAN, controls="CN"))
    assert analysis.correction is None
    assert not found(analysis, "group_difference", "all − CN", "").run
    assert found(analysis, "severity", "AD", "partial r", outcome="mmse", method="partial Spearman").run


def test_a_group_of_one_does_not_stop_the_others() -> None:
    study = made_up()
    group = ("PD", *study.group[1:])
    analysis = analyse_gap(replace(study, group=group), PLAN)
    row = next(f for f in analysis.findings if f.group == "PD − HC" and f.analysis == "group_difference")
    assert not row.run
    assert "found 1 people of PD" in row.note or "0 people of PD" in row.note
    assert found(analysis, "group_difference", "AD − HC", "difference (years)").run


def test_collinear_covariates_are_named() -> None:
    study = made_up()
    study = replace(study, numbers={**study.numbers, "birth": 2026 - study.age})
    analysis = analyse_gap(study, replace(PLAN, covariates=("age", "birth")))
    assert any(not f.run and "birth determined by" in f.note for f in analysis.findings)
    assert found(analysis, "added_value", "AD − HC", "χ²").run


def test_people_of_one_age_are_compared_without_age() -> None:
    study = made_up()
    analysis = analyse_gap(replace(study, age=np.full(240, 70.0)), PLAN)
    assert found(analysis, "group_difference", "AD − HC", "difference (years)").covariates == "sex, site"
    assert analysis.correction is None


def test_missing_data_are_counted_and_left_out() -> None:
    study = made_up()
    mmse = study.numbers["mmse"].copy()
    mmse[-10:] = np.nan
    site = ("n/a",) * 5 + study.categories["site"][5:]
    study = replace(
        study, numbers={**study.numbers, "mmse": mmse}, categories={**study.categories, "site": site}
    )
    analysis = analyse_gap(study, PLAN)
    assert analysis.missing["mmse"] == {"AD": 10, "HC": 0, "MCI": 0}
    assert analysis.missing["site"] == {"AD": 0, "HC": 5, "MCI": 0}
    assert found(analysis, "severity", "AD", "partial r", outcome="mmse", method="partial Spearman").n == 50
    assert found(analysis, "group_difference", "AD − HC", "difference (years)").n == 235


def test_nobody_grouped_is_refused() -> None:
    with pytest.raises(InputError, match="nobody with a known group"):
        analyse_gap(replace(made_up(), group=("n/a",) * 240), PLAN)


def test_somebody_alone_at_a_site_is_left_out_and_counted() -> None:
    study = made_up()
    site = ("Z", *study.categories["site"][1:])
    study = replace(study, categories={**study.categories, "site": site})
    terms = make_terms(study, study.members("HC", "AD"), ("age", "site"))
    assert (terms.alone, terms.n) == (1, 179)
    assert not any("Z" in name for name in terms.names)


def test_covariates_that_are_not_there_are_left_out_and_said() -> None:
    analysis = analyse_gap(replace(made_up(), categories={}), replace(PLAN, volumes=()))
    assert "sex is not in the tables: it is no covariate." in analysis.notes
    assert found(analysis, "group_difference", "AD − HC", "difference (years)").covariates == "age, age²"
