from collections.abc import Mapping

import numpy as np
import pytest

from brainclock.stats import bootstrap as module
from brainclock.stats.bootstrap import bootstrap, participant_weights


def _mean(values: np.ndarray) -> object:
    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"mean": weights @ values / weights.sum(axis=1)}

    return statistic


def test_each_resample_draws_as_many_people_as_there_are_and_all_their_rows() -> None:
    participants = np.array([0, 1, 1, 2, 0, 3])
    blocks = participant_weights(participants, np.random.default_rng(0), resamples=50)
    weights = np.concatenate(list(blocks))
    assert weights.shape == (50, 6)
    first_rows = weights[:, [0, 1, 3, 5]]
    assert (first_rows.sum(axis=1) == 4).all()
    assert (weights[:, 0] == weights[:, 4]).all()
    assert (weights[:, 1] == weights[:, 2]).all()
    assert weights.std() > 0


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    participants = np.arange(7)
    whole = np.concatenate(list(participant_weights(participants, np.random.default_rng(3), resamples=40)))
    monkeypatch.setattr(module, "_BLOCK", 21)
    blocks = list(participant_weights(participants, np.random.default_rng(3), resamples=40))
    assert len(blocks) == 14
    assert np.array_equal(np.concatenate(blocks), whole)


def test_interval_of_a_mean_matches_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(50, 10, 400)
    estimate = bootstrap(_mean(values), np.arange(400), np.random.default_rng(2), resamples=4000)["mean"]
    half_width = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.value == pytest.approx(half_width, rel=0.1)
    assert estimate.value - estimate.low == pytest.approx(half_width, rel=0.1)


def test_repeated_scans_of_a_person_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).normal(50, 10, 60)
    once = bootstrap(_mean(values), np.arange(60), np.random.default_rng(2))["mean"]
    copies = np.repeat(values, 5), np.repeat(np.arange(60), 5)
    fivefold = bootstrap(_mean(copies[0]), copies[1], np.random.default_rng(2))["mean"]
    assert (fivefold.low, fivefold.high) == pytest.approx((once.low, once.high))


def test_no_interval_where_a_number_is_often_undefined() -> None:
    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"odd": np.where(weights[:, 0] == 1, 1.0, np.nan)}

    estimate = bootstrap(statistic, np.arange(5), np.random.default_rng(0))["odd"]
    assert estimate.value == 1
    assert np.isnan([estimate.low, estimate.high]).all()


def test_the_same_generator_seed_gives_the_same_interval() -> None:
    values = np.arange(20.0)
    one, two = (bootstrap(_mean(values), np.arange(20), np.random.default_rng(9)) for _ in range(2))
    assert one == two
