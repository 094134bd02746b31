"""Linear models against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from brainclock.stats.age_bias import fit_age_bias
from brainclock.stats.linear import fit_linear


def test_coefficients_errors_intervals_and_tests_agree() -> None:
    rng = np.random.default_rng(12)
    X = np.column_stack(
        [np.ones(60), rng.uniform(50, 90, 60), rng.integers(0, 2, 60), rng.integers(0, 3, 60)]
    )
    y = rng.normal(size=60) * X[:, 1] / 30 + np.round(X[:, 1])
    ours = fit_linear(y, X, ("1", "a", "b", "c"))
    theirs = sm.OLS(y, X).fit(cov_type="HC3", use_t=True)
    for i, name in enumerate(ours.names):
        effect = ours.effect(name)
        assert effect.value == pytest.approx(theirs.params[i], rel=1e-8)
        assert (effect.low, effect.high) == pytest.approx(tuple(theirs.conf_int()[i]), rel=1e-8)
        assert effect.p == pytest.approx(theirs.pvalues[i], rel=1e-6)
        assert effect.df == theirs.df_resid
    assert ours.residual_sd == pytest.approx(np.sqrt(theirs.mse_resid), rel=1e-10)
    np.testing.assert_allclose(ours.leverages, theirs.get_influence().hat_matrix_diag, rtol=1e-8)


def test_the_line_of_a_correction_agrees() -> None:
    rng = np.random.default_rng(13)
    age = rng.uniform(20, 80, 50)
    predicted = 10 + 0.7 * age + rng.normal(0, 5, 50)
    ours = fit_age_bias(predicted, age)
    theirs = sm.OLS(predicted, sm.add_constant(age)).fit(cov_type="HC3", use_t=True)
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(theirs.params), rel=1e-8)
    assert ours.slope_interval == pytest.approx(tuple(theirs.conf_int()[1]), rel=1e-8)
