from __future__ import annotations

from math import prod

import pytest
import torch
from torch import nn
from torch.nn import functional

from brainclock.config import EncoderSettings
from brainclock.errors import ConfigError
from brainclock.model.resnet import ResNet3d


def encoder(shape=(17, 20, 14), channels: int = 1, seed: int = 0, **kwargs) -> ResNet3d:
    settings = EncoderSettings(**{"depth": 10, "width": 4, "cells": (1, 1, 1), **kwargs})
    return ResNet3d(settings, channels, shape, torch.Generator().manual_seed(seed))


def images(shape=(17, 20, 14), channels: int = 1, n: int = 2) -> torch.Tensor:
    return torch.randn(n, channels, *shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
@pytest.mark.parametrize("stem", ["s1", "s2", "s2p", "s4"])
@pytest.mark.parametrize("final_stride", [1, 2])
def test_shapes_are_those_announced(depth: int, stem: str, final_stride: int):
    network = encoder(depth=depth, stem=stem, final_stride=final_stride, channels=2).eval()
    with torch.no_grad():
        features = network.features(images(channels=2))
    assert tuple(features.shape[2:]) == network.feature_shape
    assert features.shape[1] == 8 * 4 * (4 if depth == 50 else 1)
    assert (features >= 0).all()
    assert network(images(channels=2)).shape == (2, network.embedding_size)


def test_resnet_18_has_the_published_number_of_parameters():
    network = encoder(depth=18, width=64, stem="s2p", norm="batch")
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(33.16e6, abs=5e3)


@pytest.mark.parametrize("cells", [(1, 1, 1), (3, 2, 2), (2, 3, 1)])
def test_embedding_is_the_mean_over_each_cell(cells: tuple[int, int, int]):
    network = encoder((40, 44, 36), cells=cells, stem="s1", final_stride=1)
    features = torch.rand(2, 5, *network.feature_shape, generator=torch.Generator().manual_seed(1))
    expected = functional.adaptive_avg_pool3d(features, cells).flatten(1)
    torch.testing.assert_close(network.pool(features), expected)
    assert network.cell_weights.shape == (prod(cells), prod(network.feature_shape))
    torch.testing.assert_close(network.cell_weights.sum(1), torch.ones(prod(cells)))


def test_every_voxel_of_the_map_counts_in_some_cell():
    network = encoder((50, 44, 36), cells=(3, 3, 3), stem="s1", final_stride=1)
    assert (network.cell_weights.sum(0) > 0).all()


def test_too_many_cells_are_refused_with_the_figures():
    with pytest.raises(ConfigError, match=r"cells = \(3, 3, 3\).*only \(2, 2, 1\).*\(17, 20, 14\)"):
        encoder(cells=(3, 3, 3), stem="s2", final_stride=2)


def test_instance_norm_of_one_voxel_is_refused():
    with pytest.raises(ConfigError, match="instance"):
        encoder((4, 4, 4), norm="instance")


def test_initial_weights_come_from_the_generator_alone():
    state = torch.random.get_rng_state()
    first, again, other = encoder(), encoder(), encoder(seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.stem[0].weight, other.stem[0].weight)
    spread = first.stages[-1].residual[3].weight
    assert spread.std().item() == pytest.approx((2 / (32 * 27)) ** 0.5, rel=0.05)


def test_zero_residual_starts_each_block_as_its_shortcut():
    network = encoder(zero_residual=True)
    block = network.stages[0]
    x = images((6, 6, 6), channels=4).relu()
    torch.testing.assert_close(block(x), x)
    assert not torch.allclose(encoder().stages[0](x), x)


@pytest.mark.parametrize(("width", "groups"), [(4, 4), (12, 6), (16, 8), (20, 5), (28, 7)])
def test_groups_are_the_largest_divisor_up_to_eight(width: int, groups: int):
    norm = encoder(width=width).stem[1]
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups


def test_scans_touch_each_other_only_through_batch_norm_in_training():
    for norm, alone in (("group", True), ("instance", True), ("batch", False)):
        network = encoder((33, 33, 33), norm=norm)
        both = network(images((33, 33, 33)))
        assert torch.allclose(network(images((33, 33, 33))[:1])[0], both[0], atol=1e-5) is alone


def test_embedding_is_single_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        embedding = encoder()(images())
    assert embedding.dtype == torch.float32


def test_works_in_double_precision():
    network = encoder(cells=(2, 2, 1)).double()
    assert network(images().double()).dtype == torch.float64
