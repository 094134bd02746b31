"""The encoder: a 3D ResNet whose embedding is the mean of its last feature map over a grid of cells.

The mean is linear in the feature map, so an affine function of the embedding is a sum over the
voxels of the map: a predicted age can be taken apart exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from brainclock.config import EncoderSettings
from brainclock.errors import ConfigError
from brainclock.model.channels import pad_to_multiple

_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_EXPANSION = {10: 1, 18: 1, 34: 1, 50: 4}


class ResNet3d(nn.Module):
    """3D ResNet (He et al. 2016, doi:10.1109/CVPR.2016.90) with embeddings by cells.

    Parameters
    ----------
    settings : EncoderSettings
    in_channels : int
    input_shape : sequence of 3 int
        Shape of the images that it will be given; the grid of cells is laid out for it.
    generator : torch.Generator
        Source of the initial weights (Kaiming normal, fan out); nothing else is drawn from.

    Attributes
    ----------
    feature_shape : tuple of 3 int
        Shape of the last feature map.
    cell_weights : Tensor, shape (cells, voxels)
        Row q holds the weight of each voxel of the feature map (C order) in the mean of cell q; rows add
        up to 1. Cells are cut as by adaptive average pooling: neighbours share a plane where the
        map does not divide evenly.
    embedding_size : int
        Feature channels times cells; the embedding is ordered by channel, then cell.

    Raises
    ------
    ConfigError
        The last feature map has fewer voxels along an axis than there are cells.
    """

    cell_weights: Tensor

    def __init__(
        self,
        settings: EncoderSettings,
        in_channels: int,
        input_shape: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.feature_shape = _feature_shape(settings, input_shape)
        _check_shape(settings, input_shape, self.feature_shape)
        with torch.random.fork_rng(devices=[]):  # the layers' own initial values are thrown away
            self.stem, self.stages = _build(settings, in_channels)
        _initialise(self, settings, generator)
        self.register_buffer("cell_weights", _cell_weights(self.feature_shape, settings.cells), False)
        channels = 8 * settings.width * _EXPANSION[settings.depth]
        self.embedding_size = channels * prod(settings.cells)

    def features(self, images: Float[Tensor, "n c x y z"]) -> Float[Tensor, "n f i j k"]:
        """Return the last feature map, not negative."""
        if self.settings.stem == "s4":
            images = pad_to_multiple(images, (4, 4, 4))
        images = self.stem(images)  # (n, width, x/s, y/s, z/s)
        features: Tensor = self.stages(images)  # (n, 8 width × expansion, i, j, k)
        return features

    def pool(self, features: Float[Tensor, "n f i j k"]) -> Float[Tensor, "n d"]:
        """Mean of each feature channel over each cell, channel by channel, in single precision or better."""
        with torch.autocast(features.device.type, enabled=False):
            flat = features.flatten(2).to(self.cell_weights.dtype)  # (n, f, voxels)
            return (flat @ self.cell_weights.T).flatten(1)  # (n, f × cells)

    def forward(self, images: Float[Tensor, "n c x y z"]) -> Float[Tensor, "n d"]:
        """Return the embedding of each image."""
        return self.pool(self.features(images))


class _Block(nn.Module):
    """Residual block: two 3³ convolutions, or 1³, 3³, 1³ where it widens by 4."""

    def __init__(self, norm: str, inner: int, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        if outs == inner:
            layers = [
                _convolution(ins, inner, 3, stride),
                _norm(norm, inner),
                nn.ReLU(inplace=True),
                _convolution(inner, outs, 3, 1),
                _norm(norm, outs),
            ]
        else:
            layers = [
                _convolution(ins, inner, 1, 1),
                _norm(norm, inner),
                nn.ReLU(inplace=True),
                _convolution(inner, inner, 3, stride),
                _norm(norm, inner),
                nn.ReLU(inplace=True),
                _convolution(inner, outs, 1, 1),
                _norm(norm, outs),
            ]
        self.residual = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or ins != outs:
            self.shortcut = nn.Sequential(_convolution(ins, outs, 1, stride), _norm(norm, outs))

    def forward(self, x: Float[Tensor, "n c x y z"]) -> Float[Tensor, "n f i j k"]:
        return functional.relu(self.residual(x) + self.shortcut(x))


def _build(settings: EncoderSettings, in_channels: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Stem and stages, not yet initialised."""
    width, expansion = settings.width, _EXPANSION[settings.depth]
    kernel, stride = {"s1": (3, 1), "s2": (3, 2), "s2p": (7, 2), "s4": (4, 4)}[settings.stem]
    padding = 0 if settings.stem == "s4" else kernel // 2
    stem = nn.Sequential(
        nn.Conv3d(in_channels, width, kernel, stride, padding, bias=False),
        _norm(settings.norm, width),
        nn.ReLU(inplace=True),
    )
    if settings.stem == "s2p":
        stem.append(nn.MaxPool3d(3, 2, 1))
    blocks: list[nn.Module] = []
    ins = width
    for stage, count in enumerate(_BLOCKS[settings.depth]):
        inner = width * 2**stage
        for index in range(count):
            step = _strides(settings)[stage] if index == 0 else 1
            blocks.append(_Block(settings.norm, inner, ins, inner * expansion, step))
            ins = inner * expansion
    return stem, nn.Sequential(*blocks)


def _strides(settings: EncoderSettings) -> tuple[int, int, int, int]:
    return 1, 2, 2, settings.final_stride


def _convolution(ins: int, outs: int, kernel: int, stride: int) -> nn.Conv3d:
    return nn.Conv3d(ins, outs, kernel, stride, kernel // 2, bias=False)


def _norm(kind: str, channels: int) -> nn.Module:
    """Group norm with the largest divisor of the channels up to 8 groups, batch norm, or instance norm."""
    if kind == "batch":
        return nn.BatchNorm3d(channels)
    groups = channels if kind == "instance" else max(g for g in range(1, 9) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def _initialise(encoder: nn.Module, settings: EncoderSettings, generator: torch.Generator) -> None:
    """Kaiming normal (fan out) convolutions; norms keep 1 and 0, save the last of a block if asked for."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        if settings.zero_residual and isinstance(module, _Block):
            last = module.residual[-1]
            assert isinstance(last.weight, Tensor)
            nn.init.zeros_(last.weight)


def _feature_shape(settings: EncoderSettings, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Shape of the last feature map. All strided layers of odd kernel give ceil(size / stride)."""
    strides = {"s1": (1,), "s2": (2,), "s2p": (2, 2), "s4": (4,)}[settings.stem] + _strides(settings)
    shape = list(input_shape)
    for stride in strides:
        shape = [-(-size // stride) for size in shape]
    return shape[0], shape[1], shape[2]


def _check_shape(
    settings: EncoderSettings, input_shape: Sequence[int], feature_shape: tuple[int, int, int]
) -> None:
    if any(size < cells for size, cells in zip(feature_shape, settings.cells, strict=True)):
        raise ConfigError(
            f"encoder.cells = {settings.cells}, but the last feature map has only {feature_shape} voxels "
            f"for images of {tuple(input_shape)}: use fewer cells, a stem of smaller stride, "
            "encoder.final_stride = 1, a smaller channels.pool, or a finer grid."
        )
    if settings.norm == "instance" and prod(feature_shape) == 1:
        raise ConfigError(
            "encoder.norm = 'instance' turns a feature map of one voxel into zeros "
            f"(images of {tuple(input_shape)}): use 'group', or a stem of smaller stride."
        )


def _cell_weights(
    feature_shape: tuple[int, int, int], cells: tuple[int, int, int]
) -> Float[Tensor, "cells voxels"]:
    """Weights of each voxel in the mean of each cell, both in C order."""
    along = [
        functional.adaptive_avg_pool1d(torch.eye(size)[None], count)[0].T.contiguous()
        for size, count in zip(feature_shape, cells, strict=True)
    ]
    return torch.kron(torch.kron(along[0], along[1]), along[2])
