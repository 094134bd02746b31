"""Conformal intervals: their definition, their coverage, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.conformal import (
    Calibration,
    calibrate,
    conformal_p,
    conformal_quantile,
    coverage,
    cv_plus_interval,
)


@pytest.mark.parametrize(("n", "level", "rank"), [(9, 0.9, 9), (19, 0.95, 19), (100, 0.9, 91), (10, 0.5, 6)])
def test_the_quantile_is_the_right_error(n: int, level: float, rank: int) -> None:
    assert conformal_quantile(np.arange(1.0, n + 1)[::-1], level) == rank


@pytest.mark.parametrize(("n", "level"), [(8, 0.9), (18, 0.95)])
def test_too_few_people_give_an_infinite_interval(n: int, level: float) -> None:
    assert conformal_quantile(np.arange(float(n)), level) == np.inf


def test_split_coverage_is_as_promised() -> None:
    rng = np.random.default_rng(8)
    inside = []
    for _ in range(300):
        predicted, error = rng.uniform(20, 30, 200), rng.standard_t(3, 200)
        low, high = calibrate(predicted[:99], (predicted + error)[:99]).interval(predicted[99:], 0.9)
        inside.append(((low <= (predicted + error)[99:]) & ((predicted + error)[99:] <= high)).mean())
    assert stats.norm.interval(0.999, 0.9, 0.04 / np.sqrt(300))[0] < np.mean(inside) < 0.91


def test_bins_follow_the_scatter() -> None:
    rng = np.random.default_rng(9)
    predicted = np.concatenate([rng.uniform(20, 29.9, 60), rng.uniform(70, 79.9, 60)])
    age = predicted + np.concatenate([rng.normal(0, 1, 60), rng.normal(0, 8, 60)])
    made = calibrate(predicted, age)
    assert made.edges == (70.0,)
    low, high = made.interval(np.array([25.0, 75.0]))
    assert high[0] - low[0] < 5 < 15 < high[1] - low[1]


def test_small_bins_are_joined_with_their_neighbours() -> None:
    predicted = np.concatenate([np.full(35, 25.0), np.full(5, 35.0), np.full(26, 45.0), np.full(4, 85.0)])
    made = calibrate(predicted, predicted)
    assert made.edges == (30.0,)
    assert [len(errors) for errors in made.errors] == [35, 35]
    assert made.people == 70


def test_the_chance_of_being_older_counts_errors() -> None:
    made = Calibration((), ((-2.0, 0.0, 0.0, 3.0),))
    chances = made.probability_older(np.full(3, 50.0), np.array([50.0, 40.0, 60.0]))
    np.testing.assert_allclose(chances, [(0.5 + 1 + 1) / 5, 4.5 / 5, 0.5 / 5])


def test_the_chance_of_being_older_is_uniform_for_people_like_these() -> None:
    rng = np.random.default_rng(10)
    p = []
    for _ in range(500):
        predicted, error = rng.uniform(20, 80, 60), rng.normal(0, 4, 60)
        made = calibrate(predicted[1:], (predicted + error)[1:], fewest_in_bin=100)
        p.append(made.probability_older(predicted[:1], (predicted + error)[:1])[0])
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_cv_plus_is_the_formula_as_it_is_written() -> None:
    rng = np.random.default_rng(11)
    fold_predictions, errors, folds = rng.normal(50, 3, (5, 7)), rng.exponential(4, 80), np.arange(80) % 5
    low, high = cv_plus_interval(fold_predictions, errors, folds, 0.9)
    for m in range(7):
        lows = sorted(fold_predictions[folds[i], m] - errors[i] for i in range(80))
        highs = sorted(fold_predictions[folds[i], m] + errors[i] for i in range(80))
        assert low[m] == lows[int(np.floor(0.1 * 81)) - 1]
        assert high[m] == highs[int(np.ceil(0.9 * 81)) - 1]


def test_p_of_a_gap_counts_healthy_people() -> None:
    healthy = np.array([-1.0, 0.0, 2.0, 2.0])
    np.testing.assert_allclose(conformal_p(np.array([2.0, 3.0, -5.0]), healthy), [3 / 5, 1 / 5, 1.0])


def test_coverage_has_the_exact_binomial_interval() -> None:
    share, low, high = coverage(18, 20)
    assert share == 0.9
    assert low == pytest.approx(stats.beta.ppf(0.025, 18, 3))
    assert high == pytest.approx(stats.beta.ppf(0.975, 19, 2))


def test_few_people_are_no_calibration() -> None:
    with pytest.raises(InputError, match="18 people, expected 19"):
        calibrate(np.full(18, 40.0), np.full(18, 41.0))


def test_errors_are_those_of_the_bin_of_the_predicted_age() -> None:
    calibration = Calibration((50.0,), ((-2.0, 1.0), (0.5, 4.0)))
    assert calibration.errors_at(49.9).tolist() == [-2.0, 1.0]
    assert calibration.errors_at(50.0).tolist() == [0.5, 4.0]
