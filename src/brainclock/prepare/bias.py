"""Even out the coil: N4 bias field correction inside the brain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from brainclock.prepare.orient import box_around
from brainclock.prepare.resample import stretch

#: The field is smooth: a voxel every so many mm tells it. Means over blocks would mix the tissues, and N4,
#: which sharpens the histogram, would take half the contrast of grey and white matter for the coil.
_EVERY_MM = 6.0
_ITERATIONS = (50, 50, 50, 50)
_TOLERANCE = 1e-3


def correct_bias(
    data: Float32[ndarray, "x y z"], mask: Bool[ndarray, "x y z"], spacing_mm: tuple[float, float, float]
) -> Float32[ndarray, "x y z"]:
    """Divide by the bias field that N4 finds in the mask (Tustison et al. 2010, 10.1109/TMI.2010.2046908).

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
        The scan, not below 0.
    mask : ndarray of bool, shape (x, y, z)
        Where the field is estimated. It is applied in the box around the mask; outside, where nobody
        looks, the scan stays as it is.
    spacing_mm : tuple of float
        Voxel size.
    """
    every = [
        max(1, min(round(_EVERY_MM / step), size // 4))
        for step, size in zip(spacing_mm, data.shape, strict=True)
    ]
    chosen = tuple(slice(n // 2, None, n) for n in every)
    image, inside = np.ascontiguousarray(data[chosen]), mask[chosen] & (data[chosen] > 0)
    if not inside.any():
        return data
    field = _log_field(image, inside, [step * n for step, n in zip(spacing_mm, every, strict=True)])
    box = box_around(mask)
    for axis, (piece, n) in enumerate(zip(box, every, strict=True)):
        field = stretch(field, axis, (np.arange(piece.start, piece.stop) - n // 2) / n)
    corrected = data.copy()
    corrected[box] *= np.exp(-field)
    return corrected


def _log_field(
    image: Float32[ndarray, "x y z"], inside: Bool[ndarray, "x y z"], spacing_mm: list[float]
) -> Float32[ndarray, "x y z"]:
    """Logarithm of N4's field."""
    import SimpleITK as sitk  # noqa: N813  its own name for itself

    # Always two threads, also for the filters that N4 keeps inside: the work is split alike on any number of
    # cores, so that all give the same bytes.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(_ITERATIONS)
    n4.SetConvergenceThreshold(_TOLERANCE)
    pictures = [sitk.GetImageFromArray(picture.T) for picture in (image, inside.astype(np.uint8))]
    for picture in pictures:
        picture.SetSpacing(spacing_mm)
    n4.Execute(*pictures)
    return np.asarray(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(pictures[0])).T, dtype=np.float32)
