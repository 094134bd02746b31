"""Many scans to derivatives and one table: resumable, on any number of workers, always the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from brainclock.config import PrepareSettings
from brainclock.errors import InputError, ScanRefused
from brainclock.execution import Outcome, map_scans
from brainclock.io.atomic import write_json
from brainclock.io.bids import write_dataset_description
from brainclock.io.lock import writing
from brainclock.io.scan import Scan
from brainclock.io.tables import write_data_dictionary, write_table
from brainclock.prepare.chain import prepare_scan, versions
from brainclock.prepare.derivatives import (
    describe_inputs,
    find_prepared,
    prepared_path,
    remove_prepared,
    write_prepared,
)
from brainclock.prepare.prepared import PreparedScan
from brainclock.prepare.quality import describe_measure, written
from brainclock.prepare.snapshot import Snapshot

#: Before the names of the quality measures, as in the table of predictions.
QUALITY = "q_"

COLUMNS: dict[str, dict[str, object]] = {
    "participant_id": {"Description": "Participant; of a loose file, made from its name."},
    "session_id": {"Description": "Session of the participant."},
    "key": {"Description": "Name of the scan in this run and of all files made from it."},
    "path": {"Description": "The image, as it was given."},
    "status": {
        "Description": "Whether the scan was prepared.",
        "Levels": {"ok": "prepared", "failed": "not prepared; the reason column says why"},
    },
    "reason": {"Description": "Why the scan failed: the gate, the figure and its limits."},
    "prepared": {"Description": "The prepared image, from this folder on."},
}


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """What became of one scan.

    Parameters
    ----------
    scan : Scan
    status : {'ok', 'failed'}
    reason : str or None
        Why it failed, one sentence with the figure; None where all is well.
    prepared : Path or None
        The prepared image; None where it failed.
    quality : mapping of str to float
        Quality measures, names as in ``docs/preparation.md``; of a scan that failed, as far as it got.
    """

    scan: Scan
    status: Literal["ok", "failed"]
    reason: str | None
    prepared: Path | None
    quality: Mapping[str, float] = field(default_factory=dict)


def prepare_scans(
    scans: Sequence[Scan],
    out: Path,
    settings: PrepareSettings,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> list[PreparedRow]:
    """Prepare each scan and write the results as BIDS derivatives.

    For each scan the files of `write_prepared`; ``preparation.tsv`` with its data dictionary
    ``preparation.json``, ``run.json`` (settings and versions) and ``dataset_description.json``.

    Parameters
    ----------
    scans : sequence of Scan
        With different keys, as `find_scans` gives them.
    out : Path
        Folder; what an earlier run made in it of the same scan with the same settings stays as it is.
    settings : PrepareSettings
    workers, scheduler, progress
        As for `map_scans`.

    Returns
    -------
    list of PreparedRow
        In the order of the scans; a scan that failed has a reason and no image.

    Raises
    ------
    InputError
        No scan; two scans with one key; another run is writing there; the options of `map_scans`.
    OutputError
        The folder cannot be written.
    """
    check_keys(scans, "prepare")
    with writing(out):
        outcomes = map_scans(
            partial(_figures, out=out.absolute(), settings=settings),
            scans,
            key=_key,
            workers=workers,
            scheduler=scheduler,
            description="prepare",
            progress=progress,
        )
        rows = [_row(scan, outcome, settings, out) for scan, outcome in zip(scans, outcomes, strict=True)]
        _write(rows, settings, out)
    return rows


def prepare_into(
    scan: Scan, settings: PrepareSettings, out: Path, snapshot: Snapshot | None = None
) -> PreparedScan:
    """Return the prepared scan as it lies in ``out``: what an earlier run made, or made and written now.

    With a ``snapshot`` to be filled it is always made now: the head isn't kept.

    Raises
    ------
    ScanRefused, InputError
        As `prepare_scan`; what an earlier run made of the scan is removed.
    OutputError
        A file cannot be written.
    """
    if prepared_path(scan, settings.grid, out).absolute() == scan.path.absolute():
        return prepare_scan(scan, settings)  # what lies in its place already is taken as it is
    inputs = describe_inputs(scan)
    before = find_prepared(scan, inputs, settings, versions(), out) if snapshot is None else None
    if before is not None:
        return before
    try:
        prepared = prepare_scan(scan, settings, snapshot)
    except (ScanRefused, InputError):
        remove_prepared(scan, settings.grid, out)
        raise
    write_prepared(prepared, scan, inputs, out)
    return prepared


def check_keys(scans: Sequence[Scan], command: str) -> None:
    """Refuse an empty run and two scans with one key; raises `InputError`."""
    if not scans:
        raise InputError(command, "no scan", "one or more", "Check the input.")
    seen: dict[str, Path] = {}
    for scan in scans:
        if scan.key in seen:
            found = f"the key {scan.key} for {seen[scan.key]} as well"
            raise InputError(str(scan.path), found, "one key a scan", "Rename one of the two.")
        seen[scan.key] = scan.path


def _figures(scan: Scan, *, out: Path, settings: PrepareSettings) -> dict[str, float]:
    """Prepare one scan and return its quality measures: arrays don't travel between processes."""
    return dict(prepare_into(scan, settings, out).quality)


def _row(scan: Scan, outcome: Outcome[dict[str, float]], settings: PrepareSettings, out: Path) -> PreparedRow:
    if outcome.value is None:
        return PreparedRow(scan, "failed", outcome.failure or "no reason given", None, outcome.figures)
    return PreparedRow(scan, "ok", None, prepared_path(scan, settings.grid, out), outcome.value)


def _write(rows: Sequence[PreparedRow], settings: PrepareSettings, out: Path) -> None:
    """Write the table last, so that it only ever describes a whole run."""
    write_dataset_description(out, "Prepared T1-weighted scans")
    run = {"command": "prepare", "settings": settings.model_dump(mode="json"), "versions": versions()}
    write_json(out / "run.json", {**run, "settings_digest": settings.digest()})
    measures = sorted({name for row in rows for name in row.quality})
    described = {f"{QUALITY}{name}": describe_measure(name) for name in measures}
    table = out / "preparation.tsv"
    write_data_dictionary(table, {**COLUMNS, **described})
    write_table(table, (_cells(row, out) for row in rows), [*COLUMNS, *described])


def _cells(row: PreparedRow, out: Path) -> dict[str, object]:
    """Return one line of the table; quality measures to 6 digits."""
    return {
        "participant_id": row.scan.participant_id,
        "session_id": row.scan.session_id,
        "key": row.scan.key,
        "path": str(row.scan.path),
        "status": row.status,
        "reason": row.reason,
        "prepared": None if row.prepared is None else row.prepared.relative_to(out).as_posix(),
        **{f"{QUALITY}{name}": written(value) for name, value in row.quality.items()},
    }


def _key(scan: Scan) -> str:
    return scan.key
