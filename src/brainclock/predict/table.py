"""The table of predictions and what its columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from brainclock.io.scan import Scan
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.flags import FLAGS
from brainclock.prepare.quality import describe_measure, written
from brainclock.prepare.scans import QUALITY

_YEARS = "years"

#: Description, and unit where there is one, of each column, in their order; quality measures follow.
COLUMNS: dict[str, dict[str, object]] = {
    "participant_id": {"Description": "Participant; of a loose file, made from its name."},
    "session_id": {"Description": "Session of the participant."},
    "key": {"Description": "Name of the scan in this run and of all files made from it."},
    "path": {"Description": "The image, as it was given."},
    "predicted_age": {
        "Description": "Age read from the image, raw: the chronological age has no part in it.",
        "Units": _YEARS,
    },
    "predicted_age_low": {
        "Description": "Lower end of the interval for the age of a healthy person, scanned like those "
        "of the calibration. No coverage is claimed for patients and other scanners.",
        "Units": _YEARS,
    },
    "predicted_age_high": {"Description": "Upper end of the same interval.", "Units": _YEARS},
    "interval_level": {"Description": "Share of such people whose age lies in their interval."},
    "age": {"Description": "Chronological age at the scan, where a table gives it.", "Units": _YEARS},
    "age_censored": {
        "Description": "Whether the age is only a lower bound, such as 89+.",
        "Levels": {"true": "at least the given age", "false": "the age"},
    },
    "brain_age_gap": {
        "Description": "predicted_age − age, raw. It depends on age by itself: adjust for age when people "
        "are compared. Not given for censored ages.",
        "Units": _YEARS,
    },
    "corrected_predicted_age": {
        "Description": "predicted_age minus what age bias explains at this age, by the line that the model "
        "keeps (de Lange and Cole 2020). The chronological age is part of it: no accuracy may be computed "
        "from it.",
        "Units": _YEARS,
    },
    "corrected_brain_age_gap": {"Description": "corrected_predicted_age − age.", "Units": _YEARS},
    "older_than": {
        "Description": "The age that was asked for, or else the chronological age.",
        "Units": _YEARS,
    },
    "probability_older": {
        "Description": "Chance that a healthy person, scanned like those of the calibration, whose brain "
        "gets this prediction is older than older_than: near 0, the brain looks young for that age; near 1, "
        "it looks old."
    },
    "stability_sd": {
        "Description": "Standard deviation of the predicted age over the scan as it is and four samplings of "
        "it on voxels turned by 3 degrees.",
        "Units": _YEARS,
    },
    "stability_max": {
        "Description": "Largest distance of the age of a turned sampling from predicted_age.",
        "Units": _YEARS,
    },
    "status": {
        "Description": "Whether there is a prediction.",
        "Levels": {"ok": "predicted", "failed": "no prediction; the reason column says why"},
    },
    "reason": {"Description": "Why the scan failed: the gate, the figure and its limits."},
    "flags": {"Description": "What to bear in mind, separated by commas.", "Levels": FLAGS},
    "sex": {"Description": "Sex.", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "Site of the scan."},
    "group": {"Description": "Group of the participant; HC is healthy."},
    "model": {"Description": "Name of the model and the beginning of the SHA-256 of its weights."},
    "preparation": {"Description": "SHA-256 of the settings with which the scan was prepared."},
}


def prediction_row(
    scan: Scan,
    brain_age: BrainAge,
    age_flags: Sequence[str] = (),
    beside: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return one line of the table; years to 3 decimals, quality measures to 6 digits.

    Parameters
    ----------
    scan : Scan
    brain_age : BrainAge
    age_flags : sequence of str
        Flags that come from the true age, and hence not from the prediction.
    beside : mapping of str to object, optional
        Further cells that come from it, as `beside_age` gives them.
    """
    predicted_age = None if brain_age.predicted_age is None else round(brain_age.predicted_age, 3)
    gap = None
    if predicted_age is not None and scan.age is not None and not scan.age_censored:
        gap = f"{predicted_age - scan.age:.3f}"
    return {
        "participant_id": scan.participant_id,
        "session_id": scan.session_id,
        "key": scan.key,
        "path": str(scan.path),
        "predicted_age": _years(predicted_age),
        "predicted_age_low": _years(brain_age.predicted_age_low),
        "predicted_age_high": _years(brain_age.predicted_age_high),
        "interval_level": None if brain_age.predicted_age_low is None else f"{brain_age.interval_level:g}",
        "age": None if scan.age is None else f"{scan.age:.3f}".rstrip("0").rstrip("."),
        "age_censored": None if scan.age is None else str(scan.age_censored).lower(),
        "brain_age_gap": gap,
        **(beside or {}),
        "stability_sd": _years(brain_age.stability_sd),
        "stability_max": _years(brain_age.stability_max),
        "status": brain_age.status,
        "reason": brain_age.reason,
        "flags": ",".join((*brain_age.flags, *age_flags)) or None,
        "sex": scan.sex,
        "site": scan.site,
        "group": scan.group,
        "model": brain_age.model,
        "preparation": brain_age.preparation,
        **{f"{QUALITY}{name}": written(value) for name, value in brain_age.quality.items()},
    }


def _years(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def prediction_columns(measures: Iterable[str]) -> list[str]:
    """Return the columns of the table: the fixed ones, then the quality measures of all rows by name."""
    return [*COLUMNS, *sorted({f"{QUALITY}{name}" for name in measures})]


def data_dictionary(columns: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return what each column means, as BIDS puts it beside a table."""
    return {name: COLUMNS.get(name) or _measure(name.removeprefix(QUALITY)) for name in columns}


def _measure(name: str) -> dict[str, object]:
    return {"Description": _UNFAMILIARITY} if name == "unfamiliarity" else describe_measure(name)


_UNFAMILIARITY = (
    "Distance of the embedding from those of the training people, over the distance that 1 in 100 of the "
    "same kind exceeds."
)
