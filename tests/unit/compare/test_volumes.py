from __future__ import annotations

import numpy as np
import pytest

from brainclock.compare.volumes import features, volumes_ml
from brainclock.config import Grid

GRID = Grid.box((40, 40, 40), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


def ball(radius_mm: float) -> np.ndarray:
    x = (np.arange(40) - 19.5) * 4
    return x[:, None, None] ** 2 + x[:, None] ** 2 + x**2 <= radius_mm**2


def head(ventricle_mm: float, noise: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(0)
    brain = ball(70)
    image = np.where(ball(55), 1.0, 0.7)
    image[ball(ventricle_mm)] = 0.2
    image[brain & ~ball(64)] = 0.25  # fluid outside
    return ((image + rng.normal(0, noise, brain.shape)).clip(0.01) * brain).astype(np.float16)


def test_volumes_are_those_of_the_head():
    found = volumes_ml(head(25), GRID, scale=1.5)
    truth = [4 / 3 * np.pi * r**3 / 1000 * 1.5 for r in (70, 64, 25)]
    assert found["brain_ml"] == pytest.approx(truth[0], rel=0.02)
    assert found["deep_fluid_ml"] == pytest.approx(truth[2], rel=0.1)
    assert found["fluid_ml"] == pytest.approx(truth[0] - truth[1] + truth[2], rel=0.1)


def test_a_larger_ventricle_is_more_deep_fluid_at_any_contrast():
    small, large = volumes_ml(head(15), GRID, 1.0), volumes_ml(head(30), GRID, 1.0)
    assert large["deep_fluid_ml"] > 5 * small["deep_fluid_ml"]
    bright = head(30).astype(np.float64) ** 0.8
    assert volumes_ml(bright, GRID, 1.0) == pytest.approx(large, rel=0.05)


def test_an_empty_mask_has_no_volume():
    empty = volumes_ml(np.zeros((40, 40, 40), dtype=np.float16), GRID, 1.0)
    assert set(empty.values()) == {0.0}
    assert np.isfinite(features(np.zeros((1, 3)))).all()
