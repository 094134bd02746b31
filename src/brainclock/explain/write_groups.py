"""Maps of groups on disk: what a run of many scans has in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.config import Grid
from brainclock.errors import InputError
from brainclock.explain.groups import (
    GroupDifference,
    GroupMap,
    group_differences,
    group_maps,
    person_means,
)
from brainclock.explain.regions import template_brain
from brainclock.explain.run import Explained
from brainclock.explain.write import map_path
from brainclock.io.atomic import write_json
from brainclock.io.nifti import read_volume, write_volume
from brainclock.io.tables import write_data_dictionary, write_table

#: groups.tsv: one row a group and one a difference.
COLUMNS: dict[str, dict[str, object]] = {
    "by": {"Description": "How people were parted; a decade of age is named by its first year."},
    "level": {"Description": "The group."},
    "against": {"Description": "The group it is compared with; n/a in the row of a mean."},
    "people": {"Description": "Number of people in the group."},
    "people_against": {"Description": "Number of people in the other group."},
    "sum": {"Description": "Sum of the mean map, or of the difference, in the unit of the map."},
    "adjusted_for": {"Description": "What the test holds constant."},
    "smallest_p": {"Description": "Smallest p-value of all voxels, corrected for all of them (max-T)."},
    "map": {"Description": "The map of the mean or difference, from this folder on."},
}


def write_groups(
    explained: Sequence[Explained],
    out: Path,
    method: str,
    by: Sequence[str],
    grid: Grid,
    *,
    permutations: int = 1000,
    seed: int = 1,
) -> tuple[list[GroupMap], list[GroupDifference]]:
    """Write mean maps by group and, for sex and group, difference maps with p-values.

    Parameters
    ----------
    explained : sequence of Explained
        What `explain_scans` gave.
    out : Path
        Its folder.
    method : str
        Whose maps.
    by : sequence of {'age', 'sex', 'group'}
    grid : Grid
        Of the model.
    permutations, seed : int

    Raises
    ------
    InputError
        No scan was explained, or a comparison lacks two groups of 3 people.
    OutputError
        A file cannot be written.
    """
    good = [e.scan for e in explained if e.status == "ok"]
    if not good:
        raise InputError("--by", "no scan with a map", "several", "See why they failed.")
    maps = np.stack([read_volume(map_path(out, scan.key, method)).data for scan in good])
    people, maps = person_means(good, maps)
    where = template_brain(grid)
    means = [found for name in by for found in group_maps(people, maps, name)]
    differences = [
        found
        for name in by
        if name != "age"
        for found in group_differences(people, maps, name, where, permutations=permutations, seed=seed)
    ]
    rows: list[dict[str, object]] = []
    for mean in means:
        path = _path(out, method, mean.by, mean.level, "mean")
        _map(path, mean.mean, grid, f"Mean map of {mean.people} people: {mean.by} {mean.level}")
        rows.append(
            {
                "by": mean.by,
                "level": mean.level,
                "people": mean.people,
                "sum": float(mean.mean.sum()),
                "map": path.relative_to(out).as_posix(),
            }
        )
    for found in differences:
        label = f"{found.level}minus{found.against}"
        path = _path(out, method, found.by, label, "difference")
        what = f"{found.by} {found.level} minus {found.against}"
        _map(path, found.difference, grid, f"Difference of mean maps: {what}")
        _map(
            _path(out, method, found.by, label, "logp"),
            found.log_p,
            grid,
            f"−log10 p, max-T over all voxels: {what}",
        )
        rows.append(
            {
                "by": found.by,
                "level": found.level,
                "against": found.against,
                "people": found.people[0],
                "people_against": found.people[1],
                "sum": float(found.difference.sum()),
                "adjusted_for": ", ".join(found.adjusted_for) or None,
                "smallest_p": found.smallest_p,
                "map": path.relative_to(out).as_posix(),
            }
        )
    write_data_dictionary(out / "groups.tsv", COLUMNS)
    write_table(out / "groups.tsv", rows, list(COLUMNS))
    return means, differences


def _map(path: Path, values: Float64[ndarray, "x y z"], grid: Grid, description: str) -> None:
    write_json(path.with_name(path.name.split(".nii", 1)[0] + ".json"), {"Description": description})
    write_volume(path, values, grid.matrix, space="template")


def _path(out: Path, method: str, by: str, level: str, suffix: str) -> Path:
    plain = ["".join(letter for letter in word if letter.isalnum()) for word in (method, by, level)]
    return out / "groups" / f"desc-{plain[0]}_by-{plain[1]}_level-{plain[2]}_{suffix}.nii.gz"
