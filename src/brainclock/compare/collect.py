"""From the folders of the finished jobs to rows of the experiment's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brainclock.compare.jobs import BASE, Job
from brainclock.compare.representation import MEASURES
from brainclock.compare.rivals import NETWORKS, RIVALS, WITH_TEMPERATURE
from brainclock.compare.run_job import ABOUT, EMBEDDING, PREDICTIONS, REPRESENTATION, job_folder
from brainclock.compare.tables import Budget, Point, Prediction, Representation
from brainclock.config import derive_seed
from brainclock.io.read import read_json
from brainclock.io.tables import MISSING, Row, read_table
from brainclock.stats.bootstrap import bootstrap

_NORMAL_95 = 1.959964


def predictions(jobs: Sequence[Job], out: Path, rivals: Iterable[str]) -> list[Prediction]:
    """Return every age that was given, of the rivals that take part."""
    wanted: dict[tuple[str, str], str] = {
        (RIVALS[name].method, RIVALS[name].readout): name for name in rivals
    }
    found = []
    for job in jobs:
        about = read_json(job_folder(out, job) / ABOUT)
        for row in read_table(job_folder(out, job) / PREDICTIONS):
            rival = wanted.get((job.method, row["readout"]))
            if rival is None:
                continue
            found.append(
                Prediction(
                    rival,
                    job.condition,
                    job.split.scheme,
                    job.split.part,
                    job.split.repeat,
                    job.seed,
                    int(about["training_people"]),
                    row["key"],
                    row["participant_id"],
                    row["site"],
                    row["sex"],
                    float(row["age"]),
                    float(row["predicted_age"]),
                    row["counts"] == "true",
                )
            )
    order = list(rivals)
    return sorted(found, key=lambda row: (row.scheme, row.condition != BASE, order.index(row.rival)))


def representations(
    jobs: Sequence[Job], out: Path, *, seed: int = 1, resamples: int = 2000
) -> list[Representation]:
    """Return the measures of the embeddings, with 95 % intervals.

    Measures of one split are averaged over seeds, then over splits; their interval is normal, from the
    jackknife errors within splits. How well the site is told is over people, with a bootstrap interval.
    """
    groups: dict[tuple[str, str, str, str], list[Job]] = {}
    for job in jobs:
        if job.method in NETWORKS:
            site = job.split.part if job.split.scheme == "site" else "all"
            groups.setdefault((job.split.scheme, site, job.condition, job.method), []).append(job)
    rows = []
    for place, mine in groups.items():
        tables = {job: read_table(job_folder(out, job) / REPRESENTATION) for job in mine}
        for name in ("embedding_order", "rnc_loss", "retest_distance"):
            cells = _over_splits(tables, name)
            rows.append(Representation(*place, name, MEASURES[name][0], len(mine), *cells))
        people = [row for job in mine for row in read_table(job_folder(out, job) / EMBEDDING)]
        for name, column in (("site_accuracy", "site_told"), ("site_accuracy_by_age", "site_told_by_age")):
            rng = np.random.default_rng(derive_seed(seed, name, *place))
            cells = _told(people, column, rng, resamples)
            rows.append(Representation(*place, name, MEASURES[name][0], len(mine), *cells))
    return [row for row in rows if np.isfinite(row.value)]


def budgets(jobs: Sequence[Job], out: Path) -> list[Budget]:
    """Return what the training of each network was given, in each condition."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for job in jobs:
        if job.method in NETWORKS:
            about = read_json(job_folder(out, job) / ABOUT)
            groups.setdefault((job.condition, job.method), []).append(about)
    rows = []
    for (condition, method), abouts in groups.items():
        stages = abouts[0]["stages"]
        people = [about["training_people"] for about in abouts]
        rows.append(
            Budget(
                condition,
                method,
                f"{min(people)} to {max(people)}",
                " + ".join(str(stage["steps"]) for stage in stages),
                stages[0]["batch_size"],
                sum(2 * stage["steps"] * stage["batch_size"] for stage in stages),
                " + ".join(f"{stage['learning_rate']:g}" for stage in stages),
                stages[0]["temperature"] if method in WITH_TEMPERATURE else float("nan"),
                abouts[0]["weights"],
                len(abouts),
                float(np.median([about["seconds"] for about in abouts])),
            )
        )
    return rows


def points(jobs: Sequence[Job], out: Path) -> list[Point]:
    """Return the planes of the first split and seed, in the base condition: one of each network."""
    found: list[Point] = []
    drawn: set[str] = set()
    for job in jobs:
        if job.method not in NETWORKS or job.condition != BASE or job.method in drawn:
            continue
        drawn.add(job.method)
        for row in read_table(job_folder(out, job) / EMBEDDING):
            if row["counts"] == "true":
                numbers = (float(row[name]) for name in ("age", "x", "y"))
                found.append(Point(job.method, job.split.part, row["site"], *numbers))
    return found


def _over_splits(tables: Mapping[Job, Sequence[Row]], name: str) -> tuple[float, float, float]:
    """Mean over splits of the mean over seeds, and its interval; splits without a number are left out."""
    by_split: dict[str, list[tuple[float, float]]] = {}
    for job, table in tables.items():
        for row in table:
            if row["measure"] == name and row["value"] != MISSING:
                error = float("nan") if row["standard_error"] == MISSING else float(row["standard_error"])
                by_split.setdefault(job.split.digest(), []).append((float(row["value"]), error))
    if not by_split:
        return float("nan"), float("nan"), float("nan")
    values, errors = np.array([np.mean(pairs, axis=0) for pairs in by_split.values()]).T
    mean = float(values.mean())
    # people of several repeats are the same people: their splits do not make it surer
    repeats = len({job.split.repeat for job in tables})
    reach = _NORMAL_95 * float(np.sqrt((errors**2).sum() * repeats)) / len(errors)
    return mean, mean - reach, mean + reach


def _told(
    rows: Sequence[Row], column: str, rng: np.random.Generator, resamples: int
) -> tuple[float, float, float]:
    """Mean over sites of the share of people whose site was told."""
    rows = [row for row in rows if row["counts"] == "true" and row[column] != MISSING]
    sites = sorted({row["site"] for row in rows})
    if len(sites) < 2:
        return float("nan"), float("nan"), float("nan")
    right = np.array([row["site"] == row[column] for row in rows], dtype=np.float64)
    member = np.array([[row["site"] == site for site in sites] for row in rows], dtype=np.float64)
    numbers: dict[str, int] = {}
    people = np.array(
        [numbers.setdefault(row["participant_id"], len(numbers)) for row in rows], dtype=np.int64
    )

    def share(weights: np.ndarray) -> dict[str, np.ndarray]:
        there = weights @ member
        told = np.where(there > 0, weights @ (member * right[:, None]) / np.maximum(there, 1), np.nan)
        return {"told": told.mean(axis=1)}

    estimate = bootstrap(share, people, rng, resamples=resamples)["told"]
    return estimate.value, estimate.low, estimate.high
