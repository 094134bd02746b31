"""How brains differ and change: ``trajectories.toml``, read and checked, and its curves.

Every number has its unit and its source in that file.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from brainclock.config import Settings

SHIPPED = Path(__file__).with_name("trajectories.toml")

#: Ages (years) of the values of a curve, and of a spread.
AGES = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
SPREAD_AGES = (25.0, 50.0, 75.0)
#: Ages that a simulated person may have, years.
YOUNGEST, OLDEST = 18.0, 95.0
#: The age whose volumes the curves call 1.
REFERENCE_AGE = 25.0

Disease = Literal["ad", "pd"]
Curve = tuple[float, float, float, float, float, float, float, float]
Three = tuple[float, float, float]

#: What takes the difference inside a fixed skull.
REMAINDER = "external_csf"


class Structure(Settings):
    """One structure: its codes and how its volume behaves; see the file for the meaning of each field."""

    name: str
    codes: tuple[int, ...] = Field(min_length=1, max_length=2)
    tissue: Literal["csf", "cortex", "deep_grey", "white"]
    muse: tuple[tuple[int, ...], ...]
    factor: Curve = (1.0,) * 8
    spread: Three = (0.0, 0.0, 0.0)
    loading: float = Field(0.0, ge=-1, le=1)
    male: float = 0.0
    ad: Three = (1.0, 1.0, 1.0)
    pd: Three = (1.0, 1.0, 1.0)

    def log_factor(self, age: float) -> float:
        """Return the logarithm of the median volume at an age (years) over that of young adults."""
        return _curve(self.factor)(age)

    def slope(self, age: float) -> float:
        """Return how the logarithm of the median volume changes, per year."""
        return (self.log_factor(age + 1) - self.log_factor(age - 1)) / 2

    def log_spread(self, age: float) -> float:
        """Return the standard deviation of the logarithm of volume between people of an age (years)."""
        return float(np.interp(age, SPREAD_AGES, self.spread))

    def log_disease(self, disease: Disease, severity: float, knots: Sequence[float]) -> float:
        """Return the logarithm of the factor of a disease; linear in severity, also beyond the last knot."""
        at = np.array([0.0, *knots])
        log = np.array([0.0, *np.log(self.ad if disease == "ad" else self.pd)])
        beyond = max(0.0, severity - at[-1]) * (log[-1] - log[-2]) / (at[-1] - at[-2])
        return float(np.interp(severity, at, log) + beyond)

    @model_validator(mode="after")
    def _possible(self) -> Structure:
        if min(*self.factor, *self.ad, *self.pd) <= 0:
            raise ValueError("a volume factor is not above 0")
        if len(self.muse) != len(self.codes):
            raise ValueError("muse and codes name different sides")
        return self


class DiseaseSettings(Settings):
    """Severities at which the factors of the diseases hold."""

    ad: Three
    pd: Three
    response: float = Field(ge=0)


class HeadSettings(Settings):
    """Size of heads."""

    volume_ml: float = Field(gt=0)
    male: float
    spread: float = Field(ge=0)
    axes: float = Field(ge=0)


class ContrastSettings(Settings):
    """How grey matter comes nearer to white matter."""

    loss_per_year: float
    start: float
    spread: float = Field(ge=0)


class LesionSettings(Settings):
    """White-matter hypointensities."""

    share: Curve
    spread: float = Field(ge=0)
    loading: float = Field(ge=-1, le=1)

    def log_share(self, age: float) -> float:
        """Return the logarithm of the median share of the white matter at an age (years)."""
        return _curve(self.share)(age)


class Score(Settings):
    """A clinical score as a function of severity."""

    base: float
    slope: float
    power: float = 1.0
    after_60: float = 0.0
    noise: tuple[float, float]
    range: tuple[float, float]
    step: float = Field(1.0, gt=0)
    grid: tuple[float, ...] = ()
    controls: tuple[float, float] | None = None

    def draw(self, severity: float, age: float, rng: np.random.Generator) -> float:
        """Draw the score of a person of this severity (0: healthy) and age (years)."""
        mean = self.base + self.slope * severity**self.power
        spread = self.noise[0] + self.noise[1] * severity
        if severity == 0 and self.controls is not None:
            mean, spread = self.controls
        value = mean + self.after_60 * max(0.0, age - 60) + spread * rng.standard_normal()
        if severity == 0 and self.controls == (0.0, 0.0):
            return 0.0
        value = float(np.clip(value, *self.range))
        if self.grid:
            return min(self.grid, key=lambda level: abs(level - value))
        return round(value / self.step) * self.step


class Trajectories(Settings):
    """The whole table."""

    between_sides: float = Field(ge=0, le=1)
    factors: tuple[float, float]
    disease: DiseaseSettings
    head: HeadSettings
    contrast: ContrastSettings
    lesions: LesionSettings
    scores: dict[Disease, dict[str, Score]]
    structures: tuple[Structure, ...]

    def structure(self, name: str) -> Structure:
        """Return a structure by its name; raises `KeyError`."""
        return next(one for one in self.structures if one.name == name)

    def names(self) -> dict[int, str]:
        """Return the name of each code, with its side: ``hippocampus_right``."""
        sides = {1: ("",), 2: ("_right", "_left")}
        return {
            code: one.name + side
            for one in self.structures
            for code, side in zip(one.codes, sides[len(one.codes)], strict=True)
        }


@functools.cache
def load_trajectories() -> Trajectories:
    """Return the shipped table."""
    tree: dict[str, Any] = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    tree["structures"] = [{"name": name, **fields} for name, fields in tree["structures"].items()]
    return Trajectories.model_validate(tree)


class _Curve:
    """The exponent of a monotone cubic through the logarithms (Fritsch & Carlson 1980, as SciPy has it)."""

    def __init__(self, values: Curve) -> None:
        from scipy.interpolate import PchipInterpolator

        self.inside = PchipInterpolator(AGES, np.log(values))
        self.slope = self.inside.derivative()

    def __call__(self, age: float) -> float:
        known = min(max(age, AGES[0]), AGES[-1])
        return float(self.inside(known) + self.slope(known) * (age - known))


@functools.cache
def _curve(values: Curve) -> _Curve:
    return _Curve(values)
