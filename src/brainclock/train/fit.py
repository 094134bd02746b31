"""From prepared scans to one trained network, in memory: both stages, and how it does on people held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import nn

from brainclock.config import RunSettings
from brainclock.errors import InputError
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.familiarity import Familiarity, fit_familiarity
from brainclock.model.regressor import Regressors
from brainclock.stats.metrics import age_metrics
from brainclock.train.cohort import Cohort
from brainclock.train.loop import Learner, Task, train_encoder, train_with_head
from brainclock.train.monitor import Monitor
from brainclock.train.objective import WITH_REGRESSOR, check_objective
from brainclock.train.regress import embed_clean, fit_regressors, read_clean
from brainclock.train.views import Views, make_views

#: The familiarity of a scan needs so many people.
FEWEST = 10

Metrics = dict[str, dict[str, float | None]]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model and what it says of the people held out.

    Parameters
    ----------
    model : BrainAgeModel
        In evaluation mode, on the CPU.
    regressors : Regressors
        Fitted on the frozen embedding, and on blocks. A model of ``l1``, ``mse`` or ``rnc+l1`` keeps the
        regressor that was trained with its encoder; every other has these.
    head : Module
        What the objective trained besides the model (`objective.build_head`).
    familiarity : Familiarity
    predicted_ages : ndarray of float64, shape (v,), years
        Of the scans held out, by the model.
    regressor_ages : ndarray of float64, shape (v,), years, or None
        By ``regressors.embedding``, where the model has its own; None where that is the same.
    metrics : dict of dict of float or None
        ``left_out_in_training``: by the regressor without that person, whom the encoder knows.
        ``validation`` and ``validation, SITE``: people held out. ``validation_ridge``: the fitted regressor
        where the model has its own.
    """

    model: BrainAgeModel
    regressors: Regressors
    head: nn.Module
    familiarity: Familiarity
    predicted_ages: Float64[ndarray, " v"]
    regressor_ages: Float64[ndarray, " v"] | None
    metrics: Metrics


def fit(
    cohort: Cohort,
    settings: RunSettings,
    training: Int[ndarray, " n"],
    held_out: Int[ndarray, " v"],
    *,
    seed: int | None = None,
    start: BrainAgeModel | None = None,
    views: Views | None = None,
    folder: Path | None = None,
    table: Path | None = None,
) -> Fitted:
    """Train on some rows of a cohort and look at others.

    Parameters
    ----------
    cohort : Cohort
        From `prepare_cohort`, or made from arrays.
    settings : RunSettings
    training, held_out : ndarray of int, shapes (n,) and (v,)
        Rows of the cohort; no person is in both. ``held_out`` may be empty.
    seed : int or None
        Of the weights and of all that is drawn in training; None takes the settings'. The looks are always
        those of the settings' seed, so that trainings on one cohort share them.
    start : BrainAgeModel or None
        Training begins with its weights, regressor included; None begins with random ones.
    views : Views or None
        Looks of the cohort with these settings that are there already; its volumes are not touched then.
    folder : Path or None
        Keeps looks and checkpoints, to go on after a kill; None keeps nothing.
    table : Path or None
        Where the measures of each epoch are written (`Monitor`).

    Raises
    ------
    InputError
        Fewer than 10 people train, or somebody is on both sides.
    ConfigError
        The encoder does not fit the grid, or the loss is no longer a number.
    """
    _check_people(cohort, training, held_out)
    check_objective(settings)
    if views is None:
        views = make_views(cohort.volumes, cohort.keys, settings, folder, cohort.sources, cohort.classes)
    task = Task(
        views,
        training,
        cohort.ages[training],
        tuple(cohort.people(training)),
        tuple(cohort.sites[row] for row in training),
        start,
    )
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    ages, sites = cohort.ages[held_out], [cohort.sites[row] for row in held_out]
    monitor = Monitor(task, held_out, ages, sites, settings, table) if table is not None else None
    checkpoint = None
    if folder is not None:  # one for each training, so that other settings do not overwrite it
        checkpoint = folder / f"checkpoint-{task.identity(settings)[:12]}.safetensors"
    with _deterministic():
        learner = _encoder(task, settings, checkpoint, monitor)
        model = learner.model
        model.round_kernels()
        regressors = fit_regressors(model, task, settings)
        own_head = settings.train.objective in WITH_REGRESSOR
        if not own_head:
            model.set_regressors(regressors)
        embeddings = embed_clean(model, views, held_out)
        predicted = read_clean(model, views, held_out)
        familiarity = fit_familiarity(
            embed_clean(model, views, training), task.people, embeddings[_first_of_each(cohort, held_out)]
        )
    # the rows of the scans as they are come first in the regressor
    left_out = regressors.left_out_ages[: len(training)]
    again = regressors.embedding.predict(embeddings) if own_head else None
    metrics = measure(cohort, training, left_out, held_out, predicted, again)
    return Fitted(model, regressors, learner.head, familiarity, predicted, again, metrics)


def measure(
    cohort: Cohort,
    training: Int[ndarray, " n"],
    left_out: Float64[ndarray, " n"],
    held_out: Int[ndarray, " v"],
    predicted: Float64[ndarray, " v"],
    by_regressor: Float64[ndarray, " v"] | None,
) -> Metrics:
    """Return the measures of `Fitted` from the ages of those who train and of those held out.

    ``by_regressor`` are the latter by the fitted regressor, where the model has its own.
    """
    ages, sites = cohort.ages[held_out], [cohort.sites[row] for row in held_out]
    metrics = {"left_out_in_training": _measures(cohort.ages[training], left_out)}
    if len(held_out):
        metrics |= _by_site("validation", ages, predicted, sites)
        if by_regressor is not None:
            metrics["validation_ridge"] = _measures(ages, by_regressor)
    return metrics


def _check_people(cohort: Cohort, training: Int[ndarray, " n"], held_out: Int[ndarray, " v"]) -> None:
    people = set(cohort.people(training))
    if len(people) < FEWEST:
        raise InputError("training people", len(people), f"at least {FEWEST}", "Add people with ages.")
    if both := people & set(cohort.people(held_out)):
        found = f"{sorted(both)[0]}, who trains"
        raise InputError("people held out", found, "people who do not train", "Split by participant.")


def _encoder(task: Task, settings: RunSettings, checkpoint: Path | None, monitor: Monitor | None) -> Learner:
    """Train on the device, in the precision and the number of processes that the settings name."""
    here = settings.device == "cpu" or (settings.device == "auto" and not torch.cuda.is_available())
    if here and settings.processes == 1 and settings.precision == "32-true":
        return train_with_head(task, settings, checkpoint=checkpoint, observe=monitor)
    if checkpoint is None:  # it brings the weights back from the other processes
        with TemporaryDirectory() as folder:
            return _encoder(task, settings, Path(folder) / "checkpoint.safetensors", monitor)
    from lightning_fabric import Fabric

    fabric = Fabric(
        accelerator=settings.device,
        devices=settings.processes,
        precision=settings.precision,
        strategy="ddp_spawn" if settings.processes > 1 else "auto",
    )
    # as arguments of launch, Fabric would take them apart
    fabric.launch(partial(_in_process, task=task, settings=settings, checkpoint=checkpoint, observe=monitor))
    return train_with_head(task, settings, checkpoint=checkpoint)  # all steps are done: it only reads


def _in_process(fabric: Any, *, task: Task, settings: RunSettings, **options: Any) -> None:
    train_encoder(task, settings, fabric=fabric, **options)
    leave_processes()


def leave_processes() -> None:
    """End a process's part in a group; its threads would abort an interpreter that ends before them."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@contextmanager
def _deterministic() -> Iterator[None]:
    """Let torch take the algorithms that give the same bits each time, where it has them."""
    before = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=only_warned)


def _first_of_each(cohort: Cohort, rows: Int[ndarray, " m"]) -> Int[ndarray, " k"]:
    """Places among the rows of the first scan of each person."""
    first: dict[str, int] = {}
    for place, row in enumerate(rows):
        first.setdefault(cohort.participants[row], place)
    return np.array(sorted(first.values()), dtype=np.int64)


def _by_site(
    whose: str, ages: Float64[ndarray, " n"], predicted: Float64[ndarray, " n"], sites: Sequence[str]
) -> Metrics:
    """Measures over all and over each site."""
    found = {whose: _measures(ages, predicted)}
    for site in sorted(set(sites)):
        there = np.array([other == site for other in sites])
        found[f"{whose}, {site}"] = _measures(ages[there], predicted[there])
    return found


def _measures(ages: Float64[ndarray, " n"], predicted: Float64[ndarray, " n"]) -> dict[str, float | None]:
    found = {key: float(value[0]) for key, value in age_metrics(predicted, ages).items()}
    return {"n": float(len(ages))} | {
        key: value if np.isfinite(value) else None for key, value in found.items()
    }
