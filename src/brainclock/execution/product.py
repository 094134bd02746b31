"""A product that is the same to the last bit on any number of threads."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def multiply_along(
    matrix: Float64[ndarray, "n m"], data: Float32[ndarray, ...], axis: int
) -> Float32[ndarray, ...]:
    """Multiply every line along one axis by a matrix, in single precision.

    OpenBLAS cuts a large product into as many pieces as it has threads, and rounds otherwise where it
    cuts; workers have fewer threads than the process that started them. Here it has one.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n, m)
    data : ndarray of float32
        With m values along ``axis``.
    axis : int

    Returns
    -------
    ndarray of float32
        With n values along ``axis``.
    """
    with _blas().limit(limits=1):
        product = np.tensordot(matrix.astype(np.float32), data, axes=(1, axis))
    return np.ascontiguousarray(np.moveaxis(product, 0, axis))


@cache
def _blas() -> ThreadpoolController:
    """Return the hold on the library that numpy multiplies with."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
