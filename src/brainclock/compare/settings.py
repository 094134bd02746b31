"""What is compared, on whom, and how: TOML in, unknown keys refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from brainclock.compare.rivals import NETWORKS, RIVALS, RivalName
from brainclock.config import RunSettings, Settings, TrainSettings, read_settings


class Protocol(Settings):
    """Who trains and who is asked, the same for all rivals."""

    folds: int = Field(5, ge=2, description="of the cross-validation, by participant, alike in age and site")
    repeats: int = Field(1, ge=1, description="of the cross-validation, with other folds")
    leave_site_out: bool = Field(
        True, description="also leave out each site without which half of the people are left"
    )
    seed: int = Field(1, ge=0, description="of the folds, of who trains in a learning curve, of intervals")
    resamples: int = Field(2000, ge=100, description="of people, for intervals")


class FineTuning(Settings):
    """The second stage of ``rnc-then-l1``; both stages together take as many steps as any rival."""

    share: float = Field(0.25, gt=0, lt=1, description="of the steps")
    learning_rate: float = Field(0.1, gt=0, description="factor on train.learning_rate")


class Axes(Settings):
    """Conditions besides the base: one thing is changed at a time, on the first cross-validation.

    Each applies to the networks; ``people`` to all rivals, ``temperature`` to those with a contrast.
    """

    rivals: tuple[RivalName, ...] = Field((), description="that go through the axes; none given: all")
    seeds: tuple[int, ...] = Field((), description="of the networks on the axes; none given: all")
    pool: tuple[tuple[int, int, int], ...] = Field(
        (), description="resolutions: values of channels.pool besides the base's"
    )
    people: tuple[int, ...] = Field((), description="learning curve: so many people train")
    batch_size: tuple[int, ...] = Field(
        (),
        description="people in a step; the number of steps makes up for it, so that as many scans are seen",
    )
    temperature: tuple[float, ...] = Field((), description="of the contrast")


class CompareSettings(Settings):
    """An experiment.

    ``tuned`` changes settings of training for one method, for example ``tuned.l1.learning_rate``: what was
    found best for it on other people. What the methods differ in otherwise is in docs/comparing.md.
    """

    title: str = Field("Comparison", description="of the report")
    simulated: bool = Field(False, description="the people are simulated, and every page says so")
    data: tuple[str, ...] = Field(
        min_length=1, description="images, folders, BIDS datasets, or tables with a column path"
    )
    template_space: bool = Field(False, description="the scans lie in MNI152 space")
    rivals: tuple[RivalName, ...] = Field(
        ("rnc-ridge", "rnc-l1-head", "l1", "mse", "mean", "volume", "ridge-gradient"),
        min_length=2,
        description="who takes part",
    )
    reference: RivalName = Field("rnc-ridge", description="whom every other one is tested against")
    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=1, description="of the networks")
    tuned: dict[str, dict[str, float | int]] = Field(
        default_factory=dict, description="by method: settings of train"
    )
    protocol: Protocol = Protocol()
    fine_tuning: FineTuning = FineTuning()
    axes: Axes = Axes()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _possible(self) -> CompareSettings:
        for name, values in (("rivals", self.rivals), ("seeds", self.seeds)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} has something twice")
        if self.reference not in self.rivals:
            raise ValueError(f"the reference {self.reference} is not one of the rivals")
        if missing := set(self.axes.rivals) - set(self.rivals):
            raise ValueError(f"axes.rivals: {sorted(missing)[0]} is not one of the rivals")
        if strange := set(self.axes.seeds) - set(self.seeds):
            raise ValueError(f"axes.seeds: {sorted(strange)[0]} is not one of the seeds")
        for method in self.tuned:
            self.train_settings(method)
        return self

    @property
    def methods(self) -> tuple[str, ...]:
        """Trainings that serve the rivals, each once."""
        return tuple(dict.fromkeys(RIVALS[name].method for name in self.rivals))

    def train_settings(self, method: str) -> TrainSettings:
        """Return the settings of a network's training in the base condition.

        Raises
        ------
        ValueError
            There is no such network, or ``tuned`` has an impossible value for it.
        """
        if method not in NETWORKS:
            raise ValueError(f"tuned: {method!r} is none of the networks {', '.join(NETWORKS)}")
        values = self.run.train.model_dump() | dict(NETWORKS[method])
        try:
            return TrainSettings.model_validate(values | self.tuned.get(method, {}))
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(str(piece) for piece in problem["loc"])
            raise ValueError(f"tuned.{method}.{key}: {problem['msg']}") from None


def load_compare_settings(path: Path, overrides: Sequence[str] = ()) -> CompareSettings:
    """Read the settings of a comparison; parameters and errors as in `config.read_settings`."""
    return read_settings(CompareSettings, path, overrides, page="docs/comparing.md")
