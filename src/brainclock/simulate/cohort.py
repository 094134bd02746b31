"""Simulated cohorts: a BIDS dataset of heads, and apart from it what is true of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.execution import Outcome, map_scans
from brainclock.io.atomic import make_folder, write_json
from brainclock.io.bids import write_dataset_description
from brainclock.io.lock import LOCK, writing
from brainclock.io.read import read_json
from brainclock.io.tables import write_data_dictionary, write_table
from brainclock.simulate.anatomy import template_anatomy
from brainclock.simulate.deformation import deform
from brainclock.simulate.one_scan import KEPT, TRUTH, Job, Plan, known, simulate_scan, site_of, versions
from brainclock.simulate.people import draw_person, visit
from brainclock.simulate.settings import CohortSettings
from brainclock.simulate.trajectories import OLDEST, load_trajectories

_YEARS = {"Units": "years"}
PARTICIPANTS: Mapping[str, Mapping[str, object]] = {
    "participant_id": {"Description": "Simulated participant; there is no such person."},
    "session_id": {"Description": "Visit."},
    "age": {"Description": "Chronological age; in participants.tsv at the first visit.", **_YEARS},
    "sex": {"Description": "Simulated sex.", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "Simulated scanner."},
    "group": {
        "Description": "Simulated group.",
        "Levels": {"HC": "healthy", "AD": "Alzheimer's disease", "PD": "Parkinson's disease"},
    },
}
SCORES: Mapping[str, Mapping[str, object]] = {
    "mmse": {"Description": "Mini-Mental State Examination, simulated; 0 to 30, lower is worse."},
    "cdr_sb": {"Description": "Clinical Dementia Rating, sum of boxes, simulated; 0 to 18."},
    "moca": {"Description": "Montreal Cognitive Assessment, simulated; 0 to 30, lower is worse."},
    "mds_updrs_iii": {"Description": "MDS-UPDRS part III, simulated; 0 to 132, higher is worse."},
    "hoehn_yahr": {"Description": "Hoehn and Yahr stage, simulated; 0 for healthy people."},
}
TRUTH_COLUMNS: Mapping[str, Mapping[str, object]] = {
    "status": {
        "Description": "Whether the scan was made.",
        "Levels": {"ok": "made", "failed": "not made; the reason column says why"},
    },
    "reason": {"Description": "Why the scan was not made: the structure, what was found and what was asked."},
    "key": {"Description": "Name of the scan."},
    "path": {"Description": "The image, from the folder of the cohort on."},
    "brain_age": {"Description": "Age of the brain that was simulated.", **_YEARS},
    "brain_age_gap": {"Description": "brain_age − age.", **_YEARS},
    "severity": {"Description": "Of the disease, 0 to 1."},
    "response": {"Description": "Factor on the atrophy that goes with a severity, of this person."},
    "intracranial_ml": {"Description": "Volume inside the skull.", "Units": "ml"},
    "lesions_ml": {"Description": "White-matter hypointensities.", "Units": "ml"},
    "grey_level": {"Description": "T1w intensity of the cortex; white matter is 1."},
    "smallest_jacobian": {"Description": "Smallest local volume over that of the anatomy; above 0: no fold."},
    "moved": {"Description": "The head moved during the scan."},
}
VOLUMES: Mapping[str, Mapping[str, object]] = {
    "key": {"Description": "Name of the scan."},
    "structure": {"Description": "Structure and side."},
    "code": {"Description": "Its code in the label maps."},
    "target_factor": {
        "Description": "Volume asked for over that of the anatomy; n/a for what takes the difference."
    },
    "achieved_factor": {"Description": "Volume measured over that of the anatomy."},
    "volume_ml": {"Description": "Volume in the simulated head.", "Units": "ml"},
    "injected_log_factor": {
        "Description": "Logarithm of the volume factor from the gap, the disease and the planted change."
    },
}


@dataclass(frozen=True, slots=True)
class SimulatedScan:
    """What became of one scan of a cohort.

    Parameters
    ----------
    key : str
        Name of the scan.
    path : Path or None
        The image; None where it was not made.
    reason : str or None
        Why it was not made, a sentence; None where all is well.
    """

    key: str
    path: Path | None
    reason: str | None


def plan_cohort(n: int, settings: CohortSettings, seed: int) -> list[Plan]:
    """Return the scans of a cohort of ``n`` participants, in order."""
    plans = []
    for index in range(1, n + 1):
        for number in range(1, settings.visits + 1):
            session = f"ses-{number}" if settings.visits > 1 else None
            rng = np.random.default_rng(derive_seed(seed, "simulate", "retest", index, number))
            runs: Sequence[int | None] = (1, 2) if rng.random() < settings.retests else (None,)
            later = (number - 1) * settings.years_between
            plans += [Plan(index, later, session, run) for run in runs]
    return plans


def simulate_cohort(
    out: Path,
    n: int,
    *,
    seed: int = 1,
    settings: CohortSettings | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> list[SimulatedScan]:
    """Simulate a cohort and write it as a BIDS dataset, with the truth under ``derivatives/truth``.

    Parameters
    ----------
    out : Path
        A new folder, or that of an earlier run with the same seed and settings, which goes on; ``n`` may
        have grown.
    n : int
        Participants, 1 to 9999.
    seed : int
        The same seed, settings and versions give the same bytes, whatever the workers.
    settings : CohortSettings or None
        None takes the defaults: healthy people of 20 to 90 years, one visit, raw heads.
    workers, scheduler, progress
        As for `map_scans`.

    Returns
    -------
    list of SimulatedScan
        In order; a person whose brain would fold has a reason and no image.

    Raises
    ------
    InputError
        ``n`` or a setting is impossible, or the folder holds something else; nothing is written.
    OutputError
        A file cannot be written.
    """
    settings = settings or CohortSettings()
    if not 1 <= n <= 9999:
        raise InputError("--n", n, "1 to 9999 participants", "Choose a number in that range.")
    _check_span(settings)
    _check_change(settings)
    job = Job(out.absolute(), seed, settings)
    plans = plan_cohort(n, settings, seed)
    with writing(out):
        _claim(job, n)
        outcomes = map_scans(
            partial(simulate_scan, job),
            plans,
            key=_key,
            workers=workers,
            scheduler=scheduler,
            description="simulate",
            progress=progress,
        )
        rows = [_row(job, plan, outcome) for plan, outcome in zip(plans, outcomes, strict=True)]
        _write_tables(job, rows)
    return [
        SimulatedScan(row["key"], out / row["path"] if row["status"] == "ok" else None, row.get("reason"))
        for row in rows
    ]


def _row(job: Job, plan: Plan, outcome: Outcome[dict[str, Any]]) -> dict[str, Any]:
    """Return what the tables say of a scan that was made, or of one that was not."""
    if outcome.value is not None:
        return outcome.value
    person = draw_person(plan.index, job.settings, job.seed)
    now = visit(person, plan.years_later, job.settings)
    failed = {"status": "failed", "reason": outcome.failure or "no reason given"}
    return {**known(plan, person, now, site_of(person, job)), **failed}


def _check_change(settings: CohortSettings) -> None:
    """Refuse changes that not even the average brain can take; the message names the structure."""
    if not settings.change:
        return
    anatomy, table = template_anatomy(2), load_trajectories()
    factors = {
        code: factor for name, factor in settings.change.items() for code in table.structure(name).codes
    }
    try:
        deform(anatomy, factors)
    except InputError as error:
        fix = "Give a factor nearer to 1."
        raise InputError("change", f"{error.found}, in the average brain", error.expected, fix) from None


def _check_span(settings: CohortSettings) -> None:
    groups = [settings.ages, *(one.ages for one in (settings.ad, settings.pd) if one.share)]
    oldest = max(ages[1] for ages in groups) + (settings.visits - 1) * settings.years_between
    if oldest > OLDEST:
        found = f"people of up to {oldest:g} years at their last visit"
        fix = "Lower ages, visits or years_between."
        raise InputError("visits", found, f"at most {OLDEST:g} years", fix)


def _claim(job: Job, n: int) -> None:
    """Write what the folder is for, before anything else; refuse one that is for something else."""
    run = {
        "command": "simulate",
        "seed": job.seed,
        "settings": job.settings.model_dump(mode="json"),
        "versions": versions(),
    }
    place = job.out / "run.json"
    fix = "Choose another folder, or empty it."
    if place.is_file():
        before = read_json(place)
        same = isinstance(before, dict) and all(
            before.get(key) == run[key] for key in run if key != "versions"
        )
        if not same:
            expected = "one of the same seed and settings"
            raise InputError(str(job.out), "another run in it", expected, fix)
        if before.get("n", 0) > n:
            raise InputError(str(job.out), f"{before['n']} participants in it", f"at most {n}", fix)
    elif any(path.name != LOCK for path in job.out.iterdir()):
        raise InputError(str(job.out), "other files in it", "a new or an empty folder", fix)
    make_folder(job.out / KEPT)
    write_json(place, {**run, "n": n})


def _write_tables(job: Job, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the tables last, so that they only ever describe a whole cohort."""
    out, truth = job.out, job.out / TRUTH
    write_dataset_description(out, "Simulated heads: no real people", kind="raw")
    write_dataset_description(truth, "What is true of the simulated heads")
    scores = [name for name in SCORES if any(name in row["scores"] for row in rows)]
    flat = [{**row, **row["scores"]} for row in rows]
    made = [row for row in flat if row["status"] == "ok"]
    by_person: dict[str, dict[str | None, dict[str, Any]]] = defaultdict(dict)
    for row in made:
        by_person[row["participant_id"]].setdefault(row["session_id"], row)
    meanings = {**PARTICIPANTS, **{name: SCORES[name] for name in scores}}
    if job.settings.visits > 1:
        for person, visits in by_person.items():
            columns = ["session_id", "age", *scores]
            write_table(out / person / f"{person}_sessions.tsv", list(visits.values()), columns)
    firsts = [next(iter(visits.values())) for visits in by_person.values()]
    columns = [name for name in meanings if name != "session_id"]
    _write(out / "participants.tsv", firsts, {name: meanings[name] for name in columns})
    _write(truth / "truth.tsv", flat, {**meanings, **TRUTH_COLUMNS})
    volumes = [{"key": row["key"], **one} for row in made for one in row["volumes"]]
    _write(truth / "volumes.tsv", volumes, VOLUMES)
    names = [{"index": code, "name": name} for code, name in sorted(load_trajectories().names().items())]
    write_table(truth / "dseg.tsv", names, ["index", "name"])
    maps = {row["key"]: {name: row[name] for name in ("template_to_scan", "acquisition")} for row in made}
    write_json(truth / "acquisition.json", maps)


def _write(
    table: Path, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Mapping[str, object]]
) -> None:
    write_data_dictionary(table, columns)
    write_table(table, rows, list(columns))


def _key(plan: Plan) -> str:
    return plan.key
