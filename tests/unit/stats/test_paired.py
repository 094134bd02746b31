from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from brainclock.stats.paired import holm, paired_difference


def people(n: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    b = rng.exponential(5.0, n)
    return np.abs(b + shift + rng.normal(0, 1, n)), b


def test_numbers_are_those_of_their_definitions():
    a, b = people(40, -0.5)
    found = paired_difference(a, b, np.random.default_rng(1))
    gaps = a - b
    assert found.people == 40
    assert found.difference == pytest.approx(gaps.mean())
    assert found.d_z == pytest.approx(gaps.mean() / gaps.std(ddof=1))
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(a, b).pvalue)
    above = sum(rank for rank, gap in zip(stats.rankdata(np.abs(gaps)), gaps, strict=True) if gap > 0)
    total = 40 * 41 / 2
    assert found.rank_biserial == pytest.approx((2 * above - total) / total)
    reach = stats.norm.ppf(0.975) * gaps.std(ddof=1) / np.sqrt(40)
    assert found.low == pytest.approx(gaps.mean() - reach, abs=0.08)
    assert found.high == pytest.approx(gaps.mean() + reach, abs=0.08)
    assert found.p_bootstrap == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


def test_changing_sides_changes_signs():
    a, b = people(25, 0.4)
    one, other = (
        paired_difference(a, b, np.random.default_rng(2)),
        paired_difference(b, a, np.random.default_rng(2)),
    )
    for name in ("difference", "d_z", "rank_biserial"):
        assert getattr(one, name) == pytest.approx(-getattr(other, name))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p_wilcoxon == pytest.approx(other.p_wilcoxon)
    assert one.p_bootstrap == pytest.approx(other.p_bootstrap)


def test_equal_errors_are_no_difference():
    a, _ = people(10, 0.0)
    found = paired_difference(a, a, np.random.default_rng(3))
    assert (found.difference, found.rank_biserial, found.p_wilcoxon, found.p_bootstrap) == (0, 0, 1, 1)
    assert np.isnan(found.d_z)


def test_few_people_are_not_tested():
    found = paired_difference(*people(5, 1.0), np.random.default_rng(4))
    assert np.isfinite(found.difference)
    assert np.isnan([found.low, found.high, found.p_wilcoxon, found.p_bootstrap]).all()


def test_without_a_difference_few_tests_find_one():
    p = [
        paired_difference(*people(30, 0.0, seed), np.random.default_rng(seed), resamples=500)
        for seed in range(100)
    ]
    # |b + noise| is not exactly unbiased near 0, so the level is checked loosely
    assert sum(one.p_bootstrap < 0.05 for one in p) < 20
    assert (
        sum(
            paired_difference(*people(30, -2.0, s), np.random.default_rng(s)).p_wilcoxon < 0.05
            for s in range(20)
        )
        >= 18
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_its_definition(p):
    ordered = sorted(p)
    for value, found in zip(p, holm(np.array(p, dtype=np.float64)), strict=True):
        steps = [(len(p) - i) * q for i, q in enumerate(ordered) if q <= value]
        # ties: the first of them has the largest factor
        assert found == pytest.approx(min(1.0, max(steps)))


def test_holm_does_not_count_what_was_not_tested():
    found = holm(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(found, [0.02, np.nan, 0.04])
    assert np.isnan(holm(np.array([np.nan]))).all()
