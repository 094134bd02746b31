from __future__ import annotations

import numpy as np
import pytest

from brainclock.compare.jobs import BASE, Split, plan_jobs, sides
from brainclock.compare.network import stages
from brainclock.compare.settings import CompareSettings
from brainclock.errors import InputError
from brainclock.train.cohort import Cohort
from tiny_training import cohort, settings


def experiment(**changes) -> CompareSettings:
    return CompareSettings.model_validate(
        {
            "data": ["nowhere"],
            "rivals": ["rnc-ridge", "rnc-l1-head", "l1", "mean"],
            "seeds": [1, 2],
            "protocol": {"folds": 3},
            "run": settings().model_dump(),
        }
        | changes
    )


def people() -> Cohort:
    return cohort(30)


def test_one_training_serves_two_rivals_and_a_constant_has_one_seed():
    jobs = plan_jobs(experiment(), people())
    folds = [job for job in jobs if job.split.scheme == "folds"]
    counts = {method: sum(job.method == method for job in folds) for method in ("rnc", "l1", "mean")}
    assert counts == {"rnc": 6, "l1": 6, "mean": 3}
    assert len({job.folder for job in jobs}) == len(jobs)
    assert {job.split.part for job in jobs if job.split.scheme == "site"} == {"north", "south"}


def test_everybody_is_asked_once_in_each_repeat_and_never_trains_meanwhile():
    all_people = people()
    for repeat in (1, 2):
        asked: list[int] = []
        for fold in ("1", "2", "3"):
            training, held_out = sides(
                all_people, Split(scheme="folds", part=fold, folds=3, repeat=repeat), None
            )
            assert not set(all_people.people(training)) & set(all_people.people(held_out))
            assert sorted([*training, *held_out]) == list(range(len(all_people)))
            asked += held_out.tolist()
        assert sorted(asked) == list(range(len(all_people)))
    first, second = (
        sides(all_people, Split(scheme="folds", part="1", folds=3, repeat=repeat), None)[1].tolist()
        for repeat in (1, 2)
    )
    assert first != second


def test_somebody_scanned_at_the_site_left_out_does_not_train():
    all_people = people()
    sites = list(all_people.sites)
    rows = [row for row, name in enumerate(all_people.participants) if name == "sub-5"]
    sites[rows[0]] = "east"
    moved = Cohort(
        all_people.volumes,
        all_people.ages,
        all_people.keys,
        all_people.participants,
        tuple(sites),
        all_people.sexes,
    )
    training, held_out = sides(moved, Split(scheme="site", part="east"), None)
    assert held_out.tolist() == [rows[0]]
    assert not set(rows) & set(training.tolist())


def test_a_learning_curve_takes_so_many_people_of_all_ages_the_same_for_all_rivals():
    all_people = people()
    split = Split(scheme="folds", part="2", folds=3)
    everybody, asked = sides(all_people, split, None)
    some, same = sides(all_people, split, 12)
    assert len(set(all_people.people(some))) == 12
    assert set(some.tolist()) <= set(everybody.tolist())
    np.testing.assert_array_equal(asked, same)
    assert np.ptp(all_people.ages[some]) > 0.7 * np.ptp(all_people.ages[everybody])
    jobs = plan_jobs(experiment(axes={"people": [12, 25], "rivals": ["l1", "mean"]}), all_people)
    curves = {(job.method, job.condition) for job in jobs if job.condition != BASE}
    assert curves == {("l1", "people=12"), ("mean", "people=12")}  # 25 is more than train in a fold


def test_axes_change_one_thing_and_a_small_batch_sees_as_many_scans():
    axes = {"batch_size": [3], "temperature": [0.5], "pool": [[2, 2, 2]]}
    jobs = plan_jobs(experiment(axes=axes), people())
    base = next(job for job in jobs if job.method == "rnc" and job.condition == BASE)
    small = next(job for job in jobs if job.method == "rnc" and job.condition == "batch_size=3")
    train = base.settings.train
    assert small.settings.train.steps * 3 == train.steps * train.batch_size
    assert small.settings.train.model_copy(update={"steps": train.steps, "batch_size": 6}) == train
    assert {job.method for job in jobs if job.condition == "temperature=0.5"} == {"rnc"}
    (pool,) = {job.settings.channels.pool for job in jobs if job.condition == "pool=2x2x2"}
    assert pool == (2, 2, 2)
    assert not [job for job in jobs if job.condition != BASE and job.split.scheme == "site"]


def test_networks_differ_in_the_objective_alone():
    rivals = ["rnc-ridge", "l1", "mse", "rnc+l1", "exp", "y-aware", "soft-label"]
    jobs = plan_jobs(experiment(rivals=rivals, seeds=[1]), people())
    free = {"objective": "rnc", "temperature": 2.0, "sigma_years": 2.0}
    same = {
        job.settings.model_copy(update={"train": job.settings.train.model_copy(update=free)}) for job in jobs
    }
    assert len({one.digest() for one in same}) == 1
    assert {job.settings.train.temperature for job in jobs if job.method == "exp"} == {0.1}


def test_fine_tuning_takes_its_steps_from_the_first_stage():
    rivals = ["rnc-ridge", "rnc-then-l1"]
    jobs = plan_jobs(experiment(rivals=rivals, fine_tuning={"share": 0.25}), people())
    job = next(job for job in jobs if job.method == "rnc-then-l1")
    first, second = (stage.train for stage in stages(job))
    assert (first.objective, second.objective) == ("rnc", "l1")
    assert first.steps + second.steps == job.settings.train.steps
    assert second.learning_rate == pytest.approx(0.1 * first.learning_rate)


def test_other_people_are_other_jobs():
    jobs, others = plan_jobs(experiment(), people()), plan_jobs(experiment(), cohort(31))
    assert not {job.folder for job in jobs} & {job.folder for job in others}


def test_what_changes_nothing_does_not_make_another_job():
    job = plan_jobs(experiment(), people())[0]
    train = job.settings.train.model_copy(update={"checkpoint_minutes": 9.0})
    for changes in ({"device": "cuda"}, {"train": train}):
        assert (
            job.model_copy(update={"settings": job.settings.model_copy(update=changes)}).folder == job.folder
        )
    for changes in ({"seed": 99}, {"people": 12}):
        assert job.model_copy(update=changes).folder != job.folder


def test_too_few_people_are_refused():
    with pytest.raises(InputError, match="at least 10"):
        plan_jobs(experiment(protocol={"folds": 2}), cohort(12))
