"""Many scans to a table of ages: resumable, on any number of workers, always the same bytes.

Each answer is kept as soon as it is there, in ``OUT/.scans/``; a run that was killed goes on from them.
The table is written last, in the order of the scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from brainclock.errors import InputError
from brainclock.execution import map_scans
from brainclock.io.atomic import make_folder
from brainclock.io.lock import writing
from brainclock.io.scan import Scan
from brainclock.model.folder import LoadedModel, shipped_models
from brainclock.predict.answers import ANSWERS, Job, answer_scan, keep_failure
from brainclock.predict.embedding import write_embeddings
from brainclock.predict.interval import LEVEL, check_request, warn_if_too_few
from brainclock.predict.keeper import Keeper
from brainclock.predict.predict import load
from brainclock.predict.predictions import Prediction, Predictions, write_run
from brainclock.prepare.scans import check_keys

__all__ = ["Prediction", "Predictions", "predict_scans"]


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
) -> Predictions:
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
    Predictions
        A sequence in the order of the scans, read from the folder one by one; a scan that failed has a
        reason and no age.

    Raises
    ------
    InputError
        No scan; two scans with one key; no level; another run is writing there; the options of `map_scans`.
    ModelError
        The model cannot be loaded.
    OutputError
        The folder cannot be written.
    """
    name, loaded = check_run(scans, model, level, older_than)
    job = Job(name, loaded.card.identity, out.absolute(), keep_prepared, stability, embeddings, keeper)
    with writing(out):
        answer_scans(scans, job, loaded, workers=workers, scheduler=scheduler, progress=progress)
        predictions = Predictions(scans, out, loaded, level, older_than)
        if embeddings:
            write_embeddings(out, (p for p in predictions if p.embedding is not None), loaded.card.identity)
        write_run(predictions, kept_more=keeper is not None)
    return predictions


def check_run(
    scans: Sequence[Scan], model: str | Path | None, level: float, older_than: float | None = None
) -> tuple[str | None, LoadedModel]:
    """Refuse what cannot be run; return the model, and the name by which workers load it.

    Raises
    ------
    InputError, ModelError
        As `predict_scans`.
    """
    check_keys(scans, "predict")
    check_request(level, older_than)
    name = _anywhere(model)
    loaded = load(name)
    warn_if_too_few(loaded.card, level)
    return name, loaded


def answer_scans(
    scans: Sequence[Scan],
    job: Job,
    loaded: LoadedModel,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    memory_gb: float | None = None,
    progress: bool = True,
) -> None:
    """Answer each scan and keep the answers, those of scans that failed as well.

    Raises
    ------
    InputError
        The options of `map_scans`; workers elsewhere do not see the folder.
    OutputError
        An answer cannot be written.
    """
    kept = make_folder(job.out / ANSWERS)
    outcomes = map_scans(
        partial(answer_scan, job),
        scans,
        key=_key,
        workers=workers,
        scheduler=scheduler,
        memory_gb=memory_gb,
        description="predict",
        progress=progress,
    )
    for scan, outcome in zip(scans, outcomes, strict=True):
        if outcome.failure is not None:
            keep_failure(job.out, scan, outcome, loaded)
        elif not (kept / f"{scan.key}.json").is_file():
            found = f"no answer for {scan.key}, though a worker gave one"
            fix = "Choose a folder that all machines see under one path."
            raise InputError(str(job.out), found, "a folder that is shared with the workers", fix)


def _anywhere(model: str | Path | None) -> str | None:
    """Return a name of the model that means the same in another process, whatever its folder."""
    if model is None or model in shipped_models():
        return None if model is None else str(model)
    return str(Path(model).absolute())


def _key(scan: Scan) -> str:
    return scan.key
