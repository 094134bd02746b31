"""The whole analysis, with ties and missing values, against statsmodels and scipy on complete cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

from brainclock.stats.finding import Finding
from brainclock.stats.gap import GapAnalysis, analyse_gap
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import Study

MODEL = "gap ~ {group} age + I((age - age.mean())**2) + C(sex) + C(site) + education"
COVARIATES = ("age", "age²", "sex", "site", "education")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """300 people at six sites; whole years, whole scores; a tenth of each variable is unknown."""
    rng = np.random.default_rng(21)
    n = 300
    group = np.array(["HC", "HC", "AD", "MCI"])[np.arange(n) % 4]
    age = np.round(rng.normal(72, 7, n))
    gap = rng.normal(0, 4, n) + 0.2 * (72 - age) + np.select([group == "AD", group == "MCI"], [3.0, 1.0], 0.0)
    frame = pd.DataFrame(
        {
            "group": group,
            "age": age,
            "gap": np.round(gap * 2) / 2,
            "sex": rng.choice(["F", "M"], n),
            "site": rng.choice(list("ABCDEF"), n),
            "education": rng.integers(8, 20, n).astype(float),
            "mmse": np.clip(np.round(28 - 0.3 * gap - 3 * (group == "AD") + rng.normal(0, 2, n)), 0, 30),
            "brain": np.round(1100 - 4 * (age - 72) - 8 * gap + rng.normal(0, 60, n)),
        }
    )
    for name in ("education", "mmse", "brain"):
        frame.loc[rng.random(n) < 0.1, name] = np.nan
    for name in ("sex", "site"):
        frame.loc[rng.random(n) < 0.05, name] = None
    return frame


@pytest.fixture(scope="module")
def analysis(people: pd.DataFrame) -> GapAnalysis:
    age = people["age"].to_numpy()
    study = Study(
        tuple(f"sub-{i}" for i in range(len(people))),
        age + people["gap"].to_numpy(),
        age,
        tuple(people["group"]),
        {name: people[name].to_numpy() for name in ("education", "mmse", "brain")},
        {name: tuple(people[name].fillna("n/a")) for name in ("sex", "site")},
    )
    plan = GapPlan(severity=("mmse",), covariates=COVARIATES, volumes=("brain",), resamples=100)
    return analyse_gap(study, plan)


@pytest.fixture(scope="module")
def find(analysis: GapAnalysis) -> Callable[..., Finding]:
    def found(**wanted: str) -> Finding:
        rows = [f for f in analysis.findings if all(getattr(f, k) == v for k, v in wanted.items())]
        assert len(rows) == 1, rows
        assert rows[0].run, rows[0].note
        return rows[0]

    return found


def complete(people: pd.DataFrame, *groups: str) -> pd.DataFrame:
    own = people[people["group"].isin(groups)]
    return own.dropna(subset=["age", "sex", "site", "education"])


def same(ours: Finding, value: float, interval: tuple[float, float], p: float) -> None:
    assert ours.value == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert (ours.low, ours.high) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-9)
    assert ours.p == pytest.approx(p, rel=1e-6, abs=1e-12)


def test_differences_and_adjusted_means_are_those_of_least_squares(
    people: pd.DataFrame, find: Callable[..., Finding]
) -> None:
    frame = complete(people, "HC", "AD", "MCI")
    formula = MODEL.format(group="C(group, Treatment('HC')) +")
    theirs = smf.ols(formula, frame).fit(cov_type="HC3", use_t=True)
    for group in ("AD", "MCI"):
        name = f"C(group, Treatment('HC'))[T.{group}]"
        row = find(analysis="group_difference", group=f"{group} − HC", measure="difference (years)")
        same(row, theirs.params[name], tuple(theirs.conf_int().loc[name]), theirs.pvalues[name])
        assert (row.n, row.df) == (len(frame), theirs.df_resid)
    design = pd.DataFrame(theirs.model.exog, columns=theirs.model.exog_names)
    mean = design.mean()
    for group in ("HC", "AD", "MCI"):
        at = mean.copy()
        for other in ("AD", "MCI"):
            at[f"C(group, Treatment('HC'))[T.{other}]"] = float(other == group)
        test = theirs.t_test(at.to_numpy())
        row = find(analysis="adjusted_mean", group=group)
        assert row.value == pytest.approx(float(np.squeeze(test.effect)), rel=1e-6)
        assert (row.low, row.high) == pytest.approx(tuple(test.conf_int()[0]), rel=1e-6)


def test_ranks_are_compared_as_by_scipy(people: pd.DataFrame, find: Callable[..., Finding]) -> None:
    frame = complete(people, "HC", "AD")
    left = smf.ols(MODEL.format(group=""), frame).fit().resid
    ill = frame["group"] == "AD"
    theirs = stats.mannwhitneyu(left[ill], left[~ill], method="asymptotic")
    row = find(analysis="group_difference", group="AD − HC", measure="P(AD > HC)")
    assert row.value == pytest.approx(theirs.statistic / (ill.sum() * (~ill).sum()), rel=1e-6)
    assert row.p == pytest.approx(theirs.pvalue, rel=1e-6)


@pytest.mark.parametrize("kind", ["Spearman", "Pearson"])
def test_partial_correlations_are_those_of_a_regression(
    people: pd.DataFrame, find: Callable[..., Finding], kind: str
) -> None:
    frame = complete(people, "AD").dropna(subset=["mmse"])
    dummies = pd.get_dummies(frame[["sex", "site"]], drop_first=True).astype(float)
    # which level is left out changes nothing for ranks either: a 0/1 column and its ranks say the same
    columns = pd.concat([frame[["mmse", "gap", "age", "education"]], dummies], axis=1)
    if kind == "Spearman":
        columns = columns.rank()
    theirs = sm.OLS(columns["mmse"], sm.add_constant(columns.drop(columns="mmse"))).fit()
    t, df = theirs.tvalues["gap"], theirs.df_resid
    row = find(analysis="severity", group="AD", method=f"partial {kind}")
    assert row.value == pytest.approx(t / np.sqrt(t * t + df), rel=1e-6)
    assert row.p == pytest.approx(theirs.pvalues["gap"], rel=1e-6)
    assert (row.n, row.df) == (len(frame), df)


def test_the_interaction_with_sex_is_that_of_least_squares(
    people: pd.DataFrame, find: Callable[..., Finding]
) -> None:
    frame = complete(people, "HC", "AD").assign(ill=lambda f: (f["group"] == "AD").astype(float))
    frame = frame.assign(male=(frame["sex"] == "M").astype(float))
    formula = "gap ~ ill * male + age + I((age - age.mean())**2) + C(site) + education"
    theirs = smf.ols(formula, frame).fit(cov_type="HC3", use_t=True)
    row = find(analysis="sex_interaction", group="AD − HC")
    same(row, theirs.params["ill:male"], tuple(theirs.conf_int().loc["ill:male"]), theirs.pvalues["ill:male"])


def test_a_random_site_is_that_of_the_mixed_model(people: pd.DataFrame, find: Callable[..., Finding]) -> None:
    frame = complete(people, "HC", "AD").assign(ill=lambda f: (f["group"] == "AD").astype(float))
    formula = "gap ~ ill + age + I((age - age.mean())**2) + C(sex) + education"
    theirs = smf.mixedlm(formula, frame, groups="site").fit(reml=True)
    row = find(analysis="sensitivity", group="AD − HC", method="mixed model, random site, REML")
    assert row.value == pytest.approx(theirs.params["ill"], rel=1e-4)
    assert row.p == pytest.approx(theirs.pvalues["ill"], rel=1e-2)


def test_offsets_of_sites_are_deviations_from_their_mean(
    people: pd.DataFrame, find: Callable[..., Finding]
) -> None:
    frame = people[people["group"] == "HC"].dropna(subset=["site"])
    theirs = smf.ols("gap ~ C(site, Sum) + age", frame).fit(cov_type="HC3", use_t=True)
    for site in "ABCDE":
        name = f"C(site, Sum)[S.{site}]"
        row = find(analysis="site_offset", group=site)
        same(row, theirs.params[name], tuple(theirs.conf_int().loc[name]), theirs.pvalues[name])


def test_added_value_is_the_ratio_of_two_logistic_models(
    people: pd.DataFrame, find: Callable[..., Finding]
) -> None:
    frame = people[people["group"].isin(["HC", "AD"])].dropna(subset=["age", "sex", "brain"])
    frame = frame.assign(ill=(frame["group"] == "AD").astype(float))
    small, large = (
        smf.glm(f"ill ~ age + C(sex) + brain {more}", frame, family=sm.families.Binomial()).fit(tol=1e-12)
        for more in ("", "+ gap")
    )
    row = find(analysis="added_value", group="AD − HC", measure="χ²")
    ratio = 2 * (large.llf - small.llf)
    assert row.value == pytest.approx(ratio, rel=1e-6)
    assert row.p == pytest.approx(stats.chi2.sf(ratio, 1), rel=1e-6)


def test_the_smallest_difference_is_found_in_four_of_five(
    people: pd.DataFrame, find: Callable[..., Finding]
) -> None:
    frame = complete(people, "HC", "AD").assign(ill=lambda f: (f["group"] == "AD").astype(float))
    fit = smf.ols(MODEL.format(group="ill +"), frame).fit()
    n, m = int(frame["ill"].sum()), int((1 - frame["ill"]).sum())
    d = TTestIndPower().solve_power(nobs1=n, ratio=m / n, alpha=0.05, power=0.8)
    row = find(analysis="power", group="AD − HC")
    assert row.value == pytest.approx(d * np.sqrt(fit.mse_resid), rel=1e-5)


def test_q_is_over_all_that_was_run(analysis: GapAnalysis) -> None:
    tested = [f for f in analysis.findings if np.isfinite(f.p)]
    expected = multipletests([f.p for f in tested], method="fdr_bh")[1]
    np.testing.assert_allclose([f.q for f in tested], expected, rtol=1e-9)
    assert len(tested) > 40
