"""A reference from scans of healthy people: prepare, map, fit, write."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float32, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.execution import Outcome, map_scans
from brainclock.explain.explain import load
from brainclock.explain.grad_ram import grad_ram
from brainclock.explain.reference import FEWEST, Reference, fit_reference, save_reference
from brainclock.io.cells import is_healthy
from brainclock.io.scan import Scan
from brainclock.io.tables import read_table
from brainclock.model.ensemble import Ensemble
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.scans import check_keys

logger = logging.getLogger("brainclock")

_Found = tuple[Float32[ndarray, "x y z"], Float64[ndarray, "i j k"]]


def build_reference(
    scans: Sequence[Scan],
    out: Path,
    *,
    model: str | None = None,
    held_out: Path | None = None,
    seed: int = 1,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> Reference:
    """Fit the reference of a model to scans of healthy people and write it.

    The first scan of each healthy person of known age counts; one that cannot be prepared is left out and
    logged. People who trained a model fit it better than others do, so what it expects of them is not what it
    expects of others. Give it others, or say by ``held_out`` which member has not seen whom.

    Parameters
    ----------
    scans : sequence of Scan
        With different keys, as `find_scans` gives them.
    out : Path
        Folder; may be the model's own.
    model : str or None
        Name of a shipped model or a model folder.
    held_out : Path or None
        The ``validation.tsv`` of the training: the map of each scan in it is that of the one member that did
        not train on this person.
    seed : int
        Of the bootstrap.
    workers, scheduler, progress
        As for `map_scans`.

    Raises
    ------
    InputError
        Fewer than 10 people are left, all are of one age, or ``held_out`` is of another model.
    ModelError
        The model cannot be loaded.
    OutputError
        The folder cannot be written.
    """
    check_keys(scans, "reference")
    first: dict[str, Scan] = {}
    for scan in scans:
        if is_healthy(scan.group) and scan.age is not None:
            first.setdefault(scan.participant_id, scan)
    logger.info("%d of %d scans: the first of each healthy person of known age.", len(first), len(scans))
    if len(first) < FEWEST:
        found = f"{len(first)} healthy people with an age"
        raise InputError("reference", found, f"{FEWEST} or more", "Give more healthy people.")
    loaded = load(model)
    people = list(first.values())
    members = {} if held_out is None else _members(held_out, len(loaded.model.members))
    unseen = sum(scan.key in members for scan in people)
    if held_out is not None:
        logger.info("%d of %d people are mapped by the member that has not seen them.", unseen, len(people))
    outcomes = map_scans(
        partial(_found, model=model, members=members),
        people,
        key=lambda scan: scan.key,
        workers=workers,
        scheduler=scheduler,
        description="reference",
        progress=progress,
    )
    reference = fit_reference(
        _good(people, outcomes),
        intercept=loaded.model.intercept,
        weights_sha256=loaded.card.weights_sha256,
        seed=seed,
    )
    save_reference(reference, out)
    return reference


def _good(
    scans: Sequence[Scan], outcomes: Iterable[Outcome[_Found]]
) -> Iterator[tuple[float, Float32[ndarray, "x y z"], Float64[ndarray, "i j k"]]]:
    """Pass on what could be prepared, log what could not."""
    for scan, outcome in zip(scans, outcomes, strict=True):
        if outcome.value is None:
            logger.warning("%s is left out: %s", scan.key, outcome.failure)
        elif scan.age is not None:
            yield scan.age, *outcome.value


def _found(scan: Scan, *, model: str | None, members: Mapping[str, int]) -> _Found:
    """Return the prepared intensity and the Grad-RAM map of one scan, by one member or by all."""
    loaded = load(model)
    prepared = prepare_scan(scan, loaded.card.settings.prepare)
    volume = torch.from_numpy(prepared.data)[None, None]
    asked = loaded.model
    if scan.key in members:
        asked = Ensemble(asked.settings, [asked.members[members[scan.key]]])
    return prepared.data, grad_ram(asked, volume).values


def _members(path: Path, count: int) -> dict[str, int]:
    """Return which member held out which scan, by key; raises `InputError`."""
    found: dict[str, int] = {}
    for row in read_table(path):
        fold = row.get("fold") or ""
        if not row.get("key") or not fold.isdigit() or int(fold) >= count:
            expected = f"columns key and fold, folds below {count}"
            fix = "Give the validation.tsv that brainclock train wrote beside this model."
            raise InputError(row.where(), f"fold {fold or 'n/a'}", expected, fix)
        found[row["key"]] = int(fold)
    return found
