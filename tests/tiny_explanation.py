"""A model with cells and of several members, a prepared brain, and all that explaining must leave alone."""

from __future__ import annotations

import numpy as np
import torch

from brainclock.config import (
    ChannelSettings,
    EncoderSettings,
    Grid,
    PrepareSettings,
    RegressorSettings,
    RunSettings,
)
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.ensemble import Ensemble
from brainclock.model.folder import golden_volume
from brainclock.prepare.prepared import PreparedScan
from tiny_model import GRID


def make_model(
    cells: tuple[int, int, int] = (2, 2, 2),
    grid: Grid = GRID,
    members: int = 1,
    blocks: int = 0,
    **encoder: object,
) -> Ensemble:
    """A model of random weights whose intercept is 45."""
    settings = RunSettings(
        prepare=PrepareSettings(grid=grid),
        channels=ChannelSettings(channels=("intensity",), pool=(1, 1, 1)),
        encoder=EncoderSettings(**{"depth": 10, "width": 4, "cells": cells, **encoder}),
        regressor=RegressorSettings(blocks=blocks),
    )
    seeds = [settings.model_copy(update={"seed": seed}) for seed in range(1, members + 1)]
    model = Ensemble(settings, [BrainAgeModel.build(own) for own in seeds])
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for number, member in enumerate(model.members):
            member.regressor.weight.copy_(torch.randn(member.regressor.weight.shape, generator=generator))
            member.regressor.bias.fill_(45.0 + number - (members - 1) / 2)
            if member.blocks is not None:
                member.blocks.weight.copy_(torch.randn(member.blocks.weight.shape, generator=generator))
    return model.eval().requires_grad_(False)


def make_prepared(seed: int, grid: Grid = GRID) -> PreparedScan:
    rng = np.random.default_rng(seed)
    brain = golden_volume(grid)
    data = np.where(brain > 0, np.clip(brain + rng.normal(0, 0.05, brain.shape), 0.01, 1.6), 0)
    data = data.astype(np.float32)
    return PreparedScan(data, data > 0, grid, np.eye(4))


def state_of(model: Ensemble) -> list[object]:
    """All that explaining must leave as it was."""
    return [
        *(tensor.numpy().tobytes() for tensor in model.state_dict().values()),
        *(module.training for module in model.modules()),
        *(parameter.requires_grad for parameter in model.parameters()),
        *(parameter.grad is None for parameter in model.parameters()),
        *(len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()),
        *(len(module._forward_pre_hooks) for module in model.modules()),
    ]
