from __future__ import annotations

import numpy as np
import pytest
import torch

from brainclock.config import ChannelSettings
from brainclock.explain.age_map import Lattice
from brainclock.explain.layers import features_at, lattice_of, layer_names
from brainclock.model.ensemble import Ensemble
from tiny_explanation import make_model


@pytest.mark.parametrize("stem", ["s1", "s2", "s2p", "s4"])
@pytest.mark.parametrize("depth", [10, 18, 50])
def test_a_voxel_lies_in_the_middle_of_what_it_sees(stem: str, depth: int) -> None:
    """The centre of a voxel's receptive field is where the lattice says."""
    model = make_model((1, 1, 1), stem=stem, depth=depth, norm="batch", final_stride=1)
    member = model.members[0]
    with torch.no_grad():  # positive everywhere: what is seen is never cut off by a rectifier
        for parameter in member.encoder.parameters():
            parameter.abs_().add_(0.01)
    lattices = {layer: lattice_of(model, layer) for layer in layer_names(model)}
    if stem == "s2p":  # the largest of equal values is one of them; their mean is all of them
        member.encoder.stem[3] = torch.nn.AvgPool3d(3, 2, 1)
    image = torch.ones((1, 1, 24, 28, 24), requires_grad=True)
    for number, layer in enumerate(layer_names(model)):
        if number > 2:  # deeper voxels see beyond this small grid
            break
        lattice = lattices[layer]
        part = member.encoder.stem(image)
        for block in list(member.encoder.stages)[:number]:
            part = block(part)
        shape = features_at(member, image.detach(), layer).shape
        assert part.shape == shape
        voxel = [size // 2 for size in shape[2:]]
        (seen,) = torch.autograd.grad(part[(0, slice(None), *voxel)].sum(), image)
        for axis in range(3):
            line = (seen[0, 0] != 0).any(dim=tuple(i for i in range(3) if i != axis)).numpy()
            field = np.flatnonzero(line)
            if field[0] == 0 or field[-1] == len(line) - 1:
                continue
            centre = lattice.start[axis] + voxel[axis] * lattice.step[axis]
            assert (field[0] + field[-1]) / 2 == pytest.approx(centre)


@pytest.mark.parametrize(("block", "step", "start"), [(1, 4, 1.5), (2, 8, 3.5), (3, 12, 5.5)])
def test_the_pooling_of_the_channels_is_in_the_lattice(block: int, step: float, start: float) -> None:
    settings = make_model((1, 1, 1), stem="s4").settings
    channels = ChannelSettings(pool=(block, block, block))
    pooled = Ensemble.build(settings.model_copy(update={"channels": channels}), 1)
    assert lattice_of(pooled, "stem") == Lattice((start, start, start), (float(step),) * 3)
