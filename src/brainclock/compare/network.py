"""The rivals with a network: trained on the same views, steps and batches, and read in one or two ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.compare.jobs import Job
from brainclock.compare.people import make_looks
from brainclock.compare.rivals import READOUTS
from brainclock.config import RunSettings
from brainclock.train.cohort import Cohort
from brainclock.train.fit import Fitted, fit
from brainclock.train.loop import Task
from brainclock.train.memory import keep_freed_memory
from brainclock.train.objective import AgeBins
from brainclock.train.regress import embed_clean, fit_regressors
from brainclock.train.views import Views


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one network says of the people who were asked.

    Parameters
    ----------
    ages : dict of str to ndarray of float64, shape (v,), years
        By readout.
    embeddings : ndarray of float64, shape (v, d)
        Of the scans asked, as they are.
    training_embeddings : ndarray of float64, shape (n, d)
    weights : int
        Number of weights that were trained.
    """

    ages: dict[str, Float64[ndarray, " v"]]
    embeddings: Float64[ndarray, "v d"]
    training_embeddings: Float64[ndarray, "n d"]
    weights: int


def stages(job: Job) -> list[RunSettings]:
    """Return the settings of each stage of the training; together they take the steps of any rival."""
    if job.fine_tuning is None:
        return [job.settings]
    train, fine = job.settings.train, job.fine_tuning
    last = max(1, round(train.steps * fine.share))
    tuned = {
        "objective": "l1",
        "steps": last,
        "learning_rate": train.learning_rate * fine.learning_rate,
    }
    parts = [train.model_copy(update={"steps": max(1, train.steps - last)}), train.model_copy(update=tuned)]
    return [job.settings.model_copy(update={"train": part}) for part in parts]


def ask_network(
    job: Job,
    cohort: Cohort,
    training: Int[ndarray, " n"],
    held_out: Int[ndarray, " v"],
    out: Path,
    folder: Path,
) -> Answer:
    """Train one network on some rows of a cohort and let it say the ages of others.

    Parameters
    ----------
    job : Job
    cohort : Cohort
    training, held_out : ndarray of int
    out : Path
        Of the experiment: where the looks are.
    folder : Path
        Keeps checkpoints, to go on after a kill.
    """
    keep_freed_memory()
    views = make_looks(cohort, job.settings, out)
    nobody = np.array([], dtype=np.int64)
    train = partial(fit, cohort, seed=job.seed, views=views, folder=folder)
    first, *later = stages(job)
    fitted = train(first, training, nobody if later else held_out)
    for stage in later:
        fitted = train(stage, training, held_out, start=fitted.model)
    embeddings = embed_clean(fitted.model, views, held_out)
    return Answer(
        {
            name: _read(name, fitted, embeddings, job, cohort, training, views)
            for name in READOUTS[job.method]
        },
        embeddings,
        embed_clean(fitted.model, views, training),
        sum(weight.numel() for weight in (*fitted.model.parameters(), *fitted.head.parameters())),
    )


def _read(
    readout: str,
    fitted: Fitted,
    embeddings: Float64[ndarray, "v d"],
    job: Job,
    cohort: Cohort,
    training: Int[ndarray, " n"],
    views: Views,
) -> Float64[ndarray, " v"]:
    """Return the ages of the scans asked, by one readout."""
    if readout == "ridge":
        return fitted.regressors.embedding.predict(embeddings)
    if readout == "l1":
        task = Task(views, training, cohort.ages[training], tuple(cohort.people(training)), ())
        regressor = job.settings.regressor.model_copy(update={"kind": "l1"})
        settings = job.settings.model_copy(update={"regressor": regressor, "seed": job.seed})
        return fit_regressors(fitted.model, task, settings).embedding.predict(embeddings)
    if isinstance(fitted.head, AgeBins):
        with torch.no_grad():
            return fitted.head.read(torch.from_numpy(embeddings).float()).double().numpy()
    return fitted.predicted_ages
