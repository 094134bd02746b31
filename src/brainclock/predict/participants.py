"""Participants predicted side by side into one folder, by many runs, and joined afterwards.

Each run writes the files of its own scans and nothing that another run writes otherwise; the tables of the
cohort are made by `join_participants` from what all of them left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from brainclock.io.bids import derivative_path, write_dataset_description
from brainclock.io.lock import writing
from brainclock.io.scan import Scan
from brainclock.predict.answers import Job
from brainclock.predict.interval import LEVEL
from brainclock.predict.keeper import Keeper
from brainclock.predict.predictions import NAME, Predictions, write_predictions, write_run
from brainclock.predict.run import answer_scans, check_run
from brainclock.predict.table import prediction_columns


def predict_participants(
    scans: Sequence[Scan],
    out: Path,
    *,
    model: str | Path | None = None,
    level: float = LEVEL,
    stability: bool = False,
    sources: Sequence[Mapping[str, str]] = (),
    workers: int = 1,
    scheduler: str | None = None,
    memory_gb: float | None = None,
    keeper: Keeper | None = None,
    progress: bool = True,
) -> Predictions:
    """Predict some scans of a cohort; other runs may do others of it into the same folder at the same time.

    For each scan the prepared scan, and a table of one row, ``sub-X[_ses-Y]_predictions.tsv``, with its data
    dictionary.

    Parameters
    ----------
    scans : sequence of Scan
    out : Path
        Folder of the derivative dataset.
    model, level, stability, workers, scheduler, keeper, progress
        As for `predict_scans`.
    sources : sequence of mapping
        As for `write_dataset_description`; the same in all runs.
    memory_gb : float or None
        As for `map_scans`.

    Returns
    -------
    Predictions

    Raises
    ------
    InputError, ModelError, OutputError
        As `predict_scans`.
    """
    name, loaded = check_run(scans, model, level)
    job = Job(name, loaded.card.identity, out.absolute(), True, stability, False, keeper)
    with writing(out, beside_others=True):
        write_dataset_description(out, NAME, sources=sources)
        answer_scans(
            scans,
            job,
            loaded,
            workers=workers,
            scheduler=scheduler,
            memory_gb=memory_gb,
            progress=progress,
        )
        for scan in scans:
            own = Predictions([scan], out, loaded, level)
            columns = prediction_columns(own[0].brain_age.quality)
            write_predictions(derivative_path(out, scan.key, {}, "predictions", ".tsv"), own, columns)
    return Predictions(scans, out, loaded, level)


def join_participants(
    scans: Sequence[Scan],
    out: Path,
    *,
    model: str | Path | None = None,
    level: float = LEVEL,
    sources: Sequence[Mapping[str, str]] = (),
    kept_more: bool = False,
) -> Predictions:
    """Write the tables of a cohort, as `predict_scans` does, from what runs over its participants left.

    No image is read. A scan that no run has answered is a row without an age.

    Parameters
    ----------
    scans : sequence of Scan
        Of the whole cohort.
    out, model, level, sources
        As for `predict_participants`.
    kept_more : bool
        Whether those runs had a keeper.

    Raises
    ------
    InputError, ModelError, OutputError
        As `predict_scans`.
    """
    _, loaded = check_run(scans, model, level)
    predictions = Predictions(scans, out, loaded, level)
    with writing(out):
        write_run(predictions, sources, kept_more=kept_more)
    return predictions
