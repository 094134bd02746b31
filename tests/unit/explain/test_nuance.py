from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from brainclock.errors import InputError
from brainclock.explain.nuance import likeness, nuance, regions_for, retest_agreement, spearman

SPACING = (2.0, 2.0, 2.0)


@pytest.fixture
def mask() -> np.ndarray:
    places = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij")) - 19.5
    return np.square(places).sum(axis=0) < 16**2


@pytest.mark.parametrize("width_mm", [6.0, 10.0])
def test_the_resolution_is_that_of_smoothed_noise(width_mm: float, mask: np.ndarray) -> None:
    sigma = width_mm / np.sqrt(8 * np.log(2)) / 2
    noise = gaussian_filter(np.random.default_rng(0).standard_normal((40, 40, 40)), sigma, mode="wrap")
    found = nuance(noise, mask, SPACING)
    assert found.effective_resolution_mm == pytest.approx(width_mm, rel=0.15)


def test_entropy_and_place(mask: np.ndarray) -> None:
    even = nuance(mask.astype(np.float64), mask, SPACING)
    assert even.entropy == pytest.approx(1)
    assert even.inside_share == 1
    one = np.zeros(mask.shape)
    one[20, 20, 20] = -3.0
    point = nuance(one, mask, SPACING)
    assert (point.entropy, point.edge_share) == (pytest.approx(0), 0)
    everywhere = nuance(np.ones(mask.shape), mask, SPACING)
    assert everywhere.inside_share == pytest.approx(mask.mean())
    assert 0.1 < even.edge_share < 0.5
    assert np.isnan(nuance(np.zeros(mask.shape), mask, SPACING).entropy)


def test_likeness_of_a_map_with_itself_its_opposite_and_noise(mask: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    one, other = gaussian_filter(rng.standard_normal((2, 40, 40, 40)), (0, 2, 2, 2))
    same, opposite, noise = (
        likeness(one, 3 * one, mask),
        likeness(one, -one, mask),
        likeness(one, other, mask),
    )
    assert (same.spearman, same.ssim, same.top_overlap) == (pytest.approx(1), pytest.approx(1), 1)
    assert (opposite.spearman, opposite.spearman_absolute) == (pytest.approx(-1), pytest.approx(1))
    assert opposite.ssim < 0
    assert abs(noise.spearman) < 0.3
    assert noise.top_overlap < 0.3
    assert noise.spearman == pytest.approx(spearmanr(one[mask], other[mask]).statistic)
    with pytest.raises(InputError, match="one shape"):
        likeness(one, other[1:], mask)


def test_ties_and_constants() -> None:
    one, other = np.array([1.0, 1, 2, 3]), np.array([2.0, 1, 1, 5])
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(spearman(np.ones(4), other))


def test_retests_agree_as_far_as_people_differ_more_than_scans() -> None:
    rng = np.random.default_rng(2)
    people = rng.normal(0, 1, (500, 4))
    noise = np.array([0.01, 0.5, 1.0, 3.0])
    first, second = (people + noise * rng.normal(0, 1, (500, 4)) for _ in range(2))
    within, between = retest_agreement(first, second)
    assert np.allclose(between, 1 / (1 + noise**2), atol=0.08)
    assert 0 < within < 1
    within, between = retest_agreement(first, first)
    assert within == pytest.approx(1)
    assert np.allclose(between, 1)
    with pytest.raises(InputError, match="2 or more"):
        retest_agreement(first[:1], second[:1])


def test_regions_for_a_share() -> None:
    assert regions_for([0.5, 0.1, 0.3, 0.1]) == 2
    assert regions_for([0.25] * 4) == 4
    assert regions_for([1.0]) == 1
