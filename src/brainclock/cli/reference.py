"""``brainclock reference``: what healthy people look like to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reference_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images, folders, BIDS datasets, or tables with a column path.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for the reference; may be the model's own.", show_default=False
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="The validation.tsv of the training, if these people trained the model: each is read by the "
            "member that has not seen that person."
        ),
    ] = None,
    ages: Annotated[
        Path | None,
        typer.Option(
            help="Table with participant_id, age, sex, site, group; else participants.tsv beside the scans."
        ),
    ] = None,
    template_space: Annotated[
        bool, typer.Option("--template-space", help="The scans lie in MNI152 space; don't register them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap over people.", min=0)] = 1,
    workers: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Learn the mean brain and the expected map of healthy people by age, to explain gaps with."""
    from brainclock.explain.build import build_reference
    from brainclock.io.find import find_scans

    scans = find_scans(inputs, in_template=template_space, participants=ages, output=output)
    found = build_reference(
        scans, output, model=model, held_out=held_out, seed=seed, workers=workers, scheduler=scheduler
    )
    youngest, oldest = found.ages
    typer.echo(f"{found.people} healthy people of {youngest:.0f} to {oldest:.0f} years.")
    typer.echo(output / "reference.json")
