"""Contrastive losses that weigh pairs by a Gaussian of their difference in age: rivals of Rank-N-Contrast.

Both look at directions only: with ``z = v / ‖v‖``, ``s_ij = z_i · z_j / τ`` and
``w_ij = exp(−(y_i − y_j)² / 2σ²)``, all sums over samples other than the anchor i.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from brainclock.errors import InputError


def y_aware_contrast(
    embeddings: Float[Tensor, "n d"], ages: Shaped[Tensor, " n"], *, temperature: float, sigma_years: float
) -> Float[Tensor, ""]:
    """Return the y-Aware InfoNCE loss (Dufumier et al. 2021, arXiv:2106.08808), a mean over anchors.

    ``L_i = −Σ_k (w_ik / Σ_t w_it) log( exp(s_ik) / Σ_t exp(s_it) )``. The published code normalises the
    weights along the other axis; this is the formula.

    Parameters
    ----------
    embeddings : Tensor, shape (n, d)
        One row a view; the views of a batch stacked along n.
    ages : Tensor, shape (n,), years
    temperature : float
        τ; 0.1 as published.
    sigma_years : float
        σ of the kernel; 5 as published.

    Raises
    ------
    InputError
        Fewer than three embeddings, or another number of ages.
    """
    similar, log_weights = _pairs(embeddings, ages, temperature, sigma_years)
    return -(log_weights.softmax(dim=1) * similar.log_softmax(dim=1)).sum(dim=1).mean()


def exp_contrast(
    embeddings: Float[Tensor, "n d"], ages: Shaped[Tensor, " n"], *, temperature: float, sigma_years: float
) -> Float[Tensor, ""]:
    """Return the loss L^exp (Barbano et al. 2023, arXiv:2211.08326), a mean over anchors.

    ``L_i = −(1 / Σ_t w_it) Σ_k w_ik log( exp(s_ik) / Σ_{t≠k} exp(s_it (1 − w_it)) )``: what repels fades
    as its age approaches that of the anchor. The published code keeps t = k and shifts the
    exponents before it weighs them; this is the formula. Parameters and errors as in `y_aware_contrast`;
    published with τ 0.1 and σ 1 to 2 years.
    """
    similar, log_weights = _pairs(embeddings, ages, temperature, sigma_years)
    repelled = _log_sums_of_others(similar * (1 - log_weights.exp()))
    return (log_weights.softmax(dim=1) * (repelled - similar)).sum(dim=1).mean()


def _pairs(
    embeddings: Float[Tensor, "n d"], ages: Shaped[Tensor, " n"], temperature: float, sigma_years: float
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
    """Similarity, and logarithm of the weight, of each anchor with each of the m = n − 1 others."""
    n = len(embeddings)
    if n < 3 or len(ages) != n:
        found = f"{n} embeddings and {len(ages)} ages"
        fix = "Give each view the age of its scan."
        raise InputError("contrast", found, "at least three embeddings, and an age for each", fix)
    kind = embeddings.dtype if embeddings.dtype == torch.float64 else torch.float32
    with torch.autocast(embeddings.device.type, enabled=False):
        directions = functional.normalize(embeddings.to(kind), dim=1)
        others = ~torch.eye(n, dtype=torch.bool, device=embeddings.device)
        similar = (directions @ directions.T)[others].view(n, n - 1) / temperature
        years = ages.to(embeddings.device, kind)
        gaps = (years[:, None] - years)[others].view(n, n - 1) / sigma_years
        return similar, -0.5 * gaps.square()


def _log_sums_of_others(values: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Return for each column the logarithm of the summed exponentials of the others in its row.

    From those before and those after it: taking one term out of the sum of all would cancel.
    """
    before = values[:, :-1].logcumsumexp(dim=1)
    after = values[:, 1:].flip(1).logcumsumexp(dim=1).flip(1)
    middle = torch.logaddexp(before[:, :-1], after[:, 1:])
    return torch.cat([after[:, :1], middle, before[:, -1:]], dim=1)
