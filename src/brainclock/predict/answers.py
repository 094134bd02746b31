"""The answer for each scan of a run, on disk as soon as it is there: ``OUT/.scans/KEY.json``.

A run that was killed goes on from them, tables are written from them, and no process holds them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxtyping import Float32
from numpy import ndarray

from brainclock import __version__
from brainclock.errors import InputError, ModelError, ScanRefused
from brainclock.execution import Outcome
from brainclock.io.atomic import write_json
from brainclock.io.nifti import image_hash
from brainclock.io.read import read_json
from brainclock.io.scan import Scan
from brainclock.model.folder import LoadedModel
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.embedding import as_text, from_text
from brainclock.predict.flags import flag_scan
from brainclock.predict.keeper import Keeper, Sight
from brainclock.predict.predict import answer_prepared, load, look, refused, scan_stability
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.scans import prepare_into
from brainclock.prepare.snapshot import Snapshot

ANSWERS = ".scans"
_PACKAGES = ("brainclock", "deepbet", "nibabel", "numpy", "scipy", "SimpleITK", "torch")


@dataclass(frozen=True, slots=True)
class Job:
    """What all scans of a run share; it travels to the workers, the weights do not.

    Parameters
    ----------
    model : str or None
        Name or absolute folder.
    identity : str
        Of the model when the run began.
    out : Path
        The output folder, absolute.
    keep_prepared, stability, embeddings, keeper
        As for `predict_scans`.
    """

    model: str | None
    identity: str
    out: Path
    keep_prepared: bool
    stability: bool
    embeddings: bool
    keeper: Keeper | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is kept of a scan.

    Parameters
    ----------
    brain_age : BrainAge
        Without an interval.
    sha256 : str or None
        Of the image file; None where it cannot be read.
    embedding : ndarray of float32, shape (d,), or None
        Where it was asked for and the scan has an age.
    """

    brain_age: BrainAge
    sha256: str | None
    embedding: Float32[ndarray, " d"] | None = None


def answer_scan(job: Job, scan: Scan) -> None:
    """Find the age of a scan and keep it, unless it is kept already.

    Raises
    ------
    InputError, ScanRefused
        The scan has no age.
    ModelError
        The model is not the one that the run began with.
    OutputError
        The answer cannot be written.
    """
    loaded = load(job.model)
    if loaded.card.identity != job.identity:
        raise ModelError(f"{loaded.folder} changed during the run: start again.")
    sha256 = image_hash(scan.path)
    digest = _digest(scan, sha256, loaded, job)
    if not (_is_kept(job.out, scan.key, digest) and _has_more(job, scan, digest, loaded)):
        _write(job.out, scan.key, digest, _answer_anew(job, scan, sha256, digest, loaded))
    elif job.keep_prepared:
        prepare_into(scan, loaded.card.settings.prepare, job.out)


def _answer_anew(job: Job, scan: Scan, sha256: str, digest: str, loaded: LoadedModel) -> Answer:
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
    return Answer(answer, sha256, seen.embedding if job.embeddings else None)


def _has_more(job: Job, scan: Scan, digest: str, loaded: LoadedModel) -> bool:
    return job.keeper is None or job.keeper.has(scan, digest, loaded)


def _show(job: Job, sight: Sight) -> None:
    if job.keeper is not None:
        job.keeper.keep(sight)


def keep_failure(out: Path, scan: Scan, outcome: Outcome[None], loaded: LoadedModel) -> None:
    """Keep why a scan has no age; the next run tries it again. Raises `OutputError`."""
    sha256 = None
    with contextlib.suppress(InputError):
        sha256 = image_hash(scan.path)
    reason = outcome.failure or "no reason given"
    _write(out, scan.key, None, Answer(refused(reason, loaded, outcome.figures, flag_scan(scan)), sha256))


def read_answer(out: Path, key: str) -> Answer | None:
    """Return what is kept of a scan, whatever the question was; None if nothing is, or nothing whole."""
    kept = _read(out, key)
    try:
        embedding = from_text(kept["embedding"]) if "embedding" in kept else None
        return Answer(BrainAge.from_dict(kept["answer"]), kept["sha256"], embedding)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _is_kept(out: Path, key: str, digest: str) -> bool:
    """Whether the same question was answered; what was damaged from outside is answered again."""
    return _read(out, key).get("digest") == digest and read_answer(out, key) is not None


def _read(out: Path, key: str) -> dict[str, Any]:
    path = out / ANSWERS / f"{key}.json"
    if not path.is_file():
        return {}
    try:
        kept = read_json(path)
    except InputError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(out: Path, key: str, digest: str | None, answer: Answer) -> None:
    kept = {"digest": digest, "answer": answer.brain_age.as_dict(), "sha256": answer.sha256}
    if answer.embedding is not None:
        kept["embedding"] = as_text(answer.embedding)
    write_json(out / ANSWERS / f"{key}.json", kept)


def _digest(scan: Scan, sha256: str, loaded: LoadedModel, job: Job) -> str:
    """SHA-256 of all that an answer depends on; the age is not among it."""
    everything = {
        "image": sha256,
        "mask": None if scan.mask_path is None else image_hash(scan.mask_path),
        "in_template": scan.in_template,
        "stripped": scan.stripped,
        "weights": loaded.card.weights_sha256,
        "card": loaded.card.digest(),
        "versions": age_versions(),
        "stability": job.stability,
        "embeddings": job.embeddings,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


@cache
def age_versions() -> dict[str, str]:
    """Return the versions that an age may depend on."""
    packages = {name: version(name) for name in _PACKAGES if name != "brainclock"}
    return {"brainclock": __version__, "python": platform.python_version(), **packages}
