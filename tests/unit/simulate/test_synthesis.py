from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainclock.simulate.muse import CLASSES, class_code
from brainclock.simulate.synthesis import (
    SynthesisSettings,
    draw_palette,
    paint,
    render,
    synthesise,
)
from brainclock.simulate.tissue import TISSUES, TissueMap

SPACING = (3.0, 3.0, 3.0)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def shells() -> np.ndarray:
    """Return a ball of ventricle in white matter, cortex and CSF."""
    radius = np.sqrt(((np.indices((30, 32, 28)) - 14.0) ** 2).sum(axis=0))
    classes = np.zeros(radius.shape, np.uint8)
    for name, outer in (("csf", 13), ("cortex", 12), ("white", 9), ("ventricle", 4)):
        classes[radius < outer] = class_code(name)
    return classes


def mean_of(image: np.ndarray, name: str) -> float:
    return float(image[shells() == class_code(name)].mean())


@given(st.integers(0, 10_000))
def test_t1w_tissues_are_bright_in_their_order(seed: int) -> None:
    levels = draw_palette("t1w", rng(seed)).levels
    order = [levels[class_code(name)] for name in ("csf", "cortex", "white")]
    assert order[0] < order[1] + 0.1
    assert order[1] < order[2]
    assert levels[0] == 0
    assert levels[1:].min() > 0
    assert levels.max() <= 1


def test_any_contrast_has_every_order_of_tissues() -> None:
    orders = set()
    for seed in range(200):
        levels = draw_palette("any", rng(seed)).levels
        orders.add(tuple(np.argsort([levels[class_code(name)] for name in ("csf", "cortex", "white")])))
    assert len(orders) == 6


def test_a_painted_map_has_the_levels_of_its_palette_and_mixes_at_borders() -> None:
    palette = draw_palette("t1w", rng(2))
    image = paint(shells(), palette, SPACING, rng(2))
    deep = np.sqrt(((np.indices(image.shape) - 14.0) ** 2).sum(axis=0))
    for name, low, high in (("ventricle", 0, 2), ("white", 6, 7.5)):
        inside = image[(deep >= low) & (deep < high)]
        assert inside.mean() == pytest.approx(palette.levels[class_code(name)], abs=0.12)
    between = image[(deep > 8.4) & (deep < 9.6)]
    assert mean_of(image, "cortex") < between.mean() < mean_of(image, "white")


@pytest.mark.parametrize("contrast", ["t1w", "any"])
def test_an_image_is_above_zero_in_its_mask_alone(contrast: str) -> None:
    settings = SynthesisSettings(contrast=contrast)  # type: ignore[arg-type]
    for seed in range(5):
        image = synthesise(shells(), SPACING, rng(seed), settings)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() == 0
        mask = image > 0
        brain = shells() > 0
        assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) > 0.9


def test_the_generator_decides_every_voxel() -> None:
    first, again, other = (synthesise(shells(), SPACING, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_brain_at_the_edge_of_the_grid_is_painted_too() -> None:
    classes = np.full((9, 8, 7), class_code("white"), np.uint8)
    image = paint(classes, draw_palette("t1w", rng()), SPACING, rng())
    assert image.mean() == pytest.approx(1, abs=0.15)
    assert not synthesise(np.zeros((6, 6, 6), np.uint8), SPACING, rng()).any()


def test_contrast_scales_the_differences_from_white_matter() -> None:
    shares = np.zeros((len(TISSUES), 12, 12, 12), np.float32)
    shares[TISSUES.index("cortex"), 2:6, 2:10, 2:10] = 1
    shares[TISSUES.index("white"), 6:10, 2:10, 2:10] = 1
    tissue = TissueMap(shares.argmax(axis=0).astype(np.int16), shares, np.eye(4), {})
    full, half = (render(tissue, rng(), contrast=c, texture=0.0).data for c in (1.0, 0.5))
    assert full[4, 5, 5] == pytest.approx(tissue.means["cortex"])
    assert 1 - half[4, 5, 5] == pytest.approx((1 - full[4, 5, 5]) / 2)
    assert half[8, 5, 5] == pytest.approx(1)
    assert half[0, 0, 0] == 0
    assert len(CLASSES) < 256
