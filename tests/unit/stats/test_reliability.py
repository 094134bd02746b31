"""Reliability: Shrout and Fleiss' own example, planted truths, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.reliability import bland_altman, rate_of_change, reliability

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def test_the_example_of_shrout_and_fleiss() -> None:
    found = reliability(SHROUT_FLEISS)
    agreement, consistency = found.icc_agreement, found.icc_consistency
    got = (agreement.value, agreement.low, agreement.high)
    assert got == pytest.approx((0.2898, 0.0188, 0.7611), abs=5e-5)
    got = (consistency.value, consistency.low, consistency.high)
    assert got == pytest.approx((0.7148, 0.3425, 0.9459), abs=5e-5)


def test_the_within_person_sd_of_two_sessions_is_that_of_their_differences() -> None:
    pairs = np.random.default_rng(26).normal(50, 9, (30, 1)) + np.random.default_rng(27).normal(0, 2, (30, 2))
    found = reliability(pairs)
    sd = np.std(pairs[:, 1] - pairs[:, 0], ddof=1)
    assert found.within_sd == pytest.approx(sd / np.sqrt(2))
    assert found.smallest_change == pytest.approx(1.96 * sd)


def test_intervals_cover_the_planted_icc() -> None:
    rng = np.random.default_rng(28)
    inside = 0
    for _ in range(200):
        pairs = rng.normal(0, 2, (25, 1)) + rng.normal(0, 1, (25, 2))  # ICC 0.8
        found = reliability(pairs).icc_consistency
        inside += found.low <= 0.8 <= found.high
    assert 180 <= inside <= 199


def test_a_shift_of_the_second_session_costs_agreement_not_consistency() -> None:
    pairs = np.random.default_rng(29).normal(50, 5, (20, 1)) + np.random.default_rng(30).normal(0, 1, (20, 2))
    shifted = pairs + np.array([0, 6])
    before, after = reliability(pairs), reliability(shifted)
    assert after.icc_consistency.value == pytest.approx(before.icc_consistency.value)
    assert after.icc_agreement.value < before.icc_agreement.value - 0.2


def test_perfect_repetition_is_one() -> None:
    found = reliability(np.repeat(np.arange(6.0)[:, None], 2, axis=1))
    assert found.icc_agreement.value == found.icc_consistency.value == 1
    assert found.smallest_change == 0


@pytest.mark.parametrize(
    ("values", "word"),
    [(np.ones((4, 2)), "4 people"), (np.arange(9.0)[:, None], "1 sessions"), (np.ones((9, 2)), "same value")],
)
def test_what_has_no_reliability_is_refused(values: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        reliability(values)


def test_limits_of_agreement_by_hand() -> None:
    first = np.zeros(5)
    second = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = bland_altman(first, second)
    sd, t = np.sqrt(2.5), stats.t.ppf(0.975, 4)
    assert found.bias.value == 3
    assert found.bias.high == pytest.approx(3 + t * sd / np.sqrt(5))
    assert (found.lower.value, found.upper.value) == pytest.approx((3 - 1.96 * sd, 3 + 1.96 * sd))
    assert found.upper.high - found.upper.value == pytest.approx(t * sd * np.sqrt(1 / 5 + 1.96**2 / 8))


def test_the_rate_of_change_ignores_differences_between_people() -> None:
    rng = np.random.default_rng(31)
    person = np.repeat(np.arange(60), 3)
    age = rng.uniform(60, 80, 60)[person] + np.tile([0.0, 2.0, 4.0], 60)
    value = -0.5 * age + rng.normal(0, 9, 60)[person] + 1.7 * np.tile([0.0, 2.0, 4.0], 60)
    found = rate_of_change(value + rng.normal(0, 1, 180), age, person)
    assert found.value == pytest.approx(1.2, abs=0.15)
    assert found.low < 1.2 < found.high


def test_p_values_of_no_change_are_uniform() -> None:
    rng = np.random.default_rng(32)
    person, age = np.repeat(np.arange(40), 2), np.tile([60.0, 63.0], 40)
    p = [rate_of_change(rng.normal(size=80) + person, age, person).p for _ in range(500)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_people_scanned_once_have_no_rate() -> None:
    with pytest.raises(InputError, match="0 people"):
        rate_of_change(np.arange(9.0), np.arange(9.0), np.arange(9))
