from __future__ import annotations

import numpy as np
import pytest
import torch

from brainclock.errors import InputError
from brainclock.explain.attribution import integrated_gradients, occlusion, smoothgrad
from brainclock.model.ensemble import Ensemble
from tiny_explanation import make_model, make_prepared, state_of


@pytest.fixture
def baseline(volume: torch.Tensor) -> torch.Tensor:
    return torch.where(volume > 0, 0.7 * volume + 0.2, 0)


def test_integrated_gradients_add_up_to_the_difference_of_ages(
    model: Ensemble, volume: torch.Tensor, baseline: torch.Tensor
) -> None:
    between = float(model(volume)[0]) - float(model(baseline)[0])
    errors = []
    for steps in (4, 64):
        found = integrated_gradients(model, volume, baseline, steps=steps)
        assert found.predicted_age - found.intercept == pytest.approx(between, abs=1e-3)
        errors.append(abs(found.total - between))
    assert errors[1] < 0.02 * abs(between) + 0.05
    assert not found.values[volume[0, 0].numpy() == 0].any(), "nothing outside of the brain"


def test_integrated_gradients_of_a_brain_that_is_the_baseline_are_zero(
    model: Ensemble, volume: torch.Tensor
) -> None:
    assert not integrated_gradients(model, volume, volume, steps=2).values.any()


def test_smoothgrad_without_noise_is_the_gradient(model: Ensemble, volume: torch.Tensor) -> None:
    found = smoothgrad(model, volume, 1, samples=2, noise=1e-9)
    leaf = volume.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(model(leaf).sum(), leaf)
    inside = volume[0, 0].numpy() > 0
    scale = float(slope.abs().max())
    assert np.allclose(found.values[inside], slope[0, 0].numpy()[inside], atol=1e-3 * scale)
    assert not found.values[~inside].any()
    assert found.unit == "years per white-matter intensity"
    assert not found.additive


def test_smoothgrad_depends_on_its_seed_alone(model: Ensemble, volume: torch.Tensor) -> None:
    before = torch.get_rng_state()
    one = smoothgrad(model, volume, 5, samples=3).values
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert np.array_equal(one, smoothgrad(model, volume, 5, samples=3).values)
    assert not np.array_equal(one, smoothgrad(model, volume, 6, samples=3).values)


def test_occlusion_says_what_each_region_does_alone(
    model: Ensemble, volume: torch.Tensor, baseline: torch.Tensor
) -> None:
    labels = np.zeros(volume.shape[2:], dtype=np.int16)
    labels[8:12, 10:14, 8:12] = 3
    labels[12:16, 10:14, 8:12] = 7
    found = occlusion(model, volume, baseline, labels)
    mask = volume[0, 0].numpy() > 0
    for code in (0, 3, 7):
        region = torch.from_numpy((labels == code) & mask)
        changed = torch.where(region, baseline, volume)
        years = float(model(volume)[0]) - float(model(changed)[0])
        assert found.values[(labels == code) & mask].sum() == pytest.approx(years, abs=1e-3)
    assert not found.values[~mask].any()


def test_a_baseline_of_another_outline_is_refused(model: Ensemble, volume: torch.Tensor) -> None:
    other = torch.ones_like(volume)
    labels = np.zeros(volume.shape[2:], dtype=np.int16)
    with pytest.raises(InputError, match="another outline"):
        integrated_gradients(model, volume, other)
    with pytest.raises(InputError, match="another outline"):
        occlusion(model, volume, other, labels)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_stays_as_it_was(training: bool) -> None:
    model = make_model(norm="batch")
    model.train(training).requires_grad_(training)
    volume = torch.from_numpy(make_prepared(2).data)[None, None]
    baseline = torch.where(volume > 0, 0.9 * volume, 0)
    before = state_of(model)
    smoothgrad(model, volume, 1, samples=2)
    integrated_gradients(model, volume, baseline, steps=2)
    occlusion(model, volume, baseline, np.zeros(volume.shape[2:], dtype=np.int16))
    assert state_of(model) == before
    assert volume.grad is None
    assert not volume.requires_grad
