"""Metrics and their intervals against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from brainclock.stats.bootstrap import bootstrap
from brainclock.stats.metrics import age_metrics

_rng = np.random.default_rng(4)
AGE = _rng.uniform(18, 90, 120)
PREDICTED = 12 + 0.7 * AGE + _rng.normal(0, 6, 120)


def test_metrics_agree_with_scikit_learn_and_scipy() -> None:
    ours = {name: value[0] for name, value in age_metrics(PREDICTED, AGE, training_mean=41.0).items()}
    line = stats.linregress(AGE, PREDICTED)
    constant = np.full_like(AGE, np.median(AGE))
    expected = {
        "mae": sklearn_metrics.mean_absolute_error(AGE, PREDICTED),
        "median_absolute_error": sklearn_metrics.median_absolute_error(AGE, PREDICTED),
        "rmse": sklearn_metrics.root_mean_squared_error(AGE, PREDICTED),
        "r2": sklearn_metrics.r2_score(AGE, PREDICTED),
        "r": stats.pearsonr(AGE, PREDICTED).statistic,
        "r_squared": line.rvalue**2,
        "slope": line.slope,
        "intercept": line.intercept,
        "gap_sd": np.std(PREDICTED - AGE, ddof=1),
        "gap_age_r": stats.pearsonr(AGE, PREDICTED - AGE).statistic,
        "naive_mae": sklearn_metrics.mean_absolute_error(AGE, constant),
        "skill": sklearn_metrics.d2_absolute_error_score(AGE, PREDICTED),
    }
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=1e-10), name


def test_weighted_metrics_agree_with_scikit_learn() -> None:
    weights = _rng.integers(0, 4, 120).astype(float)
    ours = age_metrics(PREDICTED, AGE, weights[None])
    assert ours["mae"][0] == pytest.approx(
        sklearn_metrics.mean_absolute_error(AGE, PREDICTED, sample_weight=weights)
    )
    assert ours["r2"][0] == pytest.approx(sklearn_metrics.r2_score(AGE, PREDICTED, sample_weight=weights))


@pytest.mark.parametrize("name", ["mae", "slope"])
def test_intervals_agree_with_scipys_bootstrap(name: str) -> None:
    def statistic(predicted: np.ndarray, age: np.ndarray) -> float:
        return float(age_metrics(predicted, age)[name][0])

    scipys = stats.bootstrap(
        (PREDICTED, AGE),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(8),
    )
    ours = bootstrap(
        lambda weights: age_metrics(PREDICTED, AGE, weights), np.arange(120), np.random.default_rng(5)
    )[name]
    width = scipys.confidence_interval.high - scipys.confidence_interval.low
    assert abs(ours.low - scipys.confidence_interval.low) < 0.1 * width
    assert abs(ours.high - scipys.confidence_interval.high) < 0.1 * width
