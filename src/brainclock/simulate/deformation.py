"""Smooth, invertible deformations that give each structure the volume asked for, inside a fixed skull.

A stationary velocity field v = ∇ψ + s, where ∇²ψ is the growth of each structure (a Poisson equation) and s a
random shape, is exponentiated by scaling and squaring (Arsigny et al. 2006, doi:10.1007/11866565_113). The
growths are corrected until the volumes that are measured on the result are those that were asked for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.simulate.anatomy import Anatomy
from brainclock.simulate.trajectories import REMAINDER, load_trajectories

if TYPE_CHECKING:
    from torch import Tensor

#: Largest relative error of a volume at which the search stops, and at which the result is accepted.
AIM, TOLERANCE = 0.015, 0.03
_ROUNDS = 10
#: Smoothing and neighbours take this much from what a growth would do alone, before anything is measured.
_FIRST_RESPONSE = 0.85
#: No growth changes by more than this share of 1 + itself in one round.
_MOST_STEP = 0.3
#: The first step of the exponential moves nothing further than this, voxels (Arsigny et al. 2006: 0.5).
_FIRST_STEP = 0.25
#: Smoothing of the growth, voxels.
_SMOOTH = 0.5
#: The shape falls to 0 towards the skull over so many mm inside it, the growth outside it.
_SHAPE_TAPER_MM, _TAPER_MM = 12.0, 5.0
#: The velocity lies on voxels of about so many mm: on smaller ones it costs more and says no more.
_FIELD_MM = 2.0
#: The remainder never falls below this share of its volume: there would be no room left.
_LEAST_REMAINDER = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """Where the tissue of each voxel of the result comes from.

    Parameters
    ----------
    inside : ndarray of bool, shape (x, y, z)
        The brain with its CSF, before and after.
    origin : ndarray of float32, shape (3, x, y, z)
        For each voxel of the result the place in the anatomy, minus the voxel itself, in voxels.
    achieved : mapping of int to float
        Measured volume over that of the anatomy, by the code of the structure.
    min_jacobian : float
        Smallest local volume, result over anatomy.
    rounds : int
        Corrections that were needed.
    """

    inside: Bool[ndarray, "x y z"]
    origin: Float32[ndarray, "3 x y z"]
    achieved: Mapping[int, float]
    min_jacobian: float
    rounds: int

    def carry(self, images: Float32[ndarray, "c x y z"]) -> Float32[ndarray, "c x y z"]:
        """Return images of the anatomy as they lie in the result (trilinear); 0 outside."""
        import torch

        sampled = _sample(torch.tensor(images)[None], torch.from_numpy(self.origin))
        return np.asarray(sampled[0].numpy() * self.inside)


def deform(
    anatomy: Anatomy, factors: Mapping[int, float], shape_field: Float32[ndarray, "3 x y z"] | None = None
) -> Deformation:
    """Find the deformation that multiplies the volume of each structure by its factor.

    Parameters
    ----------
    anatomy : Anatomy
    factors : mapping of int to float
        Volume asked for over that of the anatomy, by code. External CSF takes what is left of the skull;
        other codes that are not named keep their volume.
    shape_field : ndarray of float32, shape (3, x, y, z), or None
        A further velocity field, mm: the shape of the person. It changes no volume asked for.

    Raises
    ------
    InputError
        Factors that leave no room inside the skull, that would fold the tissue, or that are not reached
        within 3 %; the message names the structure.
    """
    import torch

    search = _Search(anatomy, factors)
    inside, shape = torch.from_numpy(anatomy.inside.astype(np.float32)), torch.zeros(1)
    room, depth = _tapers(anatomy)
    coarse_room = torch.from_numpy(_coarse(room, search.step))
    if shape_field is not None:
        steps = np.array(search.spacing_mm, dtype=np.float32)[:, None, None, None]
        shape = torch.from_numpy(_coarse(shape_field * depth, search.step) / steps)
    with torch.no_grad():
        while True:
            velocity = torch.from_numpy(search.field()) * coarse_room + shape
            origin = _fine(_exponential(-velocity), search.step, anatomy.labels.shape)
            if search.look(_weights(origin, inside)) or search.rounds == _ROUNDS:
                break
    jacobian = _jacobian(origin.numpy())[anatomy.inside]
    _check(search, jacobian, anatomy)
    achieved = {int(c): float(m) for c, m in zip(search.codes, search.measured, strict=True)}
    return Deformation(anatomy.inside, origin.numpy(), achieved, 1 / float(jacobian.max()), search.rounds)


class _Search:
    """The growth of each structure, corrected by what it led to: a secant step for each structure."""

    def __init__(self, anatomy: Anatomy, factors: Mapping[int, float]) -> None:
        self.anatomy = anatomy
        self.step = max(1, round(_FIELD_MM / max(anatomy.spacing_mm)))
        x, y, z = (self.step * one for one in anatomy.spacing_mm)
        self.spacing_mm = (x, y, z)
        self.labels = anatomy.labels.ravel().astype(np.intp)
        counts = np.bincount(anatomy.labels[anatomy.inside])
        self.codes = np.flatnonzero(counts)
        self.voxels = counts[self.codes].astype(np.float64)
        rest = load_trajectories().structure(REMAINDER).codes[0]
        self.free = self.codes != rest
        self.wanted = np.array([factors.get(int(code), 1.0) for code in self.codes])
        self.wanted[~self.free] = self._remainder()
        growing = self.wanted >= 1
        self.growth = np.where(growing, self.wanted - 1, np.log(self.wanted)) / _FIRST_RESPONSE
        self.response = self.first_response = np.where(growing, 1.0, self.wanted) * _FIRST_RESPONSE
        self.before: tuple[Float64[ndarray, " s"], Float64[ndarray, " s"]] | None = None
        self.measured = np.ones_like(self.wanted)
        self.rounds = 0

    def _remainder(self) -> float:
        """Return the factor that is left for external CSF."""
        others = self.voxels[self.free] @ (self.wanted[self.free] - 1)
        own = float(self.voxels[~self.free].sum())
        factor = 1 - float(others) / max(own, 1.0)
        if factor < _LEAST_REMAINDER:
            change = self.voxels * (self.wanted - 1) * self.free
            name = load_trajectories().names()[int(self.codes[change.argmax()])]
            fix = "Ask for smaller volumes."
            found = f"{factor:.2f} of the external CSF left, most for {name}"
            raise InputError(self.anatomy.name, found, f"at least {_LEAST_REMAINDER}", fix)
        return factor

    def field(self) -> Float32[ndarray, "3 x y z"]:
        """Return the velocity that gives each structure its growth, in voxels of the field."""
        from scipy import ndimage

        table = np.zeros(int(self.labels.max()) + 1, dtype=np.float32)
        table[self.codes[self.free]] = self.growth[self.free]
        source = _coarse(table[self.anatomy.labels], self.step)
        rest = self.anatomy.labels == self.codes[~self.free].max(initial=-1)
        sink = _coarse(rest.astype(np.float32), self.step)
        source = ndimage.gaussian_filter(source, _SMOOTH, output=np.float32)
        sink = ndimage.gaussian_filter(sink, _SMOOTH, output=np.float32)
        source -= sink * np.float32(
            source.sum(dtype=np.float64) / max(float(sink.sum(dtype=np.float64)), 1e-6)
        )
        return _gradient_of_potential(source, self.spacing_mm)

    def look(self, weights: Float32[ndarray, "x y z"]) -> bool:
        """Measure the volumes, correct the growths and return whether all volumes are as wanted.

        With trilinear sampling the volume of a structure in the result is linear in its mask: the sum of
        ``weights`` over it.
        """
        summed = np.bincount(self.labels, weights=weights.ravel())[self.codes]
        self.measured = summed / self.voxels
        error = self.wanted - self.measured
        if float(np.abs(error / self.wanted)[self.free].max(initial=0)) < AIM:
            return True
        if self.before is not None:
            growth, measured = self.before
            step = self.growth - growth
            moved = np.abs(step) > 1e-4
            slope = np.divide(self.measured - measured, step, out=self.response.copy(), where=moved)
            self.response = np.clip(slope, 0.4 * self.first_response, 2.5 * self.first_response)
        self.before = (self.growth.copy(), self.measured.copy())
        most = _MOST_STEP * (1 + np.abs(self.growth))
        self.growth = self.growth + np.clip(error / self.response, -most, most)
        self.rounds += 1
        return False


def _gradient_of_potential(
    source: Float32[ndarray, "x y z"], spacing_mm: tuple[float, float, float]
) -> Float32[ndarray, "3 x y z"]:
    """Solve ∇²ψ = source with no flow through the walls of the box (DCT-II) and return ∇ψ, voxels."""
    from scipy import fft

    eigenvalues = np.zeros((1, 1, 1), dtype=np.float32)
    for axis, (n, step) in enumerate(zip(source.shape, spacing_mm, strict=True)):
        along = (2 * np.cos(np.pi * np.arange(n) / n) - 2) / step**2
        eigenvalues = eigenvalues + along.reshape([-1 if i == axis else 1 for i in range(3)]).astype(
            np.float32
        )
    eigenvalues[0, 0, 0] = 1
    spectrum = fft.dctn(source, type=2) / eigenvalues
    spectrum[0, 0, 0] = 0
    potential = fft.idctn(spectrum, type=2)
    slopes = [np.gradient(potential, axis=axis) / step**2 for axis, step in enumerate(spacing_mm)]
    return np.stack(slopes).astype(np.float32)


@functools.lru_cache(maxsize=2)
def _tapers(anatomy: Anatomy) -> tuple[Float32[ndarray, "x y z"], Float32[ndarray, "x y z"]]:
    """Return what the growth and the shape are multiplied by: 1 in the brain, 0 outside and at the skull."""
    from scipy import ndimage

    beyond_mm, depth_mm = (
        ndimage.distance_transform_edt(mask, sampling=anatomy.spacing_mm).astype(np.float32)
        for mask in (~anatomy.inside, anatomy.inside)
    )
    return np.clip(1 - beyond_mm / _TAPER_MM, 0, 1), np.clip(depth_mm / _SHAPE_TAPER_MM, 0, 1)


def _coarse(images: Float32[ndarray, "*c x y z"], step: int) -> Float32[ndarray, "*c a b d"]:
    """Return means over blocks of ``step`` voxels along each axis; the last one may be cut."""
    import torch

    if step == 1:
        return images
    pool = torch.nn.AvgPool3d(step, ceil_mode=True, count_include_pad=False)
    blocks = pool(torch.from_numpy(images.reshape(1, -1, *images.shape[-3:])))
    return np.asarray(blocks.numpy().reshape(*images.shape[:-3], *blocks.shape[-3:]))


def _fine(moved: Tensor, step: int, shape: tuple[int, int, int]) -> Tensor:
    """Return displacements in voxels of the field as such in voxels ``step`` times smaller."""
    import torch

    if step == 1:
        return moved
    larger = torch.nn.functional.interpolate(moved[None], scale_factor=step, mode="trilinear")[0]
    x, y, z = shape
    return larger[:, :x, :y, :z].mul_(step).contiguous()


def _exponential(velocity: Tensor) -> Tensor:
    """Return exp(v) − id by scaling and squaring, voxels."""
    squarings = max(1, math.ceil(math.log2(max(float(velocity.abs().max()), 1e-6) / _FIRST_STEP)))
    moved: Tensor = velocity / 2**squarings
    for _ in range(squarings):
        moved = _sample(moved[None], moved)[0].add_(moved)
    return _smooth(moved)


def _smooth(moved: Tensor) -> Tensor:
    """Weigh neighbours 1-6-1 along each axis: where a thin sheet grows manifold, sampling leaves steps."""
    for axis in (1, 2, 3):
        smooth, n = 0.75 * moved, moved.shape[axis] - 1
        smooth.narrow(axis, 1, n).add_(moved.narrow(axis, 0, n), alpha=0.125)
        smooth.narrow(axis, 0, n).add_(moved.narrow(axis, 1, n), alpha=0.125)
        moved = smooth
    return moved


def _sample(images: Tensor, moved: Tensor) -> Tensor:
    """Return images (1, c, x, y, z) at each voxel plus ``moved`` (3, x, y, z; voxels), trilinear."""
    import torch

    grid = torch.empty((1, *moved.shape[1:], 3))
    for axis, n in enumerate(moved.shape[1:]):  # grid_sample wants z first, from -1 to 1
        rest = torch.linspace(-1, 1, n).reshape([-1 if i == axis else 1 for i in range(3)])
        torch.add(rest, moved[axis], alpha=2 / (n - 1), out=grid[0, ..., 2 - axis])
    sampled: Tensor = torch.nn.functional.grid_sample(images, grid, align_corners=True, padding_mode="border")
    return sampled


def _weights(origin: Tensor, inside: Tensor) -> Float32[ndarray, "x y z"]:
    """Return how much of the result each voxel of the anatomy makes up: the adjoint of sampling."""
    import torch

    with torch.enable_grad():
        image = torch.zeros((1, 1, *origin.shape[1:]), requires_grad=True)
        (weights,) = torch.autograd.grad((_sample(image, origin)[0, 0] * inside).sum(), image)
    return np.asarray(weights[0, 0].numpy())


def _jacobian(origin: Float32[ndarray, "3 x y z"]) -> Float32[ndarray, "x y z"]:
    """Return the determinant of the map from result to anatomy, by central differences."""
    rows = [np.gradient(part) for part in origin]
    (a, b, c), (d, e, f), (g, h, i) = rows
    a, e, i = a + 1, e + 1, i + 1
    return np.asarray(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g), dtype=np.float32)


def _check(search: _Search, jacobian: Float32[ndarray, " n"], anatomy: Anatomy) -> None:
    names = load_trajectories().names()
    fix = "Ask for volumes nearer to those of the anatomy."
    if jacobian.min() <= 0:
        name = names[int(anatomy.labels[anatomy.inside][jacobian.argmin()])]
        found = f"a fold in {name} (Jacobian {jacobian.min():.2f})"
        raise InputError(anatomy.name, found, "a deformation that can be undone", fix)
    error = np.where(search.free, np.abs(search.measured / search.wanted - 1), 0)
    if error.max(initial=0) > TOLERANCE:
        worst = int(error.argmax())
        name = names[int(search.codes[worst])]
        found = f"{name} at {search.measured[worst]:.3f} of its volume"
        raise InputError(anatomy.name, found, f"{search.wanted[worst]:.3f} within 3 %", fix)
