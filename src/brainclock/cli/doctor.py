"""``brainclock doctor``: checks that everything is in place."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor_command(
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
) -> None:
    """Check the installation, the model and its golden input."""
    from brainclock.predict.doctor import examine

    failed = 0
    for check in examine(model):
        typer.echo(str(check))
        failed += not check.ok
    if failed:
        raise typer.Exit(1)
