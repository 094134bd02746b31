"""Comparisons of groups: worked examples, null cohorts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.bootstrap import bootstrap
from brainclock.stats.groups import (
    adjusted_g,
    benjamini_hochberg,
    hedges_g,
    mann_whitney,
    smallest_correlation,
    smallest_difference,
)


def test_hedges_g_by_hand() -> None:
    # means 4 and 2, both variances 1, N = 6: d = 2, J = 1 - 3/15
    assert hedges_g(np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(1.6)


def test_the_bootstrap_of_g_covers_the_truth() -> None:
    rng = np.random.default_rng(21)
    patient = np.arange(120) < 50
    inside = 0
    for i in range(60):
        age = rng.uniform(60, 90, 120)
        gap = 3.0 * patient - 0.3 * age + rng.normal(0, 4, 120)
        statistic = adjusted_g(gap, patient, age[:, None])
        g = bootstrap(statistic, np.arange(120), np.random.default_rng(i), resamples=300)["g"]
        inside += g.low <= 0.75 <= g.high
    assert inside >= 50


def test_a_resample_without_a_group_has_no_g() -> None:
    patient = np.arange(10) < 5
    weights = np.where(patient, 0.0, 2.0)[None]
    assert np.isnan(adjusted_g(np.arange(10.0), patient, np.zeros((10, 0)))(weights)["g"][0])


def test_rank_p_values_of_nothing_are_uniform() -> None:
    rng = np.random.default_rng(22)
    p = [mann_whitney(*np.split(rng.standard_t(2, 80), [35])).p for _ in range(500)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_auc_of_separate_groups_is_one_and_ties_count_half() -> None:
    assert mann_whitney(np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0])).value == 1
    assert mann_whitney(np.full(4, 2.0), np.full(5, 2.0)).value == 0.5


def test_two_people_are_no_group() -> None:
    with pytest.raises(InputError, match="2 people, expected 3"):
        mann_whitney(np.array([1.0, 2.0]), np.arange(20.0))


def test_benjamini_and_hochberg_by_hand() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.5])
    assert np.isnan(benjamini_hochberg(np.full(2, np.nan))).all()


def test_the_smallest_effects_are_found_in_four_of_five_studies() -> None:
    rng = np.random.default_rng(23)
    d = smallest_difference(30, 40)
    found = [stats.ttest_ind(rng.normal(d, 1, 30), rng.normal(0, 1, 40)).pvalue < 0.05 for _ in range(800)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    r = smallest_correlation(60, 0)
    both = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=(800, 60))
    found = [stats.pearsonr(*study.T).pvalue < 0.05 for study in both]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
