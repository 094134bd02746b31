"""What a simulated brain is made of: the value that the simulation of people hands to that of images.

Who the person is and how the brain has aged ends here; how a scanner sees it begins here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int16
from numpy import ndarray

from brainclock.execution.product import multiply_along

#: The tissues, in the order of `TissueMap.shares`. ``lesion`` is white matter that T1w shows dark.
TISSUES = ("csf", "cortex", "deep_grey", "white", "lesion")

#: Mean T1w intensity of each tissue in a young adult, white matter = 1: about the medians in the labels of
#: 3 T scans, less the partial volume in them; lesions are a little brighter than the cortex.
YOUNG_MEANS: Mapping[str, float] = {
    "csf": 0.22,
    "cortex": 0.68,
    "deep_grey": 0.72,
    "white": 1.0,
    "lesion": 0.76,
}


@dataclass(frozen=True, slots=True, eq=False)
class TissueMap:
    """A brain with its CSF, before any scanner: what lies in each voxel and how bright it is in T1w.

    Parameters
    ----------
    labels : ndarray of int16, shape (x, y, z)
        Code of the structure in each voxel; 0 outside the brain with its CSF.
    shares : ndarray of float32, shape (5, x, y, z)
        Share of each tissue of `TISSUES` in the voxel, 0 to 1. The sum is 1 inside the brain with its CSF, 0
        outside, and in between at the border.
    affine : ndarray of float64, shape (4, 4)
        Voxel to mm (RAS+) of the person's own space: template space with the person's head size in it.
    tissue_of : mapping of int to str
        Tissue (a name of `TISSUES`) that most of a structure consists of, for each code in ``labels``.
    means : mapping of str to float
        T1w intensity of each tissue in this person, white matter = 1; age is in it. What a scanner makes of
        it (gain, gamma, field strength) is not.
    """

    labels: Int16[ndarray, "x y z"]
    shares: Float32[ndarray, "5 x y z"]
    affine: Float64[ndarray, "4 4"]
    tissue_of: Mapping[int, str]
    means: Mapping[str, float] = field(default_factory=lambda: dict(YOUNG_MEANS))

    def intensity(self) -> Float32[ndarray, "x y z"]:
        """Return the T1w image without texture, bias or noise; white matter is 1, outside is 0."""
        means = np.array([[self.means[name] for name in TISSUES]])
        return np.asarray(multiply_along(means, self.shares, 0)[0])
