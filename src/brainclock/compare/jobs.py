"""The jobs of an experiment: one training (or classical fit) each, described by a small frozen object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from brainclock.compare.people import coarse, identity
from brainclock.compare.rivals import NETWORKS, RIVALS, WITH_TEMPERATURE
from brainclock.compare.settings import CompareSettings, FineTuning
from brainclock.config import RunSettings, Settings, derive_seed
from brainclock.errors import InputError
from brainclock.train.cohort import Cohort
from brainclock.train.fit import FEWEST
from brainclock.train.split import assign_folds, hold_out

BASE = "base"


class Split(Settings):
    """Who is asked: a fold of a cross-validation, or a site that is left out."""

    scheme: Literal["folds", "site"]
    part: str
    repeat: int = 1
    folds: int = 0
    seed: int = 1


class Job(Settings):
    """One training and who is asked; its digest names its folder.

    ``people`` trains only so many people (None: all who are not asked); ``cohort`` is a digest of all people;
    ``settings`` are those of the run, resolved, their seed that of the looks, which all trainings share;
    ``seed`` is that of the training; ``fine_tuning`` is of ``rnc-then-l1`` alone.
    """

    method: str
    condition: str
    split: Split
    seed: int
    people: int | None
    cohort: str
    settings: RunSettings
    fine_tuning: FineTuning | None = None

    @property
    def name(self) -> str:
        """What it is, for the log."""
        where = self.split.part if self.split.scheme == "site" else f"fold {self.split.part}"
        again = f" of repeat {self.split.repeat}" if self.split.repeat > 1 else ""
        return f"{self.method}, {self.condition}, {where}{again}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Name of its folder: a digest of all that decides what comes out."""
        free = {"checkpoint_minutes": 0.0, "steps_per_epoch": 1}
        train = self.settings.train.model_copy(update=free)
        settings = self.settings.model_copy(update={"train": train, "device": "auto"})
        return self.model_copy(update={"settings": settings}).digest()[:16]


def plan_jobs(settings: CompareSettings, cohort: Cohort) -> list[Job]:
    """Return all jobs, those of one split and seed together.

    Raises
    ------
    InputError
        Fewer than 10 people would train in some job.
    """
    splits = list(_splits(settings, cohort))
    for split in splits:
        training, _ = sides(cohort, split, None)
        if (people := len(set(cohort.people(training)))) < FEWEST:
            found = f"{people} people who train when {split.part} of {split.scheme} is asked"
            raise InputError("comparison", found, f"at least {FEWEST}", "Bring more people.")
    who = identity(cohort)
    # a learning curve is of the same people everywhere: a size that one fold cannot have is left out
    most = min(_trained(cohort, split) for split in splits if split.scheme == "folds") - 1
    jobs = []
    for split in splits:
        for seed in settings.seeds:
            for method in settings.methods:
                if method not in NETWORKS and seed != settings.seeds[0]:
                    continue  # nothing in it is random
                jobs += [
                    job.model_copy(update={"cohort": who})
                    for job in _conditions(settings, method, split, seed)
                    if job.people is None or job.people <= most
                ]
    return list({job.digest(): job for job in jobs}.values())


def sides(cohort: Cohort, split: Split, people: int | None) -> tuple[Int[ndarray, " n"], Int[ndarray, " v"]]:
    """Return the rows that train and the rows that are asked; nobody is on both sides."""
    if split.scheme == "site":
        asked = np.array([site == split.part for site in cohort.sites], dtype=bool)
    else:
        seed = derive_seed(split.seed, "repeat", split.repeat)
        folds = assign_folds(cohort.ages, cohort.participants, cohort.sites, split.folds, seed)
        asked = folds == int(split.part) - 1
    held_out = np.flatnonzero(asked)
    them = set(cohort.people(held_out))
    training = np.array(
        [row for row in range(len(cohort)) if cohort.participants[row] not in them], dtype=np.int64
    )
    if people is None:
        return training, held_out
    names, sites = cohort.people(training), [cohort.sites[row] for row in training]
    share = people / len(set(names))
    seed = derive_seed(split.seed, "learning curve", split.repeat, split.part, people)
    _, chosen = hold_out(cohort.ages[training], names, sites, share, seed)
    return training[chosen], held_out


def _trained(cohort: Cohort, split: Split) -> int:
    return len(set(cohort.people(sides(cohort, split, None)[0])))


def _splits(settings: CompareSettings, cohort: Cohort) -> Iterator[Split]:
    protocol = settings.protocol
    for repeat in range(1, protocol.repeats + 1):
        for fold in range(1, protocol.folds + 1):
            yield Split(
                scheme="folds", part=str(fold), repeat=repeat, folds=protocol.folds, seed=protocol.seed
            )
    if protocol.leave_site_out:
        everybody = len(set(cohort.participants))
        for site in sorted(set(cohort.sites)):
            split = Split(scheme="site", part=site, seed=protocol.seed)
            if _trained(cohort, split) >= everybody / 2:
                yield split


def _conditions(settings: CompareSettings, method: str, split: Split, seed: int) -> Iterator[Job]:
    """Yield the base of one method, and on the first cross-validation what the axes change."""
    if method not in NETWORKS:
        channel = "intensity" if method == "ridge-intensity" else "gradient"
        run = coarse(settings.run, channel)
    else:
        run = settings.run.model_copy(
            update={
                "train": settings.train_settings(method),
                "regressor": settings.run.regressor.model_copy(update={"kind": "ridge"}),
            }
        )
    job = Job(
        method=method,
        condition=BASE,
        split=split,
        seed=seed,
        people=None,
        cohort="",
        settings=run,
        fine_tuning=settings.fine_tuning if method == "rnc-then-l1" else None,
    )
    yield job
    through = {RIVALS[name].method for name in settings.axes.rivals or settings.rivals}
    if split.scheme == "site" or split.repeat > 1 or method not in through:
        return
    if method in NETWORKS and seed not in (settings.axes.seeds or settings.seeds):
        return
    for people in settings.axes.people:
        yield job.model_copy(update={"people": people, "condition": f"people={people}"})
    if method in NETWORKS:
        yield from _of_networks(settings, job)


def _of_networks(settings: CompareSettings, job: Job) -> Iterator[Job]:
    train = job.settings.train

    def changed(name: str, value: object, **parts: object) -> Job:
        run = job.settings.model_copy(update=parts)
        words = "x".join(map(str, value)) if isinstance(value, tuple) else value
        return job.model_copy(update={"condition": f"{name}={words}", "settings": run})

    for pool in settings.axes.pool:
        channels = job.settings.channels.model_copy(update={"pool": pool})
        yield changed("pool", pool, channels=channels)
    for size in settings.axes.batch_size:
        steps = max(1, round(train.steps * train.batch_size / size))
        yield changed("batch_size", size, train=train.model_copy(update={"batch_size": size, "steps": steps}))
    if job.method in WITH_TEMPERATURE:
        for value in settings.axes.temperature:
            yield changed("temperature", value, train=train.model_copy(update={"temperature": value}))
