"""Models of categories: null cohorts, what the gap adds, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainclock.errors import InputError
from brainclock.stats.likelihood import (
    added_value,
    proportional_odds,
    random_site_difference,
    weighted_auc,
)

ONE = np.ones((1, 120))
PATIENT = np.arange(120) < 60


def cohort(seed: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    volume = rng.normal(0, 1, 120) - 0.8 * PATIENT
    return rng.normal(0, 1, 120) - 0.7 * volume + effect * PATIENT, volume[:, None]


def test_a_gap_that_only_mirrors_volume_adds_nothing() -> None:
    p = []
    for seed in range(60):
        gap, volume = cohort(seed, effect=0)
        p.append(added_value(PATIENT, gap, volume, ("volume",), np.random.default_rng(0), folds=2).p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_gap_that_says_more_raises_the_auc_on_people_left_out() -> None:
    gap, volume = cohort(1, effect=1.5)
    found = added_value(PATIENT, gap, volume, ("volume",), np.random.default_rng(0))
    without, with_gap = (weighted_auc(s, PATIENT, ONE)[0] for s in (found.without, found.with_gap))
    assert found.p < 1e-4
    assert with_gap > without + 0.05


def test_the_folds_depend_on_the_generator_alone() -> None:
    gap, volume = cohort(2, effect=0.5)
    first, second = (
        added_value(PATIENT, gap, volume, ("volume",), np.random.default_rng(7)).with_gap for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_groups_that_are_separated_completely_are_refused() -> None:
    gap, _ = cohort(3, effect=0)
    rng = np.random.default_rng(0)
    separate = PATIENT.astype(float)[:, None] + gap[:, None] * 1e-3
    with pytest.raises(InputError, match="no maximum of the likelihood"):
        added_value(PATIENT, gap, separate, ("v",), rng)


def test_nine_patients_are_too_few() -> None:
    gap, volume = cohort(4, effect=0)
    with pytest.raises(InputError, match="9 people in a group"):
        added_value(np.arange(120) < 9, gap, volume, ("volume",), np.random.default_rng(0))


def test_ordinal_p_values_of_nothing_are_uniform() -> None:
    rng = np.random.default_rng(24)
    p = []
    for _ in range(60):
        score = np.digitize(rng.normal(size=100), [-0.5, 0.5, 1.5]).astype(float)
        p.append(proportional_odds(score, rng.normal(0, 5, 100), np.zeros((100, 0)), ()).p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("levels", [2, 13])
def test_what_is_no_ordinal_scale_is_refused(levels: int) -> None:
    score = np.arange(130.0) % levels
    with pytest.raises(InputError, match=f"{levels} levels, expected 3 to 12"):
        proportional_odds(score, np.arange(130.0), np.zeros((130, 0)), ())


def test_a_score_that_follows_the_gap_exactly_is_refused() -> None:
    gap = np.arange(60.0)
    with pytest.raises(InputError, match="no maximum"):
        proportional_odds(np.floor(gap / 20), gap, np.zeros((60, 0)), ())


def test_a_random_site_effect_finds_the_planted_difference() -> None:
    rng = np.random.default_rng(25)
    site = np.arange(300) % 10
    patient = rng.permutation(300) < 150
    gap = 4.0 * patient + rng.normal(0, 5, 10)[site] + rng.normal(0, 3, 300)
    design = np.column_stack([np.ones(300), patient])
    found = random_site_difference(gap, design, ("1", "patient"), site, "patient")
    assert found.low < 4 < found.high
    assert found.high - found.low < 2


def test_four_sites_have_no_variance_worth_the_name() -> None:
    design = np.ones((40, 1))
    with pytest.raises(InputError, match="4 sites, expected 5"):
        random_site_difference(np.arange(40.0), design, ("1",), np.arange(40) % 4, "1")
