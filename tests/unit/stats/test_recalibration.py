"""A model brought to another scanner: the planted shift is found, errors are cross-fitted."""

from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.stats.conformal import calibrate, coverage
from brainclock.stats.recalibration import recalibrate


def controls(n: int, shift: float = 6.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    predicted = rng.uniform(20, 80, n)
    return predicted, slope * predicted + shift + rng.normal(0, 4, n)


def test_the_planted_shift_is_found() -> None:
    found = recalibrate(*controls(40))
    assert found.shift[1] < 6 < found.shift[2]
    assert found.slope == (1, 1, 1)
    assert found.mae_after < found.mae_before - 1


def test_the_planted_slope_is_found() -> None:
    found = recalibrate(*controls(80, slope=0.8), with_slope=True)
    assert found.slope[1] < 0.8 < found.slope[2]


@pytest.mark.parametrize("with_slope", [False, True])
def test_each_error_is_by_the_line_of_the_others(with_slope: bool) -> None:
    predicted, age = controls(60, slope=0.9)
    errors = []
    for i in range(60):
        rest = np.arange(60) != i
        if with_slope:
            slope, intercept = np.polyfit(predicted[rest], age[rest], 1)
            errors.append(age[i] - intercept - slope * predicted[i])
        else:
            errors.append(age[i] - predicted[i] - (age[rest] - predicted[rest]).mean())
    found = recalibrate(predicted, age, with_slope=with_slope)
    assert found.mae_after == pytest.approx(np.abs(errors).mean())
    np.testing.assert_allclose(np.sort(np.concatenate(found.calibration.errors)), np.sort(errors))


def test_coverage_after_is_that_of_people_left_out() -> None:
    predicted, age = controls(60)
    found = recalibrate(predicted, age)
    left = age - predicted - (((age - predicted).sum() - (age - predicted)) / 59)
    inside = 0
    for i in range(60):
        rest = np.arange(60) != i
        low, high = calibrate((age - left)[rest], age[rest]).interval((age - left)[[i]], 0.9)
        inside += int(low[0] <= age[i] <= high[0])
    assert found.coverage_after == pytest.approx(coverage(inside, 60))
    assert found.coverage_after[1] < 0.9 < found.coverage_after[2]


def test_the_line_of_age_bias_is_that_after_the_shift() -> None:
    predicted, age = controls(60)
    found = recalibrate(predicted, age)
    assert found.age_bias is not None
    slope = np.polyfit(age, predicted, 1)[0]
    assert found.age_bias.slope == pytest.approx(slope, abs=0.02)  # a shift tilts nothing
    middle = found.age_bias.intercept + found.age_bias.slope * age.mean()
    assert middle == pytest.approx(age.mean(), abs=1e-6)
    assert recalibrate(predicted, np.full(60, 50.0)).age_bias is None


@pytest.mark.parametrize(("n", "with_slope", "word"), [(19, False, "19 healthy"), (49, True, "50 or more")])
def test_few_people_move_no_model(n: int, with_slope: bool, word: str) -> None:
    with pytest.raises(InputError, match=word):
        recalibrate(*controls(n), with_slope=with_slope)


def test_predictions_that_do_not_follow_age_are_refused() -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(InputError, match="does not follow age"):
        recalibrate(rng.uniform(40, 60, 60), rng.uniform(20, 80, 60), with_slope=True)
