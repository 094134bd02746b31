"""All pages of a run: one a scan, on any number of workers, then the one of the cohort."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from brainclock.errors import BrainclockError
from brainclock.execution import map_scans
from brainclock.io.atomic import make_folder
from brainclock.report.cohort import write_cohort
from brainclock.report.person import PAGES, page_path, write_entry
from brainclock.report.run_folder import Entry, RunFacts, read_run


def write_report(out: Path, *, workers: int = 1, scheduler: str | None = None, progress: bool = True) -> Path:
    """Write a page for each scan of a run and one for all, and return the latter.

    ``OUT/report/KEY.html`` and ``OUT/report/index.html``: each one file, which loads nothing. Made again
    from the same run they have the same bytes; the page of a scan that is no longer in the table goes.

    Parameters
    ----------
    out : Path
        Folder that ``brainclock predict`` wrote.
    workers, scheduler, progress
        As for `map_scans`.

    Raises
    ------
    BrainclockError
        There is no run in the folder, or its table is damaged; the options of `map_scans`.
    OutputError
        A page cannot be written.
    """
    facts, entries = read_run(out)
    make_folder(facts.out / PAGES)
    outcomes = map_scans(
        partial(_write, replace(facts, out=out.absolute())),
        entries,
        key=_key,
        workers=workers,
        scheduler=scheduler,
        description="report",
        progress=progress,
    )
    for outcome in outcomes:
        if outcome.failure is not None:
            raise BrainclockError(f"{outcome.key} has no page. {outcome.failure}")
    _remove_others(facts.out, {_key(entry) for entry in entries})
    return write_cohort(facts, entries)


def _write(facts: RunFacts, entry: Entry) -> str:
    return str(write_entry(facts, entry))


def _key(entry: Entry) -> str:
    return entry.row["key"]


def _remove_others(out: Path, keys: set[str]) -> None:
    """Remove the pages of scans of an earlier run that are not in this one."""
    wanted = {page_path(out, key).name for key in keys}
    for page in (out / PAGES).glob("sub-*.html"):
        if page.name not in wanted:
            page.unlink()
