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
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.errors import ModelError, ScanRefused
from brainclock.prepare.template import load_template

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


def extract_brain(data: Float32[ndarray, "x y z"], place: Float64[ndarray, "4 4"]) -> Bool[ndarray, "x y z"]:
    """Return the brain mask of a head (or of a brain without its head).

    Parameters
    ----------
    data : ndarray of float32, shape (x, y, z)
        Axes close to RAS+; tilts up to 45 degrees do no harm.
    place : ndarray of float64, shape (4, 4)
        About where the brain lies: template mm to voxels. deepbet has a network for this; the pose is
        known better, and costs nothing here.

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

    box = _box(place, data.shape)
    _, low, high = _coarse(data)
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
    """Return about where the brain is, by the box network on 128³ voxels: it shows how the head lies.

    Errors as for `extract_brain`.
    """
    import torch
    from torch.nn import functional

    coarse, low, high = _coarse(data)
    with torch.inference_mode(), _no_profiling():
        rough = _networks()[0](_scale(coarse, low, high))[0, 1].numpy() > 0.5
        found = torch.from_numpy(_largest(rough).astype(np.float32))[None, None]
        return np.asarray(functional.interpolate(found, data.shape, mode="nearest-exact")[0, 0].numpy() > 0.5)


def _coarse(data: Float32[ndarray, "x y z"]) -> tuple[Tensor, float, float]:
    """Return 128³ voxels of a head, and the intensities between which it lies."""
    import torch
    from torch.nn import functional

    with torch.inference_mode():
        coarse = functional.interpolate(torch.from_numpy(data)[None, None], _COARSE, mode="nearest-exact")
    low, high = (float(q) for q in np.quantile(coarse.numpy(), (0.005, 0.995)))
    if not high > low:
        raise ScanRefused("brain_found", "no contrast: nothing in the image looks like a brain")
    return coarse, low, high


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


def _box(place: Float64[ndarray, "4 4"], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """Box around the template's brain with its margin, within the voxels of the image."""
    template = load_template()
    where = np.argwhere(template.mask) @ (place @ template.affine)[:3, :3].T
    where += (place @ template.affine)[:3, 3]
    pieces = []
    for first, last, size in zip(where.min(axis=0), where.max(axis=0), shape, strict=True):
        margin = _MARGIN * (last + 1 - first)
        start, stop = max(0, round(first - margin)), min(size, round(last + 1 + margin))
        if stop <= start:
            raise ScanRefused("brain_found", "the brain lies outside of the field of view")
        pieces.append(slice(start, stop))
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
