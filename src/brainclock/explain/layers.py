"""Layers of the encoder by name, where their voxels lie, and how the network goes on from there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from brainclock.errors import InputError
from brainclock.explain.age_map import Lattice
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.ensemble import Ensemble


def layer_names(model: Ensemble) -> tuple[str, ...]:
    """Return ``stem``, ``block1``, ... in the order of each network; the last is the one that is pooled."""
    return _names(model.members[0])


def last_layer(model: Ensemble) -> str:
    """Return the name of the layer that is pooled into the embedding."""
    return layer_names(model)[-1]


def check_layer(model: Ensemble, layer: str | None) -> str:
    """Return the name of a layer, the last one for None.

    Raises
    ------
    InputError
        The model has no such layer.
    """
    names = layer_names(model)
    if layer is None:
        return names[-1]
    if layer not in names:
        fix = f"Leave it out for {names[-1]}, the only layer at which the map adds up exactly."
        raise InputError("--layer", repr(layer), ", ".join(names), fix)
    return layer


def lattice_of(model: Ensemble, layer: str) -> Lattice:
    """Return where the voxels of a layer's feature map are centred on the model grid.

    A convolution with kernel k, stride s and padding p shifts the centre of voxel 0 by (k − 1)/2 − p of
    its input's steps and lengthens the step by s (Dumoulin and Visin 2016, arXiv:1603.07285, ch. 2).
    """
    pool = model.settings.channels.pool
    start, step = [(block - 1) / 2 for block in pool], [float(block) for block in pool]
    member = model.members[0]
    stages: list[nn.Module] = list(member.encoder.stages)
    for module in [member.encoder.stem, *stages[: _names(member).index(layer)]]:
        path: nn.Module = getattr(module, "residual", module)
        for part in path.children():
            if isinstance(part, nn.Conv3d | nn.MaxPool3d):
                for axis in range(3):
                    kernel, stride, padding = (
                        _along(n, axis) for n in (part.kernel_size, part.stride, part.padding)
                    )
                    start[axis] += ((kernel - 1) / 2 - padding) * step[axis]
                    step[axis] *= stride
    return Lattice((start[0], start[1], start[2]), (step[0], step[1], step[2]))


def features_at(
    member: BrainAgeModel, images: Float[Tensor, "n c x y z"], layer: str
) -> Float[Tensor, "n f i j k"]:
    """Return a layer's feature map of what a member sees, without gradient.

    The hook that catches it is removed again.
    """
    place = _names(member).index(layer)
    module = member.encoder.stem if place == 0 else member.encoder.stages[place - 1]
    caught: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    try:
        with torch.no_grad():
            member.encoder.features(images)
    finally:
        handle.remove()
    return caught[0].clone()


def ages_from(member: BrainAgeModel, features: Float[Tensor, "n f i j k"], layer: str) -> Float[Tensor, " n"]:
    """Return the ages, or the parts of them, that a member reads from a layer's feature map, years."""
    for block in list(member.encoder.stages)[_names(member).index(layer) :]:
        features = block(features)
    return member.read_embeddings(member.encoder.pool(features))


@contextlib.contextmanager
def resting(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode with fixed weights, and afterwards back as it was."""
    training = [module for module in model.modules() if module.training]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for module in training:
        module.training = False
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad_(True)


def _names(member: BrainAgeModel) -> tuple[str, ...]:
    return ("stem", *(f"block{i + 1}" for i in range(len(member.encoder.stages))))


def _along(number: int | str | tuple[int, ...], axis: int) -> int:
    """Return the size along one axis of what torch holds as a number or as three."""
    if isinstance(number, tuple):
        return number[axis]
    return int(number)
