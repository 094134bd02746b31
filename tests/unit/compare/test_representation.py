from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from brainclock.compare.representation import (
    _jackknife,
    best_scale_loss,
    measure_embedding,
    plane,
    tell_sites,
)
from brainclock.train.monitor import embedding_order
from brainclock.train.rank_n_contrast import normalised_rank_n_contrast

AGES = np.array([21.0, 25, 33, 40, 41, 52, 60, 66, 71, 88])


def names(n: int) -> list[str]:
    return [f"sub-{number}" for number in range(n)]


def line(ages: np.ndarray, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.outer(ages, [3.0, 4.0]) + noise * rng.normal(size=(len(ages), 2))


def measured(embeddings, ages, people):
    return {one.measure: one for one in measure_embedding(embeddings, ages, people)}


def test_order_is_the_rank_correlation_over_pairs():
    embeddings = line(AGES, noise=60.0)
    pairs = list(itertools.combinations(range(len(AGES)), 2))
    apart = [float(np.linalg.norm(embeddings[i] - embeddings[j])) for i, j in pairs]
    years = [abs(AGES[i] - AGES[j]) for i, j in pairs]
    found = measured(embeddings, AGES, names(10))["embedding_order"]
    assert found.value == pytest.approx(stats.spearmanr(apart, years).statistic)
    assert found.standard_error > 0


def test_a_straight_line_is_perfect_and_its_scale_does_not_matter():
    found = measured(line(AGES), AGES, names(10))
    assert found["embedding_order"].value == pytest.approx(1.0)
    assert found["rnc_loss"].value < 0.05
    loss = best_scale_loss(line(AGES, 20.0), AGES)
    assert best_scale_loss(line(AGES, 20.0) * 1000 + 5, AGES) == pytest.approx(loss)


def test_the_loss_is_the_least_over_a_range_of_scales():
    embeddings = line(AGES, noise=40.0)
    losses = [
        float(
            normalised_rank_n_contrast(
                torch.from_numpy(embeddings * scale), torch.from_numpy(AGES), temperature=2.0
            )
        )
        for scale in np.logspace(-5, 2, 200)
    ]
    assert min(losses) <= best_scale_loss(embeddings, AGES) <= min(losses) + 0.02


def test_the_second_scan_of_a_person_counts_for_the_retest_alone():
    twice = np.concatenate([line(AGES, 20.0), line(AGES[:2], 20.0) + 1.0])
    ages, people = np.concatenate([AGES, AGES[:2]]), [*names(10), "sub-0", "sub-1"]
    found, once = measured(twice, ages, people), measured(line(AGES, 20.0), AGES, names(10))
    assert found["embedding_order"].value == once["embedding_order"].value
    assert np.isnan(once["retest_distance"].value)
    apart = [np.linalg.norm(twice[i] - twice[10 + i]) for i in (0, 1)]
    pairs = itertools.combinations(range(10), 2)
    mean = np.mean([np.linalg.norm(twice[i] - twice[j]) for i, j in pairs])
    assert found["retest_distance"].value == pytest.approx(np.mean(apart) / mean)


def test_the_jackknife_error_is_about_the_spread_over_draws():
    rng = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(40):
        ages = rng.uniform(20, 80, 25)
        embeddings = ages[:, None] + 15 * rng.normal(size=(25, 3))
        value, error = _jackknife(embedding_order, embeddings, ages)
        values.append(value)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.4)


def test_too_few_people_and_equal_ages_have_no_measure():
    for embeddings, ages in ((line(AGES[:4]), AGES[:4]), (line(AGES, 1.0), np.full(10, 50.0))):
        found = measured(embeddings, ages, names(len(ages)))
        assert np.isnan(found["embedding_order"].value)
        assert np.isnan(found["rnc_loss"].value)


def test_sites_are_told_where_the_embedding_has_them():
    rng = np.random.default_rng(2)
    sites = ["north", "south"] * 30
    offset = np.array([0.0 if site == "north" else 3.0 for site in sites])
    marked = rng.normal(size=(60, 5)) + offset[:, None]
    told = tell_sites(marked[:40], sites[:40], marked[40:])
    assert np.mean([a == b for a, b in zip(told, sites[40:], strict=True)]) > 0.9
    blind = rng.normal(size=(60, 5))
    told = tell_sites(blind[:40], sites[:40], blind[40:])
    assert np.mean([a == b for a, b in zip(told, sites[40:], strict=True)]) < 0.85
    assert tell_sites(marked[:40], ["north"] * 40, marked[40:]) is None


def test_the_plane_keeps_distances_of_what_is_flat():
    rng = np.random.default_rng(3)
    flat = rng.normal(size=(12, 2)) @ np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    found = plane(flat)
    for i, j in itertools.combinations(range(12), 2):
        assert np.linalg.norm(found[i] - found[j]) == pytest.approx(np.linalg.norm(flat[i] - flat[j]))
    np.testing.assert_allclose(plane(-flat), found, atol=1e-9)
    assert plane(np.ones((3, 1))).shape == (3, 2)
