"""Partial correlation: null cohorts, invariances, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.correlation import partial_correlation, weighted_partial_correlation

_rng = np.random.default_rng(19)
X, Y, Z = _rng.normal(size=(3, 40))


@pytest.mark.parametrize("kind", ["spearman", "pearson"])
def test_p_values_of_nothing_are_uniform(kind: str) -> None:
    rng = np.random.default_rng(20)
    p = []
    for _ in range(500):
        age = rng.uniform(55, 90, 60)
        gap = -0.3 * age + rng.normal(0, 5, 60)
        score = 40 - 0.2 * age + rng.normal(0, 2, 60)  # age makes both
        p.append(partial_correlation(gap, score, age[:, None], ("age",), kind=kind).effect.p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_spearman_does_not_mind_monotone_scales() -> None:
    plain = partial_correlation(X, Y, Z[:, None], ("z",)).effect
    bent = partial_correlation(np.exp(X), -(Y**3), np.exp(Z)[:, None], ("z",)).effect
    assert bent.value == pytest.approx(-plain.value, abs=1e-12)
    assert bent.p == pytest.approx(plain.p, abs=1e-12)


def test_a_perfect_correlation_has_no_doubt() -> None:
    found = partial_correlation(X, 2 * X, np.zeros((40, 0)), (), kind="pearson").effect
    assert found.value == pytest.approx(1)
    assert found.p == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("y", "covariates", "word"),
    [
        (np.ones(40), Z[:, None], "the same for all"),
        (Y, np.column_stack([Z, Z]), "z2 determined"),
        (Y, _rng.normal(size=(40, 37)), "40 people for 37"),
        (Z, Z[:, None], "the covariates determine"),
    ],
)
def test_what_cannot_be_correlated_is_refused(y: np.ndarray, covariates: np.ndarray, word: str) -> None:
    names = tuple(f"z{i + 1}" for i in range(covariates.shape[1]))
    with pytest.raises(InputError, match=word):
        partial_correlation(X, y, covariates, names)


def test_a_resample_without_variance_has_no_correlation() -> None:
    one = np.zeros((1, 40))
    one[0, 3] = 40
    assert np.isnan(weighted_partial_correlation(X, Y, Z[:, None], one)).all()
