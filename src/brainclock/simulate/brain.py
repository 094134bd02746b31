"""From a person's numbers to the brain: deformed, with its lesions, in its own head size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.io.volume import Volume
from brainclock.simulate.acquisition import between_knots
from brainclock.simulate.anatomy import Anatomy
from brainclock.simulate.carry_labels import carry_labels
from brainclock.simulate.deformation import Deformation, deform
from brainclock.simulate.people import Person, Visit
from brainclock.simulate.tissue import TISSUES, YOUNG_MEANS, TissueMap
from brainclock.simulate.trajectories import OLDEST, YOUNGEST, load_trajectories

#: Knots of random fields, mm apart, and the standard deviation of their smoothing, knots: the shape of a
#: person is correlated over some 30 mm.
_KNOT_MM = 10.0
_SMOOTH_KNOTS = 1.5
#: Random fields reach so far, mm.
_REACH_MM = 260.0
#: Sulci of a person: knots of the field, mm apart; SD of the logarithm of the CSF in them over the average.
_SULCUS_MM, _SULCI = 4.0, 0.7
#: How sharp a lesion's border is, in units of its score.
_LESION_BORDER = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Brain:
    """A simulated brain and what is true of it.

    Parameters
    ----------
    tissue : TissueMap
        What the scanner will see.
    deformation : Deformation
        How it came from the anatomy.
    factors : mapping of int to float
        Volume asked for over that of the anatomy, by code.
    """

    tissue: TissueMap
    deformation: Deformation
    factors: dict[int, float]

    def volumes_ml(self, anatomy: Anatomy) -> dict[int, float]:
        """Return the measured volume of each structure in the person's own head, ml, by code."""
        growth = abs(float(np.linalg.det(self.tissue.affine[:3, :3]) / np.linalg.det(anatomy.affine[:3, :3])))
        before = anatomy.volumes_ml()
        return {code: before[code] * growth * factor for code, factor in self.deformation.achieved.items()}

    def lesions_ml(self) -> float:
        """Return the volume of the lesions, ml."""
        voxel_ml = abs(float(np.linalg.det(self.tissue.affine[:3, :3]))) / 1000
        return float(self.tissue.shares[TISSUES.index("lesion")].sum(dtype=np.float64)) * voxel_ml


def make_brain(anatomy: Anatomy, person: Person, now: Visit, *, shape_mm: float) -> Brain:
    """Return the brain of a person at a visit.

    Parameters
    ----------
    anatomy : Anatomy
        What all the people of a cohort are made from.
    person : Person
    now : Visit
    shape_mm : float
        Standard deviation of the individual shape along each axis, mm.

    Raises
    ------
    InputError
        Volumes that this anatomy cannot take without a fold; the message names the structure.
    """
    young = _young(anatomy)
    present = anatomy.volumes_ml()
    factors = {code: factor / young[code] for code, factor in now.factors.items() if code in present}
    factors.pop(_rest(), None)
    shape = shape_mm * random_field(anatomy, 3, derive_seed(person.seed, "shape"))
    deformation = deform(anatomy, factors, shape)
    shares = _with_lesions(anatomy, now.lesion_share, derive_seed(person.seed, "lesions"))
    _fold(shares, random_field(anatomy, 1, derive_seed(person.seed, "sulci"), knot_mm=_SULCUS_MM)[0])
    tissue = TissueMap(
        labels=carry_labels(anatomy, deformation),
        shares=deformation.carry(shares),
        affine=_sized(anatomy, person),
        tissue_of=_tissue_of(),
        means=now.means,
    )
    return Brain(tissue, deformation, factors)


def age_brain(anatomy: Anatomy, age: float) -> Brain:
    """Return the same brain at another age: healthy ageing and nothing else, in its own head.

    Parameters
    ----------
    anatomy : Anatomy
        Of a volunteer (`anatomy_from_labels`), or the template's.
    age : float
        Years.

    Returns
    -------
    Brain
        On the voxels of the anatomy; `age_image` takes a scan along.

    Raises
    ------
    InputError
        The age is not one that the curves know, or a fold.
    """
    if not YOUNGEST <= age <= OLDEST:
        raise InputError("age", age, f"{YOUNGEST:g} to {OLDEST:g} years", "Choose an age in that range.")
    present = anatomy.volumes_ml()
    factors = {
        code: math.exp(one.log_factor(age) - one.log_factor(anatomy.age))
        for one in load_trajectories().structures
        for code in one.codes
        if code in present and code != _rest()
    }
    deformation = deform(anatomy, factors)
    labels, shares = carry_labels(anatomy, deformation), deformation.carry(anatomy.shares)
    tissue = TissueMap(labels, shares, anatomy.affine, _tissue_of(), dict(YOUNG_MEANS))
    return Brain(tissue, deformation, factors)


def age_image(image: Volume, anatomy: Anatomy, brain: Brain) -> Volume:
    """Return the scan of a volunteer as `age_brain` has moved the brain in it; what lies outside stays.

    Parameters
    ----------
    image : Volume
        In the space of the anatomy, on any voxels.
    anatomy : Anatomy
        Of the volunteer.
    brain : Brain
        What `age_brain` made of it.
    """
    from scipy import ndimage

    to_anatomy = np.linalg.inv(anatomy.affine) @ image.affine
    to_image = np.linalg.inv(image.affine) @ anatomy.affine
    place = np.indices(image.data.shape, dtype=np.float32).reshape(3, -1)
    within = (to_anatomy[:3, :3] @ place + to_anatomy[:3, 3:]).astype(np.float32)
    moved = np.stack(
        [ndimage.map_coordinates(part, within, order=1, mode="nearest") for part in brain.deformation.origin]
    )
    from_where = place + (to_image[:3, :3] @ moved).astype(np.float32)
    data = ndimage.map_coordinates(image.data, from_where, order=1, mode="nearest", output=np.float32)
    return Volume(data.reshape(image.data.shape), image.affine, f"{image.source}, aged")


def random_field(
    anatomy: Anatomy, components: int, seed: int, *, knot_mm: float = _KNOT_MM
) -> Float32[ndarray, "c x y z"]:
    """Return smooth random fields of standard deviation 1, the same on larger and smaller voxels."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    n = round(_REACH_MM / knot_mm)
    knots = rng.standard_normal((components, n, n, n), dtype=np.float32)
    knots = np.stack([ndimage.gaussian_filter(one, _SMOOTH_KNOTS, mode="wrap") for one in knots])
    places = []
    for axis, (step, size) in enumerate(zip(anatomy.spacing_mm, anatomy.labels.shape, strict=True)):
        start_mm = float(anatomy.affine[:3, axis] @ anatomy.affine[:3, 3]) / step
        first = round((start_mm + step * (size - 1) / 2) / knot_mm) - (n - 1) / 2
        places.append((start_mm + step * np.arange(size)) / knot_mm - first)
    return between_knots(knots / knots.std(), places)


def _rest() -> int:
    return load_trajectories().structure("external_csf").codes[0]


def _tissue_of() -> dict[int, str]:
    return {code: one.tissue for one in load_trajectories().structures for code in one.codes}


def _young(anatomy: Anatomy) -> dict[int, float]:
    """Return the volume of each structure of the anatomy over that of young adults: its own age."""
    return {
        code: math.exp(one.log_factor(anatomy.age))
        for one in load_trajectories().structures
        for code in one.codes
    }


def _sized(anatomy: Anatomy, person: Person) -> Float64[ndarray, "4 4"]:
    """Return the affine of the anatomy in a head of the person's size."""
    own_ml = sum(anatomy.volumes_ml().values())
    mean = (load_trajectories().head.volume_ml / own_ml) ** (1 / 3)
    return np.asarray(np.diag([*(mean * np.exp(person.head_scale)), 1.0]) @ anatomy.affine)


def _fold(shares: Float32[ndarray, "5 x y z"], field: Float32[ndarray, "x y z"]) -> None:
    """Give a person sulci of their own, in place: more CSF and less cortex here, the reverse there."""
    csf, cortex = shares[TISSUES.index("csf")], shares[TISSUES.index("cortex")]
    both = csf + cortex
    csf *= np.exp(np.float32(_SULCI) * field)
    csf *= both / np.maximum(csf + cortex, np.float32(1e-6))
    np.subtract(both, csf, out=cortex)


def _with_lesions(anatomy: Anatomy, share: float, seed: int) -> Float32[ndarray, "5 x y z"]:
    """Return the tissues with this share of the white matter as lesions, most beside the ventricles."""
    shares = anatomy.shares.copy()
    white = shares[TISSUES.index("white")]
    score = anatomy.near_ventricles * (1 + 0.3 * random_field(anatomy, 1, seed)[0])
    inside = anatomy.near_ventricles > 0
    wanted = share * float(white.sum(dtype=np.float64))
    low, high = 0.0, 3.0
    for _ in range(30):  # the level above which so much lies, by halving
        level = (low + high) / 2
        amount = (np.clip((score[inside] - level) / _LESION_BORDER, 0, 1) * white[inside]).sum(
            dtype=np.float64
        )
        low, high = (level, high) if amount > wanted else (low, level)
    lesion = np.clip((score - np.float32(level)) / _LESION_BORDER, 0, 1).astype(np.float32) * white * inside
    shares[TISSUES.index("lesion")] = lesion
    shares[TISSUES.index("white")] = white - lesion
    return shares
