"""Images in whatever form somebody has them, to arrays on a model grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray

from brainclock.config import PrepareSettings
from brainclock.errors import InputError
from brainclock.execution import map_scans
from brainclock.io.find import find_scans
from brainclock.io.nifti import to_volume
from brainclock.io.scan import Scan
from brainclock.io.volume import Volume
from brainclock.prepare.chain import prepare_scan, prepare_volume
from brainclock.prepare.prepared import PreparedScan


def are_images(X: Any) -> bool:
    """Whether these are images, one an entry, and not a table of numbers.

    Images are paths, what `find_scans` found, volumes, images of nibabel, prepared scans, and arrays that
    were prepared before, one by one or stacked along the first axis.
    """
    if isinstance(X, str | bytes) or not isinstance(X, Iterable):
        return False
    if getattr(X, "ndim", 1) in (0, 2):
        return False
    first = next(iter(X), None)
    return (
        isinstance(first, str | Path | Scan | Volume | PreparedScan)
        or hasattr(first, "dataobj")
        or getattr(first, "ndim", 0) == 3
    )


def known_images(X: Iterable[Any]) -> list[Any]:
    """Return the images, each path as what its name and the tables beside it say of it.

    Raises
    ------
    InputError
        A path leads nowhere, or to several scans.
    """
    return [_only_scan(Path(image)) if isinstance(image, str | Path) else image for image in X]


def persons(images: Sequence[Any]) -> list[str]:
    """Return whose each image is, as far as that is known; any other is a person of its own."""
    return [
        image.participant_id if isinstance(image, Scan) else f"image {number}"
        for number, image in enumerate(images)
    ]


def from_images(
    function: Callable[[PreparedScan], Shaped[ndarray, ...]],
    images: Sequence[Any],
    settings: PrepareSettings,
    workers: int = 1,
) -> tuple[list[Shaped[ndarray, ...] | None], dict[int, str]]:
    """Prepare each image and return what a function makes of it, and why some could not be prepared.

    Parameters
    ----------
    function : callable
        Takes a prepared scan; with several workers, importable by its name.
    images : sequence
        From `known_images`.
    settings : PrepareSettings
    workers : int
        Local processes.

    Returns
    -------
    values : list of ndarray or None
        In the order of the images; None where one was refused.
    refused : dict of int to str
        Place and reason of each image that was refused. It is logged as well.
    """
    names = persons(images)
    outcomes = map_scans(
        partial(_apply, function=function, settings=settings),
        list(enumerate(images)),
        key=lambda item: item[1].key if isinstance(item[1], Scan) else names[item[0]],
        workers=workers,
        description="prepare",
    )
    values: list[Shaped[ndarray, ...] | None] = []
    refused: dict[int, str] = {}
    for place, outcome in enumerate(outcomes):
        values.append(outcome.value)
        if outcome.value is None:
            refused[place] = outcome.failure or "no reason given"
    return values, refused


def _apply(
    item: tuple[int, Any],
    *,
    function: Callable[[PreparedScan], Shaped[ndarray, ...]],
    settings: PrepareSettings,
) -> Shaped[ndarray, ...]:
    return function(_prepared(item[1], settings))


def _prepared(image: Any, settings: PrepareSettings) -> PreparedScan:
    if isinstance(image, Scan):
        return prepare_scan(image, settings)
    if isinstance(image, PreparedScan):
        if image.grid != settings.grid:
            fix = "Prepare it with the settings of the model."
            raise InputError("A prepared scan", "another grid", "the grid of the model", fix)
        return image
    if isinstance(image, ndarray):
        return _from_array(image, settings)
    return prepare_volume(image if isinstance(image, Volume) else to_volume(image), settings)


def _from_array(data: Shaped[ndarray, "x y z"], settings: PrepareSettings) -> PreparedScan:
    """Take an array that was prepared before: 0 outside the brain, above 0 inside."""
    if data.shape != settings.grid.shape:
        fix = "Give a path, an image of nibabel or a Volume: an array has no affine and cannot be prepared."
        raise InputError("An array", f"shape {data.shape}", f"a prepared one of {settings.grid.shape}", fix)
    if not (np.isfinite(data).all() and data.min() == 0 < data.max()):
        found = f"values from {data.min():g} to {data.max():g}"
        expected = "0 outside the brain and above 0 inside"
        raise InputError("An array", found, expected, "Give PreparedScan.data, or the scan itself.")
    affine: Float64[ndarray, "4 4"] = np.eye(4)
    return PreparedScan(data.astype(np.float32), data > 0, settings.grid, affine)


def _only_scan(path: Path) -> Scan:
    scans = find_scans([path])
    if len(scans) != 1:
        fix = "Give the paths of images, or what find_scans found in the folder."
        raise InputError(str(path), f"{len(scans)} scans", "one", fix)
    return scans[0]
