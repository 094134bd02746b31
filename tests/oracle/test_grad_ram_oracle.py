"""Grad-RAM in closed form against captum, which goes through hooks and a backward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation

from brainclock.explain.grad_ram import grad_ram
from brainclock.explain.layers import layer_names
from tiny_explanation import make_model, make_prepared


@pytest.fixture
def volume() -> torch.Tensor:
    return torch.from_numpy(make_prepared(4).data)[None, None]


@pytest.mark.parametrize("stem", ["s1", "s2", "s4"])
def test_with_one_cell_it_is_grad_cam_of_the_age(stem: str, volume: torch.Tensor) -> None:
    model = make_model((1, 1, 1), stem=stem)
    last = model.members[0].encoder.stages[-1]
    expected = LayerGradCam(model, last).attribute(volume, relu_attributions=False)
    assert np.allclose(grad_ram(model, volume).values, expected[0, 0].detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("cells", [(1, 1, 1), (2, 2, 2), (3, 2, 1)])
@pytest.mark.parametrize("number", range(5))
def test_at_each_layer_it_is_activation_times_gradient(
    cells: tuple[int, int, int], number: int, volume: torch.Tensor
) -> None:
    model = make_model(cells, final_stride=1)
    encoder = model.members[0].encoder
    module = encoder.stem if number == 0 else encoder.stages[number - 1]
    expected = LayerGradientXActivation(model, module).attribute(volume)
    found = grad_ram(model, volume, layer_names(model)[number])
    assert np.allclose(found.values, expected[0].sum(0).detach().numpy(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("number", range(5))
def test_of_an_ensemble_it_is_that_of_its_mean_age(number: int, volume: torch.Tensor) -> None:
    model = make_model(members=3, final_stride=1)
    encoders = [member.encoder for member in model.members]
    modules = [encoder.stem if number == 0 else encoder.stages[number - 1] for encoder in encoders]
    parts = LayerGradientXActivation(model, modules).attribute(volume)
    expected = sum(part[0].sum(0).detach().numpy() for part in parts)
    found = grad_ram(model, volume, layer_names(model)[number])
    assert np.allclose(found.values, expected, atol=1e-3, rtol=1e-3)
