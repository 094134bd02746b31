from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import InputError, ModelError
from brainclock.explain.age_map import AgeMap, Lattice
from brainclock.explain.gap import gap_by_region, gap_map
from brainclock.explain.reference import Reference, fit_reference, load_reference, save_reference
from brainclock.explain.regions import Regions
from brainclock.prepare.prepared import PreparedScan
from tiny_explanation import make_prepared
from tiny_model import GRID

PEOPLE = 40
SHAPE = (3, 4, 3)
LATTICE = Lattice((3.5,) * 3, (8.0,) * 3)


def make_people(seed: int = 0) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Intensity falls with age; the map grows with its square in one place."""
    rng = np.random.default_rng(seed)
    people = []
    for number in range(PEOPLE):
        age = float(rng.uniform(20, 80))
        data = make_prepared(number).data
        data = np.where(data > 0, 0.9 - 0.004 * (age - 20) + rng.normal(0, 0.01, data.shape), 0)
        shares = rng.normal(0, 0.5, SHAPE)
        shares[1, 2, 1] += 0.01 * (age - 20) ** 2
        people.append((age, data.astype(np.float32), shares))
    return people


@pytest.fixture(scope="module")
def reference() -> Reference:
    return fit_reference(make_people(), intercept=45.0, weights_sha256="a" * 64)


def age_map(values: np.ndarray) -> AgeMap:
    return AgeMap(values, LATTICE, float(values.sum()) + 45.0, 45.0, "grad-ram", "block4")


def test_the_mean_brain_follows_age_in_any_outline(reference: Reference, prepared: PreparedScan) -> None:
    for age in (25.0, 50.0, 75.0):
        brain = reference.brain_at(age, prepared.mask)
        assert np.array_equal(brain > 0, prepared.mask)
        assert np.median(brain[prepared.mask]) == pytest.approx(0.9 - 0.004 * (age - 20), abs=0.01)
    wide = np.ones(GRID.shape, dtype=bool)
    assert np.median(reference.brain_at(50.0, wide)[~prepared.mask]) == pytest.approx(0.78, abs=0.02)
    oldest = reference.brain_at(reference.ages[1], prepared.mask)
    assert np.array_equal(reference.brain_at(110.0, prepared.mask), oldest), "no extrapolation"
    assert not reference.covers(110.0)


def test_the_expected_map_is_the_regression_of_maps_on_age(reference: Reference) -> None:
    people = make_people()
    ages = np.array([age for age, _, _ in people])
    maps = np.stack([shares for _, _, shares in people]).reshape(PEOPLE, -1)
    design = np.stack([np.ones(PEOPLE), ages, ages**2], axis=1)
    naive = design @ np.linalg.solve(design.T @ design, design.T @ maps)
    for age, row in zip(ages, naive, strict=True):
        assert np.allclose(reference.expected_map(float(age)).ravel(), row, atol=1e-8)
    residual = maps - naive
    covariance = residual.T @ residual / (PEOPLE - 3)
    parts = np.random.default_rng(1).uniform(size=(5, maps.shape[1]))
    assert np.allclose(reference.healthy_sd(parts) ** 2, np.diag(parts @ covariance @ parts.T), atol=1e-8)
    drawn = reference.expected_parts_drawn(61.0, parts)
    assert np.allclose(drawn.mean(0), parts @ reference.expected_map(61.0).ravel(), atol=0.2)
    assert np.linalg.norm(drawn.std(0)) > 0.1


def test_a_fine_map_has_few_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [(age, data, np.kron(shares, np.ones((4, 4, 4)))) for age, data, shares in make_people()]
    fine = fit_reference(people, intercept=45.0, weights_sha256="a" * 64)
    assert fine.trend.shape == (3, 12, 16, 12)
    assert fine.modes.shape == (PEOPLE, 12 * 16 * 12)
    assert fine.residual_root.shape == (PEOPLE, PEOPLE)
    monkeypatch.setattr("brainclock.explain.reference._MODES", 12)
    fewer = fit_reference(people, intercept=45.0, weights_sha256="a" * 64)
    assert fewer.modes.shape == (12, 12 * 16 * 12)
    assert np.allclose(fewer.trend, fine.trend), "what the gap adds up by does not depend on modes"
    everywhere = np.ones((1, 12 * 16 * 12))
    assert 0.5 * fine.healthy_sd(everywhere) < fewer.healthy_sd(everywhere) < fine.healthy_sd(everywhere)


def test_the_gap_map_sums_to_the_difference_from_the_expected_age(
    reference: Reference, prepared: PreparedScan
) -> None:
    own = age_map(np.random.default_rng(5).normal(0, 2, SHAPE))
    gap = gap_map(own, reference, 61.0)
    assert gap.total == pytest.approx(own.predicted_age - reference.expected_age(61.0), abs=1e-9)
    assert gap.completeness_error == pytest.approx(0, abs=1e-9)
    labels = np.random.default_rng(6).integers(0, 4, GRID.shape).astype(np.int16)
    regions = Regions(("a", "b", "c"), labels, "test")
    rows = gap_by_region(gap, reference, 61.0, regions, prepared)
    assert [row.region for row in rows[:3]] == ["a", "b", "c"]
    assert sum(row.years for row in rows) == pytest.approx(gap.total, abs=1e-9)
    assert all(row.low < row.years < row.high for row in rows)
    assert all(row.healthy_sd > 0 for row in rows)


def test_healthy_people_have_gaps_around_zero_and_of_their_standard_deviation(
    reference: Reference, prepared: PreparedScan
) -> None:
    labels = np.ones(GRID.shape, dtype=np.int16)
    labels[:12] = 2
    regions = Regions(("one", "two"), labels, "test")
    gaps = []
    for age, _, shares in make_people(seed=9):
        rows = gap_by_region(gap_map(age_map(shares), reference, age), reference, age, regions, prepared)
        gaps.append([row.years for row in rows])
    spread = np.array([row.healthy_sd for row in rows])
    assert np.allclose(np.mean(gaps, axis=0), 0, atol=3.5 * spread / np.sqrt(PEOPLE))
    named = spread > 0  # nothing of this brain is elsewhere
    assert named.tolist() == [True, True, False, True]
    assert np.allclose(np.std(gaps, axis=0)[named] / spread[named], 1, atol=0.4)


def test_a_map_of_another_kind_has_no_gap(reference: Reference) -> None:
    with pytest.raises(InputError, match="Grad-RAM of the last layer"):
        gap_map(age_map(np.zeros((2, 2, 2))), reference, 50.0)


def test_it_is_read_as_it_was_written(reference: Reference, prepared: PreparedScan, tmp_path: Path) -> None:
    save_reference(reference, tmp_path)
    again = load_reference(tmp_path, "a" * 64)
    assert again.ages == reference.ages
    assert again.people == PEOPLE
    assert np.array_equal(again.trend, reference.trend), "the gap must not depend on rounding"
    one, other = (found.brain_at(40.0, prepared.mask) for found in (reference, again))
    assert np.allclose(one, other, atol=2e-3)
    save_reference(again, tmp_path / "again")
    first, second = (folder / "reference.safetensors" for folder in (tmp_path, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


def test_damaged_or_foreign_files_are_refused(reference: Reference, tmp_path: Path) -> None:
    save_reference(reference, tmp_path)
    with pytest.raises(ModelError, match="the reference of another model"):
        load_reference(tmp_path, "b" * 64)
    card = json.loads((tmp_path / "reference.json").read_text())
    (tmp_path / "reference.json").write_text(json.dumps({**card, "people": None}))
    with pytest.raises(ModelError, match="damaged reference"):
        load_reference(tmp_path, "a" * 64)
    (tmp_path / "reference.json").write_text(json.dumps(card))
    (tmp_path / "reference.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="was changed"):
        load_reference(tmp_path, "a" * 64)


def test_few_people_or_one_age_are_no_reference() -> None:
    with pytest.raises(InputError, match="9 people, expected 10 or more"):
        fit_reference(make_people()[:9], intercept=0.0, weights_sha256="a")
    same = [(50.0, data, shares) for _, data, shares in make_people()]
    with pytest.raises(InputError, match="different ages"):
        fit_reference(same, intercept=0.0, weights_sha256="a")
