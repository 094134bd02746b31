"""One scan to its age: prepare, embed, read off; a number or a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from brainclock.config import PrepareSettings
from brainclock.errors import InputError, ScanRefused
from brainclock.io.find import find_scans
from brainclock.io.nifti import read_volume, to_volume
from brainclock.io.scan import Scan
from brainclock.io.volume import Volume
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.flags import flag_prediction, flag_prepared, flag_scan
from brainclock.predict.interval import LEVEL, check_request, with_interval
from brainclock.predict.stability import measure_stability
from brainclock.prepare.chain import prepare_scan, prepare_volume, read_mask
from brainclock.prepare.derivatives import read_own
from brainclock.prepare.prepared import PreparedScan

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from brainclock.model.folder import LoadedModel

#: A predicted age outside these years is no age: the model does not fit the scan.
POSSIBLE_AGES = (0.0, 125.0)


def predict(
    image: str | Path | Volume | SpatialImage,
    model: str | Path | LoadedModel | None = None,
    *,
    mask: str | Path | Bool[ndarray, "x y z"] | None = None,
    in_template: bool = False,
    stripped: bool = False,
    level: float = LEVEL,
    older_than: float | None = None,
    stability: bool = False,
) -> BrainAge:
    """Return the age of a brain.

    Parameters
    ----------
    image : str, Path, Volume or nibabel image
        A T1w scan of a head, or of a brain without its skull. What the name of a file says
        (``space-MNI152…``, ``desc-brain``) holds as well.
    model : str, Path, LoadedModel or None
        Name of a shipped model, model folder, or a loaded model; None is the default shipped model.
    mask : str, Path or ndarray of bool (shape of the image), optional
        A brain mask on the voxels of the image; None finds one. A path, if the image is one.
    in_template : bool
        The scan lies in MNI152 space: it is not registered again.
    stripped : bool
        The skull is gone; also recognised from the many zeros.
    level : float
        Share of healthy people, scanned like those of the calibration, whose age lies in the interval.
    older_than : float, optional
        Also the chance that such a person, whose brain gets this prediction, is older than this, years.
    stability : bool
        Also how far the age moves when the scan is sampled otherwise; takes five times as long.

    Returns
    -------
    BrainAge
        A scan that a quality gate refused has no age but the reason.

    Raises
    ------
    InputError
        The image or the mask cannot be read or used, the path leads to several scans, or the level is none.
    ModelError
        The model folder is incomplete or was changed.

    Examples
    --------
    >>> answer = brainclock.predict("sub-01_T1w.nii.gz")
    >>> answer.status, answer.reason
    ('ok', None)
    >>> print(answer)
    56.3 years (90 % interval 47.1 to 65.4)

    A scan that is refused is an answer as well, with the figure that failed:

    >>> import numpy as np
    >>> noise = np.random.default_rng(1).normal(100, 10, (40, 50, 40)).astype(np.float32)
    >>> print(brainclock.predict(brainclock.Volume(noise, np.diag([4.0, 4.0, 4.0, 1.0]))))
    no age: ...
    """
    if isinstance(image, str | Path):
        scan = _only_scan(Path(image), mask, in_template, stripped)
        return predict_scan(scan, model, level=level, older_than=older_than, stability=stability)
    check_request(level, older_than)
    loaded = _loaded(model)
    volume = image if isinstance(image, Volume) else to_volume(image)
    if isinstance(mask, str | Path):
        mask = read_mask(Path(mask), volume)
    scan = Scan("image", "image", Path(volume.source), in_template=in_template, stripped=stripped)

    def prepare(settings: PrepareSettings) -> PreparedScan:
        return prepare_volume(volume, settings, mask=mask, in_template=in_template, stripped=stripped)

    answer = _answer(prepare, loaded, flag_scan(scan, given_mask=mask is not None))
    if stability:
        answer = _with_stability(answer, loaded, volume, mask, in_template)
    return with_interval(answer, loaded.card, level, older_than)


def predict_scan(
    scan: Scan,
    model: str | Path | LoadedModel | None = None,
    *,
    level: float = LEVEL,
    older_than: float | None = None,
    stability: bool = False,
) -> BrainAge:
    """Return the age of the brain in one scan on disk; parameters and errors as for `predict`."""
    check_request(level, older_than)
    loaded = _loaded(model)
    answer = _answer(partial(prepare_scan, scan), loaded, flag_scan(scan))
    if stability:
        answer = scan_stability(scan, answer, loaded)
    return with_interval(answer, loaded.card, level, older_than)


def scan_stability(scan: Scan, answer: BrainAge, loaded: LoadedModel) -> BrainAge:
    """Return the answer with how far the age moves when the scan on disk is sampled otherwise.

    Unchanged for a scan without an age, and for one that brainclock prepared before: its own voxels are gone.
    """
    if read_own(scan.path, loaded.card.settings.prepare) is not None:
        return answer
    volume = read_volume(scan.path)
    mask = None if scan.mask_path is None else read_mask(scan.mask_path, volume)
    return _with_stability(answer, loaded, volume, mask, scan.in_template)


def _with_stability(
    answer: BrainAge,
    loaded: LoadedModel,
    volume: Volume,
    mask: Bool[ndarray, "x y z"] | None,
    in_template: bool,
) -> BrainAge:
    if answer.predicted_age is None:
        return answer
    settings, stripped = loaded.card.settings.prepare, "already_stripped" in answer.flags

    def read_age(turned: Volume, mask: Bool[ndarray, "x y z"] | None) -> float:
        prepared = prepare_volume(turned, settings, mask=mask, in_template=in_template, stripped=stripped)
        return look(prepared, loaded).age

    found = measure_stability(answer.predicted_age, read_age, volume, mask)
    if found is None:
        return replace(answer, flags=(*answer.flags, "refused_when_turned"))
    return replace(answer, stability_sd=found.sd, stability_max=found.largest)


def _answer(
    prepare: Callable[[PrepareSettings], PreparedScan], loaded: LoadedModel, flags: tuple[str, ...]
) -> BrainAge:
    try:
        return answer_prepared(prepare(loaded.card.settings.prepare), loaded)
    except ScanRefused as refusal:
        return refused(str(refusal), loaded, refusal.figures, flags)


def answer_prepared(prepared: PreparedScan, loaded: LoadedModel, seen: Look | None = None) -> BrainAge:
    """Return the age of a prepared scan, with the flags that say how the scan came.

    Parameters
    ----------
    prepared : PreparedScan
        On the grid of the model, prepared with its settings.
    loaded : LoadedModel
    seen : Look, optional
        What `look` gave, if it is known already.

    Returns
    -------
    BrainAge
        Without an interval: `with_interval` adds it.

    Raises
    ------
    ScanRefused
        The age that comes out is none (not finite, below 0 or above 125 years).
    """
    if seen is None:
        seen = look(prepared, loaded)
    predicted_age = seen.age
    relative = loaded.familiarity.unfamiliarity(seen.embedding)
    quality = {**prepared.quality, "unfamiliarity": relative}
    low, high = POSSIBLE_AGES
    if not low <= predicted_age <= high:
        reason = f"{predicted_age:.4g} years, allowed {low:g} to {high:g}: the model does not fit this scan."
        raise ScanRefused("predicted_age", reason, quality)
    return BrainAge(
        predicted_age=predicted_age,
        status="ok",
        reason=None,
        flags=(*flag_prediction(predicted_age, relative, loaded.card), *flag_prepared(prepared)),
        quality=quality,
        model=loaded.card.identity,
        preparation=loaded.card.preparation,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a model makes of one scan.

    Parameters
    ----------
    embedding : ndarray of float32, shape (d,)
    age : float
        Years, possible or not.
    """

    embedding: Float32[ndarray, " d"]
    age: float


def look(prepared: PreparedScan, loaded: LoadedModel) -> Look:
    """Return what a model makes of a prepared scan on its grid."""
    import torch

    with torch.inference_mode():
        embeddings, ages = loaded.model.look(torch.from_numpy(prepared.data)[None, None])
        return Look(np.asarray(embeddings[0].numpy()), float(ages[0]))


def refused(
    reason: str, loaded: LoadedModel, quality: Mapping[str, float], flags: tuple[str, ...] = ()
) -> BrainAge:
    """Return the answer for a scan without an age."""
    card = loaded.card
    return BrainAge(None, "failed", reason, flags, dict(quality), card.identity, card.preparation)


@lru_cache(maxsize=2)
def load(name_or_path: str | Path | None) -> LoadedModel:
    """Load a model once per process; raises `ModelError`."""
    from brainclock.model.folder import load_model

    return load_model(name_or_path)


def _loaded(model: str | Path | LoadedModel | None) -> LoadedModel:
    return load(model) if model is None or isinstance(model, str | Path) else model


def _only_scan(path: Path, mask: object, in_template: bool, stripped: bool) -> Scan:
    """Return the one scan that a path leads to."""
    if not (mask is None or isinstance(mask, str | Path)):
        fix = "Give the path of the mask, or the image as an array as well."
        raise InputError("mask", "an array for an image on disk", "a path", fix)
    scans = find_scans([path], mask=None if mask is None else Path(mask), in_template=in_template)
    if len(scans) != 1:
        fix = "Give one image, or use predict_scans for many."
        raise InputError(str(path), f"{len(scans)} scans", "one", fix)
    return replace(scans[0], stripped=stripped or scans[0].stripped)
