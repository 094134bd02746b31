"""Conformal intervals against MAPIE."""

from __future__ import annotations

import numpy as np
from mapie.regression import CrossConformalRegressor, SplitConformalRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from brainclock.stats.conformal import calibrate, cv_plus_interval

_rng = np.random.default_rng(14)
X = _rng.normal(size=(120, 3))
Y = 50 + X @ np.array([8.0, 2.0, 0.0]) + _rng.normal(0, 4, 120)


def test_split_intervals_agree() -> None:
    model = Ridge().fit(X[:60], Y[:60])
    theirs = SplitConformalRegressor(model, confidence_level=0.9, prefit=True).conformalize(
        X[60:100], Y[60:100]
    )
    _, intervals = theirs.predict_interval(X[100:])
    made = calibrate(model.predict(X[60:100]), Y[60:100], fewest_in_bin=1000)
    low, high = made.interval(model.predict(X[100:]), 0.9)
    np.testing.assert_allclose(low, intervals[:, 0, 0], atol=1e-9)
    np.testing.assert_allclose(high, intervals[:, 1, 0], atol=1e-9)


def test_cross_conformal_intervals_agree() -> None:
    splits = KFold(5)
    theirs = CrossConformalRegressor(Ridge(), confidence_level=0.9, method="plus", cv=splits)
    theirs.fit_conformalize(X[:100], Y[:100])
    _, intervals = theirs.predict_interval(X[100:])
    folds, errors, predictions = np.zeros(100, dtype=np.int64), np.zeros(100), np.zeros((5, 20))
    for k, (train, held_out) in enumerate(splits.split(X[:100])):
        model = Ridge().fit(X[train], Y[train])
        folds[held_out], predictions[k] = k, model.predict(X[100:])
        errors[held_out] = np.abs(Y[held_out] - model.predict(X[held_out]))
    low, high = cv_plus_interval(predictions, errors, folds, 0.9)
    np.testing.assert_allclose(low, intervals[:, 0, 0], atol=1e-9)
    np.testing.assert_allclose(high, intervals[:, 1, 0], atol=1e-9)
