"""The Rank-N-Contrast loss (Zha et al. 2023, arXiv:2210.01189), exact with ties.

For embeddings v, ages y and anchor i, let ``s_ij = −‖v_i − v_j‖ / τ``. Every other sample j must win a
softmax against all samples whose age is at least as far from that of i::

    L = 1/(n (n−1)) Σ_i Σ_{j≠i} [ log Σ_{k≠i, |y_i−y_k| ≥ |y_i−y_j|} exp(s_ik) − s_ij ]

Per anchor the others are sorted from far to near; the inner sums are then cumulative, and samples at
equal distance share the sum up to the last of them. Time O(n² (log n + d)), memory O(n²) numbers of
the embeddings' type; the published code takes O(n³) of both. Anchors go in blocks.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from brainclock.errors import InputError

_BLOCK = 2**16  # numbers in one block of anchors: half a megabyte a temporary
_CLOSE = 1e-4  # squared distance over squared norms, below which a Gram matrix loses digits
_SPREAD = 600.0  # exp(-600) is far above the smallest double


def rank_n_contrast(
    embeddings: Float[Tensor, "n d"], ages: Shaped[Tensor, " n"], *, temperature: float = 2.0
) -> Float[Tensor, ""]:
    """Return the Rank-N-Contrast loss, a scalar of single precision or better.

    Parameters
    ----------
    embeddings : Tensor, shape (n, d)
        One row a view; the views of a batch stacked along n. Not normalised.
    ages : Tensor, shape (n,), years
        Rounded to 0.01 years: two differences are a tie when they are equal after that.
    temperature : float
        τ, in units of distance.

    Returns
    -------
    Tensor, shape ()
        float64 for float64 embeddings, float32 else, whatever autocast says. Coincident embeddings do
        not move each other (subgradient 0). It cannot be differentiated twice.

    Raises
    ------
    InputError
        Fewer than two embeddings, another number of ages, an age that is not a number, or a
        temperature that is not above 0.

    Examples
    --------
    >>> import torch
    >>> ages = torch.tensor([20.0, 40.0, 60.0, 80.0])
    >>> in_order = ages[:, None] / 20
    >>> round(brainclock.rank_n_contrast(in_order, ages).item(), 6)
    0.511731
    >>> mixed_up = in_order[[2, 0, 3, 1]]
    >>> bool(brainclock.rank_n_contrast(mixed_up, ages) > 0.511731)
    True
    """
    if not temperature > 0:
        raise InputError("temperature", temperature, "a number above 0", "The published value is 2.")
    hundredths = _hundredths(ages, len(embeddings))
    return _RankNContrast.apply(embeddings, hundredths, temperature)  # type: ignore


def normalised_rank_n_contrast(
    embeddings: Float[Tensor, "n d"], ages: Shaped[Tensor, " n"], *, temperature: float = 2.0
) -> Float[Tensor, ""]:
    """Return the loss between its bound (0) and its value for equal embeddings (1).

    It compares batches of different sizes and roundings of age, which the loss itself does not. Above
    1: ordered worse than not at all. NaN where every anchor has all others at one distance in age, so
    that there is nothing to order. Parameters and errors as in `rank_n_contrast`.
    """
    loss = rank_n_contrast(embeddings, ages, temperature=temperature)
    collapsed, bound = loss_bounds(ages)
    if collapsed == bound:
        return loss * float("nan")
    return (loss - bound) / (collapsed - bound)


def loss_bounds(ages: Shaped[Tensor, " n"]) -> tuple[float, float]:
    """Return the loss of equal embeddings, and the greatest lower bound of the loss.

    With ``N_ij`` samples at least as far in age from i as j, and ``n_ij`` exactly as far, these are the
    means of ``log N_ij`` and of ``log n_ij`` (L* of the paper) over all pairs. Errors as in
    `rank_n_contrast`.
    """
    hundredths = _hundredths(ages, len(ages))
    n = len(hundredths)
    rank = torch.arange(1, n, device=hundredths.device)
    collapsed = bound = 0.0
    for anchors in _blocks(n):
        _, first, last = _from_far_to_near(hundredths, anchors)
        until = _least_after(rank.where(last, n))
        since = rank.where(first, 0).cummax(dim=1).values
        collapsed += until.double().log().sum().item()
        bound += (until - since + 1).double().log().sum().item()
    return collapsed / (n * (n - 1)), bound / (n * (n - 1))


class RankNContrast(nn.Module):
    """`rank_n_contrast` as a module.

    Parameters
    ----------
    temperature : float
        τ, in units of distance.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.randn(8, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
    >>> ages = torch.linspace(20, 80, 8)
    >>> brainclock.RankNContrast(temperature=2.0)(embeddings, ages).backward()
    >>> embeddings.grad.shape
    torch.Size([8, 16])
    """

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, embeddings: Float[Tensor, "n d"], ages: Shaped[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the loss of a batch."""
        return rank_n_contrast(embeddings, ages, temperature=self.temperature)


class _RankNContrast(torch.autograd.Function):
    """Value and gradient in one pass: only the gradient (n d) is kept for the way back."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, hundredths: Tensor, temperature: float) -> Tensor:
        kind = embeddings.dtype if embeddings.dtype == torch.float64 else torch.float32
        # One vendor's device has no double precision; n × d numbers are few enough to fetch.
        device = torch.device("cpu") if embeddings.device.type == "mps" else embeddings.device
        with torch.autocast(device.type, enabled=False):
            points = embeddings.detach().to(device, torch.float64)
            points = points - points.mean(dim=0)
            hundredths = hundredths.to(device)
            wanted = kind if ctx.needs_input_grad[0] else None
            loss, pulls = _loss_and_pulls(points, hundredths, temperature, wanted)
            if pulls is not None:
                gradient = _gradient(points, pulls)
                ctx.save_for_backward(gradient.to(embeddings.device, embeddings.dtype))
        return loss.to(embeddings.device, kind)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (upstream * gradient).to(gradient.dtype), None, None


def _loss_and_pulls(
    points: Float64[Tensor, "n d"],
    hundredths: Int64[Tensor, " n"],
    temperature: float,
    kind: torch.dtype | None,
) -> tuple[Float64[Tensor, ""], Float[Tensor, "n n"] | None]:
    """Return the loss, and ``∂L/∂s_ik / (−τ ‖v_i − v_k‖)`` in the type ``kind`` (or None).

    With Λ_ij the inner logarithm of a pair,
    ``n (n−1) ∂L/∂s_ik = −1 + exp(s_ik + log Σ_{j not farther than k} exp(−Λ_ij))``.
    """
    n = len(points)
    pulls = None if kind is None else points.new_zeros((n, n), dtype=kind)
    squares = torch.linalg.vecdot(points, points)
    total = points.new_zeros(())
    for anchors in _blocks(n):
        distances = _distances(points, squares, anchors)
        order, first, last = _from_far_to_near(hundredths, anchors)
        similar = distances.gather(1, order).div_(-temperature)
        inner = _least_after(_log_cumulative_sum(similar).masked_fill_(~last, torch.inf))
        total += (inner - similar).sum()
        if pulls is not None:
            nearer = _log_cumulative_sum(inner.flip(1).neg_()).flip(1)
            nearer = nearer.masked_fill_(~first, torch.inf).cummin(dim=1).values
            slopes = similar.add_(nearer).exp_().sub_(1.0).div_(-temperature * n * (n - 1))
            slopes = torch.zeros_like(distances).scatter_(1, order, slopes)
            # Coincident points have no direction between them: the subgradient 0 is taken.
            pulls[anchors] = slopes.div_(distances).masked_fill_(distances == 0, 0.0).to(pulls.dtype)
    return total / (n * (n - 1)), pulls


def _gradient(points: Float64[Tensor, "n d"], pulls: Float[Tensor, "n n"]) -> Float64[Tensor, "n d"]:
    """``Σ_k (P_ik + P_ki) (v_i − v_k)`` for each i, by matrix products."""
    gradient = torch.empty_like(points)
    for rows in _blocks(len(points)):
        both = (pulls[rows] + pulls[:, rows].T).double()
        own = points[rows] * both.sum(dim=1, keepdim=True)
        gradient[rows] = own.addmm_(both, points, alpha=-1)
    return gradient


def _distances(
    points: Float64[Tensor, "n d"], squares: Float64[Tensor, " n"], anchors: slice
) -> Float64[Tensor, "a n"]:
    """Distance of each anchor from each point.

    From the Gram matrix, ten times faster than from differences; the pairs so close that it would
    lose digits are taken again from differences.
    """
    scale = squares[anchors, None] + squares
    result = torch.addmm(scale, points[anchors], points.T, alpha=-2)
    close = (result < _CLOSE * scale).nonzero()
    result.clamp_(min=0).sqrt_()
    for pairs in torch.split(close, max(1, _BLOCK // points.shape[1])):
        row, column = pairs.unbind(1)
        result[row, column] = torch.linalg.vector_norm(points[anchors][row] - points[column], dim=1)
    return result


def _from_far_to_near(
    hundredths: Int64[Tensor, " n"], anchors: slice
) -> tuple[Int64[Tensor, "a m"], Bool[Tensor, "a m"], Bool[Tensor, "a m"]]:
    """All others, from the farthest in age to the nearest; which are first and last of their tie."""
    gaps = (hundredths[anchors, None] - hundredths).abs_()
    gaps.diagonal(anchors.start).fill_(-1)  # the anchor itself comes last, and goes
    gaps, order = gaps.sort(dim=1, descending=True)
    edge = torch.ones_like(gaps, dtype=torch.bool)
    edge[:, 1:] = gaps[:, 1:] != gaps[:, :-1]
    return order[:, :-1], edge[:, :-1], edge[:, 1:]


def _least_after(values: Shaped[Tensor, "a m"]) -> Shaped[Tensor, "a m"]:
    """Least value at or after each position; gives a tie the cumulative sum of its last member."""
    return values.flip(1).cummin(dim=1).values.flip(1)


def _log_cumulative_sum(values: Float64[Tensor, "a m"]) -> Float64[Tensor, "a m"]:
    """Logarithm of the cumulative sum of exponentials along each row.

    Positive terms add up without loss, so plain sums serve, ten times faster, unless they could
    underflow.
    """
    low, high = values.aminmax()
    if high - low < _SPREAD:
        return (values - high).exp_().cumsum(dim=1).log_().add_(high)
    return values.logcumsumexp(dim=1)


def _blocks(n: int) -> list[slice]:
    """Split n anchors into blocks."""
    step = max(1, _BLOCK // n)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _hundredths(ages: Shaped[Tensor, " n"], n: int) -> Int64[Tensor, " n"]:
    """Ages in whole hundredths of a year, whose differences are exact."""
    if len(ages) != n or n < 2:
        raise InputError(
            "Rank-N-Contrast",
            f"{n} embeddings and {len(ages)} ages",
            "at least two embeddings, and an age for each",
            "Give each view the age of its scan.",
        )
    years = ages.detach().cpu().double()
    if not years.isfinite().all():
        raise InputError(
            "Rank-N-Contrast", "an age that is not a number", "ages in years", "Leave the scan out."
        )
    return (years * 100).round().long()
