"""What a simulated cohort is like: TOML in, unknown keys refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from brainclock.config import Settings, read_settings
from brainclock.simulate.trajectories import OLDEST, YOUNGEST, load_trajectories


def _check_ages(ages: tuple[float, float]) -> None:
    if not YOUNGEST <= ages[0] <= ages[1] <= OLDEST:
        raise ValueError(f"{list(ages)} is not a range of ages within {YOUNGEST:g} to {OLDEST:g} years")


class PatientSettings(Settings):
    """People with one disease among the participants: Alzheimer's disease (AD), unless said otherwise."""

    share: float = Field(0.0, ge=0, le=1, description="of the participants")
    age_mean: float = Field(75.0, ge=YOUNGEST, le=OLDEST, description="at the first visit, years")
    age_sd: float = Field(7.5, ge=0, description="standard deviation, years")
    ages: tuple[float, float] = Field((55.0, 90.0), description="youngest and oldest, years")
    severity: tuple[float, float] = Field((0.2, 1.0), description="at the first visit, lowest and highest")
    progress: float = Field(0.10, ge=0, le=1, description="rise of the severity a year")

    @model_validator(mode="after")
    def _possible(self) -> PatientSettings:
        _check_ages(self.ages)
        low, high = self.severity
        if not 0 <= low <= high <= 1:
            raise ValueError(f"severity {list(self.severity)} is not a range within 0 to 1")
        return self


class ParkinsonSettings(PatientSettings):
    """People with Parkinson's disease (PD) among the participants."""

    age_mean: float = Field(62.0, ge=YOUNGEST, le=OLDEST, description="at the first visit, years")
    age_sd: float = Field(9.7, ge=0, description="standard deviation, years")
    ages: tuple[float, float] = Field((35.0, 85.0), description="youngest and oldest, years")
    severity: tuple[float, float] = Field((0.1, 0.9), description="at the first visit, lowest and highest")
    progress: float = Field(0.05, ge=0, le=1, description="rise of the severity a year")


class CohortSettings(Settings):
    """Who takes part and how they are scanned."""

    ages: tuple[float, float] = Field(
        (20.0, 90.0), description="of healthy people at their first visit: uniform"
    )
    gap_sd: float = Field(3.5, ge=0, le=20, description="of the true brain age gap of everybody, years")
    spread: float = Field(1.0, ge=0, le=2, description="factor on the spread of volumes between people")
    shape_mm: float = Field(
        1.5, ge=0, le=4, description="individual shape: standard deviation along each axis"
    )
    ad: PatientSettings = PatientSettings()
    pd: ParkinsonSettings = ParkinsonSettings()
    null: bool = Field(False, description="patients have scores, but no disease in the brain")
    change: dict[str, float] = Field(
        {},
        description="further volume factor of a structure, in patients, or in everybody where there are none",
    )
    visits: int = Field(1, ge=1, le=20, description="of each participant")
    years_between: float = Field(2.0, gt=0, le=30, description="visits")
    retests: float = Field(0.0, ge=0, le=1, description="share of the visits that are scanned twice")
    sites: int = Field(1, ge=1, le=100, description="scanners, each with its own look")
    site_by_age: float = Field(
        0.0, ge=0, le=1, description="share of the participants whose site follows from their age"
    )
    image: Literal["head", "brain"] = Field("head", description="raw heads, or without skull")
    spacing_mm: float | None = Field(
        None, ge=0.7, le=4, description="side of a voxel; left out: as each site has it"
    )
    anatomy_mm: Literal[1, 2] = Field(2, description="voxels on which the brain is made")
    truth_maps: bool = Field(True, description="write the labels and the map of injected change")

    @model_validator(mode="after")
    def _possible(self) -> CohortSettings:
        _check_ages(self.ages)
        if self.ad.share + self.pd.share > 1:
            raise ValueError("ad.share and pd.share make more than 1")
        names = {one.name for one in load_trajectories().structures if any(one.spread)}
        for name, factor in self.change.items():
            if name not in names:
                raise ValueError(f"change: {name} is no structure; there are {', '.join(sorted(names))}")
            if not 0.3 <= factor <= 3:
                raise ValueError(f"change.{name} = {factor} is not between 0.3 and 3")
        return self


def load_cohort_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> CohortSettings:
    """Read the settings of a cohort from a TOML file, then apply ``key=value`` overrides.

    Parameters
    ----------
    path : Path or None
        A TOML file; None starts from the defaults.
    overrides : sequence of str
        ``a.b=c``, as for a training run.

    Raises
    ------
    InputError
        The file is missing or is not TOML, or an override has no ``=``.
    ConfigError
        A key is unknown or a value is impossible; the message names the key.
    """
    return read_settings(CohortSettings, path, overrides, page="docs/simulating.md")
