"""One simulated head, without a cohort: for tests, demonstrations and a first try.

What `simulate_head` shows is what a cohort shows (`simulate_cohort`): the same brains, surroundings and
effects of the scanner. `head_pose` is its truth: the map from template to scan.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.io.volume import Volume
from brainclock.simulate.acquisition import Site, acquire, draw_pose
from brainclock.simulate.anatomy import template_anatomy
from brainclock.simulate.brain import Brain, make_brain
from brainclock.simulate.people import draw_person, visit
from brainclock.simulate.settings import CohortSettings
from brainclock.simulate.surroundings import field_of_view, put_in_head
from brainclock.simulate.synthesis import render
from brainclock.simulate.tissue import TissueMap
from brainclock.simulate.trajectories import OLDEST, REFERENCE_AGE, YOUNGEST

#: Voxels on which the brain is made, mm.
_ANATOMY_MM = 2

Spacing = float | tuple[float, float, float]


def simulate_head(seed: int, *, age: float | None = None, spacing_mm: Spacing = 1.0) -> Volume:
    """Return a raw head: brain, CSF, skull, scalp, face, neck, bias field and noise.

    Parameters
    ----------
    seed : int
        Decides the person, the pose, bias and noise. The same arguments give the same bytes.
    age : float or None
        Years, of a healthy person (age and brain age are the same) who differs from others as people do;
        None makes an average young adult, who differs in sulci, sex and size of the head alone.
    spacing_mm : float or tuple of 3 floats
        Voxel size, mm.

    Returns
    -------
    Volume
        Axes to the right, front and top; intensities of about 0 to 1000.

    Raises
    ------
    InputError
        The age is not between 18 and 95 years, or the spacing not between 0.5 and 10 mm.

    Examples
    --------
    >>> head = brainclock.simulate_head(1, age=60.0, spacing_mm=4.0)
    >>> head.spacing_mm
    (4.0, 4.0, 4.0)
    """
    site = Site(name="simulated", spacing_mm=_steps(spacing_mm), noise=0.03)
    brain = _brain(seed, age)
    volume = render(brain.tissue, _stream(seed, "texture"))
    pose = _pose(seed)
    own, rng = _stream(seed, "head"), _stream(seed, "scan")
    scan = scan_head(volume, site, own, rng, pose=pose, moved=False)
    return Volume(scan.data, scan.affine, f"simulated head {seed}")


def simulate_brain(seed: int, *, age: float | None = None, spacing_mm: Spacing = 1.0) -> Volume:
    """Return `simulate_head` of the same arguments without skull: exactly 0 outside the brain and its CSF."""
    head = simulate_head(seed, age=age, spacing_mm=spacing_mm)
    return strip(head, _brain(seed, age).tissue, _pose(seed))


def head_pose(seed: int, *, age: float | None = None) -> Float64[ndarray, "4 4"]:
    """Return the true map from template mm to scan mm (RAS+) of `simulate_head`: tilt, shift and size.

    What the shape of a person's brain does beyond that is in no affine map.
    """
    anatomy = template_anatomy(_ANATOMY_MM)
    affine = _brain(seed, age).tissue.affine
    return np.asarray(_pose(seed) @ affine @ np.linalg.inv(anatomy.affine))


def scan_head(
    brain: Volume,
    site: Site,
    own: np.random.Generator,
    rng: np.random.Generator,
    *,
    pose: Float64[ndarray, "4 4"],
    moved: bool,
) -> Volume:
    """Return a scan of a brain in its head.

    Parameters
    ----------
    brain : Volume
        From `render`.
    site : Site
    own, rng : numpy.random.Generator
        For the head of the person, and for this scan.
    pose : ndarray of float64, shape (4, 4)
        The head's own mm to those of the scanner.
    moved : bool
        Whether the head moves during the scan.
    """
    head, field_mm = put_in_head(brain, own), field_of_view(brain)
    return acquire(head, site, rng, pose=pose, moved=moved, field_mm=field_mm)


def strip(scan: Volume, tissue: TissueMap, pose: Float64[ndarray, "4 4"]) -> Volume:
    """Return the scan with 0 outside the true brain with its CSF, and above 0 inside."""
    from scipy import ndimage

    to_voxel = np.linalg.inv(pose @ tissue.affine) @ scan.affine
    inside = ndimage.affine_transform(
        (tissue.labels > 0).astype(np.float32),
        to_voxel[:3, :3],
        to_voxel[:3, 3],
        output_shape=scan.data.shape,
        order=1,
        output=np.float32,
    )
    return Volume(np.maximum(scan.data, 1) * (inside > 0.5), scan.affine, scan.source)


@functools.lru_cache(maxsize=4)
def _brain(seed: int, age: float | None) -> Brain:
    settings = CohortSettings(ages=(REFERENCE_AGE, REFERENCE_AGE), gap_sd=0, spread=0, shape_mm=0)
    if age is not None:
        if not YOUNGEST <= age <= OLDEST:
            fix = "Choose an age in that range."
            raise InputError("age", age, f"{YOUNGEST:g} to {OLDEST:g} years", fix)
        settings = CohortSettings(ages=(age, age), gap_sd=0)
    person = draw_person(1, settings, seed)
    now = visit(person, 0.0, settings)
    return make_brain(template_anatomy(_ANATOMY_MM), person, now, shape_mm=settings.shape_mm)


def _pose(seed: int) -> Float64[ndarray, "4 4"]:
    return draw_pose(_stream(seed, "pose"))


def _stream(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, "simulate_head", purpose))


def _steps(spacing_mm: Spacing) -> tuple[float, float, float]:
    steps = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm,) * 3
    if not all(0.5 <= step <= 10 for step in steps):
        raise InputError("spacing_mm", steps, "0.5 to 10 mm", "Choose a spacing in that range.")
    return steps
