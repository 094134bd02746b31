"""The model of a run: one network, or the mean of several, each of which has not seen one fold of people."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.config import RunSettings, derive_seed
from brainclock.model.ensemble import Ensemble
from brainclock.model.familiarity import Familiarities
from brainclock.train.cohort import Cohort
from brainclock.train.fit import Fitted, Metrics, fit, measure
from brainclock.train.split import assign_folds, hold_out

logger = logging.getLogger("brainclock")


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """A model, and what its members say of people whom they have not seen.

    Parameters
    ----------
    model : Ensemble
        In evaluation mode, on the CPU.
    familiarity : Familiarities
        Of each member, from its own people and those whom it has not seen.
    training : ndarray of int, shape (n,)
        Rows of the cohort that trained the model, or a member of it.
    held_out : ndarray of int, shape (v,)
        Rows that were not seen: by the model, or, of an ensemble, by one member. Those are all rows.
    folds : ndarray of int, shape (v,)
        The member that has not seen the row.
    predicted_ages : ndarray of float64, shape (v,), years
        Of ``held_out``, by that member.
    metrics : dict of dict of float or None
        As of `Fitted`, over all people. ``left_out_in_training`` is of the mean of the members that know
        the person.
    """

    model: Ensemble
    familiarity: Familiarities
    training: Int[ndarray, " n"]
    held_out: Int[ndarray, " v"]
    folds: Int[ndarray, " v"]
    predicted_ages: Float64[ndarray, " v"]
    metrics: Metrics


def cross_fit(
    cohort: Cohort, settings: RunSettings, *, folder: Path | None = None, tables: Path | None = None
) -> CrossFitted:
    """Train all members of a model, one after the other.

    With ``train.folds`` = 1 there is one, and ``train.validation_fraction`` of the people are held out.
    From 2 on the people are dealt out to so many folds, and member k trains on all but fold k, with a seed of
    its own for weights, batches and views.

    Parameters
    ----------
    cohort : Cohort
    settings : RunSettings
    folder : Path or None
        Keeps looks, which the members share, and the checkpoint of each.
    tables : Path or None
        Where the measures of each epoch are written: ``metrics.tsv``, or ``metrics_fold-0.tsv`` and so on.

    Raises
    ------
    InputError
        Fewer than 10 people train a member.
    ConfigError
        The encoder does not fit the grid, or a loss is no longer a number.
    """
    count = settings.train.folds
    if count == 1:
        return _alone(cohort, settings, folder, _tables(tables, ["metrics.tsv"])[0])
    folds = assign_folds(cohort.ages, cohort.participants, cohort.sites, count, settings.seed)
    names = [f"metrics_fold-{number}.tsv" for number in range(count)]
    members = []
    for number, table in enumerate(_tables(tables, names)):
        inside, outside = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
        logger.info(
            "Member %d (of %d): %d scans train, %d are held out.", number, count, len(inside), len(outside)
        )
        seed = derive_seed(settings.seed, "member", number)
        members.append(fit(cohort, settings, inside, outside, seed=seed, folder=folder, table=table))
    return _together(cohort, settings, folds, members)


def _alone(cohort: Cohort, settings: RunSettings, folder: Path | None, table: Path | None) -> CrossFitted:
    """Train one network and look at the people held out."""
    fraction, seed = settings.train.validation_fraction, settings.seed
    training, held_out = hold_out(cohort.ages, cohort.participants, cohort.sites, fraction, seed)
    logger.info("%d scans train, %d are held out.", len(training), len(held_out))
    fitted = fit(cohort, settings, training, held_out, folder=folder, table=table)
    return CrossFitted(
        Ensemble(settings, [fitted.model]),
        Familiarities((fitted.familiarity,)),
        training,
        held_out,
        np.zeros(len(held_out), dtype=np.int64),
        fitted.predicted_ages,
        fitted.metrics,
    )


def _together(
    cohort: Cohort, settings: RunSettings, folds: Int[ndarray, " n"], members: list[Fitted]
) -> CrossFitted:
    """Collect the members and the cross-fitted ages."""
    rows = np.arange(len(cohort))
    predicted, by_regressor, left_out = (np.zeros(len(cohort)) for _ in range(3))
    for number, member in enumerate(members):
        outside, inside = folds == number, folds != number
        predicted[outside] = member.predicted_ages
        if member.regressor_ages is not None:
            by_regressor[outside] = member.regressor_ages
        left_out[inside] += member.regressors.left_out_ages[: inside.sum()] / (len(members) - 1)
    own_head = members[0].regressor_ages is not None
    return CrossFitted(
        Ensemble(settings, [member.model for member in members]),
        Familiarities(tuple(member.familiarity for member in members)),
        rows,
        rows,
        folds,
        predicted,
        measure(cohort, rows, left_out, rows, predicted, by_regressor if own_head else None),
    )


def _tables(folder: Path | None, names: list[str]) -> list[Path | None]:
    """Return where the measures of each training go; those of an earlier run of another kind are removed."""
    if folder is None:
        return [None] * len(names)
    for path in folder.glob("metrics*.tsv"):
        if path.name not in names:
            path.unlink()
    return [folder / name for name in names]
