from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from brainclock.compare.classical import predict_classical
from brainclock.compare.jobs import plan_jobs, sides
from brainclock.compare.settings import CompareSettings
from brainclock.compare.volumes import VOLUMES, volumes_ml
from tiny_training import GRID, cohort, settings

PLAIN = ("mean", "volume", "ridge-gradient", "ridge-intensity", "pca-gp")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Each classical rival asked about one fold of people whose brain, a ball, shrinks with age."""
    people = cohort(36)
    dark = np.ones(GRID.shape, dtype=np.float16)
    dark[4:8, 5:9, 4:8] = 0.2
    people = dataclasses.replace(people, volumes=tuple(volume * dark for volume in people.volumes))
    experiment = CompareSettings.model_validate(
        {
            "data": ["nowhere"], "rivals": PLAIN, "reference": "mean", "protocol": {"folds": 3},
            "run": settings().model_dump(),
        }
    )  # fmt: skip
    jobs = {job.method: job for job in plan_jobs(experiment, people) if job.split.part == "1"}
    ml = [volumes_ml(volume, GRID, 1.0) for volume in people.volumes]
    volumes = np.array([[one[name] for name in VOLUMES] for one in ml], dtype=np.float64)
    training, held_out = sides(people, jobs["mean"].split, None)
    out = tmp_path_factory.mktemp("out")
    ages = {
        name: predict_classical(job, people, volumes, training, held_out, out) for name, job in jobs.items()
    }
    return people, training, held_out, ages


def test_the_constant_is_the_mean_age_of_those_who_train(answers):
    people, training, held_out, ages = answers
    np.testing.assert_allclose(ages["mean"], people.ages[training].mean())
    assert len(ages["mean"]) == len(held_out)


@pytest.mark.parametrize("name", PLAIN[1:])
def test_what_looks_at_the_brain_is_nearer_than_the_constant(answers, name):
    people, _, held_out, ages = answers
    error = {one: np.abs(ages[one] - people.ages[held_out]).mean() for one in ("mean", name)}
    assert error[name] < 0.6 * error["mean"]
