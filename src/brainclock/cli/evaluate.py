"""``brainclock evaluate``: how good predicted ages are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from brainclock.predict.evaluate import Evaluation, Unit


def evaluate_command(
    predictions: Annotated[
        Path, typer.Argument(help="A table of predictions (TSV or CSV).", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)
    ],
    ages: Annotated[
        Path | None,
        typer.Option(help="A table with participant_id and age; its ages count instead of the table's own."),
    ] = None,
    column: Annotated[str, typer.Option(help="The column with the raw predicted age.")] = "predicted_age",
    model: Annotated[
        str | None,
        typer.Option(help="Model name or folder: adds what needs the ages of its training people."),
    ] = None,
    per_scan: Annotated[
        bool, typer.Option("--per-scan", help="Let each scan count, not the mean of a person's scans.")
    ] = False,
    resamples: Annotated[int, typer.Option(help="Draws of the bootstrap.", min=100)] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 1,
) -> None:
    """Measure predicted ages against true ages: error, R², bias, each with an interval."""
    from brainclock.report.evaluation import summary

    evaluation = evaluate_table(
        predictions,
        output,
        ages=ages,
        column=column,
        model=model,
        unit="scan" if per_scan else "participant",
        resamples=resamples,
        seed=seed,
    )
    typer.echo(summary(evaluation))
    for note in evaluation.notes:
        typer.echo(note, err=True)
    typer.echo(output / "evaluation.html")


def evaluate_table(
    predictions: Path,
    output: Path,
    *,
    ages: Path | None = None,
    column: str = "predicted_age",
    model: str | None = None,
    unit: Unit = "participant",
    resamples: int = 2000,
    seed: int = 1,
) -> Evaluation:
    """Evaluate a table of predictions and write the results; options as those of the command."""
    from brainclock.io.nifti import image_hash
    from brainclock.predict.evaluate import evaluate, training_ages
    from brainclock.predict.observations import read_observations
    from brainclock.report.evaluation import write_evaluation

    card = None
    if model is not None:
        from brainclock.model.folder import load_model

        card = load_model(model).card
    observations, counts = read_observations(predictions, ages, column=column)
    evaluation = evaluate(
        observations,
        counts=counts,
        unit=unit,
        training_ages=None if card is None else training_ages(card),
        resamples=resamples,
        seed=seed,
    )
    source = {
        "predictions": predictions,
        "predictions_sha256": image_hash(predictions),
        "ages": ages,
        "ages_sha256": None if ages is None else image_hash(ages),
        "column": column,
        "model": None if card is None else card.identity,
    }
    write_evaluation(evaluation, output, source)
    return evaluation
