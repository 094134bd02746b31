"""Does a map depend on what the model has learnt? It must fall apart when the model does.

Adebayo et al. (2018), arXiv:1810.03292: the weights are spoiled from the regressor down to the first layer,
or the model is one that was trained on ages dealt out at random, and the map is compared with the true one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64
from numpy import ndarray
from torch import Tensor, nn

from brainclock.errors import InputError
from brainclock.explain.nuance import Likeness, likeness
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.ensemble import Ensemble

#: From a model to a map on the model grid.
Explainer = Callable[[Ensemble], Float64[ndarray, "x y z"]]


@dataclass(frozen=True, slots=True)
class RandomisedStep:
    """The map after the weights from the regressor down to ``layer`` were spoiled, beside the true one."""

    layer: str
    alike: Likeness


def cascade(
    model: Ensemble, explain: Explainer, mask: Bool[ndarray, "x y z"], generator: torch.Generator
) -> list[RandomisedStep]:
    """Spoil the layers one after the other, from the regressor down, and compare the map each time.

    A layer is spoiled, in every member, by exchanging the entries of each of its parameters at random: scale
    and spread of the weights stay as they are.

    Parameters
    ----------
    model : Ensemble
        Stays as it is; a copy is spoiled.
    explain : callable
        Makes the map of one scan with the model that it is given.
    mask : ndarray of bool, shape of the grid
        Where maps are compared.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    list of RandomisedStep
        ``regressor`` first, ``stem`` last.
    """
    true = explain(model)
    spoiled = copy.deepcopy(model)
    blocks = range(len(spoiled.members[0].encoder.stages))
    steps = []
    for name in ("regressor", *(f"block{i + 1}" for i in reversed(blocks)), "stem"):
        for member in spoiled.members:
            _spoil(_layer(member, name), generator)
        steps.append(RandomisedStep(name, likeness(true, explain(spoiled), mask)))
    return steps


def compare_with_random_labels(
    true: Ensemble,
    random: Ensemble,
    explainers: Sequence[Explainer],
    masks: Sequence[Bool[ndarray, "x y z"]],
) -> list[Likeness]:
    """Compare the maps of a model with those of one trained on ages dealt out at random, scan by scan.

    Parameters
    ----------
    true, random : Ensemble
        Of the same architecture and grid.
    explainers : sequence of callable
        One a scan.
    masks : sequence of ndarray of bool
        One a scan.

    Raises
    ------
    InputError
        The models differ in more than their weights.
    """
    parts = ("encoder", "regressor")
    same = all(getattr(true.settings, part) == getattr(random.settings, part) for part in parts)
    if true.grid != random.grid or not same:
        found, fix = "models of different kinds", "Train both with the same settings."
        raise InputError("random labels", found, "the same grid, encoder and regressor", fix)
    return [
        likeness(explain(true), explain(random), mask)
        for explain, mask in zip(explainers, masks, strict=True)
    ]


def mean_likeness(alike: Sequence[Likeness]) -> Likeness:
    """Return the mean of each number over scans; raises `InputError` where there is none."""
    if not alike:
        raise InputError("likeness of maps", "no scan", "one or more", "Give the maps of some scans.")
    names = ("spearman", "spearman_absolute", "ssim", "top_overlap")
    return Likeness(*(float(np.mean([getattr(one, name) for one in alike])) for name in names))


def _layer(member: BrainAgeModel, name: str) -> nn.Module:
    if name == "regressor":
        return nn.ModuleList(part for part in (member.regressor, member.blocks) if part is not None)
    stages: list[nn.Module] = list(member.encoder.stages)
    return member.encoder.stem if name == "stem" else stages[int(name.removeprefix("block")) - 1]


def _spoil(layer: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            flat: Tensor = parameter.flatten()
            order = torch.randperm(flat.numel(), generator=generator).to(flat.device)
            parameter.copy_(flat[order].reshape(parameter.shape))
