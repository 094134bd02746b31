from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainclock.errors import InputError
from brainclock.explain.age_map import Lattice
from brainclock.explain.grad_ram import grad_ram, shares_of_features
from brainclock.explain.layers import ages_from, features_at, last_layer, layer_names
from brainclock.model.ensemble import Ensemble
from tiny_explanation import make_model, state_of


@pytest.mark.parametrize("cells", [(1, 1, 1), (2, 2, 2), (2, 1, 2)])
@pytest.mark.parametrize("stem", ["s2", "s4"])
def test_shares_add_up_to_the_predicted_age(
    cells: tuple[int, int, int], stem: str, volume: torch.Tensor
) -> None:
    model = make_model(cells, stem=stem, final_stride=1)
    found = grad_ram(model, volume)
    age = float(model(volume)[0])
    assert found.predicted_age == age
    assert found.additive
    assert found.intercept == model.intercept == 45.0
    assert abs(found.completeness_error) < 1e-4
    assert found.total == pytest.approx(age - 45.0, abs=1e-4)
    assert found.values.min() < 0 < found.values.max(), "what looks younger is not cut off"


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("blocks", [3, 4])
def test_blocks_have_their_shares(blocks: int, mirror: bool, volume: torch.Tensor) -> None:
    model = make_model((2, 1, 2), members=2, blocks=blocks, mirror=mirror, stem="s1", final_stride=1)
    found = grad_ram(model, volume)
    age = float(model(volume)[0])
    assert found.predicted_age == pytest.approx(age, abs=1e-4)
    assert found.total == pytest.approx(age - 45.0, abs=1e-3)
    with torch.no_grad():
        for member in model.members:
            member.blocks.weight.zero_()
    without = grad_ram(model, volume)
    assert found.lattice == without.lattice == Lattice()
    change = age - float(model(volume)[0])
    assert (found.values - without.values).sum() == pytest.approx(change, abs=1e-3)
    assert without.total == pytest.approx(float(model(volume)[0]) - 45.0, abs=1e-3)


def test_what_a_coarse_layer_has_goes_into_the_brain(volume: torch.Tensor) -> None:
    model = make_model(blocks=4)
    found = grad_ram(model, volume)
    assert found.total == pytest.approx(float(model(volume)[0]) - 45.0, abs=1e-3)
    outside = volume[0, 0].numpy() == 0
    assert np.abs(found.values[outside]).sum() < 1e-9 * np.abs(found.values).sum()


@pytest.mark.parametrize("layer", [None, "block1"])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_share_of_a_voxel_in_a_block_is_input_times_gradient(
    mirror: bool, layer: str | None, volume: torch.Tensor
) -> None:
    model = make_model((1, 1, 1), members=2, blocks=4, mirror=mirror, stem="s1", final_stride=1)
    with torch.no_grad():
        for member in model.members:
            member.regressor.weight.zero_()
    images = model.members[0].see(volume).requires_grad_(True)
    ages = [member.read_embeddings(member.encode(images.detach())) for member in model.members]
    read = [member.read(member.encode(images), images) for member in model.members]
    part = torch.stack(read).mean() - torch.stack(ages).mean()
    (slope,) = torch.autograd.grad(part, images)
    found = grad_ram(model, volume, layer)
    assert found.lattice == Lattice(), "as fine as the channels"
    assert np.allclose(found.values, (slope * images).detach().sum(1)[0], atol=1e-6)
    assert np.abs(found.values).max() > 1e-3


def test_it_is_the_naive_sum_over_cells_and_channels(volume: torch.Tensor) -> None:
    model = make_model()
    member = model.members[0]
    features = features_at(member, member.see(volume), last_layer(model))[0].double()
    weights = member.regressor.weight.double().reshape(features.shape[0], -1)
    cells = member.encoder.cell_weights.double()
    naive = torch.zeros(features.shape[1:], dtype=torch.float64)
    for channel in range(len(features)):
        for cell in range(len(cells)):
            naive += weights[channel, cell] * cells[cell].reshape(naive.shape) * features[channel]
    assert np.allclose(grad_ram(model, volume).values, naive, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 100))
def test_finite_differences_of_the_feature_map_agree(seed: int) -> None:
    model = make_model().double()
    member = model.members[0]
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand((1, 32, 2, 2, 2), generator=generator, dtype=torch.float64)
    shares = shares_of_features(member, features)[0]
    layer = last_layer(model)
    place = tuple(int(i) for i in torch.randint(0, 2, (3,), generator=generator))
    without = features.clone()
    without[(0, slice(None), *place)] = 0
    change = ages_from(member, features, layer) - ages_from(member, without, layer)
    assert float(shares[place]) == pytest.approx(float(change), abs=1e-9)


@pytest.mark.parametrize("number", range(5))
def test_an_earlier_layer_is_of_first_order_and_says_so(number: int, volume: torch.Tensor) -> None:
    model = make_model()
    member, layer = model.members[0], layer_names(model)[number]
    found = grad_ram(model, volume, layer)
    features = features_at(member, member.see(volume), layer)
    assert found.values.shape == tuple(features.shape[2:])
    zero = float(ages_from(member, torch.zeros_like(features), layer)[0])
    assert found.intercept == pytest.approx(zero, abs=1e-4)
    assert found.predicted_age == pytest.approx(float(model(volume)[0]), abs=1e-4)
    assert found.additive == (number == 4)
    assert (abs(found.completeness_error) < 1e-4) == found.additive
    # first order: the age changes by that much of the sum when the map is dimmed a little
    member.double()
    dimmed = ages_from(member, (1 - 1e-5) * features.double(), layer)
    whole = ages_from(member, features.double(), layer)
    assert float((whole - dimmed)[0]) == pytest.approx(1e-5 * found.total, abs=1e-7)


def test_a_layer_that_is_not_there_is_named(model: Ensemble, volume: torch.Tensor) -> None:
    with pytest.raises(InputError, match="'block9', expected stem, block1, block2, block3, block4"):
        grad_ram(model, volume, "block9")


@pytest.mark.parametrize("layer", [None, "block2"])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_stays_as_it_was(layer: str | None, training: bool, volume: torch.Tensor) -> None:
    model = make_model(members=2, norm="batch", mirror=True)
    model.train(training).requires_grad_(training)
    model.members[1].encoder.stem.requires_grad_(not training)
    before = state_of(model)
    grad_ram(model, volume, layer)
    assert state_of(model) == before


@pytest.mark.parametrize("layer", [None, "block2"])
def test_an_ensemble_has_the_mean_of_its_members_maps(layer: str | None, volume: torch.Tensor) -> None:
    model = make_model(members=3)
    found = grad_ram(model, volume, layer)
    own = [grad_ram(Ensemble(model.settings, [member]), volume, layer) for member in model.members]
    assert np.allclose(found.values, np.mean([one.values for one in own], axis=0), atol=1e-9)
    assert found.intercept == pytest.approx(np.mean([one.intercept for one in own]))
    assert len({one.predicted_age for one in own}) == 3


@pytest.mark.parametrize("stem", ["s1", "s2", "s4"])
@pytest.mark.parametrize("members", [1, 3])
def test_with_both_sides_the_shares_add_up_and_mirror(stem: str, members: int, volume: torch.Tensor) -> None:
    model = make_model((2, 1, 2), stem=stem, members=members, mirror=True, final_stride=1)
    found, other = grad_ram(model, volume), grad_ram(model, volume.flip(2))
    assert abs(found.completeness_error) < 1e-4
    assert found.predicted_age == pytest.approx(float(model(volume)[0]), abs=1e-4)
    assert other.predicted_age == pytest.approx(found.predicted_age, abs=1e-4)
    assert np.allclose(other.values, found.values[::-1], atol=1e-4), "what was left is right"
    assert found.lattice.start[0] + (len(found.values) - 1) / 2 * found.lattice.step[0] == 11.5


def test_the_mirrored_shares_lie_where_they_came_from(volume: torch.Tensor) -> None:
    """Half of the map is that without mirroring: its centre of mass is the mean of both."""
    both = make_model((2, 1, 2), stem="s2", mirror=True)
    one = make_model((2, 1, 2), stem="s2")

    def moment(model: Ensemble, image: torch.Tensor) -> float:
        found = grad_ram(model, image, "stem")
        places = found.lattice.start[0] + np.arange(len(found.values)) * found.lattice.step[0]
        return float((places - 11.5) @ found.values.sum((1, 2)))

    expected = (moment(one, volume) - moment(one, volume.flip(2))) / 2
    inner = np.abs(grad_ram(one, volume, "stem").values).sum((1, 2))
    assert inner[0] + inner[-1] < 0.2 * inner.sum()  # what is held at the border hardly counts
    assert moment(both, volume) == pytest.approx(expected, abs=0.05 * abs(expected) + 1)
