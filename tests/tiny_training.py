"""People whose brain is a ball that shrinks with age, and a training of them that takes a second."""

from __future__ import annotations

import numpy as np

from brainclock.config import Grid, RunSettings
from brainclock.train.cohort import Cohort

GRID = Grid.box((12, 14, 12), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))


def settings(**changes) -> RunSettings:
    """Return settings of a small network on a small grid; ``changes`` are of ``train``."""
    return RunSettings.model_validate(
        {
            "device": "cpu",
            "prepare": {"grid": GRID.model_dump()},
            "channels": {"channels": ["intensity"], "pool": [1, 1, 1]},
            "encoder": {"depth": 10, "width": 4, "stem": "s1", "cells": [1, 1, 1]},
            "augment": {"looks": 2},
            "regressor": {"views": 1, "log10_alpha": [-1, 3, 5]},
            "train": {"steps": 4, "batch_size": 6, "warmup_steps": 1, "steps_per_epoch": 2} | changes,
        }
    )


def cohort(n: int = 20) -> Cohort:
    """Return people of 20 to 80 years at two sites; every fifth was scanned twice."""
    rng = np.random.default_rng(0)
    who = [person for person in range(n) for _ in range(1 + (person % 5 == 0))]
    ages = np.array([20.0 + 60.0 * person / n for person in who])
    x, y, z = np.meshgrid(*(np.arange(size) - (size - 1) / 2 for size in GRID.shape), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    volumes = [(radius < 6 - age / 20) * rng.uniform(0.6, 1.0, GRID.shape) for age in ages]
    return Cohort(
        volumes=tuple(volume.astype(np.float16) for volume in volumes),
        ages=ages,
        keys=tuple(f"sub-{person}_run-{row}" for row, person in enumerate(who)),
        participants=tuple(f"sub-{person}" for person in who),
        sites=tuple("north" if person % 2 else "south" for person in who),
        sexes=tuple("F" if person % 3 else "M" for person in who),
    )
