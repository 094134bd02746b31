"""``brainclock reliability``: how far predicted ages repeat in the same people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reliability_command(
    predictions: Annotated[
        Path,
        typer.Argument(help="A table of predictions, a row a scan (TSV or CSV).", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)
    ],
    ages: Annotated[
        Path | None,
        typer.Option(help="A table with participant_id and age; its ages count instead of the table's own."),
    ] = None,
    within: Annotated[
        float, typer.Option(help="Years between two scans that count as a repetition, at most.", min=0)
    ] = 0.25,
    column: Annotated[str, typer.Option(help="The column with the raw predicted age.")] = "predicted_age",
) -> None:
    """Measure how predicted ages repeat: ICC, smallest credible change, agreement, rate of change."""
    from brainclock.io.nifti import image_hash
    from brainclock.predict.observations import read_observations
    from brainclock.predict.repeats import analyse_repeats
    from brainclock.report.reliability import summary, write_reliability

    observations, counts = read_observations(predictions, ages, column=column)
    repeats = analyse_repeats(observations, within_years=within)
    source = {
        "predictions": predictions,
        "predictions_sha256": image_hash(predictions),
        "ages": ages,
        "ages_sha256": None if ages is None else image_hash(ages),
        "column": column,
    }
    write_reliability(repeats, output, source, counts)
    typer.echo(summary(repeats))
    typer.echo(output / "reliability.html")
