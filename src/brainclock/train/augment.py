"""Random views of a scan that never change the amount of tissue.

A view has a look (contrast, bias, sharpness, noise, the border where the skull was stripped), made on
the prepared intensity, and a pose (small rotation, shift, scale, mirror), made on the images that the
network sees: those do not depend on the direction of axes, and they are small. What is random is
drawn first; making is pure and treats each view by itself. Ranges are those of `AugmentSettings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from brainclock.config import AugmentSettings
from brainclock.model.channels import gaussian_matrix

_KNOTS = 9  # of a contrast curve over the intensities 0 to _BRIGHT
_BRIGHT = 1.25
_DARK = 1e-3  # as in preparation: inside the mask nothing is 0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Everything random about the look of one view.

    Parameters
    ----------
    curve : Tensor, shape (10,)
        A monotone contrast curve at equal steps of intensity.
    field : Tensor, shape (4, 4, 4)
        Log bias at a coarse lattice.
    border : Tensor, shape (6, 6, 6)
        Level of the smoothed mask at which the brain ends: below 0.5 it grows, above it shrinks.
    fill : float
        Intensity of what the mask gains.
    blur_mm : tuple of 3 float
        Standard deviation along each axis.
    sharpen : float
        Weight of the detail that is added.
    noise : float
        Standard deviation, of white matter.
    noise_seed : int
    """

    curve: Float[Tensor, " k"]
    field: Float[Tensor, "4 4 4"]
    border: Float[Tensor, "6 6 6"]
    fill: float
    blur_mm: tuple[float, float, float]
    sharpen: float
    noise: float
    noise_seed: int


def draw_look(settings: AugmentSettings, generator: torch.Generator) -> Look:
    """Draw the look of one view."""

    def even(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    strength = 1.4 * settings.contrast_curve * even(1)
    steps = torch.exp(strength * torch.randn(_KNOTS, generator=generator))
    curve = functional.pad(steps.cumsum(0) / steps.sum(), (1, 0))
    curve = curve ** torch.exp(settings.gamma * (2 * even(1) - 1))
    kind, amount, thick = float(even(1)), float(even(1)), float(even(1))
    sigma_mm = [0.0, 0.0, 0.0]
    if kind < 0.5:
        sigma_mm = [settings.blur_mm * amount / 2] * 3
        if thick < 0.4:
            sigma_mm[int(3 * even(1))] += settings.anisotropy_mm * float(even(1)) / 2
    level = 0.15 * (2 * even(1, 1, 1) - 1) + 0.05 * (2 * even(6, 6, 6) - 1)
    return Look(
        curve=curve,
        field=settings.bias * (2 * even(4, 4, 4) - 1),
        border=(0.5 + settings.border_mm * level).clamp(0.05, 0.95),
        fill=0.2 + 0.35 * float(even(1)),
        blur_mm=(sigma_mm[0], sigma_mm[1], sigma_mm[2]),
        sharpen=settings.sharpen * amount if kind > 0.75 else 0.0,
        noise=settings.noise * float(even(1)) ** 2,
        noise_seed=int(torch.randint(2**31, (1,), generator=generator)),
    )


def look_like(
    volume: Float[Tensor, "1 1 x y z"], look: Look, spacing_mm: tuple[float, float, float]
) -> Float[Tensor, "1 1 x y z"]:
    """Return a prepared volume with another look: 0 outside its mask, above 0 inside, as before."""
    volume = _restrip(volume.float(), look.border, look.fill, spacing_mm)
    mask = (volume > 0).float()
    image = _recolour(volume, look.curve)
    image = image * torch.exp(_spread(look.field, volume.shape))
    image = _sharpness(image * mask, mask, look.blur_mm, look.sharpen, spacing_mm)
    if look.noise > 0:
        source = torch.Generator().manual_seed(look.noise_seed)
        real, imaginary = (look.noise * torch.randn(image.shape, generator=source) for _ in range(2))
        image = torch.hypot(image + real, imaginary)  # Rician
    return image.clamp(min=_DARK) * mask


def draw_poses(n: int, settings: AugmentSettings, generator: torch.Generator) -> Float[Tensor, "n 3 4"]:
    """Draw ``n`` affine maps from view to scan, in mm about the middle of the grid."""

    def both(*shape: int) -> Tensor:
        return 2 * torch.rand(n, *shape, generator=generator) - 1

    linear = _rotations(both(3) * math.radians(settings.rotation_degrees))
    linear = linear * (1 + settings.scale * both(1, 1))
    mirror = torch.where(torch.rand(n, generator=generator) < settings.flip, -1.0, 1.0)
    linear[:, :, 0] = linear[:, :, 0] * mirror[:, None]
    return torch.cat([linear, settings.translation_mm * both(3, 1)], dim=2)


def move(
    images: Float[Tensor, "n c i j k"],
    poses: Float[Tensor, "n 3 4"],
    spacing_mm: tuple[float, float, float],
) -> Float[Tensor, "n c i j k"]:
    """Return the images in other poses, by one linear interpolation; 0 comes in from outside."""
    half_mm = torch.tensor([size * step / 2 for size, step in zip(images.shape[2:], spacing_mm, strict=True)])
    linear = poses[:, :, :3] * half_mm[None, None, :] / half_mm[None, :, None]
    shift = poses[:, :, 3:] / half_mm[None, :, None]
    # grid_sample counts axes from the last to the first
    maps = torch.cat([linear.flip(1), shift.flip(1)], dim=2).to(images)
    # on a CPU, a few at a time stay in its cache
    together = _TOGETHER if images.device.type == "cpu" else len(images)
    moved = [
        functional.grid_sample(some, _places(affine, some.shape[2:]), align_corners=False)
        for some, affine in zip(torch.split(images, together), torch.split(maps, together), strict=True)
    ]
    return torch.cat(moved)


_TOGETHER = 8


def _places(maps: Float[Tensor, "n 3 4"], shape: torch.Size) -> Float[Tensor, "n i j k 3"]:
    """Where each voxel's value comes from, on axes from −1 to 1.

    As `functional.affine_grid`, but added up axis by axis, which is twice as fast.
    """
    along = [
        maps[:, :, axis, None] * ((2 * torch.arange(size, device=maps.device) + 1) / size - 1)
        for axis, size in enumerate(shape)
    ]
    plane = along[0][:, :, :, None] + (along[1] + maps[:, :, 3:])[:, :, None, :]
    return (plane[..., None] + along[2][:, :, None, None, :]).permute(0, 2, 3, 4, 1)


def _restrip(
    volume: Tensor, border: Float[Tensor, "6 6 6"], fill: float, spacing_mm: tuple[float, float, float]
) -> Tensor:
    """Strip the skull a little more or less closely, more here than there."""
    if (border == 0.5).all():
        return volume
    mask = (volume > 0).float()
    soft = _smooth(mask, [2.0 / step for step in spacing_mm])
    ends = soft > _spread(border, volume.shape)
    filled = torch.where(volume > 0, volume, torch.full_like(volume, fill))
    return torch.where(ends, filled, 0)


def _recolour(volume: Tensor, curve: Float[Tensor, " k"]) -> Tensor:
    place = (volume * (_KNOTS / _BRIGHT)).clamp(0, _KNOTS - 1e-3)
    left = place.long()
    return torch.lerp(curve[left], curve[left + 1], place - left)


def _sharpness(
    image: Tensor,
    mask: Tensor,
    blur_mm: tuple[float, float, float],
    sharpen: float,
    spacing_mm: tuple[float, float, float],
) -> Tensor:
    """Blur or sharpen inside the mask; what lies outside does not enter."""
    if any(blur_mm):
        sigma = [width / step for width, step in zip(blur_mm, spacing_mm, strict=True)]
        return _smooth(image, sigma) / _smooth(mask, sigma).clamp(min=0.05) * mask
    if sharpen:
        sigma = [1.4 / step for step in spacing_mm]
        smooth = _smooth(image, sigma) / _smooth(mask, sigma).clamp(min=0.05)
        return (image + sharpen * (image - smooth)) * mask
    return image


def _smooth(image: Tensor, sigma_voxels: list[float]) -> Tensor:
    matrices = [
        gaussian_matrix(size, max(s, 1e-3)).to(image)
        for size, s in zip(image.shape[2:], sigma_voxels, strict=True)
    ]
    image = matrices[1] @ (image @ matrices[2].T)
    return (matrices[0] @ image.flatten(3)).reshape(image.shape)


def _spread(lattice: Float[Tensor, "a b c"], shape: torch.Size) -> Tensor:
    """Interpolate a coarse lattice over the volume."""
    return functional.interpolate(lattice[None, None], list(shape[2:]), mode="trilinear", align_corners=True)


def _rotations(angles: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Rotation matrices from the vectors of rotation, radians (the matrix exponential)."""
    x, y, z = angles.T
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], dim=1).reshape(-1, 3, 3)
    rotations: Tensor = torch.linalg.matrix_exp(cross)
    return rotations
