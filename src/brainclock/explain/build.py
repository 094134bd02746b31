"""A reference from scans of healthy people: prepare, map, fit, write."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
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
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.scans import check_keys

logger = logging.getLogger("brainclock")

_Found = tuple[Float32[ndarray, "x y z"], Float64[ndarray, "i j k"]]


def build_reference(
    scans: Sequence[Scan],
    out: Path,
    *,
    model: str | None = None,
    seed: int = 1,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> Reference:
    """Fit the reference of a model to scans of healthy people and write it.

    The first scan of each healthy person of known age counts; one that cannot be prepared is left out and
    logged. People who trained the model fit it better than others do: give it others, where
    there are enough.

    Parameters
    ----------
    scans : sequence of Scan
        With different keys, as `find_scans` gives them.
    out : Path
        Folder; may be the model's own.
    model : str or None
        Name of a shipped model or a model folder.
    seed : int
        Of the bootstrap.
    workers, scheduler, progress
        As for `map_scans`.

    Raises
    ------
    InputError
        Fewer than 10 people are left, or all are of one age.
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
    outcomes = map_scans(
        partial(_found, model=model),
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


def _found(scan: Scan, *, model: str | None) -> _Found:
    """Return the prepared intensity and the Grad-RAM map of one scan."""
    loaded = load(model)
    prepared = prepare_scan(scan, loaded.card.settings.prepare)
    volume = torch.from_numpy(prepared.data)[None, None]
    return prepared.data, grad_ram(loaded.model, volume).values
