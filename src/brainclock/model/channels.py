"""What the network sees: images computed from the prepared intensity, inside the model.

The grey values of a T1-weighted image differ between scanners by more than ageing changes them, so
a model may look at the gradient magnitude instead, which a change of gain leaves alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from brainclock.config import ChannelSettings

_TINY = 1e-12  # keeps roots and quotients differentiable; far below any contrast of a real head
#: Between these intensities (white matter is near 1) a voxel turns from CSF to grey, and from grey to white.
_CSF_ENDS, _WHITE_BEGINS = (0.25, 0.5), (0.72, 0.92)
_REACH = 4.0  # a Gaussian is cut off at so many standard deviations


class Channels(nn.Module):
    """Prepared intensity to the images of ``settings.channels``, block-averaged.

    All is done in single precision whatever the network does, on any grid shape, one scan
    independently of the others, differentiably with respect to the intensity (the mask counts as
    fixed).

    Parameters
    ----------
    settings : ChannelSettings
    spacing_mm : tuple of float
        Length of one voxel step along each array axis.
    """

    def __init__(self, settings: ChannelSettings, spacing_mm: tuple[float, float, float]) -> None:
        super().__init__()
        self.settings = settings
        self.spacing_mm = spacing_mm

    def output_shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Shape of one channel for a volume of this shape."""
        i, j, k = (-(-size // block) for size, block in zip(shape, self.settings.pool, strict=True))
        return i, j, k

    def forward(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, "n c i j k"]:
        """Return the channels in the order of the settings.

        Parameters
        ----------
        volumes : Tensor, shape (n, 1, x, y, z)
            Prepared intensity: 0 outside the brain mask, above 0 inside. An empty mask gives zeros.
        """
        shape = self.output_shape(volumes.shape[2:])
        with torch.autocast(volumes.device.type, enabled=False):
            volumes = volumes if volumes.dtype == torch.float64 else volumes.float()
            # All channels are 0 outside the mask: more than half of the work is saved by leaving that out.
            box = _box_of(volumes.detach(), self.settings.pool)
            volumes = volumes[(..., *box.inside)]
            mask = volumes > 0
            images = [
                block_mean(self._image(name, volumes, mask, box), self.settings.pool)
                for name in self.settings.channels
            ]
            return _put_back(torch.cat(images, dim=1), box, self.settings.pool, shape)

    def _image(
        self, name: str, volumes: Float[Tensor, "n 1 x y z"], mask: Bool[Tensor, "n 1 x y z"], box: _Box
    ) -> Float[Tensor, "n 1 x y z"]:
        if name == "gradient":
            return self._gradient(volumes, mask, box)
        return _z_score(volumes, mask) if name == "intensity" else _greyness(volumes, mask)

    def _gradient(
        self, volumes: Float[Tensor, "n 1 x y z"], mask: Bool[Tensor, "n 1 x y z"], box: _Box
    ) -> Float[Tensor, "n 1 x y z"]:
        """Gradient magnitude away from the border of the mask, divided by its mean there.

        The image is smoothed by normalised convolution (Knutsson and Westin, 1993): weights outside
        the mask are 0, so the dark surroundings do not enter. Then central differences.
        """
        weights = self._smooth(mask.to(volumes.dtype), self.settings.sigma_mm, box)
        smooth = self._smooth(volumes, self.settings.sigma_mm, box) / weights.clamp(min=1e-6)
        squares = torch.full_like(smooth, _TINY)
        for axis, step_mm in zip((2, 3, 4), self.spacing_mm, strict=True):
            if smooth.shape[axis] > 1:
                (slope,) = torch.gradient(smooth, spacing=step_mm, dim=axis)
                squares = squares.addcmul_(slope, slope)
        core = self._core(mask, weights, box)
        magnitude = squares.sqrt() * core
        mean = magnitude.sum((2, 3, 4), keepdim=True) / core.sum((2, 3, 4), keepdim=True).clamp(min=1)
        return magnitude / mean.clamp(min=_TINY)

    def _core(
        self, mask: Bool[Tensor, "n 1 x y z"], weights: Float[Tensor, "n 1 x y z"], box: _Box
    ) -> Float[Tensor, "n 1 x y z"]:
        """1 where the mask, eroded by ``erode_mm``, lies; 0 elsewhere.

        At a distance of two standard deviations inside a flat border a smoothed mask has the value
        Φ(2): what lies above is the core. Unlike a ball of voxels this works at any spacing, and
        the faces of the grid are no border.
        """
        if self.settings.erode_mm == 0:
            return mask.to(weights.dtype)
        sigma_mm = self.settings.erode_mm / 2
        if sigma_mm != self.settings.sigma_mm:
            weights = self._smooth(mask.to(weights.dtype), sigma_mm, box)
        return (mask & (weights > NormalDist().cdf(2.0))).to(weights.dtype)

    def _smooth(
        self, images: Float[Tensor, "n 1 x y z"], sigma_mm: float, box: _Box
    ) -> Float[Tensor, "n 1 x y z"]:
        """Gaussian mean along each axis of images that are 0 outside the box.

        Products with banded matrices: several times faster than 1D convolutions on a CPU.
        """
        along_x, along_y, along_z = (
            gaussian_matrix(size, sigma_mm / step_mm)[inside, inside].to(images)
            for size, inside, step_mm in zip(box.grid, box.inside, self.spacing_mm, strict=True)
        )
        images = along_y @ (images @ along_z.T)
        return (along_x @ images.flatten(3)).reshape(images.shape)


def gaussian_matrix(size: int, sigma: float) -> Float[Tensor, "size size"]:
    """Matrix that smooths a line of ``size`` voxels by a Gaussian of ``sigma`` voxels; rows add up to 1."""
    steps = torch.arange(size, dtype=torch.float64)
    distance = (steps[:, None] - steps[None, :]).abs()
    weights = torch.exp(-0.5 * (distance / sigma) ** 2) * (distance <= max(1.0, _REACH * sigma))
    return weights / weights.sum(dim=1, keepdim=True)


def block_mean(images: Float[Tensor, "n c x y z"], block: tuple[int, int, int]) -> Float[Tensor, "n c i j k"]:
    """Mean over blocks of voxels; the grid is first filled up with zeros."""
    if block == (1, 1, 1):
        return images
    return functional.avg_pool3d(pad_to_multiple(images, block), block)


def pad_to_multiple(
    images: Float[Tensor, "n c x y z"], block: tuple[int, int, int]
) -> Float[Tensor, "n c i j k"]:
    """Add planes of zeros at the end of each axis until its length is a multiple of ``block``."""
    padding = [
        part
        for size, step in zip(images.shape[:1:-1], block[::-1], strict=True)
        for part in (0, -size % step)
    ]
    return functional.pad(images, padding) if any(padding) else images


@dataclass(frozen=True, slots=True)
class _Box:
    """A part of a grid of this shape, beginning at whole blocks."""

    grid: tuple[int, int, int]
    inside: tuple[slice, slice, slice]


def _box_of(volumes: Float[Tensor, "n 1 x y z"], block: tuple[int, int, int]) -> _Box:
    """Smallest box of whole blocks that holds all masks and one voxel around them."""
    grid = (volumes.shape[2], volumes.shape[3], volumes.shape[4])
    across = volumes.amax((0, 1, 2))  # (y, z)
    sides = []
    lines = volumes.amax((0, 1, 3, 4)), across.amax(1), across.amax(0)
    for size, step, line in zip(grid, block, lines, strict=True):
        occupied = (line > 0).nonzero().flatten().tolist() or [0]
        start = max(occupied[0] - 1, 0) // step * step
        sides.append(slice(start, min(-(-(occupied[-1] + 2) // step) * step, size)))
    return _Box(grid, (sides[0], sides[1], sides[2]))


def _put_back(
    images: Float[Tensor, "n c i j k"], box: _Box, block: tuple[int, int, int], shape: tuple[int, int, int]
) -> Float[Tensor, "n c x y z"]:
    """Surround the blocks of a box with zeros, up to the whole grid of blocks."""
    padding: list[int] = []
    for axis in (2, 1, 0):
        before = box.inside[axis].start // block[axis]
        padding += [before, shape[axis] - before - images.shape[2 + axis]]
    return functional.pad(images, padding)


def _z_score(
    volumes: Float[Tensor, "n 1 x y z"], mask: Bool[Tensor, "n 1 x y z"]
) -> Float[Tensor, "n 1 x y z"]:
    """Intensity minus its mean in the mask, over its standard deviation there; 0 outside."""
    weights = mask.to(volumes.dtype)
    count = weights.sum((2, 3, 4), keepdim=True).clamp(min=1)
    mean = (volumes * weights).sum((2, 3, 4), keepdim=True) / count
    centred = (volumes - mean) * weights
    variance = (centred * centred).sum((2, 3, 4), keepdim=True) / count
    return centred / (variance + _TINY).sqrt()


def _greyness(
    volumes: Float[Tensor, "n 1 x y z"], mask: Bool[Tensor, "n 1 x y z"]
) -> Float[Tensor, "n 1 x y z"]:
    """How much each voxel looks like grey matter: 1 between CSF and white matter, 0 in both and outside."""
    (dark, darkest_grey), (brightest_grey, bright) = _CSF_ENDS, _WHITE_BEGINS
    above_csf = ((volumes - dark) / (darkest_grey - dark)).clamp(0, 1)
    below_white = ((bright - volumes) / (bright - brightest_grey)).clamp(0, 1)
    return above_csf * below_white * mask.to(volumes.dtype)
