"""Group comparisons against scipy, scikit-learn and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

from brainclock.stats.groups import (
    adjusted_g,
    benjamini_hochberg,
    hedges_g,
    mann_whitney,
    smallest_difference,
)
from brainclock.stats.likelihood import added_value, proportional_odds, weighted_auc

_rng = np.random.default_rng(17)
A, B = np.round(_rng.normal(3, 4, 40)), np.round(_rng.normal(0, 5, 55))  # with ties
PATIENT = np.arange(95) < 40
VALUES = np.concatenate([A, B])


def test_rank_test_and_auc_agree() -> None:
    ours = mann_whitney(A, B)
    theirs = stats.mannwhitneyu(A, B)
    assert ours.value == pytest.approx(theirs.statistic / (40 * 55), rel=1e-12)
    assert ours.value == pytest.approx(roc_auc_score(PATIENT, VALUES), rel=1e-12)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_weighted_auc_agrees_with_scikit_learn() -> None:
    weights = _rng.integers(0, 4, (3, 95)).astype(float)
    expected = [roc_auc_score(PATIENT, VALUES, sample_weight=w) for w in weights]
    np.testing.assert_allclose(weighted_auc(VALUES, PATIENT, weights), expected, rtol=1e-12)


def test_hedges_g_is_that_of_the_t_test() -> None:
    t = stats.ttest_ind(A, B).statistic
    expected = t * np.sqrt(1 / 40 + 1 / 55) * (1 - 3 / (4 * 95 - 9))
    assert hedges_g(A, B) == pytest.approx(expected, rel=1e-12)
    without = adjusted_g(VALUES, PATIENT, np.zeros((95, 0)))(np.ones((1, 95)))
    assert without["g"][0] == pytest.approx(expected, rel=1e-10)


def test_adjusted_g_is_the_coefficient_over_the_residual_sd() -> None:
    covariates = _rng.normal(70, 8, (95, 2))
    theirs = sm.OLS(VALUES, np.column_stack([np.ones(95), PATIENT, covariates])).fit()
    expected = theirs.params[1] / np.sqrt(theirs.mse_resid) * (1 - 3 / (4 * 95 - 9))
    assert adjusted_g(VALUES, PATIENT, covariates)(np.ones((1, 95)))["g"][0] == pytest.approx(expected)


def test_false_discovery_rates_agree() -> None:
    p = np.concatenate([_rng.uniform(0, 1, 20) ** 3, [0.01, 0.01]])
    with_gaps = np.insert(p, 5, np.nan)
    ours = benjamini_hochberg(with_gaps)
    np.testing.assert_allclose(np.delete(ours, 5), multipletests(p, method="fdr_bh")[1], rtol=1e-12)
    assert np.isnan(ours[5])


@pytest.mark.parametrize(("n", "m"), [(20, 20), (60, 140), (5, 300)])
def test_power_agrees(n: int, m: int) -> None:
    found = TTestIndPower().power(smallest_difference(n, m), nobs1=n, ratio=m / n, alpha=0.05)
    assert found == pytest.approx(0.8, abs=1e-5)


def test_likelihood_ratio_agrees_with_generalised_linear_models() -> None:
    baseline = _rng.normal(70, 8, (95, 2))
    ours = added_value(PATIENT, VALUES, baseline, ("age", "volume"), np.random.default_rng(1))
    large, small = (
        sm.GLM(PATIENT.astype(float), sm.add_constant(X), family=sm.families.Binomial()).fit(tol=1e-12)
        for X in (np.column_stack([baseline, VALUES]), baseline)
    )
    ratio = 2 * (large.llf - small.llf)
    assert ours.likelihood_ratio == pytest.approx(ratio, rel=1e-6)
    assert ours.p == pytest.approx(stats.chi2.sf(ratio, 1), rel=1e-6)


def test_proportional_odds_maximise_the_likelihood_as_it_is_written() -> None:
    from scipy.optimize import minimize
    from scipy.special import expit

    rng = np.random.default_rng(18)
    gap, age = rng.normal(3, 6, 200), rng.normal(72, 7, 200)
    cdr = np.digitize(0.1 * gap + 0.03 * (age - 72) + rng.logistic(size=200), [-0.5, 0.8, 2.0]) * 0.5

    def loss(theta: np.ndarray) -> float:
        cuts = np.concatenate([[-np.inf], theta[:3], [np.inf]])
        eta, level = theta[3] * gap / 5 + theta[4] * (age - 72), (2 * cdr).astype(int)
        return -np.log(expit(cuts[level + 1] - eta) - expit(cuts[level] - eta)).sum()

    best = minimize(loss, [-0.5, 0.8, 2.0, 0.1, 0.0], method="BFGS", options={"gtol": 1e-6})
    ours = proportional_odds(cdr, gap, age[:, None], ("age",))
    assert np.log(ours.value) == pytest.approx(best.x[3], abs=2e-5)
    step = 1e-4
    hessian = np.array(
        [
            [
                (
                    loss(best.x + step * (a + b))
                    - loss(best.x + step * (a - b))
                    - loss(best.x - step * (a - b))
                    + loss(best.x - step * (a + b))
                )
                / (4 * step**2)
                for a in np.eye(5)
            ]
            for b in np.eye(5)
        ]
    )
    error = np.sqrt(np.linalg.inv(hessian)[3, 3])
    assert np.log(ours.high / ours.low) / 2 / 1.959964 == pytest.approx(error, rel=1e-3)
