"""Pairs of simulated brains that differ in one structure, and how well each method finds it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Int16
from numpy import ndarray

from brainclock.config import Grid, derive_seed
from brainclock.errors import InputError
from brainclock.explain.explain import map_age
from brainclock.explain.planted import PlantedScore, PlantedSummary, score_planted, summarise_planted
from brainclock.explain.spread import on_model_grid
from brainclock.io.volume import Volume
from brainclock.prepare.normalise import normalise
from brainclock.prepare.prepared import PreparedScan
from brainclock.prepare.resample import to_grid

if TYPE_CHECKING:
    from brainclock.explain.reference import Reference
    from brainclock.model.folder import LoadedModel
    from brainclock.simulate.anatomy import Anatomy

#: What is changed: names of structures of the simulator, and the factor of their volume. All make older.
PLANTED: Mapping[str, tuple[tuple[str, ...], float]] = {
    "ventricles": (("lateral_ventricle",), 1.4),
    "medial_temporal_lobe": (("hippocampus", "amygdala"), 0.75),
    "thalamus": (("thalamus",), 0.85),
    "frontal_cortex": (("cortex_frontal",), 0.92),
}
#: Ages of the simulated people, years.
AGES = (30.0, 70.0)
_SHAPE_MM = 1.0  # standard deviation of individual shape
_NOISE = 0.02  # of white matter; the same in both brains of a pair
_MARGIN_MM = 4.0  # how far around a structure its change moves the tissue


@dataclass(frozen=True, slots=True, eq=False)
class PlantedPair:
    """Two brains that differ in one structure.

    Parameters
    ----------
    structure : str
        Name in `PLANTED`.
    age : float
        Of the simulated person, years.
    before, after : PreparedScan
        The second looks older.
    region : ndarray of bool, shape of the grid
        The structure in both, and 4 mm around it.
    """

    structure: str
    age: float
    before: PreparedScan
    after: PreparedScan
    region: Bool[ndarray, "x y z"]


def planted_pairs(structure: str, grid: Grid, pairs: int, seed: int) -> Iterator[PlantedPair]:
    """Yield pairs of simulated brains in template space, each pair of another age and shape.

    Parameters
    ----------
    structure : str
        Name in `PLANTED`.
    grid : Grid
        Of the model.
    pairs, seed : int

    Raises
    ------
    InputError
        There is no such structure.
    """
    from brainclock.simulate.anatomy import template_anatomy
    from brainclock.simulate.brain import random_field
    from brainclock.simulate.trajectories import load_trajectories

    if structure not in PLANTED:
        raise InputError("planted structure", repr(structure), ", ".join(PLANTED), "Choose one of these.")
    names, factor = PLANTED[structure]
    anatomy, table = template_anatomy(2), load_trajectories()
    codes = tuple(code for name in names for code in table.structure(name).codes)
    present = anatomy.volumes_ml()
    rest = table.structure("external_csf").codes
    for number in range(pairs):
        own = derive_seed(seed, "planted", structure, number)
        age = float(np.random.default_rng(own).uniform(*AGES))
        young = {
            code: math.exp(one.log_factor(age) - one.log_factor(anatomy.age))
            for one in table.structures
            for code in one.codes
            if code in present and code not in rest
        }
        older = {code: value * (factor if code in codes else 1.0) for code, value in young.items()}
        shape = np.float32(_SHAPE_MM) * random_field(anatomy, 3, derive_seed(own, "shape"))
        before, was = _brain(anatomy, young, shape, codes, own, grid)
        after, becomes = _brain(anatomy, older, shape, codes, own, grid)
        yield PlantedPair(structure, age, before, after, _around(was | becomes, grid))


def try_methods(
    loaded: LoadedModel,
    pairs: Sequence[PlantedPair],
    methods: Sequence[str],
    *,
    layers: Sequence[str | None] = (None,),
    reference: Reference | None = None,
) -> list[PlantedSummary]:
    """Return how well each method finds the structure of these pairs.

    Parameters
    ----------
    loaded : LoadedModel
    pairs : sequence of PlantedPair
        All of one structure.
    methods : sequence of str
        Of `explain.explain.METHODS`.
    layers : sequence of str or None
        Layers for Grad-RAM; each is a method of its own here: ``grad-ram at stem``.
    reference : Reference or None
        For the methods that need one.

    Raises
    ------
    InputError
        There is no pair; a method or layer does not exist or lacks its reference.
    """
    asked = [(m, layer) for m in methods for layer in (layers if m == "grad-ram" else (None,))]
    summaries = []
    for method, layer in asked:
        scores: list[PlantedScore] = []
        for pair in pairs:
            before, after = (
                on_model_grid(
                    map_age(scan, loaded, method, layer=layer, age=pair.age, reference=reference), scan
                )
                for scan in (pair.before, pair.after)
            )
            brain = pair.before.mask | pair.after.mask
            scores.append(score_planted(before, after, pair.region, brain, 1))
        name = method if layer is None else f"{method} at {layer}"
        summaries.append(summarise_planted(name, pairs[0].structure if pairs else "structure", scores))
    return summaries


def _brain(
    anatomy: Anatomy,
    factors: Mapping[int, float],
    shape: Float32[ndarray, "3 x y z"],
    codes: tuple[int, ...],
    seed: int,
    grid: Grid,
) -> tuple[PreparedScan, Bool[ndarray, "a b c"]]:
    """Return a simulated brain on the model grid, and where the structures lie on it."""
    from brainclock.simulate.carry_labels import carry_labels
    from brainclock.simulate.deformation import deform
    from brainclock.simulate.tissue import TissueMap

    deformation = deform(anatomy, dict(factors), shape)
    labels = carry_labels(anatomy, deformation)
    tissue = TissueMap(labels, deformation.carry(anatomy.shares), anatomy.affine, {})
    mask = labels > 0
    noise = np.random.default_rng(derive_seed(seed, "noise")).normal(0, _NOISE, labels.shape)
    data = np.where(mask, np.maximum(tissue.intensity() + noise, 0.01), 0).astype(np.float32)
    image, share = to_grid(Volume(data, anatomy.affine, "simulated brain"), mask, grid, np.eye(4))
    prepared = PreparedScan(normalise(image, share), share > 0.5, grid, np.eye(4))
    return prepared, _on_grid(np.isin(labels, codes).astype(np.int16), anatomy, grid)


def _on_grid(mask: Int16[ndarray, "x y z"], anatomy: Anatomy, grid: Grid) -> Bool[ndarray, "a b c"]:
    """Return where a mask of the anatomy's voxels lies on the grid."""
    from scipy import ndimage

    there = np.round(np.linalg.inv(anatomy.affine) @ grid.matrix, 9)
    sampled = ndimage.affine_transform(
        mask.astype(np.float32), there[:3, :3], there[:3, 3], output_shape=grid.shape, order=1
    )
    return np.asarray(sampled >= 0.5)


def _around(mask: Bool[ndarray, "x y z"], grid: Grid) -> Bool[ndarray, "x y z"]:
    from scipy import ndimage

    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm) <= _MARGIN_MM)
