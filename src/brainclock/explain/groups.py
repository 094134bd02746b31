"""Maps of groups: means, and where two groups differ more than chance allows anywhere in the brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.io.cells import is_healthy
from brainclock.io.scan import Scan

#: Fewer people than this are no group.
FEWEST = 3
#: How scans can be parted.
BY = ("age", "sex", "group")


@dataclass(frozen=True, slots=True, eq=False)
class GroupMap:
    """Mean map of one group.

    Parameters
    ----------
    by, level : str
        How people were parted, and which part: a decade is named by its first year.
    people : int
    mean : ndarray of float64, shape of the grid
        Of the people; the scans of a person are averaged first.
    """

    by: str
    level: str
    people: int
    mean: Float64[ndarray, "x y z"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupDifference:
    """Where two groups differ.

    Parameters
    ----------
    by, level, against : str
        ``level`` minus ``against``.
    people : tuple of 2 int
        Number of people of each.
    adjusted_for : tuple of str
        What the comparison holds constant.
    difference : ndarray of float64, shape of the grid
        Difference of the means, not adjusted; 0 outside of the tested voxels.
    log_p : ndarray of float64, shape of the grid
        −log10 of the p-value, corrected for all voxels by the largest |t| of each permutation.
    smallest_p : float
        Of all voxels.
    """

    by: str
    level: str
    against: str
    people: tuple[int, int]
    adjusted_for: tuple[str, ...]
    difference: Float64[ndarray, "x y z"]
    log_p: Float64[ndarray, "x y z"]
    smallest_p: float


def check_by(by: Sequence[str]) -> list[str]:
    """Return the ways to part people, each once; raises `InputError` for one that there isn't."""
    for name in by:
        if name not in BY:
            raise InputError("--by", repr(name), ", ".join(BY), "Choose one of these.")
    return list(dict.fromkeys(by))


def level_of(scan: Scan, by: str) -> str | None:
    """Return the group of a scan: the decade of the age, the sex, or the group; None where unknown."""
    if by == "age":
        return None if scan.age is None else str(int(scan.age // 10 * 10))
    if by == "sex":
        return scan.sex if scan.sex in ("F", "M") else None
    return "HC" if scan.group is not None and is_healthy(scan.group) else scan.group


def person_means(
    scans: Sequence[Scan], maps: Float32[ndarray, "n x y z"]
) -> tuple[list[Scan], Float32[ndarray, "m x y z"]]:
    """Return one row a person: the first scan, which names age, sex and group, and the mean of the maps."""
    rows: dict[str, list[int]] = {}
    for row, scan in enumerate(scans):
        rows.setdefault(scan.participant_id, []).append(row)
    people = [scans[places[0]] for places in rows.values()]
    return people, np.stack([maps[places].mean(axis=0) for places in rows.values()])


def group_maps(people: Sequence[Scan], maps: Float32[ndarray, "n x y z"], by: str) -> list[GroupMap]:
    """Return the mean map of each group of 3 or more people, in the order of their names."""
    levels = [level_of(scan, by) for scan in people]
    means = []
    for level in sorted({level for level in levels if level is not None}):
        rows = [row for row, found in enumerate(levels) if found == level]
        if len(rows) >= FEWEST:
            means.append(GroupMap(by, level, len(rows), maps[rows].mean(axis=0, dtype=np.float64)))
    return means


def group_differences(
    people: Sequence[Scan],
    maps: Float32[ndarray, "n x y z"],
    by: str,
    where: Bool[ndarray, "x y z"],
    *,
    permutations: int = 1000,
    seed: int = 1,
) -> list[GroupDifference]:
    """Compare each group with the first: patients with the healthy, men with women.

    A linear model in each voxel, with age and sex held constant where they are known of everybody and aren't
    what is compared; p-values by permutation of the residuals with the largest |t| over all voxels (Freedman
    and Lane 1983; Winkler et al. 2014, doi:10.1016/j.neuroimage.2014.01.060), by nilearn.

    Parameters
    ----------
    people : sequence of Scan
        One a person.
    maps : ndarray of float32, shape (people, x, y, z)
    by : {'sex', 'group'}
    where : ndarray of bool, shape (x, y, z)
        Voxels to test.
    permutations, seed : int

    Raises
    ------
    InputError
        There are not two groups of 3 people.
    """
    levels = [level_of(scan, by) for scan in people]
    count = {level: levels.count(level) for level in levels if level is not None}
    known = sorted(level for level, size in count.items() if size >= FEWEST)
    if len(known) < 2:
        found = ", ".join(f"{size} of {level}" for level, size in sorted(count.items())) or "nobody known"
        fix = "Give tables with the groups of more people."
        raise InputError(f"--by {by}", found, f"two groups of {FEWEST} people", fix)
    against = "HC" if "HC" in known else known[0]
    differences = []
    for level in known:
        if level == against:
            continue
        rows = [row for row, found_level in enumerate(levels) if found_level in (level, against)]
        ours = np.array([levels[row] == level for row in rows])
        differences.append(
            _difference(
                [people[row] for row in rows], maps[rows], ours, by, level, against, where, permutations, seed
            )
        )
    return differences


def _difference(
    people: Sequence[Scan],
    maps: Float32[ndarray, "n x y z"],
    ours: Bool[ndarray, " n"],
    by: str,
    level: str,
    against: str,
    where: Bool[ndarray, "x y z"],
    permutations: int,
    seed: int,
) -> GroupDifference:
    from nilearn.mass_univariate import permuted_ols

    values = maps[:, where].astype(np.float64)
    varies = values.std(axis=0) > 1e-12
    confounds = _confounds(people, by)
    log_p = np.zeros(where.shape)
    if varies.any():
        tested = permuted_ols(
            ours[:, None].astype(np.float64),
            values[:, varies],
            np.stack(list(confounds.values()), axis=1) if confounds else None,
            n_perm=permutations,
            two_sided_test=True,
            random_state=derive_seed(seed, "groups", by, level) % 2**32,
            n_jobs=1,
            output_type="dict",
        )
        flat = np.zeros(int(where.sum()))
        flat[varies] = tested["logp_max_t"][0]
        log_p[where] = flat
    difference = maps[ours].mean(axis=0, dtype=np.float64) - maps[~ours].mean(axis=0, dtype=np.float64)
    return GroupDifference(
        by,
        level,
        against,
        (int(ours.sum()), int((~ours).sum())),
        tuple(confounds),
        np.where(where, difference, 0),
        log_p,
        float(10 ** -log_p.max()),
    )


def _confounds(people: Sequence[Scan], by: str) -> dict[str, Float64[ndarray, " n"]]:
    """Return age and sex where they are known of everybody, differ, and are not what is compared."""
    columns: dict[str, Float64[ndarray, " n"]] = {}
    ages = [scan.age for scan in people if scan.age is not None]
    if len(ages) == len(people):
        columns["age"] = np.array(ages, dtype=np.float64)
    if by != "sex" and all(scan.sex in ("F", "M") for scan in people):
        columns["sex"] = np.array([scan.sex == "M" for scan in people], dtype=np.float64)
    return {name: column - column.mean() for name, column in columns.items() if column.std() > 0}
