"""What a preparation had seen when it ended, for those who look at it: also of a scan that was refused."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.io.volume import Volume


@dataclass(slots=True, eq=False)
class Snapshot:
    """Filled by `prepare_volume` as it goes; what it did not get to stays None.

    Parameters
    ----------
    head : Volume or None
        The scan with its axes in order, or turned upright once that was done; not below 0.
    brain : ndarray of bool, shape of ``head.data``, or None
        The mask on the voxels of the head.
    template_to_scan : ndarray of float64, shape (4, 4), or None
        Points in template mm to points in scanner mm.
    """

    head: Volume | None = None
    brain: Bool[ndarray, "x y z"] | None = None
    template_to_scan: Float64[ndarray, "4 4"] | None = None
