"""The images that the network sees in training: each scan as it is and in several random looks.

Looks are made once and kept (half precision); poses are drawn afresh for each step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Int, Int64
from numpy import ndarray
from torch import Tensor

from brainclock.config import AugmentSettings, Grid, RunSettings, derive_seed
from brainclock.execution.progress import progress_bar
from brainclock.model.channels import Channels
from brainclock.simulate.synthesis import draw_palette, paint
from brainclock.train.augment import draw_look, draw_poses, look_like, move
from brainclock.train.kept_rows import KeptRows


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Random views, drawn and not yet made: which scan, which of its looks, in which pose."""

    rows: Int[ndarray, " m"]
    looks: Int[ndarray, " m"]
    poses: Float[Tensor, "m 3 4"]

    def part(self, which: Int64[Tensor, " k"]) -> Drawn:
        """Return some of them."""
        chosen = which.numpy()
        return Drawn(self.rows[chosen], self.looks[chosen], self.poses[which])


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """All looks of all scans.

    Parameters
    ----------
    images : ndarray of float16, shape (n, 1 + looks, c, i, j, k)
        The first look of a scan is the scan as it is.
    spacing_mm : tuple of float
        Of the images.
    augment : AugmentSettings
    origin : str
        Digest of what the images were made from, and how.
    """

    images: Float16[ndarray, "n looks c i j k"]
    spacing_mm: tuple[float, float, float]
    augment: AugmentSettings
    origin: str = ""

    def clean(self, rows: Int[ndarray, " m"]) -> Float[Tensor, "m c i j k"]:
        """Return the scans as they are."""
        return torch.from_numpy(np.ascontiguousarray(self.images[rows, 0])).float()

    def draw(self, rows: Int[ndarray, " m"], generator: torch.Generator) -> Drawn:
        """Draw one random view of each row: a look out of those kept, in a pose of its own."""
        looks = torch.randint(self.images.shape[1], (len(rows),), generator=generator).numpy()
        return Drawn(rows, looks, draw_poses(len(rows), self.augment, generator))

    def make(self, drawn: Drawn, device: torch.device | str = "cpu") -> Float[Tensor, "m c i j k"]:
        """Make views on a device."""
        images = torch.from_numpy(np.ascontiguousarray(self.images[drawn.rows, drawn.looks])).to(device)
        return move(images.float(), drawn.poses, self.spacing_mm)

    def __reduce__(self) -> tuple[object, ...]:
        # A memory map goes to another process by its name; as it is, all of it would be copied.
        images: object = self.images
        if isinstance(images, np.memmap) and isinstance(images.base, mmap):  # the whole file
            images = images.filename
        return _reopened, (images, self.spacing_mm, self.augment, self.origin)


def make_views(
    volumes: Sequence[Float16[ndarray, "x y z"]],
    keys: Sequence[str],
    settings: RunSettings,
    folder: Path | None = None,
    sources: Sequence[str] = (),
    classes: Sequence[Float16[ndarray, "x y z"]] | None = None,
) -> Views:
    """Make every look of every scan, or take up what an earlier run left in ``folder``.

    The looks of a scan depend on the seed and its key alone.

    Parameters
    ----------
    volumes : sequence of ndarray of float16, shape (x, y, z)
        Prepared intensity.
    keys : sequence of str
        Of each scan.
    settings : RunSettings
    folder : Path or None
        Keeps ``views.npy``; None keeps them in memory.
    sources : sequence of str
        What each volume was made from (`Cohort.sources`): a kept look is used again if it is the same.
    classes : sequence of ndarray of float16, shape (x, y, z), or None
        Label maps (`Cohort.classes`), for ``augment.synthetic``.
    """
    channels = Channels(settings.channels, settings.prepare.grid.spacing_mm)
    shape = (
        1 + settings.augment.looks,
        len(settings.channels.channels),
        *channels.output_shape(settings.prepare.grid.shape),
    )
    names = [" ".join(pair) for pair in zip(keys, sources, strict=True)] if sources else list(keys)
    about = _about(settings)
    kept = KeptRows(None if folder is None else folder / "views.npy", about, names, shape)
    missing = kept.missing()
    with progress_bar(len(missing), "augment") as advance:
        for row in missing:
            label_map = None if classes is None else classes[row]
            kept.keep(row, _looks(volumes[row], label_map, keys[row], channels, settings))
            advance()
    spacing, pool = settings.prepare.grid.spacing_mm, settings.channels.pool
    return Views(
        images=kept.array,
        spacing_mm=(spacing[0] * pool[0], spacing[1] * pool[1], spacing[2] * pool[2]),
        augment=upright(settings.augment, settings.prepare.grid),
        origin=hashlib.sha256(json.dumps([about, names]).encode()).hexdigest(),
    )


def upright(augment: AugmentSettings, grid: Grid) -> AugmentSettings:
    """Return the settings, without mirroring where the grid is not symmetric about the midline."""
    middle = grid.matrix @ [*((np.array(grid.shape) - 1) / 2), 1.0]
    across = grid.matrix[:3, 0] / np.linalg.norm(grid.matrix[:3, 0])
    symmetric = abs(middle[0]) <= grid.spacing_mm[0] / 2 and abs(across[0]) > np.cos(np.deg2rad(5))
    return augment if symmetric else augment.model_copy(update={"flip": 0.0})


def _looks(
    volume: Float16[ndarray, "x y z"],
    classes: Float16[ndarray, "x y z"] | None,
    key: str,
    channels: Channels,
    settings: RunSettings,
) -> Float16[ndarray, "looks c i j k"]:
    scan = torch.from_numpy(volume.astype(np.float32))[None, None]
    made = [channels(scan)]
    painted = 0
    if classes is not None and classes.any():
        painted = round(settings.augment.synthetic * settings.augment.looks)
    for number in range(settings.augment.looks):
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "look", key, number))
        look = draw_look(settings.augment, generator)
        source = scan
        if classes is not None and number < painted:
            source = _paint(classes, settings, derive_seed(settings.seed, "paint", key, number))
        made.append(channels(look_like(source, look, settings.prepare.grid.spacing_mm)))
    return torch.cat(made).half().numpy()


def _paint(
    classes: Float16[ndarray, "x y z"], settings: RunSettings, seed: int
) -> Float[Tensor, "1 1 x y z"]:
    """Paint a label map at random; the look gives it bias, blur, noise and a border, as to any scan."""
    rng = np.random.default_rng(seed)
    palette = draw_palette(settings.augment.synthetic_contrast, rng)
    image = paint(classes.astype(np.uint8), palette, settings.prepare.grid.spacing_mm, rng)
    return torch.from_numpy(image)[None, None]


def _about(settings: RunSettings) -> str:
    """Digest of all that a look depends on, besides the scan."""
    parts = [settings.prepare.digest(), settings.channels.digest(), settings.augment.digest()]
    return hashlib.sha256(json.dumps([settings.seed, *parts]).encode()).hexdigest()


def _reopened(
    images: Float16[ndarray, "n looks c i j k"] | str | Path,
    spacing_mm: tuple[float, float, float],
    augment: AugmentSettings,
    origin: str,
) -> Views:
    kept = np.load(images, mmap_mode="r") if isinstance(images, str | Path) else images
    return Views(kept, spacing_mm, augment, origin)
