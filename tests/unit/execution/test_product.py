from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from brainclock.execution.product import multiply_along

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(61, 83, 97)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_each_line_is_multiplied(axis: int) -> None:
    matrix = RNG.normal(size=(40, DATA.shape[axis]))
    expected = np.moveaxis(np.tensordot(matrix, DATA.astype(float), axes=(1, axis)), 0, axis)
    product = multiply_along(matrix, DATA, axis)
    np.testing.assert_allclose(product, expected, atol=1e-4)
    assert product.dtype == np.float32
    assert product.flags.c_contiguous


def test_the_number_of_threads_does_not_matter() -> None:
    matrix = RNG.normal(size=(123, 61))
    products = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            products.append(multiply_along(matrix, DATA, 0).tobytes())
    assert products[0] == products[1] == products[2]
