import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainclock.stats.metrics import METRICS, age_metrics, decades, weighted_median

AGE = np.array([20.0, 30.0, 40.0, 60.0])
PREDICTED = np.array([26.0, 30.0, 38.0, 52.0])


def _numbers(predicted: np.ndarray, age: np.ndarray, **training: float) -> dict[str, float]:
    return {name: float(value[0]) for name, value in age_metrics(predicted, age, **training).items()}


def test_a_worked_example() -> None:
    numbers = _numbers(PREDICTED, AGE, training_mean=50.0, training_median=45.0)
    assert list(numbers) == list(METRICS)
    # errors 6, 0, −2, −8; ages about their mean 37.5: SST 875; about their median 35: 15, 5, 5, 25
    assert numbers["mae"] == 4
    assert numbers["median_absolute_error"] == 4
    assert numbers["rmse"] == pytest.approx(np.sqrt(26))
    assert numbers["macro_mae"] == 4
    assert numbers["r2"] == pytest.approx(1 - 104 / 875)
    assert numbers["r2_training_mean"] == pytest.approx(1 - 104 / (900 + 400 + 100 + 100))
    assert numbers["mean_error"] == -1
    assert numbers["slope"] == pytest.approx(585 / 875)
    assert numbers["intercept"] == pytest.approx(36.5 - 37.5 * 585 / 875)
    assert numbers["naive_mae"] == 12.5
    assert numbers["naive_mae_training_median"] == (25 + 15 + 5 + 15) / 4
    assert numbers["skill"] == pytest.approx(1 - 4 / 12.5)


def test_perfect_predictions() -> None:
    numbers = _numbers(AGE, AGE)
    assert [numbers[name] for name in ("mae", "rmse", "mean_error", "gap_sd")] == [0, 0, 0, 0]
    assert [numbers[name] for name in ("r2", "slope", "skill")] == pytest.approx([1, 1, 1])
    assert np.isnan(numbers["gap_age_r"])


def test_the_best_constant_has_no_skill_and_no_correlation() -> None:
    numbers = _numbers(np.full(4, 35.0), AGE)
    assert numbers["skill"] == 0
    assert numbers["slope"] == pytest.approx(0)
    assert numbers["gap_age_r"] == pytest.approx(-1)
    assert np.isnan(numbers["r"])


def test_people_of_one_age_have_no_r2() -> None:
    numbers = _numbers(np.array([40.0, 44.0, 42.0]), np.full(3, 42.3))
    assert all(np.isnan(numbers[name]) for name in ("r2", "r", "slope", "intercept", "skill"))
    assert numbers["mae"] == pytest.approx(4.3 / 3)


def test_macro_mae_gives_each_decade_the_same_say() -> None:
    age = np.array([21.0, 22.0, 23.0, 65.0])
    assert _numbers(age + np.array([1.0, 1.0, 1.0, 9.0]), age)["macro_mae"] == 5


def test_decades_start_at_round_ages() -> None:
    assert decades(np.array([59.99, 60.0, 69.99, 7.0])).tolist() == [50, 60, 60, 0]


ages = st.integers(3, 12).flatmap(
    lambda n: st.tuples(
        arrays(float, n, elements=st.integers(5, 95).map(float)),
        arrays(float, n, elements=st.floats(5, 95, width=16)),
        arrays(float, n, elements=st.integers(0, 4).map(float)).filter(lambda w: w.sum() >= 2),
    )
)


@given(ages)
@settings(max_examples=150, deadline=None)
def test_a_weight_is_a_number_of_copies(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    age, predicted, weights = case
    copies = np.repeat(np.arange(age.size), weights.astype(int))
    weighted = age_metrics(predicted, age, weights[None])
    copied = age_metrics(predicted[copies], age[copies])
    for name, value in weighted.items():
        assert value[0] == pytest.approx(copied[name][0], rel=1e-6, abs=1e-6, nan_ok=True), name


@given(ages)
@settings(max_examples=100, deadline=None)
def test_weighted_median_is_the_median_of_the_copies(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    values, _, weights = case
    expected = np.median(np.repeat(values, weights.astype(int)))
    assert weighted_median(values, weights[None])[0] == expected


@given(ages, st.permutations(range(12)))
@settings(max_examples=50, deadline=None)
def test_the_order_of_people_does_not_matter(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], order: list[int]
) -> None:
    age, predicted, _ = case
    turn = [i for i in order if i < age.size]
    straight, turned = _numbers(predicted, age), _numbers(predicted[turn], age[turn])
    assert turned == pytest.approx(straight, rel=1e-6, abs=1e-6, nan_ok=True)
