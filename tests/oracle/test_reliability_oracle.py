"""Reliability against analysis of variance and clustered regression in statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from brainclock.stats.reliability import rate_of_change, reliability


def test_icc_agrees_with_the_anova_table() -> None:
    rng = np.random.default_rng(33)
    values = np.round(rng.normal(50, 6, (25, 1)) + rng.normal(0, 2, (25, 3)) + [0, 1, 3])  # with ties
    long = pd.DataFrame(
        {"y": values.ravel(), "person": np.repeat(np.arange(25), 3), "session": np.tile(np.arange(3), 25)}
    )
    table = sm.stats.anova_lm(smf.ols("y ~ C(person) + C(session)", long).fit())
    msr, msc, mse = table["sum_sq"] / table["df"]
    found = reliability(values)
    assert found.icc_consistency.value == pytest.approx((msr - mse) / (msr + 2 * mse), rel=1e-9)
    assert found.icc_agreement.value == pytest.approx(
        (msr - mse) / (msr + 2 * mse + 3 * (msc - mse) / 25), rel=1e-9
    )
    assert found.within_sd == pytest.approx(np.sqrt(mse), rel=1e-9)


def test_the_rate_of_change_agrees_with_clustered_least_squares() -> None:
    rng = np.random.default_rng(34)
    person = np.repeat(np.arange(30), rng.integers(2, 5, 30))
    age = rng.uniform(60, 80, person.size)
    value = rng.normal(0, 5, 30)[person] + 0.8 * age + rng.normal(0, 2, person.size)
    centred = pd.DataFrame({"y": value, "x": age}).groupby(person).transform(lambda c: c - c.mean())
    theirs = sm.OLS(centred["y"], centred[["x"]]).fit(
        cov_type="cluster", cov_kwds={"groups": person, "df_correction": True}, use_t=True
    )
    ours = rate_of_change(value, age, person)
    assert ours.value == pytest.approx(theirs.params["x"], rel=1e-9)
    assert ours.p == pytest.approx(theirs.pvalues["x"], rel=1e-5)
    assert (ours.high - ours.low) / (theirs.conf_int().loc["x"].diff().iloc[1]) == pytest.approx(1, rel=1e-6)
