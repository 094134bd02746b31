"""Numbers and identities that the literature states, computed with the functions of this room."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge

from brainclock.stats.age_bias import fit_age_bias
from brainclock.stats.conformal import calibrate, conformal_quantile, cv_plus_interval
from brainclock.stats.groups import hedges_g, mann_whitney
from brainclock.stats.metrics import age_metrics
from brainclock.stats.reliability import bland_altman, reliability


@pytest.mark.parametrize(("rho", "r"), [(0.1, 0.995), (0.5, 0.918), (np.sqrt(0.5), np.sqrt(0.8))])
def test_accuracy_after_correction_is_high_whatever_the_model(rho: float, r: float) -> None:
    """After a correction by age, r² = 1/(1 + ρ²(1 − ρ²)) of a least-squares model (Butler et al. 2021)."""
    rng = np.random.default_rng(1)
    age = stats.zscore(rng.normal(size=400))
    noise = rng.normal(size=400)
    noise = stats.zscore(noise - age * (age @ noise) / 400)
    predicted = rho * (rho * age + np.sqrt(1 - rho**2) * noise)  # of variance ρ², correlation ρ
    age, predicted = 50 + 15 * age, 50 + 15 * predicted
    corrected = fit_age_bias(predicted, age).correct(predicted, age).corrected_age
    after = np.corrcoef(corrected, age)[0, 1]
    assert after**2 == pytest.approx(1 / (1 + rho**2 * (1 - rho**2)))
    assert after == pytest.approx(r, abs=0.001)
    share = float(age_metrics(corrected, age)["r2"][0])
    assert share == pytest.approx(1 - rho**2 * (1 - rho**2))


def test_the_best_constant_of_a_uniform_and_of_a_normal_cohort() -> None:
    uniform = np.linspace(20, 80, 2001)
    normal = 50 + 10 * stats.norm.ppf((np.arange(2001) + 0.5) / 2001)
    for age, expected in ((uniform, 60 / 4), (normal, 0.798 * 10)):
        assert float(age_metrics(age, age)["naive_mae"][0]) == pytest.approx(expected, rel=0.002)


def test_cross_conformal_intervals_cover_at_least_as_often_as_split_ones() -> None:
    """Ridge on 80 people, five folds, 90 %: about 0.93 by CV+ and 0.90 by halves."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=10)
    by_folds, by_halves = [], []
    for _ in range(60):
        x = rng.normal(size=(180, 10))
        y = x @ weights + rng.normal(0, 2, 180)
        new, folds = slice(80, None), np.arange(80) % 5
        models = [Ridge().fit(x[:80][folds != k], y[:80][folds != k]) for k in range(5)]
        errors = np.array([abs(y[i] - models[folds[i]].predict(x[[i]])[0]) for i in range(80)])
        low, high = cv_plus_interval(np.stack([m.predict(x[new]) for m in models]), errors, folds, 0.9)
        by_folds.append(((low <= y[new]) & (y[new] <= high)).mean())
        half = Ridge().fit(x[:40], y[:40])
        made = calibrate(half.predict(x[40:80]), y[40:80], fewest_in_bin=1000)
        low, high = made.interval(half.predict(x[new]), 0.9)
        by_halves.append(((low <= y[new]) & (y[new] <= high)).mean())
    assert np.mean(by_folds) == pytest.approx(0.925, abs=0.02)
    assert np.mean(by_halves) == pytest.approx(0.90, abs=0.02)
    assert np.mean(by_folds) > np.mean(by_halves)


@pytest.mark.parametrize(("level", "fewest"), [(0.9, 9), (0.95, 19)])
def test_the_fewest_people_that_have_an_interval(level: float, fewest: int) -> None:
    assert np.isfinite(conformal_quantile(np.arange(float(fewest)), level))
    assert np.isinf(conformal_quantile(np.arange(float(fewest - 1)), level))


def test_effect_sizes_of_two_groups_by_hand() -> None:
    a, b = np.array([4.0, 6.0, 8.0, 10.0]), np.array([1.0, 3.0, 5.0])
    # means 7 and 3; variances 20/3 and 4: pooled (20 + 8)/5 = 5.6; J = 1 − 3/19
    assert hedges_g(a, b) == pytest.approx(4 / np.sqrt(5.6) * (1 - 3 / 19))
    # of twelve pairs the patient exceeds the control in eleven
    auc = mann_whitney(a, b).value
    assert auc == pytest.approx(11 / 12)
    assert 2 * auc - 1 == pytest.approx(stats.somersd([0] * 3 + [1] * 4, [*b, *a]).statistic)  # Cliff's δ


def test_reliability_of_the_published_ratings() -> None:
    """Shrout and Fleiss 1979: six people, four judges."""
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    found = reliability(ratings.astype(np.float64))
    both = (found.icc_agreement, found.icc_consistency)
    first, second = ((icc.value, icc.low, icc.high) for icc in both)
    assert first == pytest.approx((0.2898, 0.0188, 0.7611), abs=5e-5)
    assert second == pytest.approx((0.7148, 0.3425, 0.9459), abs=5e-5)
    assert found.smallest_change == pytest.approx(1.96 * np.sqrt(2) * found.within_sd)


def test_limits_of_agreement_follow_their_formula() -> None:
    rng = np.random.default_rng(4)
    first = rng.uniform(20, 80, 30)
    second = first + rng.normal(1, 2, 30)
    found = bland_altman(first, second)
    d = second - first
    sd, t = d.std(ddof=1), stats.t.ppf(0.975, 29)
    assert found.upper.value == pytest.approx(d.mean() + 1.96 * sd)
    assert found.upper.high - found.upper.value == pytest.approx(t * sd * np.sqrt(1 / 30 + 1.96**2 / 58))
