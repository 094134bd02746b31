"""The brain with its CSF, found in a head by deepbet's two networks.

deepbet (Fisch et al. 2024, doi:10.1016/j.compbiomed.2024.108845) ships its weights as TorchScript.
The networks are called directly, as ``deepbet`` calls them, but without its profiling executor.
"""

from __future__ import annotations

import hashlib
import importlib.util
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from brainclock.errors import ModelError, ScanRefused

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SHA256 = {
    "bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}
_COARSE = (128, 128, 128)
_FINE = (256, 256, 256)
_MARGIN = 0.1  # of the box, at each side
_TRACE = 0.02  # share of a plane that must be brain for the box to reach it


def extract_brain(data: Float32[ndarray, "x y z"]) -> Bool[ndarray, "x y z"]:
    """Return the brain mask of a head (or of a brain without its head).

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
        Axes close to RAS+; tilts up to 45 degrees do no harm.

    Raises
    ------
    ScanRefused
        Nothing in the image looks like a brain.
    ModelError
        deepbet's weights are missing or were changed.
    """
    import torch
    from scipy import ndimage
    from torch.nn import functional

    rough, low, high = _rough(data)
    box = _box(rough, data.shape)
    head = torch.from_numpy(data)[None, None]
    with torch.inference_mode(), _no_profiling():
        fine = functional.interpolate(head[(..., *box)], _FINE, mode="nearest-exact")
        likely = _networks()[1](_scale(fine, low, high))[:, 1:2]
        size = [piece.stop - piece.start for piece in box]
        inside = functional.interpolate(likely, size, mode="nearest-exact")[0, 0].numpy() > 0.5
    mask = np.zeros(data.shape, dtype=bool)
    mask[box] = ndimage.binary_fill_holes(_largest(inside))
    return mask


def rough_brain(data: Float32[ndarray, "x y z"]) -> Bool[ndarray, "x y z"]:
    """Return about where the brain is, on 128³ voxels: enough to see how the head lies, and quick.

    Parameters and errors as for `extract_brain`.
    """
    import torch
    from torch.nn import functional

    rough = torch.from_numpy(_rough(data)[0].astype(np.float32))[None, None]
    return np.asarray(functional.interpolate(rough, data.shape, mode="nearest-exact")[0, 0].numpy() > 0.5)


def _rough(data: Float32[ndarray, "x y z"]) -> tuple[Bool[ndarray, "128 128 128"], float, float]:
    """Rough brain by the box network, and the intensities between which the head lies."""
    import torch
    from torch.nn import functional

    with torch.inference_mode(), _no_profiling():
        coarse = functional.interpolate(torch.from_numpy(data)[None, None], _COARSE, mode="nearest-exact")
        low, high = (float(q) for q in np.quantile(coarse.numpy(), (0.005, 0.995)))
        if not high > low:
            raise ScanRefused("brain_found", "no contrast: nothing in the image looks like a brain")
        rough = _networks()[0](_scale(coarse, low, high))[0, 1].numpy() > 0.5
    return _largest(rough), low, high


def _scale(image: Tensor, low: float, high: float) -> Tensor:
    """Scale to what the networks were trained on, in place: at 256³ each copy costs time and 64 MB."""
    image.sub_(low).div_(high - low).clamp_(0, 1)
    return image.sub_(image.mean()).div_(image.std()).mul_(0.226).add_(0.449)


def _largest(mask: Bool[ndarray, "x y z"]) -> Bool[ndarray, "x y z"]:
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count == 0:
        raise ScanRefused("brain_found", "nothing in the image looks like a brain")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _box(rough: Bool[ndarray, "x y z"], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """Box around the rough brain with its margin, in voxels of the full image."""
    pieces = []
    for axis, size in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        where = np.flatnonzero(rough.mean(axis=others) > _TRACE)
        if not len(where):
            raise ScanRefused("brain_found", "what looks like a brain is smaller than 2 % of the image")
        scale = size / rough.shape[axis]
        centre = round(scale * (where[-1] + 1 + where[0]) / 2)
        half = round((1 + 2 * _MARGIN) * scale * (where[-1] + 1 - where[0])) / 2
        pieces.append(slice(max(0, int(centre - half)), min(size, int(centre + half))))
    return pieces[0], pieces[1], pieces[2]


@cache
def _networks() -> tuple[torch.jit.ScriptModule, torch.jit.ScriptModule]:
    """Load the box network and the mask network, once in a process."""
    import torch

    folder = check_weights()
    box, mask = (torch.jit.load(str(folder / name)).eval() for name in _SHA256)  # type: ignore[no-untyped-call]
    return box, mask


def _no_profiling() -> AbstractContextManager[None]:
    """TorchScript without its profiling executor, which costs seconds and gains nothing here."""
    import torch

    context: AbstractContextManager[None] = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
    return context


def check_weights() -> Path:
    """Return the folder of deepbet's weights, known to be the files that this version expects.

    Raises
    ------
    ModelError
        They are missing or were changed.
    """
    folder = _weights_folder()
    for name, digest in _SHA256.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ModelError(
                f"{name} of deepbet is not the file that this version knows: reinstall deepbet 1.0.2."
            )
    return folder


def _weights_folder() -> Path:
    """Folder of deepbet's weights, found without importing deepbet.

    Raises
    ------
    ModelError
        deepbet is not installed, or not as its wheel installs it.
    """
    spec = importlib.util.find_spec("deepbet")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place).parent / "data" / "models"
        if all((folder / name).is_file() for name in _SHA256):
            return folder
    raise ModelError("The brain extraction weights of deepbet were not found: pip install deepbet==1.0.2.")
