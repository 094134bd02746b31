"""Sentences about the gap: what was found, and what could not be asked."""

from __future__ import annotations

import numpy as np
import pytest

from brainclock.report.gap_words import methods, results
from brainclock.stats.gap import GapAnalysis, analyse_gap
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import Study


def analysed(patients: int) -> GapAnalysis:
    rng = np.random.default_rng(3)
    n = 60 + patients
    ill = np.arange(n) >= 60
    age = rng.uniform(60, 85, n)
    study = Study(
        tuple(f"sub-{i}" for i in range(n)),
        age + rng.normal(0, 4, n) + 5 * ill,
        age,
        tuple(np.where(ill, "AD", "HC").tolist()),
        {"brain": rng.normal(1100, 60, n)},
        {"sex": tuple("FM"[i % 2] for i in range(n))},
    )
    return analyse_gap(study, GapPlan(volumes=("brain",), resamples=100))


@pytest.mark.parametrize(
    ("patients", "said"), [(30, "Beyond age, sex, brain, the gap changed the AUC"), (8, "")]
)
def test_the_added_value_is_always_spoken_of(patients: int, said: str) -> None:
    unanswered = (
        "Whether the gap says more than age, sex and brain volume could not be tested for AD − HC: added "
        "value: found 8 people in a group, expected 10 or more in each."
    )
    assert (said or unanswered) in results(analysed(patients))


def test_words_claim_association_and_no_more() -> None:
    text = results(analysed(30)) + methods(analysed(30))
    assert "associations in one sample" in text
    assert "Accuracy was not computed from corrected ages" in text
    for word in ("significant", "caused", "due to", "predicts"):
        assert word not in text
