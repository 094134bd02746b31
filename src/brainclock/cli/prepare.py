"""``brainclock prepare``: raw heads to brains on the model grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from brainclock.config import PrepareSettings


def prepare_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images, folders, BIDS datasets, or tables with a column path.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the BIDS derivatives.", show_default=False)
    ],
    model: Annotated[
        str | None, typer.Option(help="Prepare as this model wants it: a shipped model, or a model folder.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of a training run, TOML.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, such as prepare.bias=none.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Brain mask of the image, if it is a single one.")] = None,
    template_space: Annotated[
        bool, typer.Option("--template-space", help="The scans lie in MNI152 space; don't register them.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Prepare scans: brain mask, bias field, template space, model grid, quality gates."""
    from brainclock.io.find import find_scans
    from brainclock.prepare.scans import prepare_scans

    settings = _settings(model, config, set_ or [])
    scans = find_scans(inputs, mask=mask, in_template=template_space, output=output)
    rows = prepare_scans(scans, output, settings, workers=workers, scheduler=scheduler)
    failed = [row for row in rows if row.status == "failed"]
    for row in failed:
        typer.echo(f"{row.scan.key}: {row.reason}", err=True)
    typer.echo(f"{len(rows) - len(failed)} of {len(rows)} scans are prepared.")
    typer.echo(output / "preparation.tsv")
    if failed:
        raise typer.Exit(1)


def _settings(model: str | None, config: Path | None, overrides: list[str]) -> PrepareSettings:
    """Return the settings of a model, or those of a run."""
    from brainclock.config import load_settings
    from brainclock.errors import InputError

    if model is None:
        return load_settings(config, overrides).prepare
    if config is not None or overrides:
        found, fix = "--config or --set as well", "Leave out one of them."
        raise InputError("--model", found, "the settings of the model alone", fix)
    from brainclock.model.folder import load_model

    return load_model(model).card.settings.prepare
