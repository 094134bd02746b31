from __future__ import annotations

import itertools

import numpy as np
import pytest

from brainclock.io.volume import Volume
from brainclock.prepare.orient import box_around, reorient
from brainclock.prepare.prepared import OwnSpace

TURNS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def turned(volume: Volume, order: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
    """Store the same image with other array axes, and say so in the affine."""
    data = volume.data.transpose(order)[tuple(slice(None, None, flip) for flip in flips)]
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, old in enumerate(order):
        to_old[old, new] = flips[new]
        to_old[old, 3] += 0 if flips[new] > 0 else data.shape[new] - 1
    return Volume(np.ascontiguousarray(data), volume.affine @ to_old)


@pytest.fixture
def volume() -> Volume:
    tilt = np.deg2rad(20)
    affine = np.array(
        [
            [1.0 * np.cos(tilt), -2.0 * np.sin(tilt), 0, -10],
            [1.0 * np.sin(tilt), 2.0 * np.cos(tilt), 0, 7],
            [0, 0, 1.5, 3],
            [0, 0, 0, 1],
        ]
    )
    return Volume(np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32), affine)


@pytest.mark.parametrize(("order", "flips"), TURNS)
def test_every_storage_order_becomes_the_same_volume(
    volume: Volume, order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    stored = turned(volume, order, flips)
    back = reorient(stored)
    np.testing.assert_array_equal(back.data, volume.data)
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-12)
    own = OwnSpace(stored.data.shape, stored.affine, back.data > 0, back.affine)
    np.testing.assert_array_equal(own.mask(), stored.data > 0)


def test_the_box_holds_the_mask_and_no_more() -> None:
    mask = np.zeros((8, 9, 10), dtype=bool)
    mask[3, 4:6, 0] = True
    assert box_around(mask) == (slice(3, 4), slice(4, 6), slice(0, 1))
    assert box_around(mask, 2) == (slice(1, 6), slice(2, 8), slice(0, 3))
    assert box_around(np.zeros_like(mask)) == (slice(0, 8), slice(0, 9), slice(0, 10))
