"""The answer for one scan: an age, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class BrainAge:
    """What a model says of a scan.

    Parameters
    ----------
    predicted_age : float or None
        Years, raw; None where the scan failed. The true age has no part in it.
    status : {'ok', 'failed'}
    reason : str or None
        Why there is no age, one sentence with the figure; None where all is well.
    flags : tuple of str
        What to bear in mind; names and meanings in ``predict.flags.FLAGS``.
    quality : mapping of str to float
        Quality measures, names as in ``docs/preparation.md``; also of a scan that failed, as far as it got.
    model : str
        Name of the model and the beginning of the hash of its weights.
    preparation : str
        Digest of the settings with which the scan was prepared.
    predicted_age_low, predicted_age_high : float or None
        Ends of the interval, years, for healthy people like those on whom the model was calibrated;
        None where the model has none.
    interval_level : float
        Share of such people whose age lies in their interval.
    older_than, probability_older : float or None
        An age that was asked for, years, and the chance that such a person, whose brain gets this
        prediction, is older.
    stability_sd, stability_max : float or None
        How far the age moves when the scan is sampled on turned voxels, years: standard deviation and
        largest distance; None where it was not asked for, or a turned scan was refused.
    """

    predicted_age: float | None
    status: Literal["ok", "failed"]
    reason: str | None
    flags: tuple[str, ...] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    preparation: str = ""
    predicted_age_low: float | None = None
    predicted_age_high: float | None = None
    interval_level: float = 0.9
    older_than: float | None = None
    probability_older: float | None = None
    stability_sd: float | None = None
    stability_max: float | None = None

    def __str__(self) -> str:
        if self.predicted_age is None:
            return f"no age: {self.reason}"
        if self.predicted_age_low is None or self.predicted_age_high is None:
            return f"{self.predicted_age:.1f} years"
        interval = f"{self.predicted_age_low:.1f} to {self.predicted_age_high:.1f}"
        return f"{self.predicted_age:.1f} years ({100 * self.interval_level:g} % interval {interval})"

    def _repr_html_(self) -> str:
        """Return the answer as notebooks show it."""
        from brainclock.predict.notebook import as_html

        return as_html(self)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "flags": list(self.flags), "quality": dict(self.quality)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BrainAge:
        """Return what `as_dict` gave; a measure that JSON has as ``null`` was not a number."""
        quality = {name: math.nan if value is None else value for name, value in values["quality"].items()}
        return cls(**{**values, "flags": tuple(values["flags"]), "quality": quality})
