"""Who takes part: prepared once, and opened by every job without the volumes themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.compare.volumes import VOLUMES, volumes_ml
from brainclock.config import ChannelSettings, RunSettings
from brainclock.io.find import find_scans
from brainclock.io.tables import read_table, write_table
from brainclock.train.cohort import Cohort, healthy_with_age, log_who_trains, prepare_cohort
from brainclock.train.memory import keep_freed_memory
from brainclock.train.views import Views, make_views

#: Side of a voxel that the classical rivals see, and width (SD) of the smoothing, mm.
COARSE_MM = 4.0

_COLUMNS = ("key", "participant_id", "age", "sex", "site", "source", "preparation", *VOLUMES)


def gather(
    data: tuple[str, ...],
    settings: RunSettings,
    out: Path,
    *,
    in_template: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
) -> Cohort:
    """Prepare all healthy people with an age, and write ``cohort/people.tsv`` in ``out`` for the jobs.

    Raises
    ------
    InputError
        A path, nobody who can train, or no scan that could be prepared.
    OutputError
        The folder cannot be written.
    """
    scans = find_scans([Path(path) for path in data], in_template=in_template)
    healthy = healthy_with_age(scans)
    log_who_trains(scans)
    keep_freed_memory()
    folder = out / "cohort"
    labels = settings.augment.synthetic > 0
    cohort = prepare_cohort(
        healthy,
        settings.prepare,
        folder,
        labels=labels,
        scales=True,
        workers=workers,
        scheduler=scheduler,
    )
    path = folder / "people.tsv"
    before = {row["key"]: row for row in read_table(path)} if path.is_file() else {}
    rows = []
    assert cohort.scales is not None
    for row, key in enumerate(cohort.keys):
        known: Mapping[str, str] = before.get(key, {})
        cells: dict[str, object] = {
            "key": key,
            "participant_id": cohort.participants[row],
            "age": float(cohort.ages[row]),
            "sex": cohort.sexes[row],
            "site": cohort.sites[row],
            "source": cohort.sources[row],
            "preparation": settings.prepare.digest()[:16],
        }
        if all(known.get(name) == cells[name] for name in ("source", "preparation")):
            measured = {name: float(known[name]) for name in VOLUMES}
        else:
            measured = volumes_ml(cohort.volumes[row], settings.prepare.grid, float(cohort.scales[row]))
        rows.append(cells | measured)
    write_table(path, rows, _COLUMNS)
    return cohort


def open_people(out: Path) -> tuple[Cohort, Float64[ndarray, "n v"]]:
    """Return the cohort without its volumes, and the volumes of `VOLUMES` in ml."""
    rows = read_table(out / "cohort" / "people.tsv")
    cohort = Cohort(
        volumes=(),
        ages=np.array([float(row["age"]) for row in rows], dtype=np.float64),
        keys=tuple(row["key"] for row in rows),
        participants=tuple(row["participant_id"] for row in rows),
        sites=tuple(row["site"] for row in rows),
        sexes=tuple(row["sex"] for row in rows),
        sources=tuple(row["source"] for row in rows),
    )
    return cohort, np.array([[float(row[name]) for name in VOLUMES] for row in rows], dtype=np.float64)


def identity(cohort: Cohort) -> str:
    """Return a digest of who they are: jobs on other people are other jobs."""
    parts = [cohort.keys, cohort.participants, cohort.ages.tolist(), cohort.sites, cohort.sources]
    text = json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_looks(cohort: Cohort, settings: RunSettings, out: Path) -> Views:
    """Make the looks of a whole cohort, or open those that are there; several jobs share them."""
    parts = [settings.prepare.digest(), settings.channels.digest(), settings.augment.digest(), settings.seed]
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    folder = out / "looks" / name
    return make_views(cohort.volumes, cohort.keys, settings, folder, cohort.sources, cohort.classes)


def coarse(settings: RunSettings, channel: str) -> RunSettings:
    """Return what a classical rival sees: one channel in voxels of about 4 mm, each scan as it is."""
    i, j, k = (max(1, round(COARSE_MM / step)) for step in settings.prepare.grid.spacing_mm)
    channels = ChannelSettings.model_validate({"channels": (channel,), "pool": (i, j, k)})
    return RunSettings(
        prepare=settings.prepare,
        channels=channels,
        augment=settings.augment.model_copy(update={"looks": 0}),
    )
