"""One scan of a simulated cohort: who, when and where; then the image and its truth, as files."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock import __version__
from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.io.atomic import write_json
from brainclock.io.bids import build_stem, derivative_path
from brainclock.io.nifti import image_hash, write_volume
from brainclock.io.read import read_json
from brainclock.io.volume import Volume
from brainclock.simulate.acquisition import Site, acquire, draw_pose, draw_site
from brainclock.simulate.anatomy import Anatomy, template_anatomy
from brainclock.simulate.brain import Brain, make_brain
from brainclock.simulate.head import scan_head, strip
from brainclock.simulate.people import Person, Visit, draw_person, visit
from brainclock.simulate.settings import CohortSettings
from brainclock.simulate.synthesis import render
from brainclock.simulate.trajectories import SHIPPED, load_trajectories

#: Where the truth lies in a cohort, and where it is kept what was done.
TRUTH = Path("derivatives") / "truth"
KEPT = ".scans"
_PACKAGES = ("nilearn", "numpy", "scipy", "torch")
#: What a scanner's intensities are stored as.
_LARGEST = 32767


@dataclass(frozen=True, slots=True)
class Plan:
    """One scan to be made.

    Parameters
    ----------
    index : int
        Number of the participant, from 1.
    years_later : float
        Since the first visit.
    session_id : str or None
        ``ses-1``; None where each participant has one visit.
    run : int or None
        1 or 2 where the visit is scanned twice.
    """

    index: int
    years_later: float = 0.0
    session_id: str | None = None
    run: int | None = None

    @property
    def key(self) -> str:
        """Name of the scan, ``sub-0001_ses-1_run-2``."""
        entities = {"sub": f"{self.index:04d}"}
        if self.session_id is not None:
            entities["ses"] = self.session_id.removeprefix("ses-")
        if self.run is not None:
            entities["run"] = str(self.run)
        return build_stem(entities)


@dataclass(frozen=True, slots=True)
class Job:
    """What all scans of a cohort share."""

    out: Path
    seed: int
    settings: CohortSettings

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that a scan depends on, besides its plan."""
        parts = [self.settings.digest(), str(self.seed), str(sorted(versions().items()))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def simulate_scan(job: Job, plan: Plan) -> dict[str, Any]:
    """Make a scan and its truth, unless an earlier run made them, and return what the tables say of it.

    Writes the image, and with ``truth_maps`` the labels and the map of injected change, in the space of
    the scan; last ``.scans/KEY.json``, which says that all is there.

    Raises
    ------
    InputError
        The person's brain would fold; the message names the structure.
    OutputError
        A file cannot be written.
    """
    kept = job.out / KEPT / f"{plan.key}.json"
    before = _kept(kept, job)
    if before is not None:
        return before
    settings = job.settings
    person = draw_person(plan.index, settings, job.seed)
    now = visit(person, plan.years_later, settings)
    anatomy = template_anatomy(settings.anatomy_mm)
    site, image = site_of(person, job), image_path(job.out, plan, settings)
    try:
        brain = make_brain(anatomy, person, now, shape_mm=settings.shape_mm)
    except InputError as error:
        for path in (image, *_truth_paths(job.out / TRUTH, plan.key), kept):  # of an earlier version
            path.unlink(missing_ok=True)
        raise InputError(f"{plan.key} ({error.where})", error.found, error.expected, _FOLD) from None
    pose, moved, scan = _scan(plan, person, brain, site, job)
    write_volume(image, np.clip(np.rint(scan.data), 0, _LARGEST), scan.affine, dtype=np.int16)
    if settings.truth_maps:
        _write_truth(job.out / TRUTH, plan.key, now, brain, pose)
    row = {
        **known(plan, person, now, site),
        **_truth(anatomy, brain, site, moved),
        "status": "ok",
        "path": image.relative_to(job.out).as_posix(),
        "template_to_scan": (pose @ brain.tissue.affine @ np.linalg.inv(anatomy.affine)).tolist(),
        "volumes": _volumes(anatomy, now, brain),
    }
    write_json(kept, {"digest": job.digest, "image_sha256": image_hash(image), "row": row})
    return row


def image_path(out: Path, plan: Plan, settings: CohortSettings) -> Path:
    """Return where the image of a scan lies."""
    stripped = {"desc": "brain"} if settings.image == "brain" else {}
    return derivative_path(out, plan.key, stripped, "T1w", ".nii.gz")


def site_of(person: Person, job: Job) -> Site:
    """Return the scanner of a participant; with ``site_by_age`` the older ones go to the later sites."""
    settings = job.settings
    rng = np.random.default_rng(derive_seed(person.seed, "site"))
    by_age, anywhere = rng.random(2)
    place = float(anywhere)
    if by_age < settings.site_by_age:
        low, high = settings.ages
        place = (person.age - low) / max(high - low, 1.0)
    number = min(max(int(place * settings.sites), 0), settings.sites - 1) + 1
    name = f"simulated-{number:02d}"
    site = draw_site(name, np.random.default_rng(derive_seed(job.seed, "simulate", "site", number)))
    if settings.spacing_mm is not None:
        return replace(site, spacing_mm=(settings.spacing_mm,) * 3)
    return site


@cache
def versions() -> dict[str, str]:
    """Return the versions that an image depends on."""
    packages = {name: version(name) for name in _PACKAGES}
    table = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    return {"brainclock": __version__, "trajectories": table, **packages}


_FOLD = "Narrow spread, gap_sd, shape_mm or change, or leave the participant out with another seed."


def _kept(path: Path, job: Job) -> dict[str, Any] | None:
    """Return what an earlier run says of the scan, if it was to the same end and the image is still whole."""
    if not path.is_file():
        return None
    try:
        kept = read_json(path)
        row: dict[str, Any] = kept["row"]
        whole = kept["digest"] == job.digest and kept["image_sha256"] == image_hash(job.out / row["path"])
        maps = _truth_paths(job.out / TRUTH, row["key"]) if job.settings.truth_maps else ()
        return row if whole and all(one.is_file() for one in maps) else None
    except (InputError, KeyError, TypeError):  # damaged from outside: make it again
        return None


def _scan(
    plan: Plan, person: Person, brain: Brain, site: Site, job: Job
) -> tuple[Float64[ndarray, "4 4"], bool, Volume]:
    """Return the pose, whether the head moved, and the scan."""
    settings = job.settings
    # head and texture belong to the person, the rest to this one scan
    own = np.random.default_rng(derive_seed(person.seed, "head"))
    rng = np.random.default_rng(derive_seed(person.seed, "scan", plan.key))
    volume = render(brain.tissue, own, contrast=site.contrast)
    pose, moved = draw_pose(rng), bool(rng.random() < site.motion)
    if settings.image == "head":
        return pose, moved, scan_head(volume, site, own, rng, pose=pose, moved=moved)
    return pose, moved, strip(acquire(volume, site, rng, pose=pose, moved=moved), brain.tissue, pose)


def _truth_paths(truth: Path, key: str) -> tuple[Path, Path]:
    labels = derivative_path(truth, key, {"desc": "truth"}, "dseg", ".nii.gz")
    change = derivative_path(truth, key, {"desc": "injected"}, "change", ".nii.gz")
    return labels, change


def _write_truth(truth: Path, key: str, now: Visit, brain: Brain, pose: Float64[ndarray, "4 4"]) -> None:
    """Write labels and injected change on the voxels of the brain, aligned with the scan by their affine."""
    labels = brain.tissue.labels
    table = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    for code, change in now.injected.items():
        if code < len(table):
            table[code] = change
    affine = pose @ brain.tissue.affine
    for path, data in zip(_truth_paths(truth, key), (labels, table[labels]), strict=True):
        write_volume(path, data, affine, dtype=data.dtype)


def known(plan: Plan, person: Person, now: Visit, site: Site) -> dict[str, Any]:
    """Return what the tables say of a scan whatever becomes of it."""
    return {
        "participant_id": person.participant_id,
        "session_id": plan.session_id,
        "key": plan.key,
        "age": round(now.age, 2),
        "sex": person.sex,
        "site": site.name,
        "group": person.group,
        "brain_age": now.brain_age,
        "brain_age_gap": now.brain_age - now.age,
        "severity": now.severity,
        "response": person.response if person.group != "HC" else None,
        "grey_level": now.means["cortex"],
        "scores": dict(now.scores),
    }


def _truth(anatomy: Anatomy, brain: Brain, site: Site, moved: bool) -> dict[str, Any]:
    volumes = brain.volumes_ml(anatomy)
    return {
        "intracranial_ml": math.fsum(volumes.values()),
        "lesions_ml": brain.lesions_ml(),
        "smallest_jacobian": brain.deformation.min_jacobian,
        "moved": moved,
        "acquisition": asdict(site),
    }


def _volumes(anatomy: Anatomy, now: Visit, brain: Brain) -> list[dict[str, Any]]:
    """Return a row for each structure: asked for, achieved, injected."""
    names = load_trajectories().names()
    volumes = brain.volumes_ml(anatomy)
    return [
        {
            "structure": names[code],
            "code": code,
            "target_factor": brain.factors.get(code),
            "achieved_factor": achieved,
            "volume_ml": volumes[code],
            "injected_log_factor": now.injected[code],
        }
        for code, achieved in brain.deformation.achieved.items()
    ]
