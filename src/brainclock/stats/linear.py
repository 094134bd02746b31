"""Ordinary least squares with errors that allow for unequal scatter (HC3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.errors import InputError

_SINGULAR = 1e-8  # share of a column's length that the columns before it do not explain


@dataclass(frozen=True, slots=True)
class Effect:
    """A number with its confidence interval and test against 0.

    Parameters
    ----------
    value, low, high : float
        Estimate and ends of the interval.
    df : float
        Degrees of freedom of the test; infinite for a z test.
    p : float
        Two-sided.
    """

    value: float
    low: float
    high: float
    df: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class LinearFit:
    """A fitted linear model.

    Parameters
    ----------
    names : tuple of str
        Of the columns of the design.
    coefficients : ndarray of float, shape (p,)
    covariance : ndarray of float, shape (p, p)
        HC3 estimate: (XᵀX)⁻¹ Xᵀ diag(e²/(1 − h)²) X (XᵀX)⁻¹ (MacKinnon and White 1985,
        doi:10.1016/0304-4076(85)90158-7).
    residuals : ndarray of float, shape (n,)
    leverages : ndarray of float, shape (n,)
        Diagonal of the hat matrix.
    """

    names: tuple[str, ...]
    coefficients: Float64[ndarray, " p"]
    covariance: Float64[ndarray, "p p"]
    residuals: Float64[ndarray, " n"]
    leverages: Float64[ndarray, " n"]

    @property
    def df(self) -> int:
        """Residual degrees of freedom, n − p."""
        return self.residuals.size - self.coefficients.size

    @property
    def residual_sd(self) -> float:
        """Residual standard deviation, √(SSE / (n − p))."""
        return float(np.sqrt(self.residuals @ self.residuals / self.df))

    def contrast(self, weights: Float64[ndarray, " p"], level: float = 0.95) -> Effect:
        """Return a weighted sum of the coefficients, t-tested with n − p degrees of freedom."""
        from scipy import stats

        value = float(weights @ self.coefficients)
        error = float(np.sqrt(weights @ self.covariance @ weights))
        reach = float(stats.t.ppf((1 + level) / 2, self.df)) * error
        p = float(2 * stats.t.sf(abs(value) / error, self.df)) if error > 0 else np.nan
        return Effect(value, value - reach, value + reach, float(self.df), p)

    def effect(self, name: str, level: float = 0.95) -> Effect:
        """Return the coefficient of one column."""
        return self.contrast(np.eye(len(self.names))[self.names.index(name)], level)


def fit_linear(
    outcome: Float64[ndarray, " n"], design: Float64[ndarray, "n p"], names: tuple[str, ...]
) -> LinearFit:
    """Fit a linear model by least squares.

    Parameters
    ----------
    outcome : ndarray of float, shape (n,)
    design : ndarray of float, shape (n, p)
        With the column of ones, if the model has an intercept.
    names : tuple of str
        One a column.

    Raises
    ------
    InputError
        Not more rows than columns, a column that the ones before it determine, or a row that a column
        of its own fits exactly (leverage 1: the only person of a site, say).
    """
    check_design(design, names)
    q, r = np.linalg.qr(design)
    coefficients = np.linalg.solve(r, q.T @ outcome)
    residuals = outcome - design @ coefficients
    leverages = (q * q).sum(axis=1)
    if leverages.max() > 1 - 1e-9:
        row = int(leverages.argmax())
        alone = [name for name, x in zip(names, design.T, strict=True) if np.count_nonzero(x) == 1 and x[row]]
        where = alone[0] if alone else "a combination of the covariates"
        fix = "Join that level with another, or leave the covariate out."
        raise InputError("linear model", f"a single person with {where}", "two people or more", fix)
    inverse = np.linalg.inv(r)
    scaled = inverse @ (q * (residuals / (1 - leverages))[:, None]).T
    return LinearFit(names, coefficients, scaled @ scaled.T, residuals, leverages)


def check_design(design: Float64[ndarray, "n p"], names: tuple[str, ...]) -> None:
    """Refuse a design that cannot be fitted.

    Raises
    ------
    InputError
        Not more rows than columns, or a column that the ones before it determine; its name is given.
    """
    people, columns = design.shape
    if people <= columns:
        fix = "Leave out covariates, or bring more people with all values known."
        raise InputError("linear model", f"{people} people", f"more than its {columns} terms", fix)
    diagonal = np.abs(np.diag(np.linalg.qr(design, mode="r")))
    lengths = np.linalg.norm(design, axis=0)
    for name, left, length in zip(names, diagonal, lengths, strict=True):
        if left <= _SINGULAR * length or length == 0:
            found = f"{name} determined by the other terms ({', '.join(n for n in names if n != name)})"
            fix = "Leave it out, or one of those that determine it."
            raise InputError("linear model", found, "terms that are not collinear", fix)


def residualise(values: Float64[ndarray, " n"], design: Float64[ndarray, "n p"]) -> Float64[ndarray, " n"]:
    """Return what a design does not explain: (I − XX⁺) values."""
    q, _ = np.linalg.qr(design)
    left: Float64[ndarray, " n"] = values - q @ (q.T @ values)
    return left
