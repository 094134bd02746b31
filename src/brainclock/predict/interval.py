"""What the calibration of a model says of a predicted age: an interval, and how likely an age is exceeded."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from brainclock.errors import InputError
from brainclock.predict.brain_age import BrainAge

if TYPE_CHECKING:
    from brainclock.model.card import ModelCard

logger = logging.getLogger("brainclock")

#: Share of healthy people whose age lies in the interval, if nothing else is asked.
LEVEL = 0.9
#: No age above this is asked for, years.
OLDEST = 125.0


def check_request(level: float, older_than: float | None) -> None:
    """Refuse what is no level or no age; raises `InputError`."""
    if not 0 < level < 1:
        raise InputError("level", level, "a share above 0 and below 1, such as 0.9", "Choose one.")
    if older_than is not None and not 0 <= older_than <= OLDEST:
        raise InputError("older than", older_than, f"an age of 0 to {OLDEST:g} years", "Choose one.")


def warn_if_too_few(card: ModelCard, level: float) -> None:
    """Log why there is no interval of this level, for some ages or for all."""
    if card.calibration is None:
        logger.warning("%s has no intervals: it was calibrated on nobody.", card.identity)
        return
    fewest = min(map(len, card.calibration.errors))
    if np.ceil(round(level * (fewest + 1), 9)) > fewest:
        logger.warning(
            "%s has %d people of some ages in its calibration: too few for an interval of %g %% there.",
            card.identity,
            fewest,
            100 * level,
        )


def with_interval(
    answer: BrainAge, card: ModelCard, level: float = LEVEL, older_than: float | None = None
) -> BrainAge:
    """Return the answer with the interval of this level and the chance to be older than an age.

    Parameters
    ----------
    answer : BrainAge
    card : ModelCard
        Of the model that gave it.
    level : float
    older_than : float or None
        Years.

    Returns
    -------
    BrainAge
        Unchanged but for the level where there is no age or the model was calibrated on nobody.
    """
    answer = replace(answer, interval_level=level, older_than=older_than)
    if answer.predicted_age is None or card.calibration is None:
        return answer
    low, high = card.calibration.interval(np.array([answer.predicted_age], dtype=np.float64), level)
    if np.isfinite(low[0]):
        answer = replace(answer, predicted_age_low=float(low[0]), predicted_age_high=float(high[0]))
    return replace(answer, probability_older=chance_older(answer, card, older_than))


def chance_older(answer: BrainAge, card: ModelCard, age: float | None) -> float | None:
    """Return the chance that a healthy person whose brain gets this answer is older than ``age``.

    None without an age, a predicted age or a calibration.
    """
    if age is None or answer.predicted_age is None or card.calibration is None:
        return None
    predicted_age = np.array([answer.predicted_age], dtype=np.float64)
    return float(card.calibration.probability_older(predicted_age, np.array([age], dtype=np.float64))[0])
