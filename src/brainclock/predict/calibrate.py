"""A model for another scanner, from healthy people scanned there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainclock.errors import InputError
from brainclock.io.tables import MISSING
from brainclock.predict.observation import Observation
from brainclock.stats.conformal import coverage
from brainclock.stats.recalibration import Recalibration, recalibrate

if TYPE_CHECKING:
    from brainclock.model.card import ModelCard
    from brainclock.model.folder import LoadedModel


def calibrate_model(
    loaded: LoadedModel,
    observations: Sequence[Observation],
    out: Path,
    *,
    with_slope: bool = False,
    name: str | None = None,
) -> Recalibration:
    """Shift a model (and perhaps tilt it) so that healthy people of a scanner are right on average; write it.

    Weights of the encoder stay; the line goes into the regressor, the cross-fitted errors into the intervals.

    Parameters
    ----------
    loaded : LoadedModel
        The model that made the predictions.
    observations : sequence of Observation
        Its raw predictions of healthy people, one a scan; averaged by person.
    out : Path
        Folder of the new model.
    with_slope : bool
    name : str, optional
        Of the new model; None adds ``-calibrated``.

    Raises
    ------
    InputError
        Too few people, or people who trained the model: their errors are too small.
    OutputError
        The folder cannot be written.
    """
    import torch

    from brainclock.model.folder import save_model

    _nobody_trained(loaded.card, observations)
    people: dict[str, list[Observation]] = {}
    for observation in observations:
        people.setdefault(observation.person, []).append(observation)
    predicted_age = np.array([np.mean([o.predicted_age for o in own]) for own in people.values()])
    age = np.array([np.mean([o.age for o in own]) for own in people.values()])
    found = recalibrate(predicted_age, age, with_slope=with_slope)
    model = copy.deepcopy(loaded.model)  # the other is the caller's
    with torch.no_grad():
        for member in model.members:  # their mean moves as each of them
            for layer in (member.regressor, member.blocks):
                if layer is not None:
                    layer.weight.mul_(found.slope[0])
            member.regressor.bias.mul_(found.slope[0]).add_(found.intercept)
    if loaded.card.calibration is not None:
        low, high = loaded.card.calibration.interval(predicted_age)
        before = coverage(int(((low <= age) & (age <= high)).sum()), age.size)
        found = replace(found, coverage_before=before)
    save_model(model, _card(loaded.card, found, name), loaded.familiarity, out)
    return found


def _card(card: ModelCard, found: Recalibration, name: str | None) -> ModelCard:
    metrics = {f"before calibration, {key}": value for key, value in card.metrics.items()}
    metrics["calibration"] = {
        "people": float(found.people),
        "shift": found.shift[0],
        "shift_low": found.shift[1],
        "shift_high": found.shift[2],
        "slope": found.slope[0],
        "slope_low": found.slope[1],
        "slope_high": found.slope[2],
        "mae_before": found.mae_before,
        "mae_cross_fitted": found.mae_after,
        "coverage_before": None if found.coverage_before is None else found.coverage_before[0],
        "coverage_cross_fitted": found.coverage_after[0],
    }
    changed = {
        "name": name or f"{card.name}-calibrated",
        "metrics": metrics,
        "calibration": found.calibration,
        "age_bias": found.age_bias,
    }
    return type(card).model_validate({**card.model_dump(), **changed})


def _nobody_trained(card: ModelCard, observations: Sequence[Observation]) -> None:
    from brainclock.model.card import hashed_id

    trained = set(card.training_ids)
    known = set()
    for person in {o.person for o in observations}:
        name, _, site = person.partition("@")
        if hashed_id(name, site or MISSING) in trained:
            known.add(person)
    if known:
        found = f"{len(known)} people who trained it ({', '.join(sorted(known)[:3])})"
        fix = "Leave them out: the model knows them, and their errors are too small."
        raise InputError(f"calibration of {card.name}", found, "people it never saw", fix)
