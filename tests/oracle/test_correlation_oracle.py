"""Partial correlations against regression in statsmodels and correlation in scipy."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from brainclock.stats.bootstrap import bootstrap
from brainclock.stats.correlation import partial_correlation, rank, weighted_partial_correlation

_rng = np.random.default_rng(15)
N = 70
AGE, SEX = _rng.uniform(55, 90, N), _rng.integers(0, 2, N).astype(float)
GAP = -0.3 * AGE + _rng.normal(0, 5, N)
MMSE = np.clip(np.round(38 - 0.15 * AGE - 0.2 * GAP + _rng.normal(0, 2, N)), 0, 30)  # with ties
COVARIATES = np.column_stack([AGE, SEX])


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_r_and_p_are_those_of_the_coefficient_in_a_regression(kind: str) -> None:
    values = np.column_stack([MMSE, GAP, COVARIATES])
    if kind == "spearman":
        values = stats.rankdata(values, axis=0)
    theirs = sm.OLS(values[:, 0], sm.add_constant(values[:, 1:])).fit()
    t = theirs.tvalues[1]
    ours = partial_correlation(GAP, MMSE, COVARIATES, ("age", "sex"), kind=kind).effect
    assert ours.df == theirs.df_resid == N - 4
    assert ours.value == pytest.approx(t / np.sqrt(t * t + theirs.df_resid), rel=1e-8)
    assert ours.p == pytest.approx(theirs.pvalues[1], rel=1e-6)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_without_covariates_it_is_scipys(kind: str) -> None:
    ours = partial_correlation(GAP, MMSE, np.zeros((N, 0)), (), kind=kind).effect
    theirs = (stats.pearsonr if kind == "pearson" else stats.spearmanr)(GAP, MMSE)
    assert ours.value == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)
    if kind == "pearson":
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-8)


def test_weighted_partial_correlation_repeats_people() -> None:
    weights = _rng.integers(0, 3, (4, N)).astype(float)
    ours = weighted_partial_correlation(GAP, MMSE, COVARIATES, np.vstack([np.ones((1, N)), weights]))
    for w, r in zip(np.vstack([np.ones((1, N)), weights]), ours, strict=True):
        rows = np.repeat(np.arange(N), w.astype(int))
        again = partial_correlation(GAP[rows], MMSE[rows], COVARIATES[rows], ("age", "sex"), kind="pearson")
        assert r == pytest.approx(again.effect.value, rel=1e-8)


def test_the_bootstrap_interval_is_near_that_of_fisher() -> None:
    ranks = rank(np.column_stack([GAP, MMSE, COVARIATES]))

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"r": weighted_partial_correlation(ranks[:, 0], ranks[:, 1], ranks[:, 2:], weights)}

    found = bootstrap(statistic, np.arange(N), np.random.default_rng(16), resamples=2000)["r"]
    fisher = partial_correlation(GAP, MMSE, COVARIATES, ("age", "sex")).effect
    assert found.value == pytest.approx(fisher.value, rel=1e-8)
    assert (found.low, found.high) == pytest.approx((fisher.low, fisher.high), abs=0.1)
