"""The tables of an experiment: typed rows, written as tidy TSV and read back from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from brainclock.errors import InputError
from brainclock.io.tables import MISSING, Row, read_table, write_data_dictionary, write_table


@dataclass(frozen=True, slots=True)
class Prediction:
    """One age that one rival gave to one scan."""

    rival: str
    condition: str
    scheme: str
    part: str
    repeat: int
    seed: int
    training_people: int
    key: str
    participant_id: str
    site: str
    sex: str
    age: float
    predicted_age: float
    counts: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """One measure of one rival in one condition, over people."""

    scheme: str
    site: str
    condition: str
    rival: str
    measure: str
    unit: str
    people: int
    seeds: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The reference against one rival on the same people; below 0 the reference errs less."""

    scheme: str
    site: str
    condition: str
    reference: str
    rival: str
    people: int
    difference: float
    low: float
    high: float
    d_z: float
    rank_biserial: float
    p_wilcoxon: float
    p_wilcoxon_holm: float
    p_bootstrap: float
    p_bootstrap_holm: float


@dataclass(frozen=True, slots=True)
class Representation:
    """One measure of the embeddings of one network, on people who did not train."""

    scheme: str
    site: str
    condition: str
    method: str
    measure: str
    unit: str
    trainings: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What one rival's training was given, in one condition."""

    condition: str
    method: str
    people: str
    steps: str
    batch_size: int
    scans_seen: int
    learning_rate: str
    temperature: float
    weights: int
    trainings: int
    median_seconds: float


@dataclass(frozen=True, slots=True)
class Point:
    """One person asked, in the plane of the two leading components of an embedding."""

    method: str
    part: str
    site: str
    age: float
    x: float
    y: float


AnyRow = TypeVar("AnyRow", Prediction, Summary, PairedTest, Representation, Budget, Point)

#: What the columns mean, over all tables.
COLUMNS: Mapping[str, Mapping[str, object]] = {
    "rival": {"Description": "Who; docs/comparing.md says what each is."},
    "method": {"Description": "The training that serves one or more rivals."},
    "reference": {"Description": "The rival that the other is tested against."},
    "condition": {"Description": "base, or the one setting that was changed."},
    "scheme": {
        "Description": "Who was asked.",
        "Levels": {"folds": "cross-validation by participant", "site": "a site that was left out"},
    },
    "part": {"Description": "Fold, or site that was left out."},
    "repeat": {"Description": "Of the cross-validation."},
    "seed": {"Description": "Of the network; of a rival without anything random the first."},
    "seeds": {"Description": "How many seeds are in it."},
    "training_people": {"Description": "How many people trained."},
    "key": {"Description": "Name of the scan."},
    "participant_id": {"Description": "Participant."},
    "site": {"Description": "Site of the person; in summaries the site left out, or all."},
    "sex": {"Description": "Sex."},
    "age": {"Description": "Chronological age.", "Units": "years"},
    "predicted_age": {"Description": "Age that the rival gave, never corrected.", "Units": "years"},
    "counts": {"Description": "Whether it is the first scan of the person; the others are not in any table."},
    "measure": {"Description": "What the value is."},
    "unit": {"Description": "Unit of value, low and high; 1 for a pure number."},
    "people": {"Description": "How many people; of budgets, who train (fewest to most)."},
    "value": {"Description": "The number."},
    "low": {"Description": "Lower end of the 95 % interval."},
    "high": {"Description": "Upper end of the 95 % interval."},
    "difference": {
        "Description": "Mean absolute error of the reference − that of the rival; each person's errors "
        "are averaged over seeds and repeats first.",
        "Units": "years",
    },
    "d_z": {"Description": "Mean over standard deviation of the differences."},
    "rank_biserial": {"Description": "Matched-pairs rank-biserial correlation of the differences."},
    "p_wilcoxon": {"Description": "Wilcoxon signed-rank test, two-sided."},
    "p_wilcoxon_holm": {
        "Description": "The same, Holm's correction over the rivals of scheme and condition."
    },
    "p_bootstrap": {"Description": "Paired bootstrap over people, two-sided."},
    "p_bootstrap_holm": {
        "Description": "The same, Holm's correction over the rivals of scheme and condition."
    },
    "trainings": {"Description": "How many networks are in it."},
    "steps": {"Description": "Optimiser steps, of each stage."},
    "batch_size": {"Description": "People in a step, two views each."},
    "scans_seen": {"Description": "Views that went through the network in training."},
    "learning_rate": {"Description": "The highest, of each stage."},
    "temperature": {"Description": "Of the contrast; n/a without one."},
    "weights": {"Description": "Number of weights that were trained."},
    "median_seconds": {"Description": "Time of a job in the last process that worked on it.", "Units": "s"},
    "x": {"Description": "First principal component of the embeddings of the people asked."},
    "y": {"Description": "Second principal component."},
}


def write_rows(path: Path, kind: type[AnyRow], rows: Sequence[AnyRow]) -> None:
    """Write a table and the dictionary of its columns; raises `OutputError`."""
    columns = [field.name for field in fields(kind)]
    write_data_dictionary(path, {column: COLUMNS[column] for column in columns})
    write_table(path, [asdict(row) for row in rows], columns)


def read_rows(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    """Read a table that `write_rows` wrote.

    Raises
    ------
    InputError
        It is missing, or its columns or cells are others.
    """
    types = get_type_hints(kind)
    table = read_table(path)
    if table and list(table[0]) != list(types):
        expected = f"the columns {', '.join(types)}"
        raise InputError(str(path), f"the columns {', '.join(table[0])}", expected, "Make it again.")
    return [kind(*(_value(row, name, what) for name, what in types.items())) for row in table]


def _value(row: Row, name: str, kind: type) -> Any:
    cell = row[name]
    try:
        if kind is bool:
            return {"true": True, "false": False}[cell]
        if kind is float:
            return math.nan if cell == MISSING else float(cell)
        return int(cell) if kind is int else cell
    except (ValueError, KeyError):
        raise InputError(row.where(name), repr(cell), f"a {kind.__name__}", "Make the table again.") from None
