from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import norm
from torch import Tensor

from brainclock.config import ChannelSettings
from brainclock.model import channels as module
from brainclock.model.channels import Channels, block_mean, gaussian_matrix

FINE = (1, 1, 1)


def brain(shape=(22, 26, 20), n: int = 1, seed: int = 0, dtype=torch.float64) -> Tensor:
    """Ellipsoids of positive noise, smooth enough to have a gradient; 0 outside."""
    rng = np.random.default_rng(seed)
    where = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))
    volumes = []
    for index in range(n):
        inside = (where**2).sum(0) < 0.75 + 0.05 * index
        texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5)
        volumes.append(np.where(inside, 0.8 + texture, 0.0).clip(0))
    return torch.from_numpy(np.stack(volumes)[:, None]).to(dtype)


def settings(**kwargs) -> ChannelSettings:
    return ChannelSettings(**{"pool": FINE, **kwargs})


@pytest.mark.parametrize("erode_mm", [0.0, 4.0, 5.0])
def test_gradient_is_that_of_scipy(erode_mm: float):
    volume, spacing = brain(), (2.0, 1.6, 2.5)
    data = volume[0, 0].numpy()
    mask = (data > 0).astype(float)

    def smooth(image, sigma_mm):
        return ndimage.gaussian_filter(image, [sigma_mm / s for s in spacing], mode="constant")

    smoothed = smooth(data, 2.0) / np.maximum(smooth(mask, 2.0), 1e-6)
    slope = np.sqrt(sum(g**2 for g in np.gradient(smoothed, *spacing)))
    core = mask > 0
    if erode_mm:
        near = smooth(mask, erode_mm / 2) / smooth(np.ones_like(mask), erode_mm / 2)
        core &= near > norm.cdf(2)
    expected = np.where(core, slope / slope[core].mean(), 0)

    (found,) = Channels(settings(erode_mm=erode_mm), spacing)(volume)
    assert 0.05 < core.mean() < 0.6
    # scipy cuts the Gaussian off half a voxel later where 4 sigma is not whole.
    np.testing.assert_allclose(found[0], expected, atol=2e-3)


def test_ramp_has_the_same_gradient_everywhere_in_the_core():
    step_mm = (1.0, 2.0, 3.0)
    x, y, z = np.meshgrid(
        *(np.arange(n) * s for n, s in zip((40, 24, 20), step_mm, strict=True)), indexing="ij"
    )
    inside = ((x - 20) / 18) ** 2 + ((y - 23) / 21) ** 2 + ((z - 29) / 27) ** 2 < 1
    for ramp in (x, y, z):
        volume = torch.from_numpy(np.where(inside, 100 + ramp, 0))[None, None]
        image = Channels(settings(sigma_mm=1.5, erode_mm=9.0), step_mm)(volume)
        core = image > 0
        assert core.sum() > 500
        torch.testing.assert_close(image[core], torch.ones(int(core.sum())).double(), rtol=0.02, atol=0)


def test_gradient_is_free_of_gain_and_its_mean_in_the_core_is_one():
    look = Channels(settings(), (2.0, 2.0, 2.0))
    volume = brain(dtype=torch.float32)
    image = look(volume)
    assert image[image > 0].mean().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(look(300 * volume), image, rtol=1e-4, atol=1e-5)


def test_border_of_the_mask_does_not_enter():
    volume = torch.where(brain() > 0, 0.9, 0.0).double()  # no contrast but that with the surroundings
    volume[0, 0, 10, 12, 9] += 0.01
    image = Channels(settings(erode_mm=0), (2.0, 2.0, 2.0))(volume)[0, 0]
    assert image.argmax() != 0
    peak = np.unravel_index(int(image.argmax()), image.shape)
    assert np.abs(np.subtract(peak, (10, 12, 9))).max() <= 1


def test_core_shrinks_with_the_erosion_and_a_face_of_the_grid_is_no_border():
    slab = torch.full((1, 1, 30, 4, 30), 0.8).double() + 0.01 * brain((30, 4, 30)).abs()
    slab[:, :, :3] = slab[:, :, -3:] = 0
    spacing = (1.0, 1.0, 1.0)
    cores = [
        (Channels(settings(erode_mm=e), spacing)(slab)[0, 0] > 0).any(0).any(1).tolist() for e in (0, 4, 8)
    ]
    assert all(all(planes) for planes in cores)
    sizes = [int((Channels(settings(erode_mm=e), spacing)(slab) > 0).sum()) for e in (0, 4, 8)]
    assert sizes == [24 * 4 * 30, 16 * 4 * 30, 8 * 4 * 30]


def test_intensity_is_standardised_in_the_mask():
    volume = brain(n=2, dtype=torch.float32)
    image = Channels(settings(channels=("intensity",)), (2.0, 2.0, 2.0))(volume)
    for one, mask in zip(image, volume > 0, strict=True):
        assert one[mask].mean().item() == pytest.approx(0, abs=1e-5)
        assert one[mask].std(correction=0).item() == pytest.approx(1, abs=1e-5)
        assert (one[~mask] == 0).all()


@pytest.mark.parametrize("pool", [FINE, (2, 2, 2), (3, 2, 5)])
def test_the_box_of_the_brain_does_not_matter(monkeypatch: pytest.MonkeyPatch, pool: tuple[int, int, int]):
    volumes = torch.nn.functional.pad(brain(n=2), (5, 8, 0, 7, 9, 4))
    look = Channels(settings(channels=("gradient", "intensity"), pool=pool), (2.0, 1.6, 2.5))
    image = look(volumes)
    assert tuple(image.shape) == (2, 2, *look.output_shape(volumes.shape[2:]))

    def whole(volumes: Tensor, _block: tuple[int, int, int]) -> module._Box:
        x, y, z = volumes.shape[2:]
        return module._Box((x, y, z), (slice(0, x), slice(0, y), slice(0, z)))

    monkeypatch.setattr(module, "_box_of", whole)
    torch.testing.assert_close(look(volumes), image, rtol=1e-10, atol=1e-12)


def test_scans_of_a_batch_do_not_touch_each_other():
    volumes = brain(n=3)
    look = Channels(settings(channels=("gradient", "intensity"), pool=(2, 2, 2)), (2.0, 2.0, 2.0))
    together = look(volumes)
    for index in range(3):
        torch.testing.assert_close(
            look(volumes[index : index + 1])[0], together[index], rtol=1e-9, atol=1e-12
        )


def test_mirrored_scan_gives_the_mirrored_channels():
    volume = brain()
    look = Channels(settings(channels=("gradient", "intensity"), pool=(2, 2, 2)), (2.0, 2.0, 2.0))
    torch.testing.assert_close(look(volume.flip(2)), look(volume).flip(2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("filled", [0, 1])
def test_nothing_to_see_gives_zeros_and_finite_slopes(filled: int):
    volume = torch.zeros(1, 1, 9, 10, 11)
    volume[..., 4, 4, 4] = float(filled)
    volume.requires_grad_()
    image = Channels(settings(channels=("gradient", "intensity"), pool=(2, 2, 2)), (2.0, 2.0, 2.0))(volume)
    image.sum().backward()
    assert torch.equal(image, torch.zeros(1, 2, 5, 5, 6))
    assert volume.grad is not None
    assert volume.grad.isfinite().all()


def test_differentiable_where_the_mask_stays():
    volume = brain((8, 9, 7))
    look = Channels(settings(channels=("gradient", "intensity"), erode_mm=2, pool=(2, 3, 2)), (2.0, 2.0, 2.0))
    inside = volume > 0

    def image(values: Tensor) -> Tensor:
        return look(torch.zeros_like(volume).masked_scatter(inside, values))

    values = volume[inside].clone().requires_grad_()
    assert torch.autograd.gradcheck(image, values, eps=1e-6, atol=1e-5)


def test_single_precision_under_autocast():
    volume = brain(dtype=torch.float32)
    look = Channels(settings(pool=(2, 2, 2)), (2.0, 2.0, 2.0))
    expected = look(volume)
    with torch.autocast("cpu", torch.bfloat16):
        found = look(volume)
    assert torch.equal(found, expected)


def test_gaussian_rows_add_up_to_one_and_are_cut_off():
    weights = gaussian_matrix(30, 1.2)
    torch.testing.assert_close(weights.sum(1), torch.ones(30).double())
    assert weights[10, 14] > 0 == weights[10, 15]
    assert weights[10, 11] / weights[10, 10] == pytest.approx(np.exp(-0.5 / 1.2**2))


def test_block_mean_fills_up_with_zeros():
    images = torch.ones(1, 1, 5, 4, 3)
    blocks = block_mean(images, (2, 2, 2))[0, 0]
    assert blocks.shape == (3, 2, 2)
    assert blocks[:, 0].tolist() == [[1.0, 0.5], [1.0, 0.5], [0.5, 0.25]]


def test_grey_is_what_lies_between_csf_and_white_matter():
    values = [0.0, 0.2, 0.375, 0.6, 0.82, 1.0]
    volume = torch.tensor(values).reshape(1, 1, 6, 1, 1)
    image = Channels(settings(channels=("grey",)), (1.0, 1.0, 1.0))(volume)
    torch.testing.assert_close(image.flatten(), torch.tensor([0, 0, 0.5, 1, 0.5, 0]))
