"""A model brought to another scanner: a shift, perhaps a slope, from healthy people scanned there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.stats.age_bias import AgeBiasCorrection, fit_age_bias
from brainclock.stats.conformal import Calibration, calibrate, coverage, left_out_coverage
from brainclock.stats.linear import fit_linear

#: Fewer healthy people than this move a model by chance.
FEWEST = 20
#: A slope needs more people than a shift.
FEWEST_FOR_SLOPE = 50


@dataclass(frozen=True, slots=True)
class Recalibration:
    """age ≈ intercept + slope × predicted_age on another scanner.

    Parameters
    ----------
    people : int
    shift : tuple of float
        Mean of age − predicted_age with its 95 % interval (HC3), years: value, low, high.
    slope : tuple of float
        The same of the slope; (1, 1, 1) where it was not fitted.
    intercept : float
        Years.
    mae_before, mae_after : float
        Mean absolute error, years, without, and with everybody read by the line of the others.
    coverage_after : tuple of float
        Share of people whose age lies in the 90 % interval that the others' cross-fitted errors give them,
        with its exact 95 % interval.
    calibration : Calibration
        For intervals, from the same cross-fitted errors.
    age_bias : AgeBiasCorrection or None
        From the same ages; None where all people are of about one age.
    coverage_before : tuple of float or None
        As ``coverage_after``, of the intervals that the model had; None where it had none.
    """

    people: int
    shift: tuple[float, float, float]
    slope: tuple[float, float, float]
    intercept: float
    mae_before: float
    mae_after: float
    coverage_after: tuple[float, float, float]
    calibration: Calibration
    age_bias: AgeBiasCorrection | None
    coverage_before: tuple[float, float, float] | None = None


def recalibrate(
    predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"], *, with_slope: bool = False
) -> Recalibration:
    """Fit the shift (and slope) that healthy people of another scanner need.

    Errors are cross-fitted: of each person by the line of the others, e/(1 − h) in closed form.

    Parameters
    ----------
    predicted_age : ndarray of float, shape (n,), years
        Raw predictions of healthy people who did not train the model, one a person.
    age : ndarray of float, shape (n,), years
    with_slope : bool
        Also fit a slope.

    Raises
    ------
    InputError
        Fewer than 20 people, 50 with a slope; or a slope below 0.2: the predictions hardly follow age.
    """
    needed = FEWEST_FOR_SLOPE if with_slope else FEWEST
    if age.size < needed:
        fix = "Bring more healthy people." if not with_slope else "Bring more, or leave the slope alone."
        raise InputError("calibration", f"{age.size} healthy people", f"{needed} or more", fix)
    error = age - predicted_age
    ones = np.ones((age.size, 1))
    shift_fit = fit_linear(error, ones, ("shift",))
    shift = shift_fit.effect("shift")
    slope, intercept, fit = (1.0, 1.0, 1.0), shift.value, shift_fit
    if with_slope:
        centre = predicted_age.mean()
        fit = fit_linear(age, np.column_stack([ones, predicted_age - centre]), ("mean", "slope"))
        found = fit.effect("slope")
        if found.value < 0.2:
            what = f"a slope of {found.value:.2f} of age on predicted age"
            fix = "The model does not follow age on these scans: check how they were prepared."
            raise InputError("calibration", what, "0.2 or more", fix)
        slope = found.value, found.low, found.high
        intercept = float(fit.coefficients[0] - found.value * centre)
    left: Float64[ndarray, " n"] = fit.residuals / (1 - fit.leverages)
    calibration = calibrate(age - left, age)
    try:
        age_bias = fit_age_bias(age - left, age)
    except InputError:  # people of one age have no line
        age_bias = None
    return Recalibration(
        age.size,
        (shift.value, shift.low, shift.high),
        slope,
        intercept,
        float(np.abs(error).mean()),
        float(np.abs(left).mean()),
        coverage(int(left_out_coverage(age - left, age).sum()), age.size),
        calibration,
        age_bias,
    )
