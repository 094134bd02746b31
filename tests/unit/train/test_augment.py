import pytest
import torch

from brainclock.config import AugmentSettings
from brainclock.train.augment import draw_look, draw_poses, look_like, move

SPACING = (2.0, 2.0, 2.0)
STILL = AugmentSettings(
    rotation_degrees=0, translation_mm=0, scale=0, flip=0, bias=0, noise=0, blur_mm=0,
    anisotropy_mm=0, sharpen=0, gamma=0, contrast_curve=0, border_mm=0,
)  # fmt: skip


def ball() -> torch.Tensor:
    axis = torch.arange(24.0) - 11.5
    radius = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2).sqrt()
    return ((0.5 + 0.3 * torch.sin(axis)[:, None, None]) * (radius < 8))[None, None]


def looks(settings: AugmentSettings, count: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [look_like(ball(), draw_look(settings, generator), SPACING) for _ in range(count)]


def posed(settings: AugmentSettings, n: int) -> torch.Tensor:
    poses = draw_poses(n, settings, torch.Generator().manual_seed(2))
    return move(ball().expand(n, -1, -1, -1, -1), poses, SPACING)


def test_a_look_is_drawn_once_and_made_twice_alike():
    look = draw_look(AugmentSettings(), torch.Generator().manual_seed(3))
    assert torch.equal(look_like(ball(), look, SPACING), look_like(ball(), look, SPACING))


def test_the_mask_stays_readable():
    for view in looks(AugmentSettings()):
        inside = view > 0
        assert torch.isfinite(view).all()
        assert view[inside].min() >= 1e-3
        assert 0.6 < float(inside.float().mean() / (ball() > 0).float().mean()) < 1.5


def test_without_a_border_the_mask_stays():
    for view in looks(AugmentSettings(border_mm=0)):
        assert torch.equal(view > 0, ball() > 0)


def test_a_contrast_curve_keeps_the_order_of_intensities():
    inside = ball() > 0
    order = ball()[inside].argsort()
    for view in looks(STILL.model_copy(update={"contrast_curve": 1.0, "gamma": 0.5})):
        assert (view[inside][order].diff() > -1e-4).all()


def test_blur_and_sharpening_change_detail_both_ways():
    detail = [
        float((view - view.roll(1, 2))[ball() > 0].std())
        for view in looks(STILL.model_copy(update={"blur_mm": 4.0, "sharpen": 1.5}), 12)
    ]
    still = float((looks(STILL, 1)[0] - looks(STILL, 1)[0].roll(1, 2))[ball() > 0].std())
    assert min(detail) < 0.95 * still
    assert max(detail) > 1.05 * still


def test_movement_keeps_the_amount_of_tissue():
    views = posed(AugmentSettings(rotation_degrees=15.0, translation_mm=4.0, scale=0), 8)
    assert views.sum((1, 2, 3, 4)) / ball().sum() == pytest.approx(torch.ones(8), abs=0.01)


def test_a_batch_is_moved_as_its_views_one_by_one():
    poses = draw_poses(3, AugmentSettings(), torch.Generator().manual_seed(4))
    batch = move(ball().expand(3, -1, -1, -1, -1), poses, SPACING)
    torch.testing.assert_close(batch, torch.cat([move(ball(), poses[k : k + 1], SPACING) for k in range(3)]))


def test_a_flip_is_a_mirror_image():
    flipped = posed(STILL.model_copy(update={"flip": 1.0}), 1)
    torch.testing.assert_close(flipped, ball().flip(2), atol=1e-4, rtol=0)


def test_a_shift_is_in_mm():
    poses = torch.tensor([[[1.0, 0, 0, 4.0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]]])
    torch.testing.assert_close(move(ball(), poses, SPACING), ball().roll(-2, 2), atol=1e-4, rtol=0)
