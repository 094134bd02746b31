"""What the codes of a MUSE label map (as DLMUSE writes it) are made of.

Codes and names of the structures are those of the MUSE atlas (Doshi et al. 2016,
doi:10.1016/j.neuroimage.2015.11.073). Structures that look alike in every MRI contrast share a class.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from brainclock.errors import InputError

#: Classes of tissue; the place of a name is its code. ``rim`` is what a brain mask holds beyond the labels:
#: meninges, vessels, a little skull.
CLASSES = (
    *("outside", "rim", "csf", "ventricle", "cortex", "hippocampus", "striatum", "pallidum", "thalamus"),
    *("cerebellar_grey", "white", "cerebellar_white", "brainstem"),
)

#: Codes of each class. Codes from 100 on are gyri, left and right, up to 207.
MUSE: Mapping[str, tuple[int, ...]] = {
    "csf": (1, 46),
    "ventricle": (4, 11, 49, 50, 51, 52),
    "cortex": (75, 76, *range(100, 208)),
    "hippocampus": (31, 32, 47, 48),
    "striatum": (23, 30, 36, 37, 57, 58),
    "pallidum": (55, 56),
    "thalamus": (59, 60),
    "cerebellar_grey": (38, 39, 71, 72, 73),
    "white": (69, *range(81, 96)),
    "cerebellar_white": (40, 41),
    "brainstem": (35, 61, 62),
}


def class_code(name: str) -> int:
    """Return the code of a class."""
    return CLASSES.index(name)


def classes_of(labels: Int[ndarray, "x y z"], source: str) -> UInt8[ndarray, "x y z"]:
    """Return the class of tissue in each voxel of a MUSE label map.

    Parameters
    ----------
    labels : ndarray of int, shape (x, y, z)
        Codes of structures; 0 outside the brain.
    source : str
        Where they came from, for messages.

    Raises
    ------
    InputError
        A code is not one of MUSE, or there is none: labels of another atlas would be painted wrongly.
    """
    table = np.full(_LAST + 1, _UNKNOWN, dtype=np.uint8)
    table[0] = 0
    for name, codes in MUSE.items():
        table[list(codes)] = class_code(name)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > _LAST:
        raise _refused(source, f"the code {low if low < 0 else high}")
    classes: UInt8[ndarray, "x y z"] = table[labels]
    if (classes == _UNKNOWN).any():
        raise _refused(source, f"the code {int(labels[classes == _UNKNOWN][0])}")
    if not classes.any():
        raise _refused(source, "no label")
    return classes


_LAST = max(code for codes in MUSE.values() for code in codes)
_UNKNOWN = 255


def _refused(source: str, found: str) -> InputError:
    return InputError(
        source, found, "the codes of MUSE (0 to 207)", "Give a label map made by DLMUSE or MUSE."
    )
