"""An experiment from scans to tables: every job once, side by side where there is room, resumable."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from brainclock.compare.collect import budgets, points, predictions, representations
from brainclock.compare.jobs import Job, plan_jobs
from brainclock.compare.people import gather, make_looks
from brainclock.compare.rivals import NETWORKS
from brainclock.compare.run_job import is_done, run_job
from brainclock.compare.settings import CompareSettings
from brainclock.compare.summarise import compare_rivals, summarise
from brainclock.compare.tables import (
    Budget,
    PairedTest,
    Point,
    Prediction,
    Representation,
    Summary,
    write_rows,
)
from brainclock.config import RunSettings
from brainclock.errors import InputError
from brainclock.execution import map_scans
from brainclock.io.atomic import make_folder, write_json
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.card import versions
from brainclock.train.cohort import Cohort

logger = logging.getLogger("brainclock")


@dataclass(frozen=True, slots=True)
class Compared:
    """What an experiment found; each list is a table in its folder.

    Parameters
    ----------
    settings : CompareSettings
    summary, tests, representation, budgets, points
        Rows of the tables.
    failures, left_out : mapping of str to str
        Jobs that could not be done, scans that could not be prepared, and why.
    """

    settings: CompareSettings
    summary: list[Summary]
    tests: list[PairedTest]
    representation: list[Representation]
    budgets: list[Budget]
    points: list[Point]
    failures: Mapping[str, str]
    left_out: Mapping[str, str]


def compare(
    settings: CompareSettings, out: Path, *, workers: int = 1, scheduler: str | None = None
) -> Compared:
    """Let all rivals train and answer, and write ``predictions.tsv`` and the tables made from it.

    Prepared scans (``cohort/``), looks (``looks/``) and finished jobs (``jobs/``) of an earlier run in the
    same folder are taken as they are; a training that was stopped goes on from its checkpoint.

    Parameters
    ----------
    settings : CompareSettings
    out : Path
        On a cluster all workers must see it under this path.
    workers, scheduler
        As in `execution.map_scans`, for the preparation and the jobs.

    Raises
    ------
    InputError
        A path, nobody who can train, too few people, several workers whose trainings take several
        processes each, or every job failed.
    ConfigError
        An encoder does not fit the grid.
    OutputError
        The folder cannot be written.
    """
    if workers > 1 and settings.run.processes > 1:
        fix = "Set run.processes to 1, or leave out --workers."
        raise InputError(
            "--workers", f"{workers}, and run.processes = {settings.run.processes}", "one of the two", fix
        )
    for run in _networks(settings):
        BrainAgeModel.build(run)  # what cannot be is refused before hours of work
    out = make_folder(out).absolute()
    cohort = gather(
        settings.data,
        settings.run,
        out,
        in_template=settings.template_space,
        workers=workers,
        scheduler=scheduler,
    )
    jobs = plan_jobs(settings, cohort)
    for job in _with_other_looks(jobs, out):
        make_looks(cohort, job.settings, out)
    todo = [job for job in jobs if not is_done(out, job)]
    logger.info("%d jobs, %d of them to do.", len(jobs), len(todo))
    outcomes = map_scans(
        partial(run_job, out=out),
        todo,
        key=lambda job: job.name,
        workers=workers,
        scheduler=scheduler,
        description="compare",
        progress=workers > 1 or scheduler is not None,  # here, each training has a bar of its own
    )
    failures = {outcome.key: outcome.failure for outcome in outcomes if outcome.failure is not None}
    done = [job for job in jobs if is_done(out, job)]
    if not done:
        raise InputError(
            "comparison", "no job that could be done", "one at least", next(iter(failures.values()))
        )
    _write_run(settings, cohort, failures, out)
    return _write_tables(settings, cohort, done, failures, out)


def _networks(settings: CompareSettings) -> list[RunSettings]:
    """Return the settings of each network that will be built: the base, and each resolution."""
    if not any(method in NETWORKS for method in settings.methods):
        return []
    channels = [settings.run.channels] + [
        settings.run.channels.model_copy(update={"pool": pool}) for pool in settings.axes.pool
    ]
    return [settings.run.model_copy(update={"channels": one}) for one in channels]


def _with_other_looks(jobs: list[Job], out: Path) -> list[Job]:
    """One job for each set of looks that some unfinished job needs."""
    needed: dict[tuple[object, ...], Job] = {}
    for job in jobs:
        if job.method in ("mean", "volume") or is_done(out, job):
            continue
        run = job.settings
        needed.setdefault((run.prepare.digest(), run.channels.digest(), run.augment.digest(), run.seed), job)
    return list(needed.values())


def _write_run(settings: CompareSettings, cohort: Cohort, failures: Mapping[str, str], out: Path) -> None:
    """Write what is needed to run it again."""
    write_json(
        out / "run.json",
        {
            "command": "compare",
            "settings": settings.model_dump(mode="json"),
            "versions": versions(),
            "scans": dict(zip(cohort.keys, cohort.sources, strict=True)),
            "left_out": cohort.left_out,
            "failures": failures,
        },
    )


def _write_tables(
    settings: CompareSettings, cohort: Cohort, jobs: list[Job], failures: Mapping[str, str], out: Path
) -> Compared:
    rows: list[Prediction] = predictions(jobs, out, settings.rivals)
    write_rows(out / "predictions.tsv", Prediction, rows)
    seed, resamples = settings.protocol.seed, settings.protocol.resamples
    compared = Compared(
        settings,
        summarise(rows, seed=seed, resamples=resamples),
        compare_rivals(rows, settings.reference, seed=seed, resamples=resamples),
        representations(jobs, out, seed=seed, resamples=resamples),
        budgets(jobs, out),
        points(jobs, out),
        failures,
        cohort.left_out,
    )
    write_rows(out / "summary.tsv", Summary, compared.summary)
    write_rows(out / "tests.tsv", PairedTest, compared.tests)
    write_rows(out / "representation.tsv", Representation, compared.representation)
    write_rows(out / "budgets.tsv", Budget, compared.budgets)
    write_rows(out / "embedding.tsv", Point, compared.points)
    return compared
