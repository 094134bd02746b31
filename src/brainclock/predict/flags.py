"""What to bear in mind about a prediction: a flag is a name, never a changed number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainclock.io.scan import Scan
from brainclock.prepare.prepared import PreparedScan

if TYPE_CHECKING:
    from brainclock.model.card import ModelCard

#: Fewer training people than this in a decade are few.
FEW_PEOPLE = 5

#: Every flag and what it says.
FLAGS: dict[str, str] = {
    "predicted_age_outside_training_ages": "The predicted age is younger or older than everybody who trained "
    "the model: an extrapolation.",
    "age_outside_training_ages": "The chronological age is younger or older than everybody who trained the "
    "model: the prediction is pulled towards ages that the model knows.",
    "few_training_people_of_this_age": f"Fewer than {FEW_PEOPLE} people of the decade of the predicted "
    "age trained the model.",
    "unlike_training_scans": "The embedding is further from those of the training people than 99 % of people "
    "of the same kind are: another scanner, sequence, preparation or disease.",
    "age_outside_correction": "The chronological age lies outside the ages on which the age-bias correction "
    "was fitted: corrected values are extrapolated.",
    "refused_when_turned": "Sampled on turned voxels, the scan is refused: it lies at the limit of a quality "
    "gate, and how stable its age is remains unknown.",
    "given_mask": "The brain mask was given, not found by brainclock.",
    "already_stripped": "The scan came without its skull.",
    "in_template_space": "The scan was said to lie in template space and was not registered.",
}


def flag_prediction(predicted_age: float, unfamiliarity: float, card: ModelCard) -> tuple[str, ...]:
    """Return the flags of a prediction, from the prediction and the model alone.

    Parameters
    ----------
    predicted_age : float, years
    unfamiliarity : float
        Distance of the embedding from the training embeddings over the distance that 1 in 100 exceeds.
    card : ModelCard
    """
    low, high = card.age_range
    holds = {
        "predicted_age_outside_training_ages": not low <= predicted_age <= high,
        "few_training_people_of_this_age": card.people_near(predicted_age) < FEW_PEOPLE,
        "unlike_training_scans": unfamiliarity > 1,
    }
    return tuple(name for name, true in holds.items() if true)


def flag_scan(scan: Scan, *, given_mask: bool = False) -> tuple[str, ...]:
    """Return the flags of a scan that failed: how it came, with a mask of its own or one ``given_mask``."""
    holds = {
        "given_mask": given_mask or scan.mask_path is not None,
        "already_stripped": scan.stripped,
        "in_template_space": scan.in_template,
    }
    return tuple(name for name, true in holds.items() if true)


def flag_prepared(prepared: PreparedScan) -> tuple[str, ...]:
    """Return the flags that say how a scan came, whether it was prepared now or long ago."""
    came = prepared.provenance
    holds = {
        "given_mask": came.get("BrainMask") == "given",
        "already_stripped": came.get("Stripped"),
        "in_template_space": came.get("InTemplateSpace"),
    }
    return tuple(name for name, true in holds.items() if true)


def flag_age(scan: Scan, card: ModelCard) -> tuple[str, ...]:
    """Return the flags of the true age; they say nothing about the image."""
    low, high = card.age_range
    outside = scan.age is not None and not low <= scan.age <= high
    flags = ("age_outside_training_ages",) if outside else ()
    correction = card.age_bias
    if scan.age is None or scan.age_censored or correction is None:
        return flags
    youngest, oldest = correction.age_range
    return flags if youngest <= scan.age <= oldest else (*flags, "age_outside_correction")
