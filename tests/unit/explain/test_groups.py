from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.explain.groups import check_by, group_differences, group_maps, person_means
from brainclock.io.scan import Scan

SHAPE = (6, 6, 6)
WHERE = np.ones(SHAPE, dtype=bool)


def make_people(n: int = 24, effect: float = 3.0, seed: int = 0) -> tuple[list[Scan], np.ndarray]:
    """Patients differ in one voxel; every map grows with age."""
    rng = np.random.default_rng(seed)
    people, maps = [], []
    for number in range(n):
        group = "AD" if number % 2 else "control"
        age = float(rng.uniform(60, 80)) + (5 if group == "AD" else 0)
        sex = "M" if number % 3 else "F"
        people.append(Scan(f"sub-{number}", f"sub-{number}", Path(), age=age, sex=sex, group=group))
        values = rng.normal(0, 1, SHAPE) + 0.5 * (age - 70)
        values[2, 3, 4] += effect * (group == "AD")
        maps.append(values.astype(np.float32))
    return people, np.stack(maps)


def test_means_by_decade_sex_and_group() -> None:
    people, maps = make_people()
    groups = group_maps(people, maps, "group")
    assert [(g.level, g.people) for g in groups] == [("AD", 12), ("HC", 12)]
    rows = [row for row, scan in enumerate(people) if scan.group == "AD"]
    assert np.allclose(groups[0].mean, maps[rows].mean(axis=0), atol=1e-5)
    assert {g.level for g in group_maps(people, maps, "age")} <= {"60", "70", "80"}
    assert group_maps(people[:2], maps[:2], "sex") == []


def test_the_difference_is_found_where_it_is_and_age_is_held_constant() -> None:
    people, maps = make_people()
    (found,) = group_differences(people, maps, "group", WHERE, permutations=500)
    assert (found.level, found.against, found.people) == ("AD", "HC", (12, 12))
    assert found.adjusted_for == ("age", "sex")
    assert np.unravel_index(found.log_p.argmax(), SHAPE) == (2, 3, 4)
    assert found.smallest_p < 0.05
    assert (10**-found.log_p < 0.05).sum() <= 3
    again = group_differences(people, maps, "group", WHERE, permutations=500)[0]
    assert np.array_equal(found.log_p, again.log_p)


def test_no_difference_is_seldom_found() -> None:
    smallest = []
    for seed in range(20):
        people, maps = make_people(effect=0.0, seed=seed)
        smallest.append(group_differences(people, maps, "group", WHERE, permutations=200)[0].smallest_p)
    assert (np.array(smallest) < 0.05).sum() <= 4


def test_a_person_counts_once() -> None:
    people, maps = make_people(4)
    twice = [*people, replace(people[0], key="again")]
    once, means = person_means(twice, np.concatenate([maps, maps[:1] + 2]))
    assert [scan.key for scan in once] == [scan.key for scan in people]
    assert np.allclose(means[0], maps[0] + 1)
    assert np.allclose(means[1:], maps[1:])


def test_what_cannot_be_compared() -> None:
    people, maps = make_people(4)
    with pytest.raises(InputError, match="2 of AD, 2 of HC, expected two groups of 3 people"):
        group_differences(people, maps, "group", WHERE)
    nobody = [replace(scan, group=None) for scan in people]
    with pytest.raises(InputError, match="nobody known"):
        group_differences(nobody, maps, "group", WHERE)
    with pytest.raises(InputError, match="'height'"):
        check_by(["age", "height"])


def test_voxels_that_never_differ_are_left_alone() -> None:
    people, maps = make_people()
    maps[:, 0] = 1.0
    (found,) = group_differences(people, maps, "group", WHERE, permutations=100)
    assert not found.log_p[0].any()
    assert np.isfinite(found.log_p).all()
    still = np.ones_like(maps)
    assert group_differences(people, still, "group", WHERE, permutations=100)[0].smallest_p == 1
