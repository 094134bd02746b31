"""``brainclock calibrate``: a model for another scanner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate_command(
    model: Annotated[
        str, typer.Argument(help="Name of a shipped model, or a model folder.", show_default=False)
    ],
    controls: Annotated[
        Path,
        typer.Argument(
            help="Its predictions of healthy people from the scanner (predictions.tsv).", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the new model.", show_default=False)
    ],
    ages: Annotated[
        Path | None,
        typer.Option(help="A table with participant_id and age; its ages count instead of the table's own."),
    ] = None,
    slope: Annotated[
        bool, typer.Option("--slope", help="Also fit a slope; needs 50 people, a shift 20.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Name of the new model.", show_default="MODEL-calibrated")
    ] = None,
) -> None:
    """Shift a model to a scanner by healthy people scanned there, and renew its intervals."""
    from brainclock.errors import InputError
    from brainclock.io.cells import is_healthy
    from brainclock.io.tables import read_table
    from brainclock.model.folder import load_model
    from brainclock.predict.calibrate import calibrate_model
    from brainclock.predict.observations import read_observations

    loaded = load_model(model)
    for row in read_table(controls):
        if row.get("model", loaded.card.identity) not in (loaded.card.identity, "n/a"):
            fix = "Predict with this model first."
            raise InputError(row.where("model"), row["model"], loaded.card.identity, fix)
        if not is_healthy(row.get("group") if row.get("group") != "n/a" else None):
            fix = "Leave patients out: their gaps would become the scanner's."
            raise InputError(row.where("group"), row["group"], "healthy people", fix)
    observations, _ = read_observations(controls, ages)
    found = calibrate_model(loaded, observations, output, with_slope=slope, name=name)
    shift, low, high = found.shift
    typer.echo(
        f"{found.people} people: age − predicted age {shift:+.2f} years (95 % {low:+.2f} to {high:+.2f}); "
        f"mean absolute error {found.mae_before:.2f} years before, {found.mae_after:.2f} after (each by the "
        "line of the others)."
    )
    if slope:
        tilt, low, high = found.slope
        typer.echo(f"Slope of age on predicted age {tilt:.2f} (95 % {low:.2f} to {high:.2f}).")
    before = "there was none" if found.coverage_before is None else _share(found.coverage_before)
    typer.echo(f"Ages inside the 90 % interval: before, {before}; after, {_share(found.coverage_after)}.")
    typer.echo(output)


def _share(coverage: tuple[float, float, float]) -> str:
    share, low, high = (100 * value for value in coverage)
    return f"{share:.0f} % (95 % {low:.0f} to {high:.0f})"
