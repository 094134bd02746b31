"""``brainclock report``: a page a scan, and a page for all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder that brainclock predict wrote.", show_default=False)],
    workers: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Write a page for each scan and one for all: HTML files that open anywhere and load nothing."""
    from brainclock.report.pages import write_report

    typer.echo(write_report(folder, workers=workers, scheduler=scheduler))
