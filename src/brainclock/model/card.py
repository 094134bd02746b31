"""The model card: what a model was made from, how well it does, what it is for."""

from __future__ import annotations

import hashlib
import math
import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from pydantic import Field

from brainclock.config import RunSettings, Settings
from brainclock.stats.age_bias import AgeBiasCorrection
from brainclock.stats.conformal import Calibration

#: Version of the layout of a model folder.
FORMAT: Literal[2] = 2

_INTENDED_USE = (
    "Research on groups of people, with T1-weighted head scans like those of the training cohorts. "
    "Not a medical device: a single brain age gap is not a finding about a person."
)


class Cohort(Settings):
    """People of one site or study who trained the model; each is counted once, at the youngest age."""

    name: str
    scans: int = Field(ge=1)
    participants: int = Field(ge=1)
    age_range: tuple[float, float]
    sex: dict[str, int]
    ages_by_decade: dict[str, int]


class ModelFacts(Settings):
    """What a run says of its model: enough to read its table without the model's folder.

    Fields as in `ModelCard`; ``training_ages`` are youngest and oldest, ``objective`` that of the training.
    """

    identity: str
    objective: str
    weights_sha256: str
    training_ages: tuple[float, float]
    licence: str
    intended_use: str
    members: int
    cohorts: tuple[Cohort, ...]
    calibration: Calibration | None
    age_bias: AgeBiasCorrection | None


class ModelCard(Settings):
    """Everything about a model but its weights; ``model.json`` in a model folder.

    Parameters
    ----------
    name, version : str
    settings : RunSettings
        How it was trained, and so how a scan must be prepared and what network it is.
    cohorts : tuple of Cohort
        Who trained it, or any of its members.
    training_ids : tuple of str
        `hashed_id` of each training participant, sorted: tells whether somebody trained the model.
    metrics : dict of dict of float or None
        Measures by name of the people they were taken on, for example ``validation``.
    calibration : Calibration or None
        Errors on healthy people by members that never saw them, from which intervals are made; None where
        there were too few.
    age_bias : AgeBiasCorrection or None
        Line of predicted age on age of the same people; None where there were too few.
    members : int
        Networks whose ages are averaged. Filled in by `save_model`, like the next four.
    preparation : str
        Digest of ``settings.prepare``.
    golden_age : float or None
        Age that the model gives to the golden input (`golden_volume`), years.
    weights_sha256 : str
        Of ``weights.safetensors``.
    created_with : dict of str
        Versions.
    """

    format: Literal[2] = FORMAT
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = "1"
    settings: RunSettings
    cohorts: tuple[Cohort, ...] = Field(min_length=1)
    training_ids: tuple[str, ...] = ()
    metrics: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    calibration: Calibration | None = None
    age_bias: AgeBiasCorrection | None = None
    licence: str = "Apache-2.0"
    intended_use: str = _INTENDED_USE
    members: int = Field(1, ge=1)
    preparation: str = ""
    golden_age: float | None = None
    weights_sha256: str = ""
    created_with: dict[str, str] = Field(default_factory=dict)

    @property
    def age_range(self) -> tuple[float, float]:
        """Youngest and oldest age that trained the model, years."""
        return min(c.age_range[0] for c in self.cohorts), max(c.age_range[1] for c in self.cohorts)

    def people_near(self, age: float) -> int:
        """Return how many training participants were in the decade of this age."""
        return sum(cohort.ages_by_decade.get(_decade(age), 0) for cohort in self.cohorts)

    @property
    def identity(self) -> str:
        """Name, version, and the beginning of the hash of the weights."""
        return f"{self.name}-{self.version}+{self.weights_sha256[:8]}"

    def facts(self) -> ModelFacts:
        """Return what a run says of the model."""
        own = {name: getattr(self, name) for name in ModelFacts.model_fields if hasattr(self, name)}
        return ModelFacts(**own, training_ages=self.age_range, objective=self.settings.train.objective)


def describe_cohort(
    name: str, participants: Sequence[str], ages: Sequence[float], sexes: Sequence[str]
) -> Cohort:
    """Return the cohort of these scans (one entry a scan)."""
    first: dict[str, tuple[float, str]] = {}
    for participant, age, sex in zip(participants, ages, sexes, strict=True):
        first[participant] = min(first.get(participant, (age, sex)), (age, sex))
    decades = Counter(_decade(age) for age, _ in first.values())
    return Cohort(
        name=name,
        scans=len(ages),
        participants=len(first),
        age_range=(float(min(ages)), float(max(ages))),
        sex=dict(sorted(Counter(sex for _, sex in first.values()).items())),
        ages_by_decade=dict(sorted(decades.items(), key=lambda item: int(item[0]))),
    )


def hashed_id(participant_id: str, site: str | None) -> str:
    """Return the first 16 hex digits of the SHA-256 of ``participant_id@site``.

    It keeps names out of the card; who knows a participant's name can look it up, so it hides nothing
    from the owner of the data.
    """
    return hashlib.sha256(f"{participant_id}@{site or 'n/a'}".encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions that a model's numbers may depend on."""
    packages = {name: version(name) for name in ("brainclock", "numpy", "safetensors", "torch")}
    return {"python": platform.python_version(), **packages}


def _decade(age: float) -> str:
    """First year of the decade: 20 for 20 to 29.99."""
    return str(math.floor(age / 10) * 10)
