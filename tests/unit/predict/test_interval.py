"""Intervals of any level, chances of being older, and what the true age says beside them."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.scan import Scan
from brainclock.model.card import ModelCard
from brainclock.model.folder import load_model
from brainclock.predict.beside_age import beside_age
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.interval import check_request, warn_if_too_few, with_interval

SCAN = Scan("sub-1", "sub-1", Path("a.nii.gz"), age=55.0)
ANSWER = BrainAge(50.0, "ok", None)


@pytest.fixture(scope="module")
def card(calibrated_folder: Path) -> ModelCard:
    return load_model(calibrated_folder).card  # errors of −19 to 19 years


@pytest.mark.parametrize(("level", "reach"), [(0.9, 18.0), (0.8, 16.0), (0.5, 10.0), (0.95, 19.0)])
def test_each_level_has_its_interval(card: ModelCard, level: float, reach: float) -> None:
    # |errors| are 0, 1, 1, 2, 2, …: the ⌈level · 40⌉-th smallest
    found = with_interval(ANSWER, card, level)
    assert found.predicted_age_low == 50 - reach
    assert found.predicted_age_high == 50 + reach
    assert found.interval_level == level
    assert f"{100 * level:g} % interval" in str(found)


def test_too_few_people_give_no_interval_and_a_warning(
    card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    assert with_interval(ANSWER, card, 0.99).predicted_age_low is None
    with caplog.at_level(logging.WARNING, "brainclock"):
        warn_if_too_few(card, 0.9)
        assert caplog.text == ""
        warn_if_too_few(card, 0.99)
    assert "39 people of some ages in its calibration: too few for an interval of 99 % there" in caplog.text


def test_the_chance_of_being_older_than_an_age(card: ModelCard) -> None:
    found = with_interval(ANSWER, card, older_than=60.0)
    # errors above 10: 11 to 19, nine; 10 itself counts half, the person himself half
    assert found.probability_older == pytest.approx((0.5 + 9 + 0.5) / 40)
    assert with_interval(ANSWER, card).probability_older is None


def test_without_calibration_or_age_there_is_neither(model_folder: Path, card: ModelCard) -> None:
    for answer, own in (
        (ANSWER, load_model(model_folder).card),
        (BrainAge(None, "failed", "no brain"), card),
    ):
        found = with_interval(answer, own, 0.8, 60.0)
        assert found == replace(answer, interval_level=0.8, older_than=60.0)
        assert beside_age(SCAN, found, own) == {"older_than": None, "probability_older": None}


def test_beside_the_true_age_stand_chance_and_correction(card: ModelCard) -> None:
    cells = beside_age(SCAN, ANSWER, card)
    assert cells["older_than"] == "55"
    assert cells["probability_older"] == f"{(0.5 + 14 + 0.5) / 40:.4f}"
    # the line says 10 + 0.8 · 55 = 54 at this age
    assert cells["corrected_brain_age_gap"] == "-4.000"
    assert cells["corrected_predicted_age"] == "51.000"


def test_an_age_that_was_asked_for_wins(card: ModelCard) -> None:
    asked = beside_age(SCAN, with_interval(ANSWER, card, older_than=60.0), card)
    assert (asked["older_than"], asked["probability_older"]) == ("60", "0.2500")
    nobody = replace(SCAN, age=None)
    assert beside_age(nobody, with_interval(ANSWER, card, older_than=60.0), card) == {
        "older_than": "60",
        "probability_older": "0.2500",
    }


def test_a_lower_bound_is_no_age(card: ModelCard) -> None:
    cells = beside_age(replace(SCAN, age=89.0, age_censored=True), ANSWER, card)
    assert cells == {"older_than": None, "probability_older": None}


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0, float("nan")])
def test_what_is_no_level_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="level: found"):
        check_request(level, None)


@pytest.mark.parametrize("age", [-1.0, 300.0, float("nan")])
def test_what_is_no_age_is_refused(age: float) -> None:
    with pytest.raises(InputError, match="older than: found"):
        check_request(0.9, age)
