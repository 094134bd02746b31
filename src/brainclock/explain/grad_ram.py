"""Grad-RAM in closed form: the predicted age taken apart over the last feature map, exactly.

The embedding is a mean of the feature map A over cells, z_cq = Σ_p P_qp A_c(p), and the age an affine
function of it, ŷ = b + Σ_cq w_cq z_cq, with the standardisation of the embedding folded into w and b. So

    M(p) = Σ_c (Σ_q w_cq P_qp) A_c(p)        Σ_p M(p) = ŷ − b

With one cell this is the regression activation map (Wang and Yang 2017, arXiv:1703.10757) and, up to
the rectification that Grad-CAM adds and that would hide what looks younger, Grad-CAM of the predicted
age (Selvaraju et al. 2017, arXiv:1610.02391). At an earlier layer the same expression, activation
times gradient, is a first-order statement and adds up to nothing in particular.

Where the model also reads means over blocks of what it sees, that part of the age is linear in each voxel of
the channels: the voxel has a share, weight times value, in closed form. The shares of the layer are spread
over those of these finer voxels that hold brain, for outside of it there is nothing to see; the sum is kept.

The age of an ensemble is the mean of its members' ages, and the age of a member that sees the mirror
image as well is the mean of both: so is the map, the shares of the mirror image mirrored back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor

from brainclock.explain.age_map import AgeMap, Lattice
from brainclock.explain.layers import ages_from, check_layer, features_at, last_layer, lattice_of, resting
from brainclock.explain.spread import on_lattice
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.ensemble import Ensemble

METHOD = "grad-ram"


def shares_of_features(
    member: BrainAgeModel, features: Float[Tensor, "n f i j k"]
) -> Float64[Tensor, "n i j k"]:
    """Return the share of each voxel of a member's last feature map in its age, years.

    The shares of a scan add up to that age minus ``member.regressor.bias``.
    """
    cells = member.encoder.cell_weights.double()  # (cells, voxels)
    weights = member.regressor.weight.detach().double().reshape(features.shape[1], len(cells)) @ cells
    flat = features.detach().double().flatten(2)  # (n, f, voxels)
    shares: Tensor = torch.einsum("fv,nfv->nv", weights, flat)
    return shares.reshape(len(features), *features.shape[2:])


def grad_ram(model: Ensemble, volume: Float[Tensor, "1 1 x y z"], layer: str | None = None) -> AgeMap:
    """Return the Grad-RAM map of one prepared scan, signed, in years.

    Parameters
    ----------
    model : Ensemble
        Comes back as it was, to the bit.
    volume : Tensor, shape (1, 1, x, y, z)
        Prepared intensity on the grid of the model.
    layer : str or None
        None is the last layer: there the shares add up exactly. At an earlier one the map is finer and of
        first order: its ``intercept`` is the age that follows when the layer's feature map is 0, and
        its ``completeness_error`` says what the first order leaves unexplained.

    Raises
    ------
    InputError
        The model has no such layer.
    """
    name = check_layer(model, layer)
    additive = name == last_layer(model)
    one_side = _last_layer if additive else partial(_inner_layer, layer=name)
    with resting(model), torch.no_grad():
        images = model.members[0].see(volume)
        sides = [one_side(member, images) for member in model.members]
        values = _mean_of(sides)
        lattice = lattice_of(model, name)
        if model.settings.encoder.mirror:
            back = [one_side(member, images.flip(2)) for member in model.members]
            sides += back
            values, lattice = _join(values, _mean_of(back), lattice, model.grid.shape[0])
        of_blocks = 0.0
        if model.settings.regressor.blocks:
            shares = _shares_of_blocks(model, images)
            of_blocks = float(shares.sum())
            fine = _lattice_of_channels(model)
            shape = (shares.shape[0], shares.shape[1], shares.shape[2])
            seen = (images[0] != 0).any(0).double().cpu().numpy()  # outside of the brain all is 0
            values = on_lattice(values, lattice, shape, fine, model.grid.shape, seen) + shares
            lattice = fine
    return AgeMap(
        values=values,
        lattice=lattice,
        predicted_age=float(np.mean([side.age for side in sides])) + of_blocks,
        intercept=float(np.mean([side.intercept for side in sides])),
        method=METHOD,
        layer=name,
        additive=additive,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """The shares of one member in what its embedding says of the scan, or of the scan's mirror image."""

    shares: Float64[ndarray, "i j k"]
    age: float
    intercept: float


def _last_layer(member: BrainAgeModel, images: Float[Tensor, "1 c i j k"]) -> _Side:
    features = member.encoder.features(images)
    age = float(member.read_embeddings(member.encoder.pool(features))[0])
    return _Side(shares_of_features(member, features)[0].cpu().numpy(), age, float(member.regressor.bias[0]))


def _inner_layer(member: BrainAgeModel, images: Float[Tensor, "1 c i j k"], *, layer: str) -> _Side:
    leaf = features_at(member, images, layer).requires_grad_(True)
    intercept = float(ages_from(member, torch.zeros_like(leaf), layer)[0])
    with torch.enable_grad():
        ages = ages_from(member, leaf, layer)
        (slope,) = torch.autograd.grad(ages.sum(), leaf)
    shares = (slope.double() * leaf.detach().double()).sum(1)[0]
    return _Side(shares.cpu().numpy(), float(ages[0].detach()), intercept)


def _mean_of(sides: Sequence[_Side]) -> Float64[ndarray, "i j k"]:
    return np.asarray(np.mean([side.shares for side in sides], axis=0))


def _join(
    scan: Float64[ndarray, "i j k"], mirrored: Float64[ndarray, "i j k"], lattice: Lattice, width: int
) -> tuple[Float64[ndarray, "i j k"], Lattice]:
    """Return the mean of the shares of a scan and of its mirror image, and where its voxels lie.

    A lattice need not lie in the middle of the grid, so mirrored back its voxels fall between the old
    ones. Both go onto the lattice in the middle, each share dealt out to its two neighbours there: the sum
    is kept, and a symmetric brain has a symmetric map.

    Parameters
    ----------
    scan, mirrored : ndarray of float64, shape (i, j, k)
        The mirrored shares as they came, left still right.
    lattice : Lattice
        Of both.
    width : int
        Voxels of the model grid from left to right.
    """
    count, step = len(scan), lattice.step[0]
    middle = (width - 1 - (count - 1) * step) / 2
    dealt = _dealt(np.arange(count) + (lattice.start[0] - middle) / step, count)
    both = np.tensordot(dealt, scan, axes=1) + np.tensordot(dealt, mirrored, axes=1)[::-1]
    return both / 2, replace(lattice, start=(middle, *lattice.start[1:]))


def _dealt(places: Float64[ndarray, " n"], count: int) -> Float64[ndarray, "count n"]:
    """Return how each of n shares is dealt out to ``count`` voxels: linearly to the two that it lies between.

    ``places`` are in voxels; what lies beyond the first or last goes there. Columns add up to 1.
    """
    places = np.clip(places, 0, count - 1)
    low = np.minimum(places.astype(np.int64), max(count - 2, 0))
    dealt = np.zeros((count, len(places)))
    dealt[low, np.arange(len(places))] += 1 - (places - low)
    dealt[np.minimum(low + 1, count - 1), np.arange(len(places))] += places - low
    return dealt


def _shares_of_blocks(model: Ensemble, images: Float[Tensor, "1 c i j k"]) -> Float64[ndarray, "i j k"]:
    """Return the share of each voxel of the channels in what the members read off the blocks, years.

    A mean over a block is linear in its voxels, so each has its own share. With ``encoder.mirror`` a voxel
    counts in its block and in the one that it falls into when the brain is mirrored, half each.
    """
    side = model.settings.regressor.blocks
    weights = torch.stack([member.blocks.weight[0] for member in model.members if member.blocks is not None])
    blocks = weights.double().mean(0).reshape(-1, *model.members[0].block_shape) / side**3
    if model.settings.encoder.mirror:
        blocks = (blocks + blocks.flip(1)) / 2
    for axis in (1, 2, 3):
        blocks = blocks.repeat_interleave(side, axis).narrow(axis, 0, images.shape[1 + axis])
    return (blocks * images[0].double()).sum(0).cpu().numpy()


def _lattice_of_channels(model: Ensemble) -> Lattice:
    """Return where the voxels of the channels are centred on the model grid."""
    x, y, z = (float(block) for block in model.settings.channels.pool)
    return Lattice(((x - 1) / 2, (y - 1) / 2, (z - 1) / 2), (x, y, z))
