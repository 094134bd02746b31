"""Who trains: healthy people with a known age, each scan prepared once and kept in one array."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Float64, Int
from numpy import ndarray

from brainclock.config import PrepareSettings
from brainclock.errors import InputError
from brainclock.execution import map_scans
from brainclock.io.cells import is_healthy
from brainclock.io.labels import find_labels
from brainclock.io.nifti import image_hash
from brainclock.io.scan import Scan
from brainclock.prepare.chain import prepare_scan
from brainclock.train.kept_rows import KeptRows
from brainclock.train.labels import classes_on_grid

logger = logging.getLogger("brainclock")


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Prepared scans of people with ages.

    Parameters
    ----------
    volumes : tuple of ndarray of float16, shape (x, y, z), length n
        Prepared intensity; rows of a memory map, or of an array.
    ages : ndarray of float64, shape (n,), years
    keys, participants, sites, sexes : tuple of str, length n
        Two scans with the same participant are of one person, whatever their sites.
    sources : tuple of str, length n
        What each volume was made from: the SHA-256 of the image, and what was given with it. Empty where
        nothing is kept on disk.
    left_out : mapping of str to str
        Keys of further scans that were given, and why they could not be prepared.
    classes : tuple of ndarray of float16, shape (x, y, z), length n, or None
        Class of tissue in each voxel (`simulate.muse.CLASSES`); zeros where a scan has no label map. None
        where no label map was asked for.
    scales : ndarray of float64, shape (n,), or None
        Volume of the head over its volume on the grid. None where it was not asked for.
    """

    volumes: tuple[Float16[ndarray, "x y z"], ...]
    ages: Float64[ndarray, " n"]
    keys: tuple[str, ...]
    participants: tuple[str, ...]
    sites: tuple[str, ...]
    sexes: tuple[str, ...]
    sources: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[Float16[ndarray, "x y z"], ...] | None = None
    scales: Float64[ndarray, " n"] | None = None

    def __len__(self) -> int:
        return len(self.ages)

    def people(self, rows: Int[ndarray, " m"]) -> list[str]:
        """Whose rows these are."""
        return [self.participants[row] for row in rows]


def healthy_with_age(scans: Sequence[Scan]) -> list[Scan]:
    """Return the scans that may train; `log_who_trains` says who they are.

    Raises
    ------
    InputError
        Nobody is left, a healthy person has no age, or two scans have one key.
    """
    keys = Counter(scan.key for scan in scans)
    if twice := [key for key, count in keys.items() if count > 1]:
        raise InputError("training scans", f"the key {twice[0]} twice", "one key a scan", "Rename one.")
    healthy = [scan for scan in scans if is_healthy(scan.group)]
    if not healthy:
        raise InputError(
            "training scans", "no scan of a healthy person", "scans with ages", "Check the groups."
        )
    ageless = [scan.key for scan in healthy if scan.age is None]
    if ageless:
        raise InputError(
            "ages",
            f"none for {len(ageless)} scans ({', '.join(ageless[:5])}{', ...' if len(ageless) > 5 else ''})",
            "an age for each scan",
            "Complete participants.tsv, or give only scans of people with a known age.",
        )
    return healthy


def log_who_trains(scans: Sequence[Scan]) -> None:
    """Log who of the scans does not train and why, and what is assumed of those who do."""
    healthy = [scan for scan in scans if is_healthy(scan.group)]
    others = Counter(str(scan.group) for scan in scans if not is_healthy(scan.group))
    if others:
        groups = ", ".join(f"{count} {group}" for group, count in sorted(others.items()))
        logger.info("Not healthy by their group, so they do not train: %s.", groups)
    groupless = sum(scan.group is None for scan in healthy)
    if groupless:
        logger.info("No table gives a group for %d scans: they count as healthy.", groupless)
    censored = sum(scan.age_censored for scan in healthy)
    if censored:
        logger.info("%d ages are lower bounds (89+) and count as their bound.", censored)


def prepare_cohort(
    scans: Sequence[Scan],
    settings: PrepareSettings,
    folder: Path,
    *,
    labels: bool = False,
    scales: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
) -> Cohort:
    """Prepare every scan once and return the cohort.

    ``scans.npy`` in ``folder`` is filled scan by scan; a scan is not prepared again as long as settings and
    files are the same. One that cannot be prepared is left out and logged, and tried again by the next
    run. With ``labels``, ``classes.npy`` takes up the label map of each scan that has one (`find_labels`);
    with ``scales``, ``scales.npy`` how much each head was scaled.

    Raises
    ------
    InputError
        No scan could be prepared, or none of them has the labels that were asked for.
    """
    sources, maps, left_out = _sources(scans, labels)
    readable = [scan for scan in scans if scan.key in sources]
    names = [f"{scan.key} {sources[scan.key]}" for scan in readable]
    kept = KeptRows(folder / "scans.npy", settings.digest(), names, settings.grid.shape)
    todo = {readable[row].key: row for row in kept.missing()}
    kept_classes = None
    if labels:
        kept_classes = _kept_classes(readable, sources, maps, settings, folder)
        todo |= {readable[row].key: row for row in kept_classes.missing()}
    kept_scales = None
    if scales:
        kept_scales = KeptRows(folder / "scales.npy", settings.digest(), names, (1,))
        todo |= {readable[row].key: row for row in kept_scales.missing()}
    outcomes = map_scans(
        partial(_prepared, settings=settings, labelled=frozenset(maps)),
        [readable[row] for row in todo.values()],
        key=lambda scan: scan.key,
        workers=workers,
        scheduler=scheduler,
        description="prepare",
    )
    for outcome in outcomes:
        if outcome.value is not None:
            volume, classes, scale = outcome.value
            kept.keep(todo[outcome.key], volume)
            if kept_scales is not None:
                kept_scales.keep(todo[outcome.key], np.array([scale], dtype=np.float16))
            if kept_classes is not None and classes is not None:
                kept_classes.keep(todo[outcome.key], classes)
        else:
            left_out[outcome.key] = outcome.failure or "no reason given"
    for key, reason in sorted(left_out.items()):
        logger.warning("%s does not train: %s", key, reason)
    rows = sorted(
        set.intersection(*(one.filled for one in (kept, kept_classes, kept_scales) if one is not None))
    )
    if not rows:
        raise InputError(
            "training scans", "none that could be prepared", "T1w scans", "See the reasons above."
        )
    good = [readable[row] for row in rows]
    return Cohort(
        volumes=tuple(kept.array[row] for row in rows),
        ages=np.array([scan.age for scan in good], dtype=np.float64),
        keys=tuple(scan.key for scan in good),
        participants=tuple(scan.participant_id for scan in good),
        sites=tuple(scan.site or "n/a" for scan in good),
        sexes=tuple(scan.sex for scan in good),
        sources=tuple(", ".join(filter(None, (sources[scan.key], maps.get(scan.key)))) for scan in good),
        left_out=left_out,
        classes=None if kept_classes is None else tuple(kept_classes.array[row] for row in rows),
        scales=None if kept_scales is None else kept_scales.array[rows, 0].astype(np.float64),
    )


def _kept_classes(
    scans: Sequence[Scan],
    sources: Mapping[str, str],
    maps: Mapping[str, str],
    settings: PrepareSettings,
    folder: Path,
) -> KeptRows:
    """Return the rows of the label maps; those of scans without one are filled already, with zeros."""
    if not maps:
        expected = "a *_desc-dlmuse_dseg.nii.gz beside some scan or in its derivatives"
        fix = "Add label maps, or set augment.synthetic to 0."
        raise InputError("label maps", "none", expected, fix)
    logger.info("%d of %d scans have a label map.", len(maps), len(scans))
    names = [f"{scan.key} {sources[scan.key]}, {maps.get(scan.key, 'no labels')}" for scan in scans]
    kept = KeptRows(folder / "classes.npy", settings.digest(), names, settings.grid.shape)
    for row in kept.missing():
        if scans[row].key not in maps:
            kept.keep(row, np.zeros(settings.grid.shape, dtype=np.float16))
    return kept


def _sources(scans: Sequence[Scan], labels: bool) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return what decides each scan, and its label map; and of those that cannot be read the reason."""
    sources: dict[str, str] = {}
    maps: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for scan in scans:
        try:
            sources[scan.key] = _source(scan)
            if labels and (label_map := find_labels(scan.path)) is not None:
                maps[scan.key] = f"labels {image_hash(label_map)}"
        except InputError as error:
            left_out[scan.key] = str(error)
    return sources, maps, left_out


def _source(scan: Scan) -> str:
    """Return all that decides what a scan is prepared to, besides the settings."""
    words = [image_hash(scan.path)]
    if scan.mask_path is not None:
        words.append(f"mask {image_hash(scan.mask_path)}")
    if scan.in_template:
        words.append("in template space")
    if scan.stripped:
        words.append("stripped")
    return ", ".join(words)


def _prepared(
    scan: Scan, settings: PrepareSettings, labelled: frozenset[str]
) -> tuple[Float16[ndarray, "x y z"], Float16[ndarray, "x y z"] | None, float]:
    """Return the volume, the classes of its label map if it has one, and the scale of the head."""
    prepared = prepare_scan(scan, settings)
    label_map = find_labels(scan.path) if scan.key in labelled else None
    classes = None if label_map is None else classes_on_grid(label_map, prepared).astype(np.float16)
    # half precision ends at 6e-8: what is above 0 stays above 0 (normalise gives at least 1e-3)
    scale = abs(float(np.linalg.det(prepared.template_to_scan[:3, :3])))
    return prepared.data.astype(np.float16), classes, scale
