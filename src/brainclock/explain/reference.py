"""What healthy people of an age look like to a model: their mean brain and their expected map.

Both are quadratic in age, fitted voxel by voxel. The mean of a voxel is over those people whose brain
mask holds it, so that the mean brain can be put into the outline of any scan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError, ModelError
from brainclock.io.atomic import make_folder, write_bytes, write_json
from brainclock.io.read import read_bytes, read_json
from brainclock.prepare.normalise import BRIGHTEST, DARKEST
from brainclock.stats.bootstrap import participant_weights

#: Fewer people than this are no reference.
FEWEST = 10
_DRAWS = 200
#: So many modes, the largest, hold what is needed of the scatter of maps: with 161 maps of 77,000 voxels the
#: standard deviations of regions come out 2 % too small, the worst 6 %, and the file is a quarter as large.
_MODES = 64
_TERMS = 3  # 1, t, t² with t = (age − 50) / 20
_CENTRE, _SCALE = 50.0, 20.0
_TENSORS, _CARD = "reference.safetensors", "reference.json"
#: Fewer people than this at a voxel say nothing of it: it takes the value of the nearest known one.
_FEWEST_AT_VOXEL = 5
#: Pull of the slopes towards 0, in people: keeps a voxel that few people have from extrapolating.
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Mean brain and expected Grad-RAM map of healthy people by age.

    Parameters
    ----------
    weights_sha256 : str
        Of the model whose maps these are.
    people : int
    ages : tuple of 2 float
        Youngest and oldest, years. Ages beyond them are taken as these.
    intercept : float
        Of the model's regressor, years.
    brain : ndarray of float32, shape (3, x, y, z)
        Intensity by the terms 1, t, t², with t = (age − 50) / 20.
    trend : ndarray of float64, shape (3, i, j, k)
        Map of the last layer by the same terms, years.
    modes : ndarray of float64, shape (modes, voxels)
        Orthonormal maps, of which all maps of these people are sums, or nearly: the 64 largest at most.
    draws : ndarray of float64, shape (draws, 3, modes)
        ``trend`` of bootstrap resamples of the people, in modes.
    residual_root : ndarray of float64, shape (modes, modes)
        R with RᵀR the covariance of the residual maps of the people, in modes, years².
    """

    weights_sha256: str
    people: int
    ages: tuple[float, float]
    intercept: float
    brain: Float32[ndarray, "3 x y z"]
    trend: Float64[ndarray, "3 i j k"]
    modes: Float64[ndarray, "r v"]
    draws: Float64[ndarray, "b 3 r"]
    residual_root: Float64[ndarray, "q r"]

    def terms(self, age: float) -> Float64[ndarray, " 3"]:
        """Return 1, t and t² of an age, held inside the ages of the reference."""
        t = (float(np.clip(age, *self.ages)) - _CENTRE) / _SCALE
        return np.array([1.0, t, t * t])

    def covers(self, age: float) -> bool:
        """Whether the age lies among those of the reference."""
        return self.ages[0] <= age <= self.ages[1]

    def brain_at(self, age: float, mask: Bool[ndarray, "x y z"]) -> Float32[ndarray, "x y z"]:
        """Return the mean brain of an age in the outline of a scan: 0 outside ``mask``, above 0 inside."""
        brain = np.tensordot(self.terms(age).astype(np.float32), self.brain, axes=1)
        return np.where(mask, np.clip(brain, DARKEST, BRIGHTEST), 0).astype(np.float32)

    def expected_map(self, age: float) -> Float64[ndarray, "i j k"]:
        """Return the map to be expected of a healthy person of this age, years."""
        return np.asarray(np.tensordot(self.terms(age), self.trend, axes=1))

    def expected_parts_drawn(self, age: float, parts: Float64[ndarray, "p v"]) -> Float64[ndarray, "b p"]:
        """Return sums over `expected_map` as other people would make them, one bootstrap resample a row.

        Parameters
        ----------
        age : float
        parts : ndarray of float64, shape (parts, voxels)
            What of each voxel's share counts to each part.
        """
        return np.asarray(np.einsum("t,btr->br", self.terms(age), self.draws) @ (self.modes @ parts.T))

    def healthy_sd(self, parts: Float64[ndarray, "p v"]) -> Float64[ndarray, " p"]:
        """Return the standard deviation among the people of such sums over their maps, age apart, years."""
        return np.asarray(np.linalg.norm(self.residual_root @ (self.modes @ parts.T), axis=0))

    def expected_age(self, age: float) -> float:
        """Return the predicted age to be expected of a healthy person of this age, years."""
        return self.intercept + float(self.expected_map(age).sum())


class _BrainSums:
    """Sums over people from which the mean brain by age is solved; one scan after the other."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.gram = np.zeros((2 * _TERMS - 1, *shape), dtype=np.float32)  # powers 0 to 4 of t
        self.moment = np.zeros((_TERMS, *shape), dtype=np.float32)

    def add(self, volume: Float32[ndarray, "x y z"], t: float) -> None:
        """Add one scan: prepared intensity and standardised age."""
        mask = (volume > 0).astype(np.float32)
        for power in range(len(self.gram)):
            self.gram[power] += np.float32(t**power) * mask
        for power in range(_TERMS):
            self.moment[power] += np.float32(t**power) * volume

    def solve(self) -> Float32[ndarray, "3 x y z"]:
        """Return the intensity of each voxel by 1, t, t²; raises `InputError` where all is empty."""
        from scipy import ndimage

        known = self.gram[0] >= _FEWEST_AT_VOXEL
        if not known.any():
            raise InputError("reference", "brains that share no voxel", "brains on one grid", "Check them.")
        gram = self.gram[:, known].astype(np.float64)
        power = np.add.outer(np.arange(_TERMS), np.arange(_TERMS))
        normal = np.moveaxis(gram[power], -1, 0) + _RIDGE * np.diag([0.0, 1.0, 1.0])
        solved = np.linalg.solve(normal, self.moment[:, known].astype(np.float64).T[..., None])[..., 0]
        brain = np.zeros((_TERMS, *known.shape), dtype=np.float32)
        brain[:, known] = solved.T
        if not known.all():
            nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
            brain = brain[:, *nearest]
        return brain


def fit_reference(
    scans: Iterable[tuple[float, Float32[ndarray, "x y z"], Float64[ndarray, "i j k"]]],
    *,
    intercept: float,
    weights_sha256: str,
    seed: int = 1,
) -> Reference:
    """Fit a reference to prepared scans and their maps.

    Parameters
    ----------
    scans : iterable of (float, ndarray, ndarray)
        Age in years, prepared intensity, and Grad-RAM map of the last layer; one scan a person, gone
        through once.
    intercept : float
        Of the model's regressor.
    weights_sha256 : str
        Of the model.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        There are fewer than 10 people, or all are of about one age.
    """
    sums: _BrainSums | None = None
    found: list[float] = []
    maps = []
    for age, volume, shares in scans:
        if sums is None:
            sums = _BrainSums((volume.shape[0], volume.shape[1], volume.shape[2]))
        sums.add(volume, (age - _CENTRE) / _SCALE)
        found.append(age)
        maps.append(shares)
    ages = np.array(found, dtype=np.float64)
    if sums is None or ages.size < FEWEST:
        raise InputError("reference", f"{ages.size} people", f"{FEWEST} or more", "Give more healthy people.")
    if ages.std() < 1:
        found_sd = f"ages with a standard deviation of {ages.std():.1f} years"
        raise InputError("reference", found_sd, "different ages", "Give healthy people of all ages.")
    shape = maps[0].shape
    values = np.stack(maps).reshape(len(maps), -1)
    t = (ages - _CENTRE) / _SCALE
    design = np.stack([np.ones_like(t), t, t * t], axis=1)
    left, sizes, modes = np.linalg.svd(values, full_matrices=False)
    modes = modes[:_MODES]
    own = (left * sizes)[:, :_MODES]  # the maps in modes
    left_over = own - design @ _fit(design, own, np.ones_like(t))
    root = np.linalg.qr(left_over, mode="r") / np.sqrt(ages.size - _TERMS)
    rng = np.random.default_rng(derive_seed(seed, "reference of maps"))
    blocks = participant_weights(np.arange(ages.size), rng, resamples=_DRAWS)
    draws = np.stack([_fit(design, own, drawn) for block in blocks for drawn in block])
    return Reference(
        weights_sha256=weights_sha256,
        people=ages.size,
        ages=(float(ages.min()), float(ages.max())),
        intercept=intercept,
        brain=sums.solve(),
        trend=_fit(design, values, np.ones_like(t)).reshape(_TERMS, *shape),
        modes=modes,
        draws=draws,
        residual_root=root,
    )


def _fit(
    design: Float64[ndarray, "n 3"], values: Float64[ndarray, "n r"], weights: Float64[ndarray, " n"]
) -> Float64[ndarray, "3 r"]:
    """Weighted least squares; a resample of too few ages gets the smallest solution."""
    root = np.sqrt(weights)[:, None]
    return np.asarray(np.linalg.lstsq(design * root, values * root, rcond=1e-10)[0])


def save_reference(reference: Reference, folder: Path) -> None:
    """Write ``reference.safetensors`` and ``reference.json``; raises `OutputError`.

    Mean brain and modes are kept in half precision. No person is in it, only what people have in common.
    """
    from safetensors.numpy import save

    tensors = {
        "brain": reference.brain.astype(np.float16),
        "trend": reference.trend,
        "modes": reference.modes.astype(np.float16),
        "draws": reference.draws.astype(np.float32),
        "residual_root": reference.residual_root.astype(np.float32),
    }
    # safetensors writes the memory as it lies, whatever the strides say
    content: bytes = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    make_folder(folder)
    (folder / _CARD).unlink(missing_ok=True)
    write_bytes(folder / _TENSORS, content)
    write_json(
        folder / _CARD,
        {
            "description": "Mean brain and expected map of healthy people by age",
            "model_weights_sha256": reference.weights_sha256,
            "people": reference.people,
            "ages": reference.ages,
            "intercept": reference.intercept,
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    )


def has_reference(folder: Path) -> bool:
    """Whether there is a reference in a folder."""
    return (folder / _CARD).is_file()


def load_reference(folder: Path, weights_sha256: str) -> Reference:
    """Read a reference.

    Parameters
    ----------
    folder : Path
        A model folder, or the folder that ``brainclock reference`` wrote.
    weights_sha256 : str
        Of the model that it must belong to.

    Raises
    ------
    InputError
        There is none, or it isn't readable.
    ModelError
        It is damaged or belongs to another model.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    card = read_json(folder / _CARD)
    content = read_bytes(folder / _TENSORS, "the arrays of a reference")
    try:
        if card["sha256"] != hashlib.sha256(content).hexdigest():
            raise ModelError(f"{folder / _TENSORS} was changed: copy the folder again.")
        if card["model_weights_sha256"] != weights_sha256:
            raise ModelError(
                f"{folder} is the reference of another model (weights {card['model_weights_sha256'][:12]}, "
                f"these are {weights_sha256[:12]}): make one with brainclock reference."
            )
        tensors: dict[str, Any] = load(content)
        return Reference(
            weights_sha256=weights_sha256,
            people=int(card["people"]),
            ages=(float(card["ages"][0]), float(card["ages"][1])),
            intercept=float(card["intercept"]),
            brain=tensors["brain"].astype(np.float32),
            trend=tensors["trend"].astype(np.float64),
            modes=tensors["modes"].astype(np.float64),
            draws=tensors["draws"].astype(np.float64),
            residual_root=tensors["residual_root"].astype(np.float64),
        )
    except (KeyError, TypeError, IndexError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder} holds a damaged reference ({error}): copy the folder again.") from None
