from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import ScanRefused
from brainclock.prepare.normalise import BRIGHTEST, DARKEST, normalise


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).gamma(4, 30, (10, 11, 12)).astype(np.float32)


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((10, 11, 12), dtype=bool)
    mask[2:8, 2:9, 2:10] = True
    return mask


@pytest.fixture
def share(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.float32)


def test_white_matter_becomes_one_and_the_mask_can_be_read_off(
    image: np.ndarray, mask: np.ndarray, share: np.ndarray
) -> None:
    image[4, 4, 4], image[4, 4, 5] = 0.0, 1e6
    normal = normalise(image, share)
    assert np.percentile(normal[mask], 95) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(normal > 0, mask)
    assert normal[mask].min() == np.float32(DARKEST)
    assert normal.max() == np.float32(BRIGHTEST)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e4])
def test_the_unit_of_the_scanner_does_not_matter(image: np.ndarray, share: np.ndarray, factor: float) -> None:
    np.testing.assert_allclose(
        normalise(image * np.float32(factor), share), normalise(image, share), rtol=1e-5
    )


def test_the_border_fades(image: np.ndarray, share: np.ndarray) -> None:
    image = image.clip(50, 150)
    full = normalise(image, share)
    share[2] *= 0.75
    np.testing.assert_allclose(normalise(image, share)[2], full[2] / 2, rtol=1e-5)
    share[2] *= 2 / 3
    assert (normalise(image, share)[2] == 0).all()


def test_a_black_or_absent_brain_is_refused(image: np.ndarray, share: np.ndarray) -> None:
    for data, where in ((image, np.zeros_like(share)), (np.zeros_like(image), share)):
        with pytest.raises(ScanRefused, match="black or lies outside"):
            normalise(data, where)
