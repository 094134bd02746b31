"""The closed forms against scikit-learn, refitted without each person."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.model_selection import LeaveOneGroupOut

from brainclock.model.regressor import fit_l1, fit_ridge


def scans(n: int, d: int, seed: int = 0):
    """People with one to four scans each; features of very different sizes."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n), rng.integers(1, 5, n))
    person = rng.standard_normal((n, d))
    embeddings = (person[groups] + 0.2 * rng.standard_normal((len(groups), d))) * np.geomspace(0.1, 30, d) + 3
    ages = (50 + person[:, : min(d, 5)].sum(1) * 5 + 3 * rng.standard_normal(n))[groups]
    return embeddings, ages, groups


@pytest.mark.parametrize(("n", "d"), [(25, 10), (20, 120)])
def test_ridge_is_that_of_scikit_learn_refitted_without_each_person(n: int, d: int):
    embeddings, ages, groups = scans(n, d)
    names = [f"sub-{group}" for group in groups]
    candidates = np.logspace(-2, 4, 7)
    features = (embeddings - embeddings.mean(0)) / embeddings.std(0)

    scores, left_out = [], []
    for alpha in candidates:
        predicted = np.empty_like(ages)
        for fit, hold in LeaveOneGroupOut().split(features, ages, groups):
            predicted[hold] = Ridge(alpha=alpha).fit(features[fit], ages[fit]).predict(features[hold])
        errors = np.abs(predicted - ages)
        scores.append(np.mean([errors[groups == group].mean() for group in range(n)]))
        left_out.append(predicted)
    best = int(np.argmin(scores))
    expected = Ridge(alpha=candidates[best]).fit(features, ages)

    found = fit_ridge(embeddings, ages, names, (-2.0, 4.0, 7))
    assert found.alpha == pytest.approx(candidates[best])
    np.testing.assert_allclose(found.left_out_ages, left_out[best], rtol=1e-7)
    np.testing.assert_allclose(found.predict(embeddings), expected.predict(features), rtol=1e-8)
    np.testing.assert_allclose(found.weight * embeddings.std(0), expected.coef_, rtol=1e-6, atol=1e-8)


def test_l1_without_penalty_is_the_median_regression_of_scikit_learn():
    embeddings, ages, groups = scans(60, 5)
    names = [f"sub-{group}" for group in groups]
    expected = QuantileRegressor(quantile=0.5, alpha=0).fit(embeddings, ages).predict(embeddings)
    found = fit_l1(embeddings, ages, names, (-6.0, -6.0, 1), iterations=500).predict(embeddings)
    lowest = np.abs(expected - ages).mean()
    assert np.abs(found - ages).mean() == pytest.approx(lowest, abs=2e-3)
    assert np.abs(found - expected).max() < 0.3  # the kink is rounded off below 0.1 years


def test_l1_left_out_ages_are_near_those_of_refits():
    embeddings, ages, groups = scans(30, 60)
    names = np.array([f"sub-{group}" for group in groups], dtype=object)
    grid = (2.0, 2.0, 1)
    whole = fit_l1(embeddings, ages, list(names), grid)
    refits = np.empty_like(ages)
    for name in np.unique(names):
        held = names == name
        refits[held] = fit_l1(embeddings[~held], ages[~held], list(names[~held]), grid).predict(
            embeddings[held]
        )
    apart = np.abs(whole.left_out_ages - refits).mean()
    assert apart < 0.25 * np.abs(whole.predict(embeddings) - refits).mean()
