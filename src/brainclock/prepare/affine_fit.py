"""Fit an affine map to one scale of a brain: Gauss-Newton with the intensities fitted alongside.

The template T at points x is predicted from the scan I at A (x - c) + t by a linear model of intensity
(span of 1, I, I x, I y, I z: brightness, contrast and what is left of a bias field drop out), and map and model are improved in
one joint least squares (variable projection; Golub & Pereyra 1973, doi:10.1137/0710036), damped as by
Levenberg and Marquardt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from brainclock.prepare.pyramid import Scale

#: Unit of length of the unknowns, so that turning, scaling and shifting weigh alike.
_LENGTH_MM = 50.0
#: Rows in one matrix product: so few that BLAS never shares one among threads, whose number would
#: otherwise change the last bits.
_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A map from template to scan, ``A (x - c) + t`` with c the template's centroid, and how good it is.

    Parameters
    ----------
    matrix : ndarray of float64, shape (3, 3)
    shift_mm : ndarray of float64, shape (3,)
    cost : float
        Mean robust residual (see `fit_affine`), in squared units of the template.
    """

    matrix: Float64[ndarray, "3 3"]
    shift_mm: Float64[ndarray, " 3"]
    cost: float = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Everything known at one map: residual, its derivatives, weights."""

    cost: float
    slope: float
    residual: Float32[ndarray, " n"]
    weight: Float32[ndarray, " n"]
    basis: Float32[ndarray, "n b"]
    pull: Float32[ndarray, "n 3"]  # derivative of the prediction by the point in scan mm
    arm: Float32[ndarray, "n 3"]  # A (x - c), mm


def fit_affine(
    scale: Scale,
    start: Fit,
    *,
    similarity: bool,
    rich: bool,
    tolerance_mm: float,
    iterations: int,
    softness: float = np.inf,
) -> Fit:
    """Improve a map on one scale until its points hardly move.

    Parameters
    ----------
    scale : Scale
    start : Fit
    similarity : bool
        Only turn, scale alike along all axes and shift (7 unknowns); else all 12.
    rich : bool
        Intensity model of 5 terms; else of 2 (1, I), which cannot go astray far from the answer.
    tolerance_mm : float
        Stop when a step moves no corner of a 140 mm cube by more.
    iterations : int
        At most so many steps.
    softness : float
        Residuals r count as r² / (1 + r²/softness²) (Geman & McClure 1987): what has no counterpart,
        like a cut brainstem, hardly pulls. Infinite: ordinary least squares.

    Returns
    -------
    Fit
        Never worse than ``start`` by this cost.
    """
    matrix, shift = start.matrix, start.shift_mm
    state = _evaluate(scale, matrix, shift, rich, softness)
    damping = 1e-3
    for _ in range(iterations):
        normal, right = _normal_equations(state, similarity)
        moved = np.inf
        for _ in range(5):
            change, step = _solve(normal, right, damping, similarity)
            trial_matrix, trial_shift = change @ matrix, shift + step
            trial = _evaluate(scale, trial_matrix, trial_shift, rich, softness)
            if trial.cost < state.cost and trial.slope > 0:
                moved = greatest_move_mm(trial_matrix - matrix, step)
                matrix, shift, state = trial_matrix, trial_shift, trial
                damping = max(damping / 5, 1e-7)
                break
            damping *= 10
        if not tolerance_mm < moved < np.inf:
            break
    return Fit(matrix, shift, state.cost if state.slope > 0 else np.inf)


def explained(scale: Scale, fit: Fit) -> float:
    """R² of the template given the scan, over brain and rim, by ordinary least squares."""
    state = _evaluate(scale, fit.matrix, fit.shift_mm, True, np.inf)
    return 1 - state.cost / float(np.var(scale.values, dtype=np.float64))


def _evaluate(
    scale: Scale, matrix: Float64[ndarray, "3 3"], shift: Float64[ndarray, " 3"], rich: bool, softness: float
) -> _State:
    arm = scale.points @ matrix.T.astype(np.float32)
    turn = scale.to_voxel[:, :3]
    voxel = arm @ turn.T.astype(np.float32)
    voxel += (turn @ shift + scale.to_voxel[:, 3]).astype(np.float32)
    image, gradient = _look_up(scale.image, voxel)
    gradient = gradient @ turn.astype(np.float32)
    place = scale.points / np.float32(_LENGTH_MM)
    columns = [np.ones_like(image), image]
    if rich:
        columns += [image * place[:, 0], image * place[:, 1], image * place[:, 2]]
    basis = np.stack(columns, axis=1)
    weight = np.ones_like(image)
    for _ in range(1 if np.isinf(softness) else 3):  # reweighted: what sticks out tells less each time
        weighted = basis * weight[:, None]
        gram = _product(weighted, basis)
        target = _product(weighted, scale.values[:, None])[:, 0]
        ridge = 1e-9 * np.trace(gram) * np.eye(len(gram))
        beta = np.linalg.solve(gram + ridge, target)
        residual = scale.values - basis @ beta.astype(np.float32)
        squares = residual.astype(np.float64) ** 2
        robust = squares / (1 + squares / softness**2)
        if not np.isinf(softness):
            weight = (1 / (1 + squares / softness**2) ** 2).astype(np.float32)
    slope = np.full_like(image, beta[1])
    if rich:
        slope += place @ beta[2:].astype(np.float32)
    return _State(
        cost=float(robust.mean()),
        slope=float(slope.mean()),
        residual=residual,
        weight=weight,
        basis=basis,
        pull=gradient * slope[:, None],
        arm=arm,
    )


def _look_up(
    image: Float32[ndarray, "x y z"], voxel: Float32[ndarray, "n 3"]
) -> tuple[Float32[ndarray, " n"], Float32[ndarray, "n 3"]]:
    """Trilinear value and its exact derivative by voxel; 0 and 0 outside (the border must be 0)."""
    top = np.array(image.shape, dtype=np.float32) - np.float32(1.0001)
    inside = np.clip(voxel, 0, top)
    corner = inside.astype(np.int32)
    a, b, c = np.ascontiguousarray((inside - corner.astype(np.float32)).T)
    step_x, step_y = image.shape[1] * image.shape[2], image.shape[2]
    first = corner[:, 0] * step_x + corner[:, 1] * step_y + corner[:, 2]
    flat = image.ravel()
    v = {
        (i, j, k): flat.take(first + (i * step_x + j * step_y + k))
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    }
    along_z = {key[:2]: v[key] + c * (v[(*key[:2], 1)] - v[key]) for key in v if key[2] == 0}
    low = along_z[0, 0] + b * (along_z[0, 1] - along_z[0, 0])
    high = along_z[1, 0] + b * (along_z[1, 1] - along_z[1, 0])
    slope_z = [v[i, j, 1] - v[i, j, 0] for i in (0, 1) for j in (0, 1)]
    low_z = slope_z[0] + b * (slope_z[1] - slope_z[0])
    high_z = slope_z[2] + b * (slope_z[3] - slope_z[2])
    slope_y0 = along_z[0, 1] - along_z[0, 0]
    slope_y1 = along_z[1, 1] - along_z[1, 0]
    gradient = np.stack(
        [high - low, slope_y0 + a * (slope_y1 - slope_y0), low_z + a * (high_z - low_z)], axis=1
    )
    gradient[(inside != voxel).any(axis=1)] = 0
    return low + a * (high - low), gradient


def _normal_equations(
    state: _State, similarity: bool
) -> tuple[Float64[ndarray, "g g"], Float64[ndarray, " g"]]:
    """Return the normal matrix and right side for the map alone, the intensity model projected out."""
    pull, arm = state.pull, state.arm / np.float32(_LENGTH_MM)
    if similarity:
        turn = np.cross(arm, pull)
        columns = np.concatenate([turn, (pull * arm).sum(axis=1, keepdims=True), pull], axis=1)
    else:
        columns = np.concatenate([(pull[:, :, None] * arm[:, None, :]).reshape(len(arm), 9), pull], axis=1)
    design = np.concatenate([columns, state.basis, state.residual[:, None]], axis=1)
    gram = _product(design * state.weight[:, None], design)
    unknowns = columns.shape[1]
    cross = gram[:unknowns, unknowns:-1]
    intensity = gram[unknowns:-1, unknowns:-1]
    intensity = intensity + 1e-9 * np.trace(intensity) * np.eye(len(intensity))
    projected = np.linalg.solve(intensity, np.column_stack([cross.T, gram[unknowns:-1, -1]]))
    normal = gram[:unknowns, :unknowns] - cross @ projected[:, :-1]
    return normal, gram[:unknowns, -1] - cross @ projected[:, -1]


def _solve(
    normal: Float64[ndarray, "g g"], right: Float64[ndarray, " g"], damping: float, similarity: bool
) -> tuple[Float64[ndarray, "3 3"], Float64[ndarray, " 3"]]:
    """Return a damped step: the matrix to multiply from the left, and the shift to add, mm."""
    diagonal = np.diag(normal) + 1e-9 * np.trace(normal) + 1e-12
    unknowns = np.linalg.solve(normal + np.diag(damping * diagonal), right)
    step = unknowns[-3:]
    if not similarity:
        return np.eye(3) + unknowns[:9].reshape(3, 3) / _LENGTH_MM, step
    turn = rotation(unknowns[:3] / _LENGTH_MM)
    return float(np.exp(np.clip(unknowns[3] / _LENGTH_MM, -0.3, 0.3))) * turn, step


def rotation(vector: Float64[ndarray, " 3"]) -> Float64[ndarray, "3 3"]:
    """Rotation about ``vector`` by its length in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def greatest_move_mm(change: Float64[ndarray, "3 3"], step: Float64[ndarray, " 3"]) -> float:
    """How far a change of the map moves the corners of a cube of 140 mm about the template's centroid."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return float(np.linalg.norm(70.0 * signs @ change.T + step, axis=1).max())


def _product(left: Float32[ndarray, "n p"], right: Float32[ndarray, "n q"]) -> Float64[ndarray, "p q"]:
    """``left.T @ right``, summed piece by piece in float64."""
    whole = len(left) // _ROWS * _ROWS
    pieces = np.matmul(
        left[:whole].reshape(-1, _ROWS, left.shape[1]).transpose(0, 2, 1),
        right[:whole].reshape(-1, _ROWS, right.shape[1]),
    )
    rest = left[whole:].T @ right[whole:]
    return np.asarray(np.add.reduce(pieces, axis=0, dtype=np.float64) + rest)
