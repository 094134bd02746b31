from __future__ import annotations

import numpy as np
import pytest
import torch

from brainclock.config import ChannelSettings, EncoderSettings, Grid, PrepareSettings, RunSettings
from brainclock.errors import ConfigError, ModelError
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.ensemble import Ensemble
from tiny_explanation import make_model, make_prepared


def volumes() -> torch.Tensor:
    return torch.stack([torch.from_numpy(make_prepared(seed).data)[None] for seed in range(2)])


@pytest.mark.parametrize("mirror", [False, True])
def test_the_age_is_the_mean_of_the_members_ages(mirror: bool) -> None:
    model = make_model(members=3, mirror=mirror)
    ages = torch.stack([member(volumes()) for member in model.members])
    assert ages.std(dim=0).min() > 0.1, "the members differ"
    torch.testing.assert_close(model(volumes()), ages.mean(0))


@pytest.mark.parametrize("blocks", [0, 4])
def test_it_is_one_affine_function_of_one_embedding(blocks: int) -> None:
    model = make_model(members=3, blocks=blocks).double()
    embeddings, ages = model.look(volumes().double())
    assert embeddings.shape == (2, model.embedding_size)
    torch.testing.assert_close(model.embed(volumes().double()), embeddings)
    torch.testing.assert_close(model(volumes().double()), ages)
    weight = torch.cat([member.regressor.weight[0] for member in model.members]) / 3
    expected = embeddings @ weight + model.intercept
    if blocks:
        images = model.members[0].see(volumes().double())
        parts = [member.blocks(member.block_means(images))[:, 0] for member in model.members]
        expected += torch.stack(parts).mean(0)
    torch.testing.assert_close(ages, expected, rtol=0, atol=1e-9)


def test_with_both_sides_the_embedding_is_the_mean_of_two() -> None:
    both, one = make_model(mirror=True), make_model()
    expected = (one.embed(volumes()) + one.embed(volumes().flip(2))) / 2
    torch.testing.assert_close(both.embed(volumes()), expected)
    torch.testing.assert_close(both(volumes()), both(volumes().flip(2)))
    assert not torch.allclose(one(volumes()), one(volumes().flip(2)))


def test_both_sides_of_pooled_gradients_are_those_of_the_mirrored_volume() -> None:
    settings = make_model((1, 1, 1), mirror=True).settings
    channels = ChannelSettings(channels=("gradient", "intensity"), sigma_mm=6.0, pool=(2, 2, 2))
    settings = settings.model_copy(update={"channels": channels})
    member = BrainAgeModel.build(settings).eval()
    torch.testing.assert_close(member.see(volumes()).flip(2), member.see(volumes().flip(2)))


def test_what_cannot_be_averaged() -> None:
    settings = make_model().settings
    with pytest.raises(ModelError, match="one member or more"):
        Ensemble(settings, [])
    other = make_model((1, 1, 1)).members[0]
    with pytest.raises(ModelError, match=r"Member 1 .* \[encoder\]"):
        Ensemble(settings, [make_model().members[0], other])
    with pytest.raises(ModelError, match=r"volumes of \(24, 28, 24\)"):
        make_model(members=2)(torch.zeros(1, 1, 4, 4, 4))


def tilted(degrees: float) -> Grid:
    straight = Grid.box((24, 28, 24), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)).matrix
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Grid(shape=(24, 28, 24), affine=(turn @ straight).tolist())


@pytest.mark.parametrize(
    ("grid", "pool", "said"),
    [
        (Grid.box((24, 28, 24), (8.0, 8.0, 8.0), (1.9, 0.0, 0.0)), 1, None),
        (Grid.box((24, 28, 24), (8.0, 8.0, 8.0), (2.1, 0.0, 0.0)), 1, "lies 4.2 mm beside it"),
        (tilted(0.5), 1, None),
        (tilted(2.0), 1, "not symmetric about x = 0"),
        (Grid.box((24, 28, 24), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)), 2, None),
        (Grid.box((25, 28, 24), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)), 2, "do not divide the 25 voxels"),
    ],
)
def test_both_sides_need_a_grid_with_a_middle(grid: Grid, pool: int, said: str | None) -> None:
    settings = RunSettings(
        prepare=PrepareSettings(grid=grid),
        channels=ChannelSettings(pool=(pool, 1, 1)),
        encoder=EncoderSettings(depth=10, width=4, cells=(1, 1, 1), mirror=True),
    )
    if said is None:
        BrainAgeModel.build(settings)
    else:
        with pytest.raises(ConfigError, match=said):
            BrainAgeModel.build(settings)
