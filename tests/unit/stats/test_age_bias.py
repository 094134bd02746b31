"""Corrections of age bias: identities, refusals, a planted gap."""

from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.stats.age_bias import cross_fitted_gap, fit_age_bias, smith_gap
from brainclock.stats.linear import fit_linear, residualise

RNG = np.random.default_rng(5)
AGE = RNG.uniform(20, 90, 300)
PREDICTED = 20 + 0.6 * AGE + RNG.normal(0, 5, 300)


def test_de_lange_is_beheshti() -> None:
    gap = PREDICTED - AGE
    b, a = np.polyfit(AGE, gap, 1)
    corrected = fit_age_bias(PREDICTED, AGE).correct(PREDICTED, AGE)
    np.testing.assert_allclose(corrected.corrected_gap, gap - (a + b * AGE), atol=1e-10)
    np.testing.assert_allclose(corrected.corrected_age, PREDICTED - (a + b * AGE), atol=1e-10)


def test_coles_gap_is_that_of_de_lange_over_the_slope() -> None:
    cole, lange = fit_age_bias(PREDICTED, AGE, "cole"), fit_age_bias(PREDICTED, AGE)
    ours = cole.correct(PREDICTED, AGE).corrected_gap
    np.testing.assert_allclose(ours, lange.correct(PREDICTED, AGE).corrected_gap / cole.slope, atol=1e-10)


@pytest.mark.parametrize("method", ["de_lange", "cole"])
def test_the_gap_of_the_fitted_people_has_no_correlation_with_age(method: str) -> None:
    gap = fit_age_bias(PREDICTED, AGE, method).correct(PREDICTED, AGE).corrected_gap
    assert np.corrcoef(gap, AGE)[0, 1] == pytest.approx(0, abs=1e-10)
    assert gap.mean() == pytest.approx(0, abs=1e-10)


def test_age_as_covariate_says_the_same_as_smiths_gap_and_as_the_predicted_age() -> None:
    score = RNG.normal(size=300) + 0.1 * (PREDICTED - AGE)
    ones, names = np.ones(300), ("1", "gap", "age")
    by_gap = fit_linear(score, np.column_stack([ones, PREDICTED - AGE, AGE]), names)
    by_age = fit_linear(score, np.column_stack([ones, PREDICTED, AGE]), names)
    by_smith = fit_linear(score, np.column_stack([ones, smith_gap(PREDICTED, AGE)]), ("1", "gap"))
    assert by_gap.effect("gap").value == pytest.approx(by_age.effect("gap").value, rel=1e-9)
    assert by_gap.effect("gap").value == pytest.approx(by_smith.effect("gap").value, rel=1e-9)


def test_smiths_gap_is_free_of_the_square_of_age() -> None:
    gap = smith_gap(PREDICTED, AGE, degree=2)
    np.testing.assert_allclose(gap @ np.column_stack([np.ones(300), AGE, AGE**2]), 0, atol=1e-5)


@pytest.mark.parametrize("method", ["de_lange", "cole"])
def test_each_control_is_corrected_by_the_line_of_the_others(method: str) -> None:
    control = np.arange(300) < 60
    ours = cross_fitted_gap(PREDICTED, AGE, control, method)
    for i in (0, 7, 59, 100):
        others = control & (np.arange(300) != i)
        fitted = fit_age_bias(PREDICTED[others], AGE[others], method)
        expected = fitted.correct(PREDICTED[[i]], AGE[[i]]).corrected_gap[0]
        assert ours[i] == pytest.approx(expected, abs=1e-9)


def test_a_planted_gap_is_found_again() -> None:
    rng = np.random.default_rng(6)
    age = rng.uniform(55, 90, 1000)
    patient = np.arange(1000) >= 400
    planted = np.where(patient, rng.uniform(0, 15, 1000), 0)
    predicted = 14 + 0.8 * age + planted + rng.normal(0, 4, 1000)
    found = cross_fitted_gap(predicted, age, ~patient)
    assert 0.9 < np.polyfit(planted[patient], found[patient], 1)[0] < 1.1


def test_accuracy_after_correction_is_refused() -> None:
    corrected = fit_age_bias(PREDICTED, AGE).correct(PREDICTED, AGE)
    with pytest.raises(InputError, match="useless model looks accurate"):
        np.abs(corrected - AGE).mean()


def test_a_useless_model_looks_perfect_after_correction() -> None:
    predicted = np.random.default_rng(7).normal(50, 3, 300)
    corrected = fit_age_bias(predicted, AGE).correct(predicted, AGE).corrected_age
    assert np.corrcoef(corrected, AGE)[0, 1] > 0.97


def test_ages_outside_the_fit_are_flagged() -> None:
    fitted = fit_age_bias(PREDICTED, AGE)
    assert fitted.correct(np.array([50.0, 50.0]), np.array([10.0, 50.0])).outside.tolist() == [True, False]
    assert fitted.people == 300
    assert fitted.slope_interval[0] < 0.6 < fitted.slope_interval[1]


@pytest.mark.parametrize(
    ("predicted", "age", "method", "word"),
    [
        (PREDICTED[:19], AGE[:19], "de_lange", "19 healthy people"),
        (PREDICTED, np.full(300, 70.0), "de_lange", "ages from 70.0 to 70.0"),
        (20 + 0.3 * AGE, AGE, "cole", "slope of 0.30"),
    ],
)
def test_what_cannot_be_corrected_is_refused(
    predicted: np.ndarray, age: np.ndarray, method: str, word: str
) -> None:
    with pytest.raises(InputError, match=word):
        fit_age_bias(predicted, age, method)
    with pytest.raises(InputError, match=word):
        cross_fitted_gap(predicted, age, np.ones(age.size, dtype=bool), method)


def test_residuals_of_the_raw_gap_are_those_of_the_predicted_age() -> None:
    line = np.column_stack([np.ones(300), AGE])
    np.testing.assert_allclose(residualise(PREDICTED - AGE, line), residualise(PREDICTED, line), atol=1e-9)
