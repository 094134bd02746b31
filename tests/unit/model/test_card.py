from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from brainclock.config import RunSettings
from brainclock.model.card import ModelCard, ModelFacts, describe_cohort, hashed_id
from brainclock.stats.conformal import Calibration


def card(**kwargs) -> ModelCard:
    first = describe_cohort("ixi", ["a", "b", "a", "c"], [29.5, 41.0, 31.0, 45.0], ["F", "M", "F", "n/a"])
    second = describe_cohort("oasis", ["a"], [8.5], ["M"])
    return ModelCard(**{"name": "test", "settings": RunSettings(), "cohorts": (first, second), **kwargs})


def test_cohort_counts_people_not_scans():
    cohort = card().cohorts[0]
    assert (cohort.scans, cohort.participants) == (4, 3)
    assert cohort.age_range == (29.5, 45.0)
    assert cohort.sex == {"F": 1, "M": 1, "n/a": 1}
    assert cohort.ages_by_decade == {"20": 1, "40": 2}


def test_people_and_ages_over_all_cohorts():
    assert card().age_range == (8.5, 45.0)
    assert [card().people_near(age) for age in (9.9, 20.0, 29.99, 30.0, 44.0)] == [1, 1, 1, 0, 2]


def test_hashed_id_is_the_documented_scheme():
    assert hashed_id("sub-01", "guys") == hashlib.sha256(b"sub-01@guys").hexdigest()[:16]
    assert hashed_id("sub-01", None) == hashed_id("sub-01", "n/a") != hashed_id("sub-01", "guys")


def test_json_and_back():
    whole = card(metrics={"validation": {"mae": 5.1, "r2": None}}, golden_age=31.25)
    assert ModelCard.model_validate_json(whole.model_dump_json()) == whole


def test_facts_are_those_of_the_card_and_come_back_from_json():
    whole = card(
        metrics={"validation": {"mae": 5.1}}, calibration=Calibration((50.0,), ((-2.0, 1.0), (0.5,)))
    )
    facts = whole.facts()
    assert (facts.identity, facts.training_ages) == (whole.identity, whole.age_range)
    assert facts.calibration == whole.calibration
    assert facts.objective == whole.settings.train.objective
    assert ModelFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize("change", [{"name": "../x"}, {"cohorts": ()}, {"format": 1}, {"colour": "red"}])
def test_impossible_cards_are_refused(change):
    with pytest.raises(ValidationError):
        card(**change)
