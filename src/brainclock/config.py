"""Every run is described by one frozen object: TOML in, ``--set a.b=c``, JSON out.

Unknown keys and impossible values are errors. A run writes its resolved configuration beside its
output, and that is enough to run it again.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from brainclock.errors import ConfigError, InputError

Affine = tuple[
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
]


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """SHA-256 (hex) of the settings as canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


AnySettings = TypeVar("AnySettings", bound=Settings)


class Grid(Settings):
    """A box of voxels in template space (MNI152NLin2009aSym, RAS+, mm); it may be oblique.

    ``affine`` maps voxel indices to template mm.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @classmethod
    def box(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        centre_mm: tuple[float, float, float],
    ) -> Grid:
        """Return an axis-aligned grid whose middle lies at ``centre_mm``."""
        origin = [c - s * (n - 1) / 2 for c, s, n in zip(centre_mm, spacing_mm, shape, strict=True)]
        rows = tuple(
            tuple([spacing_mm[i] if i == j else 0.0 for j in range(3)] + [origin[i]]) for i in range(3)
        )
        return cls.model_validate({"shape": shape, "affine": (*rows, (0.0, 0.0, 0.0, 1.0))})

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine as a (4, 4) float64 array, voxel to template mm."""
        return np.array(self.affine, dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of one voxel step along each array axis, mm."""
        steps = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @model_validator(mode="after")
    def _is_a_box(self) -> Grid:
        if min(self.shape) < 1:
            raise ValueError(f"shape {self.shape} has an axis shorter than 1 voxel")
        if not np.isfinite(self.matrix).all() or abs(np.linalg.det(self.matrix[:3, :3])) < 1e-6:
            raise ValueError("affine is singular or not finite")
        return self


#: The default grid: the whole brain at 2 mm, symmetric about the midline.
WHOLE_BRAIN = Grid.box((80, 96, 80), (2.0, 2.0, 2.0), (0.0, -16.0, 5.0))


class GateSettings(Settings):
    """Limits of the quality gates; a scan outside any of them is refused, never guessed."""

    brain_volume_ml: tuple[float, float] = Field((700.0, 2200.0), description="of the brain mask in the scan")
    axis_scale: tuple[float, float] = Field((0.65, 1.5), description="template to scan, along each axis")
    max_scale_ratio: float = Field(1.45, description="largest axis scale over the smallest")
    max_shear: float = Field(0.25, description="of the affine map to the template")
    min_template_r2: float = Field(
        0.40, description="share of the template's variance that the scan explains"
    )
    min_template_overlap: float = Field(0.85, description="Dice of the brain mask and the template's")
    min_coverage: float = Field(0.985, description="share of the brain on the grid inside the field of view")
    min_contrast: float = Field(0.05, description="white matter brighter than grey, share of white matter")
    max_voxel_mm: float = Field(6.0, description="longest side of a voxel")
    min_voxel_mm: float = Field(0.2, description="shortest side of a voxel")


class PrepareSettings(Settings):
    """How a raw head becomes a volume on the model grid."""

    grid: Grid = Field(WHOLE_BRAIN, description="the box of voxels in template space that the model sees")
    bias: Literal["n4", "none"] = Field("n4", description="correction of the bias field")
    intensity: Literal["percentile"] = Field(
        "percentile", description="95th percentile in the mask becomes 1"
    )
    recipe: Literal[4] = Field(4, description="rises when a step changes what it makes of a scan")
    gates: GateSettings = GateSettings()


class ChannelSettings(Settings):
    """What the network sees, computed inside the model from the prepared intensity.

    ``channels``: ``intensity`` (z-scored in the mask); ``gradient`` (gradient magnitude at
    ``sigma_mm``, away from the border of the mask, divided by its mean: free of contrast); ``grey`` (how
    much a voxel looks like grey matter, 0 to 1: it trusts the contrast, so it is for one scanner).
    ``pool``: block mean over this many voxels along each axis, after the channels were computed.
    """

    channels: tuple[Literal["intensity", "gradient", "grey"], ...] = Field(
        ("gradient",), description="images that the network sees"
    )
    sigma_mm: float = Field(2.0, gt=0, le=10, description="smoothing before the gradient, standard deviation")
    erode_mm: float = Field(4.0, ge=0, le=20, description="the gradient counts this far inside the mask")
    pool: tuple[int, int, int] = Field(
        (2, 2, 2), description="block mean over so many voxels along each axis"
    )


class EncoderSettings(Settings):
    """A 3D ResNet: ``depth`` layers, ``width`` channels in the first stage, doubled by each stage.

    ``stem``: ``s1``/``s2`` a 3³ convolution of stride 1/2; ``s2p`` 7³ stride 2 and a max-pool of 2;
    ``s4`` 4³ patches of stride 4. ``final_stride`` 1 keeps the last stage at the resolution before.
    ``cells``: the embedding is the mean over each cell of this grid, concatenated; (1, 1, 1) is
    global average pooling. ``zero_residual`` starts each residual block as the identity.
    """

    depth: Literal[10, 18, 34, 50] = Field(18, description="layers of the ResNet")
    width: int = Field(16, ge=4, le=128, multiple_of=4, description="channels of the first stage")
    norm: Literal["group", "batch", "instance"] = Field("group", description="normalisation of the layers")
    stem: Literal["s1", "s2", "s2p", "s4"] = Field(
        "s2", description="3³ stride 1 or 2; 7³ stride 2 and max-pool; 4³ patches"
    )
    final_stride: Literal[1, 2] = Field(2, description="stride of the last stage")
    cells: tuple[int, int, int] = Field(
        (3, 3, 3), description="the embedding is the mean in each of these cells"
    )
    zero_residual: bool = Field(False, description="residual blocks start as the identity")
    mirror: bool = Field(
        False, description="the embedding is the mean of those of the volume and of its mirror image"
    )


class RegressorSettings(Settings):
    """The affine regressor on the frozen, standardised embedding.

    With ``blocks`` a second one, as linear, reads means over blocks of what the network sees, and the age
    is the mean of both; for objectives that leave the regressor to the end.
    """

    kind: Literal["ridge", "l1"] = Field("ridge", description="squared or absolute error")
    views: int = Field(4, ge=0, description="augmented views per scan, besides the clean one")
    blocks: int = Field(
        0, ge=0, description="also read the channels themselves, as means over so many of their voxels; 0: no"
    )
    log10_alpha: tuple[float, float, int] = Field(
        (-3.0, 6.0, 37), description="penalties tried: lowest, highest, how many"
    )


class AugmentSettings(Settings):
    """Random changes of a view that never change the amount of tissue. Ranges are half-widths."""

    looks: int = Field(8, ge=0, description="random looks made of each scan, besides the scan as it is")
    rotation_degrees: float = Field(8.0, ge=0, le=45, description="rotation about each axis")
    translation_mm: float = Field(6.0, ge=0, le=30, description="shift along each axis")
    scale: float = Field(0.02, ge=0, le=0.1, description="relative change of all lengths")
    flip: float = Field(0.5, ge=0, le=1, description="chance of exchanging left and right")
    bias: float = Field(0.2, ge=0, le=1, description="logarithm of a smooth multiplicative field")
    noise: float = Field(0.05, ge=0, le=0.5, description="Rician noise, share of white matter, at most")
    blur_mm: float = Field(2.0, ge=0, le=8, description="width of a blur (two standard deviations), at most")
    anisotropy_mm: float = Field(3.0, ge=0, le=8, description="further blur along one axis: thick slices")
    sharpen: float = Field(1.5, ge=0, le=4, description="weight of unsharp masking, at most")
    gamma: float = Field(0.3, ge=0, le=2, description="logarithm of the exponent of the grey values")
    contrast_curve: float = Field(0.5, ge=0, le=1, description="strength of a random rising grey-value curve")
    border_mm: float = Field(2.0, ge=0, le=6, description="how far the brain mask's border moves, about")
    synthetic: float = Field(
        0.0, ge=0, le=1, description="share of the looks that are painted from a scan's label map"
    )
    synthetic_contrast: Literal["t1w", "any"] = Field("t1w", description="of painted looks")


class TrainSettings(Settings):
    """Optimisation. One step sees ``batch_size`` people, two views each."""

    objective: Literal["rnc", "rnc+l1", "exp", "y-aware", "l1", "mse", "soft-label"] = Field(
        "rnc", description="Rank-N-Contrast, another contrast, or conventional regression end to end"
    )
    temperature: float = Field(2.0, gt=0, description="of a contrast; 0.1 was published for exp and y-aware")
    sigma_years: float = Field(
        2.0, gt=0, description="width of the Gaussian on age: weights of exp and y-aware, soft labels"
    )
    l1_weight: float = Field(1.0, ge=0, description="of the standardised absolute error in rnc+l1")
    steps: int = Field(2000, ge=1, description="optimiser steps")
    batch_size: int = Field(32, ge=2, description="people in a step")
    balance_sites: bool = Field(
        False, description="at each age, people of every site in equal number, however many a site has"
    )
    micro_batch: int | None = Field(
        None, ge=1, description="views in memory at once: the same gradient from cached embeddings"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW, at its highest")
    weight_decay: float = Field(0.05, ge=0, description="not on norms and biases")
    warmup_steps: int = Field(50, ge=0, description="linear rise, then a cosine down to a thousandth")
    clip_norm: float = Field(5.0, gt=0, description="longest gradient")
    ema: float = Field(0.995, ge=0, lt=1, description="memory of the averaged weights, which are kept")
    folds: int = Field(
        1, ge=1, description="from 2 on: so many members, each trained without one fold of the people"
    )
    validation_fraction: float = Field(
        0.2, ge=0, lt=1, description="share of people held out if folds = 1; 0: none"
    )
    steps_per_epoch: int = Field(50, ge=1, description="steps between two rows of metrics.tsv")
    checkpoint_minutes: float = Field(2.0, ge=0, description="between two checkpoints; 0: every step")


class RunSettings(Settings):
    """Everything that a training run depends on, besides the scans.

    Examples
    --------
    >>> settings = brainclock.RunSettings(train={"steps": 500})
    >>> settings.train.steps, settings.train.objective
    (500, 'rnc')
    """

    seed: int = Field(1, ge=0, description="of everything random")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where the network runs")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="of the network; losses and statistics are always in single or double"
    )
    processes: int = Field(1, ge=1, description="that train together, one device each")
    prepare: PrepareSettings = PrepareSettings()
    channels: ChannelSettings = ChannelSettings()
    encoder: EncoderSettings = EncoderSettings()
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    regressor: RegressorSettings = RegressorSettings()


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Seed (63 bits) of one random stream: of one purpose, of one item, of one run.

    The stream depends on nothing but these, so neither workers nor order nor resumption change it.
    """
    text = json.dumps([seed, *purpose], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def load_settings(path: str | Path | None = None, overrides: Sequence[str] = ()) -> RunSettings:
    """Read run settings from a TOML file, then apply overrides.

    Parameters
    ----------
    path : str, Path or None
        A TOML file; None starts from the defaults.
    overrides : sequence of str
        ``section.key=value``, as ``--set`` on the command line.

    Raises
    ------
    InputError
        The file is missing or is not TOML, or an override has no ``=``.
    ConfigError
        A key is unknown or a value is impossible; the message names the key.

    Examples
    --------
    >>> settings = brainclock.load_settings(overrides=["train.steps=500", "train.objective=l1"])
    >>> settings.train.steps, settings.train.objective
    (500, 'l1')
    """
    file = None if path is None else Path(path)
    return read_settings(RunSettings, file, overrides, page="docs/settings.md")


def read_settings(
    kind: type[AnySettings], path: Path | None, overrides: Sequence[str], *, page: str
) -> AnySettings:
    """Read settings from a TOML file, then apply ``section.key=value`` overrides.

    Parameters
    ----------
    kind : type
        Which settings.
    path : Path or None
        A TOML file; None starts from the defaults.
    overrides : sequence of str
        ``a.b=c``; the value is read as TOML, or as a plain string if it is not TOML.
    page : str
        Where these settings are described, for messages.

    Raises
    ------
    InputError, ConfigError
        As `load_settings`.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(str(path), "no such file", "a TOML file", "Check the path.") from None
        except OSError as error:
            raise InputError(str(path), error.strerror, "a TOML file", "Check the path.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(str(path), str(error), "TOML", "Mend the file.") from None
    for override in overrides:
        _apply(tree, override)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_describe(error, page)) from None


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {override}", "no '='", "section.key=value", "Write it so.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, name = key.strip().split(".")
    for section in sections:
        node = tree.setdefault(section, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {override}: {section} is a value, not a section.")
        tree = node
    tree[name] = value


def _describe(error: ValidationError, page: str) -> str:
    """One sentence for each wrong setting."""
    parts = []
    for problem in error.errors():
        key = ".".join(str(piece) for piece in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"{key} is not a setting.")
        else:
            parts.append(f"{key} = {problem['input']!r}: {problem['msg']}.")
    return " ".join(parts) + f" The settings and their defaults are in {page}."
