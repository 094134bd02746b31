"""Randomised weights and faithfulness."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from brainclock.errors import InputError
from brainclock.explain.faithfulness import edge_map, faithfulness, random_map
from brainclock.explain.grad_ram import grad_ram
from brainclock.explain.nuance import effective_resolution_mm, nuance
from brainclock.explain.randomise import cascade, compare_with_random_labels, mean_likeness
from brainclock.explain.spread import on_model_grid
from brainclock.model.ensemble import Ensemble
from brainclock.prepare.prepared import PreparedScan
from tiny_explanation import make_model, state_of
from tiny_model import GRID


def test_the_map_falls_apart_with_the_weights(
    model: Ensemble, volume: torch.Tensor, prepared: PreparedScan
) -> None:
    def explain(some: Ensemble) -> np.ndarray:
        return on_model_grid(grad_ram(some, volume), prepared)

    before = state_of(model)
    steps = cascade(model, explain, prepared.mask, torch.Generator().manual_seed(0))
    assert state_of(model) == before
    assert [step.layer for step in steps] == ["regressor", "block4", "block3", "block2", "block1", "stem"]
    assert steps[-1].alike.spearman < 0.9
    again = cascade(model, explain, prepared.mask, torch.Generator().manual_seed(0))
    assert again == steps
    blind = cascade(model, lambda _: prepared.data.astype(np.float64), prepared.mask, torch.Generator())
    assert all(step.alike.spearman == pytest.approx(1) for step in blind), "a map that ignores the model"


def test_models_of_random_labels(volume: torch.Tensor, prepared: PreparedScan) -> None:
    def explain(some: Ensemble) -> np.ndarray:
        return on_model_grid(grad_ram(some, volume), prepared)

    one, other = make_model(), make_model()
    with torch.no_grad():
        other.members[0].regressor.weight.mul_(-1)
    (alike,) = compare_with_random_labels(one, other, [explain], [prepared.mask])
    assert alike.spearman == pytest.approx(-1)
    assert mean_likeness([alike, alike]) == alike
    with pytest.raises(InputError, match="the same grid, encoder and regressor"):
        compare_with_random_labels(one, make_model((1, 1, 1)), [explain], [prepared.mask])
    with pytest.raises(InputError, match="no scan"):
        mean_likeness([])


def test_curves_lead_from_the_scan_to_the_baseline_and_back(model: Ensemble, volume: torch.Tensor) -> None:
    baseline = torch.where(volume > 0, 0.5 * volume + 0.3, 0)
    change = float(model(baseline)[0]) - float(model(volume)[0])
    values = np.random.default_rng(0).normal(size=GRID.shape)
    deleted = faithfulness(model, volume, baseline, values)
    inserted = faithfulness(model, volume, baseline, values, "insertion")
    assert deleted.years[0] == inserted.years[0] == 0
    assert deleted.years[-1] == pytest.approx(change, abs=1e-3)
    assert inserted.years[-1] == pytest.approx(-change, abs=1e-3)
    assert deleted.area == pytest.approx(np.trapezoid(np.abs(deleted.years), deleted.fractions))


def test_the_true_place_beats_noise(model: Ensemble, volume: torch.Tensor, prepared: PreparedScan) -> None:
    """Only one place differs from the baseline: a map that knows it moves the age at once."""
    baseline = volume.clone()
    baseline[..., 10:14, 12:16, 10:14] *= 0.5
    truth = np.zeros(GRID.shape)
    truth[10:14, 12:16, 10:14] = 1.0
    noise = random_map(prepared.mask, 20.0, GRID.spacing_mm, np.random.default_rng(0))
    right = faithfulness(model, volume, baseline, truth).area
    assert right > faithfulness(model, volume, baseline, noise).area
    assert right > faithfulness(model, volume, baseline, -np.abs(noise) * (1 - truth)).area
    assert edge_map(volume, GRID.spacing_mm).shape == GRID.shape


def test_noise_is_as_smooth_as_asked(prepared: PreparedScan) -> None:
    noise = random_map(prepared.mask, 24.0, GRID.spacing_mm, np.random.default_rng(0))
    assert effective_resolution_mm(noise, prepared.mask, GRID.spacing_mm) == pytest.approx(24, rel=0.3)
    assert nuance(noise, prepared.mask, GRID.spacing_mm).inside_share < 1


def test_what_does_not_fit_is_refused(model: Ensemble, volume: torch.Tensor) -> None:
    values = np.zeros(GRID.shape)
    with pytest.raises(InputError, match="on the same voxels"):
        faithfulness(model, volume, torch.ones_like(volume), values)
    with pytest.raises(InputError, match="on the same voxels"):
        faithfulness(model, volume, volume, values[1:])
    with pytest.raises(InputError, match="rise from 0 to 1"):
        faithfulness(model, volume, volume, values, fractions=(0.0, 0.5, 0.4, 1.0))
