"""Age bias: predictions shrink to the mean age, so young brains look older and old ones younger.

A correction is a line fitted to people whom the model never saw, kept with what it was fitted on. What
it corrects is for comparing people. It contains the true age and so cannot measure accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NoReturn

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.stats.linear import fit_linear, residualise

#: ``de_lange`` subtracts the line; ``cole`` inverts it.
Method = Literal["de_lange", "cole"]

#: Fewer people than this give a line that is worse than none.
FEWEST = 20
#: Below this slope Cole's division more than doubles the noise.
LEAST_SLOPE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedAges:
    """Ages and gaps after a correction; not an array, so that no accuracy is computed from them.

    Parameters
    ----------
    corrected_age : ndarray of float, shape (n,), years
        Named like its column in a table; the true age is part of it under ``de_lange``.
    corrected_gap : ndarray of float, shape (n,), years
    outside : ndarray of bool, shape (n,)
        The true age lies outside the ages on which the correction was fitted: an extrapolation.
    """

    corrected_age: Float64[ndarray, " n"]
    corrected_gap: Float64[ndarray, " n"]
    outside: Bool[ndarray, " n"]

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        """Refuse to be taken for predictions."""
        raise InputError(
            "accuracy",
            "ages corrected for age",
            "raw predicted ages",
            "After a correction that uses the true age even a useless model looks accurate (Butler et al. "
            "2021, doi:10.1002/hbm.25533): measure the raw predictions.",
        )


@dataclass(frozen=True, slots=True)
class AgeBiasCorrection:
    """The line of predicted age on age in healthy people, and how to correct with it.

    Parameters
    ----------
    method : {'de_lange', 'cole'}
        ``de_lange`` (de Lange and Cole 2020, doi:10.1016/j.nicl.2020.102229; the same as Beheshti et al.
        2019, doi:10.1016/j.nicl.2019.102063): the gap minus its line on age. ``cole`` (Cole et al. 2018,
        doi:10.1038/mp.2017.62): (predicted age − intercept) / slope, without the true age.
    people : int
        On whom the line was fitted.
    age_range : tuple of float
        Of these people, years.
    slope, intercept : float
        Of predicted age on age; intercept in years, at age 0.
    slope_interval : tuple of float
        95 %, from HC3 errors.
    """

    method: Method
    people: int
    age_range: tuple[float, float]
    slope: float
    intercept: float
    slope_interval: tuple[float, float]

    def correct(self, predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"]) -> CorrectedAges:
        """Return corrected ages and gaps.

        Parameters
        ----------
        predicted_age : ndarray of float, shape (n,), years
            Raw.
        age : ndarray of float, shape (n,), years
        """
        if self.method == "cole":
            corrected = (predicted_age - self.intercept) / self.slope
        else:
            corrected = predicted_age + (age - (self.intercept + self.slope * age))
        low, high = self.age_range
        return CorrectedAges(corrected, corrected - age, (age < low) | (age > high))


def fit_age_bias(
    predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"], method: Method = "de_lange"
) -> AgeBiasCorrection:
    """Fit the line of predicted age on age.

    Parameters
    ----------
    predicted_age : ndarray of float, shape (n,), years
        Raw predictions of healthy people whom the model never saw (out of fold), one a person.
    age : ndarray of float, shape (n,), years
    method : {'de_lange', 'cole'}

    Raises
    ------
    InputError
        Fewer than 20 people, all of one age, or a slope below 0.5 with ``cole``.
    """
    _check(age)
    design = np.column_stack([np.ones_like(age), age - age.mean()])
    fit = fit_linear(predicted_age, design, ("intercept", "age"))
    slope = fit.effect("age")
    if method == "cole":
        _check_slope(slope.value)
    return AgeBiasCorrection(
        method,
        age.size,
        (float(age.min()), float(age.max())),
        slope.value,
        float(fit.coefficients[0] - slope.value * age.mean()),
        (slope.low, slope.high),
    )


def smith_gap(
    predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"], degree: int = 1
) -> Float64[ndarray, " n"]:
    """Return the part of the gap that a polynomial of age does not explain in this sample, years.

    δ₂ = (I − YY⁺) δ₁ (Smith et al. 2019, doi:10.1016/j.neuroimage.2019.06.017); an analysis of the sample,
    not a correction for other people. In a model that also has the age it says the same as the raw gap.
    """
    centred = age - age.mean()
    return residualise(predicted_age - age, np.vander(centred, degree + 1, increasing=True))


def cross_fitted_gap(
    predicted_age: Float64[ndarray, " n"],
    age: Float64[ndarray, " n"],
    control: Bool[ndarray, " n"],
    method: Method = "de_lange",
) -> Float64[ndarray, " n"]:
    """Return corrected gaps, years, from the line of the controls of the same study.

    Nobody is corrected by a line to which he contributed: patients by the line of all controls, each
    control by that of the others (closed form: Cook and Weisberg 1982, eq. 2.2.5).

    Raises
    ------
    InputError
        As for `fit_age_bias`.
    """
    _check(age[control])
    centre = age[control].mean()
    design = np.column_stack([np.ones_like(age), age - centre])
    fit = fit_linear(predicted_age[control], design[control], ("intercept", "age"))
    if method == "cole":
        _check_slope(float(fit.coefficients[1]))
    lines = np.tile(fit.coefficients, (age.size, 1))
    own = design[control]
    pull = np.linalg.solve(own.T @ own, own.T).T * (fit.residuals / (1 - fit.leverages))[:, None]
    lines[control] -= pull
    left: Float64[ndarray, " n"] = predicted_age - (design * lines).sum(axis=1)
    return left / lines[:, 1] if method == "cole" else left


def _check(age: Float64[ndarray, " n"]) -> None:
    if age.size < FEWEST:
        fix = "Bring more healthy people, or put age among the covariates instead."
        raise InputError("age-bias correction", f"{age.size} healthy people", f"{FEWEST} or more", fix)
    if np.ptp(age) < 1:
        found = f"ages from {age.min():.1f} to {age.max():.1f} years"
        fix = "A line on age needs people of different ages."
        raise InputError("age-bias correction", found, "a range of at least a year", fix)


def _check_slope(slope: float) -> None:
    if slope < LEAST_SLOPE:
        found = f"a slope of {slope:.2f} of predicted age on age"
        fix = "Use de_lange: the division by the slope would blow up the noise."
        raise InputError("age-bias correction cole", found, f"{LEAST_SLOPE} or more", fix)
