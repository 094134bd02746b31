"""What the true age says beside a prediction; nothing of it enters the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brainclock.io.scan import Scan
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.interval import chance_older

if TYPE_CHECKING:
    from brainclock.model.card import ModelCard


def beside_age(scan: Scan, brain_age: BrainAge, card: ModelCard) -> dict[str, object]:
    """Return the corrected age and gap, and the chance of being older, as cells of the table.

    Parameters
    ----------
    scan : Scan
        Its age, unless it is only a lower bound; None leaves only what was asked of a given age.
    brain_age : BrainAge
    card : ModelCard
        Of the model, with its age-bias correction and calibration.
    """
    age = None if scan.age_censored else scan.age
    older_than = age if brain_age.older_than is None else brain_age.older_than
    chance = chance_older(brain_age, card, older_than)
    cells: dict[str, object] = {
        "older_than": None if chance is None else f"{older_than:.3f}".rstrip("0").rstrip("."),
        "probability_older": None if chance is None else f"{chance:.4f}",
    }
    if age is None or brain_age.predicted_age is None or card.age_bias is None:
        return cells
    predicted_age = np.array([brain_age.predicted_age], dtype=np.float64)
    corrected = card.age_bias.correct(predicted_age, np.array([age], dtype=np.float64))
    return {
        **cells,
        "corrected_predicted_age": f"{corrected.corrected_age[0]:.3f}",
        "corrected_brain_age_gap": f"{corrected.corrected_gap[0]:.3f}",
    }
