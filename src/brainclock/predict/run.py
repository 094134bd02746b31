"""Many scans to a table of ages: resumable, on any number of workers, always the same bytes.

Each answer is kept as soon as it is there, in ``OUT/.scans/``; a run that was killed goes on from them.
The table is written last, in the order of the scans.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from jaxtyping import Float32
from numpy import ndarray

from brainclock import __version__
from brainclock.errors import InputError, ModelError, ScanRefused
from brainclock.execution import Outcome, map_scans
from brainclock.io.atomic import make_folder, write_json
from brainclock.io.bids import write_dataset_description
from brainclock.io.nifti import image_hash
from brainclock.io.read import read_json
from brainclock.io.scan import Scan
from brainclock.io.tables import write_data_dictionary, write_table
from brainclock.model.folder import LoadedModel, shipped_models
from brainclock.predict.beside_age import beside_age
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.embedding import as_text, from_text, write_embeddings
from brainclock.predict.flags import flag_age, flag_scan
from brainclock.predict.interval import LEVEL, check_request, warn_if_too_few, with_interval
from brainclock.predict.keeper import Keeper, Sight
from brainclock.predict.predict import answer_prepared, load, look, refused, scan_stability
from brainclock.predict.table import data_dictionary, prediction_columns, prediction_row
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.scans import check_keys, prepare_into
from brainclock.prepare.snapshot import Snapshot

_ANSWERS = ".scans"
_PACKAGES = ("brainclock", "deepbet", "nibabel", "numpy", "scipy", "SimpleITK", "torch")


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One scan of a run and its answer.

    Parameters
    ----------
    scan : Scan
    brain_age : BrainAge
    input_sha256 : str or None
        Of the image file; None where it cannot be read.
    embedding : ndarray of float32, shape (d,), or None
        Where it was asked for and the scan has an age.
    """

    scan: Scan
    brain_age: BrainAge
    input_sha256: str | None
    embedding: Float32[ndarray, " d"] | None = None


def predict_scans(
    scans: Sequence[Scan],
    out: Path,
    *,
    model: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    keep_prepared: bool = False,
    level: float = LEVEL,
    older_than: float | None = None,
    stability: bool = False,
    embeddings: bool = False,
    keeper: Keeper | None = None,
    progress: bool = True,
) -> list[Prediction]:
    """Predict the age of each scan and write the results.

    ``predictions.tsv`` with its data dictionary ``predictions.json``, ``run.json`` (settings, versions,
    model, hashes of the inputs) and ``dataset_description.json``; with ``embeddings`` also
    ``embeddings.npy`` and ``embeddings.tsv``.

    Parameters
    ----------
    scans : sequence of Scan
        With different keys, as `find_scans` gives them. Ages go into the table, never into a prediction.
    out : Path
        Folder; answers of an earlier run in it are used where scan, model and settings are the same.
    model : str, Path or None
        Name of a shipped model or a model folder; None is the default shipped model.
    workers, scheduler, progress
        As for `map_scans`.
    keep_prepared : bool
        Also write the prepared scans, as ``brainclock prepare`` does.
    level, older_than, stability
        As for `predict`. Without ``older_than`` the chance in the table is that of being older than the own
        age, where that is known.
    embeddings : bool
        Also write the embedding of each scan that has an age.
    keeper : Keeper, optional
        Keeps more of each scan.

    Returns
    -------
    list of Prediction
        In the order of the scans; a scan that failed has a reason and no age.

    Raises
    ------
    InputError
        No scan; two scans with one key; no level; the options of `map_scans`.
    ModelError
        The model cannot be loaded.
    OutputError
        The folder cannot be written.
    """
    check_keys(scans, "predict")
    check_request(level, older_than)
    name = _anywhere(model)
    loaded = load(name)
    warn_if_too_few(loaded.card, level)
    make_folder(out / _ANSWERS)
    job = _Job(name, loaded.card.identity, out.absolute(), keep_prepared, stability, embeddings, keeper)
    outcomes = map_scans(
        partial(_answer, job),
        scans,
        key=_key,
        workers=workers,
        scheduler=scheduler,
        description="predict",
        progress=progress,
    )
    predictions = []
    for scan, outcome in zip(scans, outcomes, strict=True):
        found = _collect(scan, outcome, loaded)
        brain_age = with_interval(found.brain_age, loaded.card, level, older_than)
        predictions.append(replace(found, brain_age=brain_age))
    if embeddings:
        _write_embeddings(predictions, out, loaded.card.identity)
    _write(predictions, out, loaded, kept_more=keeper is not None)
    return predictions


@dataclass(frozen=True, slots=True)
class _Job:
    """What all scans of a run share; it travels to the workers, the weights do not."""

    model: str | None
    identity: str
    out: Path
    keep_prepared: bool
    stability: bool
    embeddings: bool
    keeper: Keeper | None


@dataclass(frozen=True, slots=True, eq=False)
class _Answered:
    """The answer for a scan, without an interval; the hash of its image; its embedding, if asked for."""

    brain_age: BrainAge
    sha256: str
    embedding: Float32[ndarray, " d"] | None


def _answer(job: _Job, scan: Scan) -> _Answered:
    """Return the kept answer for a scan, or a new one, which is kept."""
    loaded = load(job.model)
    if loaded.card.identity != job.identity:
        raise ModelError(f"{loaded.folder} changed during the run: start again.")
    sha256 = image_hash(scan.path)
    digest = _digest(scan, sha256, loaded, job)
    kept = job.out / _ANSWERS / f"{scan.key}.json"
    before = _kept(kept, digest, sha256)
    if before is not None and (job.keeper is None or job.keeper.has(scan, digest, loaded)):
        if job.keep_prepared:
            prepare_into(scan, loaded.card.settings.prepare, job.out)
        return before
    answered = _answer_anew(job, scan, sha256, digest, loaded)
    keep: dict[str, object] = {"digest": digest, "answer": answered.brain_age.as_dict()}
    if answered.embedding is not None:
        keep["embedding"] = as_text(answered.embedding)
    write_json(kept, keep)
    return answered


def _answer_anew(job: _Job, scan: Scan, sha256: str, digest: str, loaded: LoadedModel) -> _Answered:
    """Prepare a scan and read its age; the keeper sees it whether it has one or not."""
    settings = loaded.card.settings.prepare
    sight = Sight(scan, digest, sha256, loaded, Snapshot())
    snapshot = None if job.keeper is None else sight.snapshot
    try:
        if job.keep_prepared:
            prepared = prepare_into(scan, settings, job.out, snapshot)
        else:
            prepared = prepare_scan(scan, settings, snapshot)
        sight = replace(sight, prepared=prepared)
        seen = look(prepared, loaded)
        answer = answer_prepared(prepared, loaded, seen)
    except (ScanRefused, InputError):
        _show(job, sight)
        raise
    if job.stability:
        answer = scan_stability(scan, answer, loaded)
    _show(job, replace(sight, answer=answer))
    return _Answered(answer, sha256, seen.embedding if job.embeddings else None)


def _show(job: _Job, sight: Sight) -> None:
    if job.keeper is not None:
        job.keeper.keep(sight)


def _digest(scan: Scan, sha256: str, loaded: LoadedModel, job: _Job) -> str:
    """SHA-256 of all that an answer depends on; the age is not among it."""
    everything = {
        "image": sha256,
        "mask": None if scan.mask_path is None else image_hash(scan.mask_path),
        "in_template": scan.in_template,
        "stripped": scan.stripped,
        "weights": loaded.card.weights_sha256,
        "card": loaded.card.digest(),
        "versions": _versions(),
        "stability": job.stability,
        "embeddings": job.embeddings,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _kept(path: Path, digest: str, sha256: str) -> _Answered | None:
    """Return the answer of an earlier run, if it was to the same question."""
    if not path.is_file():
        return None
    try:
        kept = read_json(path)
        if kept["digest"] != digest:
            return None
        embedding = from_text(kept["embedding"]) if "embedding" in kept else None
        return _Answered(BrainAge.from_dict(kept["answer"]), sha256, embedding)
    except (InputError, KeyError, TypeError, ValueError):  # damaged from outside: answer again
        return None


def _collect(scan: Scan, outcome: Outcome[_Answered], loaded: LoadedModel) -> Prediction:
    if outcome.value is not None:
        found = outcome.value
        return Prediction(scan, found.brain_age, found.sha256, found.embedding)
    sha256 = None
    with contextlib.suppress(InputError):
        sha256 = image_hash(scan.path)
    reason = outcome.failure or "no reason given"
    answer = replace(refused(reason, loaded, outcome.figures), flags=flag_scan(scan))
    return Prediction(scan, answer, sha256)


def _write_embeddings(predictions: Sequence[Prediction], out: Path, model: str) -> None:
    """Write the embeddings of the scans that have an age, in the order of the table."""
    embeddings, scans, hashes = [], [], []
    for p in predictions:
        if p.embedding is not None:
            embeddings.append(p.embedding)
            scans.append(p.scan)
            hashes.append(p.input_sha256)
    write_embeddings(out, embeddings, scans, hashes, model)


def _write(predictions: Sequence[Prediction], out: Path, loaded: LoadedModel, *, kept_more: bool) -> None:
    """Write the tables last, so that they only ever describe whole runs."""
    card = loaded.card
    rows = [
        prediction_row(p.scan, p.brain_age, flag_age(p.scan, card), beside_age(p.scan, p.brain_age, card))
        for p in predictions
    ]
    columns = prediction_columns(rows)
    write_dataset_description(out, "Brain ages")
    write_json(
        out / "run.json",
        {
            "command": "predict",
            "model": card.facts().model_dump(mode="json"),
            "kept_more": kept_more,
            "settings": card.settings.prepare.model_dump(mode="json"),
            "preparation": card.preparation,
            "versions": _versions(),
            "inputs": {
                p.scan.key: {
                    "path": str(p.scan.path),
                    "sha256": p.input_sha256,
                    "mask": None if p.scan.mask_path is None else str(p.scan.mask_path),
                    "in_template": p.scan.in_template,
                    "stripped": p.scan.stripped,
                }
                for p in predictions
            },
        },
    )
    table = out / "predictions.tsv"
    write_data_dictionary(table, data_dictionary(columns))
    write_table(table, rows, columns)


def _anywhere(model: str | Path | None) -> str | None:
    """Return a name of the model that means the same in another process, whatever its folder."""
    if model is None or model in shipped_models():
        return None if model is None else str(model)
    return str(Path(model).absolute())


def _key(scan: Scan) -> str:
    return scan.key


@cache
def _versions() -> dict[str, str]:
    """Return the versions that an age may depend on."""
    packages = {name: version(name) for name in _PACKAGES if name != "brainclock"}
    return {"brainclock": __version__, "python": platform.python_version(), **packages}
