"""From embedding to age: an affine function, fitted on the frozen embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.errors import InputError

#: The floor (`fit_ridge`) for values of images: voxels and blocks at the border of the head vary little among
#: those who train.
IMAGE_FLOOR = 0.1

_NEAR = 0.1  # years; below it (5 weeks) the L1 regressor rounds off the kink of |r|
_CONVERGED = 1e-6  # years
_CONSTANT = 1e-6  # a feature that varies less, relative to its size, is rounding in single precision


@dataclass(frozen=True, slots=True, eq=False)
class Regressors:
    """What reads the age at the end: one regressor of the embedding, or the mean of that and another.

    Parameters
    ----------
    embedding : AffineRegressor
        Reads the embedding.
    blocks : AffineRegressor or None
        Reads means over blocks of what the network sees.
    """

    embedding: AffineRegressor
    blocks: AffineRegressor | None = None

    @property
    def left_out_ages(self) -> Float64[ndarray, " n"]:
        """Predicted age of each row of the fit by regressors fitted without that row's person."""
        if self.blocks is None:
            return self.embedding.left_out_ages
        return np.asarray((self.embedding.left_out_ages + self.blocks.left_out_ages) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class AffineRegressor:
    """``age = intercept + embedding @ weight``, and how it was found.

    Parameters
    ----------
    weight : ndarray of float64, shape (d,)
        Years per unit of each embedding feature; standardisation is folded in.
    intercept : float
        Years; the prediction for an embedding of zeros, not a mean age.
    alpha : float
        Ridge penalty on the standardised features.
    left_out_ages : ndarray of float64, shape (n,)
        Predicted age of each row of the fit by the regressor fitted without that row's person.
    """

    weight: Float64[ndarray, " d"]
    intercept: float
    alpha: float
    left_out_ages: Float64[ndarray, " n"]

    def predict(self, embeddings: Float64[ndarray, "m d"]) -> Float64[ndarray, " m"]:
        """Return the age of each embedding, years."""
        ages: Float64[ndarray, " m"] = self.intercept + embeddings @ self.weight
        return ages


def fit_ridge(
    embeddings: Float64[ndarray, "n d"],
    ages: Float64[ndarray, " n"],
    participants: Sequence[str],
    log10_alpha: tuple[float, float, int] = (-3.0, 6.0, 37),
    floor: float = 0.0,
) -> AffineRegressor:
    """Fit a ridge regression; the penalty is chosen by leaving each participant out.

    Features are standardised (a constant one gets weight 0); the intercept is not penalised. All
    rows g of one person leave together: with hat matrix H and residuals r, their errors are
    ``(I − H_gg)⁻¹ r_g`` exactly, for fixed standardisation (Cook and Weisberg 1982). The alpha with the
    smallest absolute error wins, averaged over people.

    Parameters
    ----------
    embeddings : ndarray of float64, shape (n, d)
    ages : ndarray of float64, shape (n,), years
    participants : sequence of str, length n
        Whose row it is; several views or scans of one person share a name.
    log10_alpha : (low, high, number)
        Candidates, evenly spaced in log10.
    floor : float
        Features whose standard deviation is below this part of the typical (root mean square) one are
        not enlarged to that of the others. For raw image values: where hardly any training brain reached, a
        larger brain would else count ten thousandfold.

    Raises
    ------
    InputError
        Lengths differ, a value is not finite, or there are fewer than 3 people.
    """
    people = _people(embeddings, ages, participants)
    design = _standardise(embeddings, floor)
    basis, spectrum = _spectrum(design.features)
    mean_age = float(ages.mean())
    projected = basis.T @ (ages - mean_age)

    candidates = []
    for alpha in np.logspace(*log10_alpha):
        shrink = spectrum / (spectrum + alpha)
        residuals = ages - mean_age - basis @ (shrink * projected)
        errors = np.empty_like(ages)
        for rows in people:
            part = basis[rows]  # (people, rows, r)
            unexplained = np.eye(rows.shape[1]) - 1 / len(ages) - (part * shrink) @ part.swapaxes(1, 2)
            errors[rows] = np.linalg.solve(unexplained, residuals[rows][..., None])[..., 0]
        candidates.append((_mean_error(errors, people), float(alpha), ages - errors))
    _, alpha, left_out_ages = min(candidates, key=lambda candidate: candidate[0])
    dual = basis @ (projected / (spectrum + alpha))
    return _affine(design, dual, mean_age, alpha, left_out_ages)


def fit_l1(
    embeddings: Float64[ndarray, "n d"],
    ages: Float64[ndarray, " n"],
    participants: Sequence[str],
    log10_alpha: tuple[float, float, int] = (-3.0, 6.0, 37),
    floor: float = 0.0,
    iterations: int = 50,
) -> AffineRegressor:
    """Fit the linear regressor of least absolute error, as Rank-N-Contrast does, with a ridge.

    Zha et al. (2023) stop stochastic gradient descent on the L1 loss after 100 epochs. That depends on
    the scale of the features and on the order of the scans, and with more features than scans the
    exact minimum passes through every age. Instead: minimise ``Σ √(r² + 0.1²) + α ‖w‖² / 2`` by
    iteratively reweighted ridge regressions (a majorisation, hence monotone; Hunter and Lange 2004,
    doi:10.1198/0003130042836), from large α to small, each starting at the one before. The alpha is
    chosen as in `fit_ridge`, with the last weights held fixed (approximate leave-one-out).

    Parameters and errors as in `fit_ridge`. Time grows with the cube of n: some minutes for 3000 rows.
    """
    people = _people(embeddings, ages, participants)
    design = _standardise(embeddings, floor)
    gram = design.features @ design.features.T
    residuals = ages - np.median(ages)

    candidates = []
    for alpha in np.logspace(*log10_alpha)[::-1]:
        for _ in range(iterations):
            before = residuals
            dual, intercept, inverse = _weighted_ridge(gram, ages, alpha * np.hypot(residuals, _NEAR))
            residuals = ages - intercept - gram @ dual
            if np.abs(residuals - before).max() < _CONVERGED:
                break
        errors = np.empty_like(ages)
        for rows in people:
            blocks = inverse[rows[:, :, None], rows[:, None, :]]
            errors[rows] = np.linalg.solve(blocks, dual[rows][..., None])[..., 0]
        candidates.append((_mean_error(errors, people), float(alpha), ages - errors, dual, intercept))
    _, alpha, left_out_ages, dual, intercept = min(candidates, key=lambda candidate: candidate[0])
    return _affine(design, dual, intercept, alpha, left_out_ages)


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """Standardised features and what undoes the standardisation; ``scale`` is 0 for a constant feature."""

    features: Float64[ndarray, "n d"]
    centre: Float64[ndarray, " d"]
    scale: Float64[ndarray, " d"]


def _standardise(embeddings: Float64[ndarray, "n d"], floor: float) -> _Design:
    centre = embeddings.mean(axis=0)
    spread = embeddings.std(axis=0)
    varies = spread > _CONSTANT * np.abs(embeddings).max(axis=0)
    if varies.any():
        spread = np.hypot(spread, floor * np.sqrt(np.square(spread[varies]).mean()))
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    return _Design((embeddings - centre) * scale, centre, scale)


def _affine(
    design: _Design,
    dual: Float64[ndarray, " n"],
    intercept: float,
    alpha: float,
    left_out_ages: Float64[ndarray, " n"],
) -> AffineRegressor:
    """Fold the standardisation into the weights; in dual form they are a mixture of the rows."""
    weight = design.scale * (design.features.T @ dual)
    return AffineRegressor(weight, float(intercept - design.centre @ weight), alpha, left_out_ages)


def _spectrum(
    features: Float64[ndarray, "n d"],
) -> tuple[Float64[ndarray, "n r"], Float64[ndarray, " r"]]:
    """Orthonormal basis of the column space and squared singular values, from the smaller Gram matrix."""
    n, d = features.shape
    if n <= d:
        squares, basis = np.linalg.eigh(features @ features.T)
    else:
        squares, right = np.linalg.eigh(features.T @ features)
    keep = squares > squares[-1] * max(n, d) * np.finfo(np.float64).eps
    if n > d:
        return (features @ right[:, keep]) / np.sqrt(squares[keep]), squares[keep]
    return basis[:, keep], squares[keep]


def _weighted_ridge(
    gram: Float64[ndarray, "n n"], ages: Float64[ndarray, " n"], penalty: Float64[ndarray, " n"]
) -> tuple[Float64[ndarray, " n"], float, Float64[ndarray, "n n"]]:
    """Dual weights and intercept of a ridge with one penalty a row, and the matrix C with dual = C ages.

    With A = K + diag(penalty): C = A⁻¹ − A⁻¹11ᵀA⁻¹ / 1ᵀA⁻¹1. Rows g left out have the errors
    ``C_gg⁻¹ dual_g`` (Cawley 2006, doi:10.1109/IJCNN.2006.246634).
    """
    from scipy.linalg import cho_factor, cho_solve

    inverse = cho_solve(cho_factor(gram + np.diag(penalty)), np.eye(len(ages)))
    sums = inverse.sum(axis=1)
    total = sums.sum()
    inverse -= np.outer(sums, sums) / total
    return inverse @ ages, float(sums @ ages / total), inverse


def _people(
    embeddings: Float64[ndarray, "n d"], ages: Float64[ndarray, " n"], participants: Sequence[str]
) -> list[Int[ndarray, "_ _"]]:
    """Rows of each person; one array for all people who have the same number of rows."""
    if not len(embeddings) == len(ages) == len(participants):
        raise InputError(
            "regressor",
            f"{len(embeddings)} embeddings, {len(ages)} ages, {len(participants)} participants",
            "as many of each",
            "Give one age and one participant for each embedding.",
        )
    wrong = ~(np.isfinite(embeddings).all(axis=1) & np.isfinite(ages))
    if wrong.any():
        raise InputError(
            f"regressor: participant {participants[int(wrong.argmax())]}",
            "an embedding or an age that is not a number",
            "finite values",
            "Leave the scan out, or look for what went wrong in training.",
        )
    rows_of: dict[str, list[int]] = {}
    for row, participant in enumerate(participants):
        rows_of.setdefault(participant, []).append(row)
    if len(rows_of) < 3:
        raise InputError(
            "regressor", f"{len(rows_of)} participants", "at least 3", "Fit it on the scans of more people."
        )
    by_count: dict[int, list[list[int]]] = {}
    for rows in rows_of.values():
        by_count.setdefault(len(rows), []).append(rows)
    return [np.array(rows) for rows in by_count.values()]


def _mean_error(errors: Float64[ndarray, " n"], people: Sequence[Int[ndarray, "_ _"]]) -> float:
    """Mean over people of each one's mean absolute error, so that none counts for more scans."""
    totals = [np.abs(errors[rows]).mean(axis=1) for rows in people]
    return float(np.concatenate(totals).mean())
