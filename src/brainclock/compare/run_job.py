"""One job, from the shared looks to its tables; killed anywhere, it goes on, and what is done stays done."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.compare.classical import predict_classical
from brainclock.compare.jobs import Job, sides
from brainclock.compare.network import Answer, ask_network, stages
from brainclock.compare.people import open_people
from brainclock.compare.representation import measure_embedding, plane, tell_sites
from brainclock.compare.rivals import NETWORKS
from brainclock.io.atomic import make_folder, write_json
from brainclock.io.tables import write_table
from brainclock.train.cohort import Cohort

#: Tables of a job. The predictions come last: a job that has them is done.
PREDICTIONS, EMBEDDING, REPRESENTATION, ABOUT = (
    "predictions.tsv", "embedding.tsv", "representation.tsv", "job.json"
)  # fmt: skip

_PEOPLE = ("key", "participant_id", "site", "sex", "age", "counts")


def job_folder(out: Path, job: Job) -> Path:
    """Return where a job keeps what it makes."""
    return out / "jobs" / job.folder


def is_done(out: Path, job: Job) -> bool:
    """Whether a job was finished by an earlier run."""
    return (job_folder(out, job) / PREDICTIONS).is_file()


def run_job(job: Job, out: Path) -> str:
    """Do one job of the experiment in ``out`` and return its digest.

    Needs ``cohort/`` and ``looks/`` there; reads nothing else and writes into its own folder, so that jobs
    can run side by side on any machine that sees ``out``.

    Raises
    ------
    ConfigError
        The loss of a network is no longer a number.
    InputError
        Too few people train.
    OutputError
        A table cannot be written.
    """
    folder = make_folder(job_folder(out, job))
    if is_done(out, job):
        return job.folder
    started = time.monotonic()
    cohort, volumes = open_people(out)
    training, held_out = sides(cohort, job.split, job.people)
    about: dict[str, object] = {
        "job": job.model_dump(mode="json"),
        "training_people": len(set(cohort.people(training))),
    }
    if job.method in NETWORKS:
        answer = ask_network(job, cohort, training, held_out, out, folder)
        ages = answer.ages
        about["weights"] = answer.weights
        about["stages"] = [stage.train.model_dump(mode="json") for stage in stages(job)]
        _write_embedding(folder, answer, cohort, training, held_out)
    else:
        ages = {"own": predict_classical(job, cohort, volumes, training, held_out, out)}
    about["seconds"] = time.monotonic() - started
    write_json(folder / ABOUT, about)
    rows = [
        {**person, "readout": readout, "predicted_age": age}
        for readout, predicted in ages.items()
        for person, age in zip(_people(cohort, held_out), predicted.tolist(), strict=True)
    ]
    write_table(folder / PREDICTIONS, rows, ("readout", *_PEOPLE, "predicted_age"))
    for checkpoint in folder.glob("checkpoint-*.safetensors"):
        checkpoint.unlink(missing_ok=True)
    return job.folder


def _people(cohort: Cohort, rows: Int[ndarray, " v"]) -> list[dict[str, object]]:
    """Describe the scans asked; the first scan of each person counts."""
    seen: set[str] = set()
    described = []
    for row in rows:
        person = cohort.participants[row]
        described.append(
            {
                "key": cohort.keys[row],
                "participant_id": person,
                "site": cohort.sites[row],
                "sex": cohort.sexes[row],
                "age": float(cohort.ages[row]),
                "counts": person not in seen,
            }
        )
        seen.add(person)
    return described


def _write_embedding(
    folder: Path, answer: Answer, cohort: Cohort, training: Int[ndarray, " n"], held_out: Int[ndarray, " v"]
) -> None:
    """Write the measures of the embedding, its picture, and which site it tells of each person."""
    measured = measure_embedding(answer.embeddings, cohort.ages[held_out], cohort.people(held_out))
    rows = [
        {"measure": one.measure, "value": one.value, "standard_error": one.standard_error} for one in measured
    ]
    write_table(folder / REPRESENTATION, rows, ("measure", "value", "standard_error"))
    sites = [cohort.sites[row] for row in training]
    told = tell_sites(answer.training_embeddings, sites, answer.embeddings)
    by_age = tell_sites(_of_age(cohort.ages[training]), sites, _of_age(cohort.ages[held_out]))
    people = _people(cohort, held_out)
    for place, (person, (x, y)) in enumerate(zip(people, plane(answer.embeddings).tolist(), strict=True)):
        person |= {"x": x, "y": y}
        if told is not None and by_age is not None:
            person |= {"site_told": told[place], "site_told_by_age": by_age[place]}
    write_table(folder / EMBEDDING, people, (*_PEOPLE, "x", "y", "site_told", "site_told_by_age"))


def _of_age(ages: Float64[ndarray, " n"]) -> Float64[ndarray, "n 2"]:
    return np.column_stack([ages, ages**2])
