"""``brainclock doctor``: checks that everything is in place."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor_command(
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
    licences: Annotated[
        bool,
        typer.Option(
            "--licences", help="Instead list what is installed with brainclock, with licences, as TSV."
        ),
    ] = False,
) -> None:
    """Check the installation, the model and its golden input."""
    if licences:
        _print_licences()
        return
    from brainclock.predict.doctor import examine

    failed = 0
    for check in examine(model):
        typer.echo(str(check))
        failed += not check.ok
    if failed:
        raise typer.Exit(1)


def _print_licences() -> None:
    from brainclock.predict.licences import LIBRARIES, installed_components

    typer.echo("package\tversion\tlicence\tlibraries")
    for one in installed_components():
        libraries = "; ".join(f"{name} ({LIBRARIES[name]})" for name in one.libraries)
        typer.echo("\t".join((one.name, one.version, one.licence or "n/a", libraries or "n/a")))
