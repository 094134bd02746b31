"""A linear model against its definition, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.linear import fit_linear, residualise


def design(n: int = 40) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.column_stack([np.ones(n), rng.normal(size=n), rng.integers(0, 2, n)])


NAMES = ("intercept", "x", "group")


def test_errors_are_the_sandwich_as_it_is_written() -> None:
    X, y = design(), np.random.default_rng(2).normal(size=40)
    fit = fit_linear(y, X, NAMES)
    bread = np.linalg.inv(X.T @ X)
    hat = np.diag(X @ bread @ X.T)
    e = y - X @ bread @ X.T @ y
    expected = bread @ X.T @ np.diag(e**2 / (1 - hat) ** 2) @ X @ bread
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-10)


def test_what_is_left_is_at_right_angles_to_the_design() -> None:
    left = residualise(np.random.default_rng(3).normal(size=40), design())
    np.testing.assert_allclose(design().T @ left, 0, atol=1e-10)


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (np.column_stack([design(), design()[:, 1] * 2]), "twice determined"),
        (np.column_stack([design(), np.zeros(40)]), "twice determined"),
        (np.column_stack([design(), np.eye(40)[:, 7]]), "single person with twice"),
        (design(4)[:, [0, 1, 2, 1]], "4 people"),
    ],
)
def test_a_design_that_cannot_be_fitted_is_named(broken: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        fit_linear(np.arange(len(broken), dtype=float), broken, (*NAMES, "twice"))


def test_p_values_of_nothing_are_uniform() -> None:
    rng = np.random.default_rng(4)
    p = []
    for _ in range(500):
        n = 80
        age = rng.uniform(50, 90, n)
        X = np.column_stack([np.ones(n), rng.permutation(n) < 40, age - 70, (age - 70) ** 2])
        gap = -0.2 * (age - 70) + rng.normal(size=n) * (2 + age / 20)  # older brains scatter more
        p.append(fit_linear(gap, X, ("1", "group", "age", "age²")).effect("group").p)
    assert stats.kstest(p, "uniform").pvalue > 0.01
