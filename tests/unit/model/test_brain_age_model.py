from __future__ import annotations

import numpy as np
import pytest
import torch

from brainclock.config import (
    ChannelSettings,
    EncoderSettings,
    Grid,
    PrepareSettings,
    RegressorSettings,
    RunSettings,
)
from brainclock.errors import ConfigError, ModelError
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.folder import golden_volume
from brainclock.model.regressor import AffineRegressor, Regressors

GRID = Grid.box((24, 28, 22), (8.0, 8.0, 8.0), (0.0, -17.0, 5.0))


def settings(seed: int = 1, cells=(2, 2, 2), blocks: int = 0, mirror: bool = False) -> RunSettings:
    return RunSettings(
        regressor=RegressorSettings(blocks=blocks),
        seed=seed,
        prepare=PrepareSettings(grid=GRID),
        channels=ChannelSettings(
            channels=("gradient", "intensity"), sigma_mm=8.0, erode_mm=8.0, pool=(2, 2, 2)
        ),
        encoder=EncoderSettings(depth=10, width=4, stem="s1", cells=cells, mirror=mirror),
    )


def regressor(model: BrainAgeModel, intercept: float = 55.0) -> AffineRegressor:
    weight = np.random.default_rng(0).standard_normal(model.embedding_size)
    return AffineRegressor(weight, intercept, 1.0, np.zeros(1))


def volumes(n: int = 2) -> torch.Tensor:
    one = torch.from_numpy(golden_volume(GRID))
    generator = torch.Generator().manual_seed(0)
    return torch.stack(
        [(one * (1 + 0.1 * torch.rand(one.shape, generator=generator)))[None] for _ in range(n)]
    )


def test_age_is_the_affine_function_of_the_embedding():
    model = BrainAgeModel.build(settings()).eval()
    fitted = regressor(model)
    model.set_regressors(Regressors(fitted))
    with torch.no_grad():
        embeddings, ages = model.embed(volumes()), model(volumes())
    assert embeddings.shape == (2, model.embedding_size)
    np.testing.assert_allclose(ages, fitted.predict(embeddings.double().numpy()), rtol=1e-5)


def test_age_comes_apart_exactly_over_the_voxels_of_the_feature_map():
    model = BrainAgeModel.build(settings()).double().eval()
    model.set_regressors(Regressors(regressor(model)))
    with torch.no_grad():
        features = model.encoder.features(model.channels(volumes().double()))
        weight = model.regressor.weight.view(features.shape[1], -1) @ model.encoder.cell_weights
        years = (features.flatten(2) * weight).sum(1)
        ages = model(volumes().double())
    torch.testing.assert_close(years.sum(1) + model.regressor.bias, ages, rtol=1e-12, atol=0)


def test_initial_weights_follow_the_seed_and_leave_the_global_stream_alone():
    state = torch.random.get_rng_state()
    first, again, other = (BrainAgeModel.build(settings(seed)) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.embed(volumes()), other.embed(volumes()))


def test_untrained_model_gives_no_age_that_could_be_believed():
    assert BrainAgeModel.build(settings())(volumes()).tolist() == [0, 0]


def test_differentiable_down_to_the_voxels():
    model = BrainAgeModel.build(settings()).eval()
    model.set_regressors(Regressors(regressor(model)))
    scan = volumes(1).requires_grad_()
    model(scan).sum().backward()
    assert scan.grad is not None
    assert (scan.grad != 0).sum() > 100
    assert scan.grad.isfinite().all()


def test_age_is_single_precision_under_autocast():
    model = BrainAgeModel.build(settings()).eval()
    model.set_regressors(Regressors(regressor(model)))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(volumes()).dtype == torch.float32


def test_other_grid_is_refused_with_both_shapes():
    with pytest.raises(ModelError, match=r"\(24, 28, 22\).*\(24, 24, 24\)"):
        BrainAgeModel.build(settings())(torch.zeros(1, 1, 24, 24, 24))


def test_regressor_of_another_embedding_is_refused():
    model = BrainAgeModel.build(settings())
    with pytest.raises(ModelError, match="3 weights and the embedding 256"):
        model.set_regressors(Regressors(AffineRegressor(np.zeros(3), 0.0, 1.0, np.zeros(1))))


@pytest.mark.parametrize("mirror", [False, True])
def test_with_blocks_the_age_is_the_mean_of_two_regressors(mirror):
    model = BrainAgeModel.build(settings(blocks=3, mirror=mirror)).eval()
    own = regressor(model)
    assert model.block_shape == (4, 5, 4)  # 12 × 14 × 11 voxels, filled up
    weight = np.random.default_rng(1).integers(-8, 9, 2 * 4 * 5 * 4) / 4  # exact in half precision
    pixels = AffineRegressor(weight, 35.0, 1.0, np.zeros(1))
    model.set_regressors(Regressors(own, pixels))
    with torch.no_grad():
        images = model.see(volumes())
        ages = model(volumes()).numpy()
        expected = own.predict(model.encode(images).double().numpy())
        means = np.pad(images.numpy(), [(0, 0)] * 3 + [(0, 1), (0, 1)])
    if mirror:
        means = (means + means[:, :, ::-1]) / 2
    means = means.reshape(2, 2, 4, 3, 5, 3, 4, 3).mean((3, 5, 7)).reshape(2, -1)
    np.testing.assert_allclose(ages, (expected + pixels.predict(means.astype(float))) / 2, rtol=1e-4)


def test_regressors_of_another_kind_are_refused():
    model = BrainAgeModel.build(settings(blocks=3))
    with pytest.raises(ModelError, match="reads blocks or not"):
        model.set_regressors(Regressors(regressor(model)))
    wrong = Regressors(regressor(model), AffineRegressor(np.zeros(3), 0.0, 1.0, np.zeros(1)))
    with pytest.raises(ModelError, match="3 weights and the blocks 160"):
        model.set_regressors(wrong)


def test_encoder_too_deep_for_the_grid_is_refused():
    with pytest.raises(ConfigError, match=r"encoder\.cells"):
        BrainAgeModel.build(settings(cells=(3, 3, 3)))
