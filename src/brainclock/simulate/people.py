"""Who is simulated: what a person is born with, and what has become of the brain at a visit.

Nothing here is an image: numbers alone, each drawn from a stream of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from brainclock.config import derive_seed
from brainclock.simulate.settings import CohortSettings, PatientSettings
from brainclock.simulate.tissue import YOUNG_MEANS
from brainclock.simulate.trajectories import OLDEST, YOUNGEST, Disease, Structure, load_trajectories

Group = Literal["HC", "AD", "PD"]
_DISEASES: Mapping[str, Disease] = {"AD": "ad", "PD": "pd"}
#: No trait lies further from the mean than this, standard deviations: beyond, anatomy would tear.
_EXTREME = 2.5
_WIDEST_GAP = 3.0


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same at all visits.

    Parameters
    ----------
    participant_id : str
    sex : {'F', 'M'}
    group : {'HC', 'AD', 'PD'}
    age : float
        At the first visit, years.
    brain_age_gap : float
        True brain age − age, years; ageing goes at the same pace in all.
    severity : float
        Of the disease at the first visit, 0 (healthy) to 1.
    response : float
        Factor on the atrophy that goes with a severity.
    traits : mapping of int to float
        Volume of each structure among people of the same age, standard deviations of its logarithm, by code.
    head_scale : tuple of 3 float
        Logarithm of the size along right, front and top over the mean head.
    contrast, lesions : float
        Grey–white contrast and lesions among people of the same age, standard deviations.
    seed : int
        Of the shape of the brain, and of all else that is drawn for this person.
    """

    participant_id: str
    sex: Literal["F", "M"]
    group: Group
    age: float
    brain_age_gap: float
    severity: float
    response: float
    traits: Mapping[int, float]
    head_scale: tuple[float, float, float]
    contrast: float
    lesions: float
    seed: int


@dataclass(frozen=True, slots=True)
class Visit:
    """What has become of a person's brain at one age.

    Parameters
    ----------
    age, brain_age : float
        Years.
    severity : float
        Of the disease, 0 to 1.
    factors : mapping of int to float
        Volume of each structure over the median of young adults of the same head size, by code.
    injected : mapping of int to float
        Logarithm of the volume factor from the gap, the disease and the planted change, by code: what the
        person has beyond the ageing of the calendar and the differences between people.
    means : mapping of str to float
        T1w intensity of each tissue.
    lesion_share : float
        Share of the white matter that is lesion.
    scores : mapping of str to float
        Clinical scores.
    """

    age: float
    brain_age: float
    severity: float
    factors: Mapping[int, float]
    injected: Mapping[int, float]
    means: Mapping[str, float]
    lesion_share: float
    scores: Mapping[str, float] = field(default_factory=dict)


def draw_person(index: int, settings: CohortSettings, seed: int) -> Person:
    """Draw participant number ``index`` (from 1) of a cohort; depends on nothing but the arguments."""
    own = derive_seed(seed, "simulate", "person", index)
    rng = np.random.default_rng(own)
    table = load_trajectories()
    # each draw is made whatever becomes of it: a setting changes only what it names
    group_at, sex_at, age_at, severity_at = rng.random(4)
    age_z, gap_z, response_z, size_z, contrast_z = _normal(rng, 5)
    axes = _normal(rng, 3)
    reserve, traits = _traits(rng)
    lesion_z = _with_loading(table.lesions.loading, reserve, float(_normal(rng, 1)[0]))
    sex: Literal["F", "M"] = "F" if sex_at < 0.5 else "M"
    group = _group(float(group_at), settings)
    patients = _patients(group, settings)
    if patients is None:
        low, high = settings.ages
        age, severity = low + (high - low) * float(age_at), 0.0
    else:
        age = float(np.clip(patients.age_mean + patients.age_sd * age_z, *patients.ages))
        low, high = patients.severity
        severity = low + (high - low) * float(severity_at)
    size = (table.head.male if sex == "M" else -table.head.male) + table.head.spread * float(size_z)
    scale = size / 3 + table.head.axes * (axes - axes.mean())
    return Person(
        participant_id=f"sub-{index:04d}",
        sex=sex,
        group=group,
        age=round(age, 2),
        brain_age_gap=settings.gap_sd * float(np.clip(gap_z, -_WIDEST_GAP, _WIDEST_GAP)),
        severity=severity,
        response=math.exp(table.disease.response * float(response_z)),
        traits=traits,
        head_scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        contrast=float(contrast_z),
        lesions=lesion_z,
        seed=own,
    )


def visit(person: Person, years_later: float, settings: CohortSettings) -> Visit:
    """Return the person's brain so many years after the first visit."""
    table = load_trajectories()
    age = person.age + years_later
    brain_age = float(np.clip(age + person.brain_age_gap, YOUNGEST, OLDEST))
    patients = _patients(person.group, settings)
    severity = person.severity
    if patients is not None:
        severity = min(1.0, severity + patients.progress * years_later)
    felt = 0.0 if settings.null else severity * person.response
    factors: dict[int, float] = {}
    injected: dict[int, float] = {}
    for one in table.structures:
        beyond = _injected(one, age, brain_age, felt, person, settings)
        spread = _own_spread(one, age, settings)
        sex = one.male if person.sex == "M" else -one.male
        for code in one.codes:
            injected[code] = beyond
            own = spread * person.traits[code]
            factor = math.exp(one.log_factor(age) + beyond + sex + own)
            factors[code] = min(max(factor, table.factors[0]), table.factors[1])
    return Visit(
        age=age,
        brain_age=brain_age,
        severity=severity,
        factors=factors,
        injected=injected,
        means=_means(brain_age, person.contrast),
        lesion_share=_lesion_share(brain_age, person.lesions),
        scores=_scores(person, severity, age, years_later, settings),
    )


def _injected(
    one: Structure, age: float, brain_age: float, felt: float, person: Person, settings: CohortSettings
) -> float:
    """Return the logarithm of the volume factor from gap, disease and planted change."""
    beyond = one.log_factor(brain_age) - one.log_factor(age)
    knots = load_trajectories().disease
    if person.group in _DISEASES and felt > 0:
        disease = _DISEASES[person.group]
        beyond += one.log_disease(disease, felt, knots.ad if disease == "ad" else knots.pd)
    if person.group != "HC" or settings.ad.share + settings.pd.share == 0:
        beyond += math.log(settings.change.get(one.name, 1.0))
    return beyond


def _own_spread(one: Structure, age: float, settings: CohortSettings) -> float:
    """Return the spread between people that is left when that of the gap is taken out of it."""
    whole = one.log_spread(age)
    left = math.sqrt(max(whole**2 - (settings.gap_sd * one.slope(age)) ** 2, (0.5 * whole) ** 2))
    return settings.spread * left


def _traits(rng: np.random.Generator) -> tuple[float, dict[int, float]]:
    """Draw the latent reserve and, correlated with it and between the sides, the volume of each structure."""
    table = load_trajectories()
    reserve = float(_normal(rng, 1)[0])
    traits = {}
    for one in table.structures:
        both, *sides = _normal(rng, 1 + len(one.codes))
        for code, side in zip(one.codes, sides, strict=True):
            shared = table.between_sides if len(one.codes) == 2 else 1.0
            own = math.sqrt(shared) * both + math.sqrt(1 - shared) * side
            traits[code] = _with_loading(one.loading, reserve, float(own))
    return reserve, traits


def _with_loading(loading: float, reserve: float, own: float) -> float:
    value = loading * reserve + math.sqrt(1 - loading**2) * own
    return float(np.clip(value, -_EXTREME, _EXTREME))


def _normal(rng: np.random.Generator, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.clip(rng.standard_normal(n), -_EXTREME, _EXTREME)


def _group(place: float, settings: CohortSettings) -> Group:
    if place < settings.ad.share:
        return "AD"
    return "PD" if place < settings.ad.share + settings.pd.share else "HC"


def _patients(group: Group, settings: CohortSettings) -> PatientSettings | None:
    return {"AD": settings.ad, "PD": settings.pd}.get(group)


def _means(brain_age: float, trait: float) -> dict[str, float]:
    """Return the T1w intensities: grey matter comes nearer to white with age."""
    table = load_trajectories().contrast
    loss = table.loss_per_year * max(0.0, brain_age - table.start) + table.spread * trait
    return {
        name: 1 - (1 - mean) * (1 - loss) if name in ("cortex", "deep_grey") else mean
        for name, mean in YOUNG_MEANS.items()
    }


def _lesion_share(brain_age: float, trait: float) -> float:
    table = load_trajectories().lesions
    return min(0.06, math.exp(table.log_share(brain_age) + table.spread * trait))


def _scores(
    person: Person, severity: float, age: float, years_later: float, settings: CohortSettings
) -> dict[str, float]:
    """Draw the scores of this visit: a patient's of the disease, of the healthy those of the whole cohort."""
    drawn: dict[str, float] = {}
    for disease, scores in load_trajectories().scores.items():
        patients = settings.ad if disease == "ad" else settings.pd
        mine = _DISEASES.get(person.group) == disease
        if not mine and (person.group != "HC" or patients.share == 0):
            continue
        for name, score in scores.items():
            own = derive_seed(person.seed, "score", name, f"{years_later:.3f}")
            drawn.setdefault(name, score.draw(severity, age, np.random.default_rng(own)))
    return drawn
