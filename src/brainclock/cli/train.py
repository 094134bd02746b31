"""``brainclock train``: scans with ages in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images, folders, BIDS datasets, or tables with a column path.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model folder.", show_default=False)],
    config: Annotated[Path | None, typer.Option(help="Settings, TOML; see docs/settings.md.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, section.name=value; as often as needed.")
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
    name: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the folder's")] = None,
    workers: Annotated[int, typer.Option(help="Processes that prepare scans.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Train a model on healthy people of known ages.

    Run it again to go on after a stop. Exit code 1: the model is there, but some scans were left out.
    """
    from brainclock.config import load_settings
    from brainclock.io.find import find_scans
    from brainclock.io.read import read_json
    from brainclock.train.run import train

    settings = load_settings(config, set_ or [])
    scans = find_scans(inputs, in_template=template_space, participants=ages)
    folder = train(scans, output, settings, name=name, workers=workers, scheduler=scheduler)
    left_out = read_json(folder / "run.json")["left_out"]
    for key, reason in left_out.items():
        typer.echo(f"{key} did not train: {reason}", err=True)
    typer.echo(folder)
    if left_out:
        raise typer.Exit(1)
