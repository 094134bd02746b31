"""``brainclock gap``: what the brain age gap says in a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def gap_command(
    predictions: Annotated[
        Path,
        typer.Argument(help="A table of predictions (TSV or CSV), ours or anybody's.", show_default=False),
    ],
    participants: Annotated[
        Path,
        typer.Argument(
            help="A table of people: groups, scores, covariates, perhaps by visit.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)
    ],
    group: Annotated[
        str | None, typer.Option(help="Column of the groups.", show_default="group, diagnosis or dx")
    ] = None,
    controls: Annotated[str, typer.Option(help="The group of healthy people.")] = "HC",
    severity: Annotated[str, typer.Option(help="Columns of scores, separated by commas.")] = "",
    covariates: Annotated[
        str, typer.Option(help="What is held fixed, separated by commas; 'age2' is the square of age.")
    ] = "age,age2,sex,site",
    volumes: Annotated[
        str, typer.Option(help="Columns of brain volumes that the gap must say more than.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Names of columns in the table of people: bids, adni or ppmi.")
    ] = "bids",
    column: Annotated[str, typer.Option(help="The column with the raw predicted age.")] = "predicted_age",
    resamples: Annotated[int, typer.Option(help="Draws of the bootstrap.", min=100)] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and the folds.", min=0)] = 1,
) -> None:
    """Compare the gap between groups and with severity, with intervals and all that was run."""
    from brainclock.io.nifti import image_hash
    from brainclock.predict.study import read_study
    from brainclock.report.gap import write_gap
    from brainclock.report.gap_words import results
    from brainclock.stats.gap import analyse_gap
    from brainclock.stats.plan import GapPlan
    from brainclock.stats.study import AGE_SQUARED

    held = tuple(AGE_SQUARED if name == "age2" else name for name in _names(covariates))
    scores, sizes = _names(severity), _names(volumes)
    read = read_study(
        predictions,
        participants,
        variables=[*held, *scores, *sizes],
        group=group,
        column=column,
        columns=columns,
    )
    plan = GapPlan(
        controls,
        tuple(name for name in scores if name not in read.problems),
        tuple(name for name in held if name not in read.problems),
        tuple(name for name in sizes if name not in read.problems),
        resamples=resamples,
        seed=seed,
    )
    analysis = analyse_gap(read.study, plan)
    source = {
        "predictions": predictions,
        "predictions_sha256": image_hash(predictions),
        "participants": participants,
        "participants_sha256": image_hash(participants),
        "group": group,
        "columns": columns,
        "column": column,
    }
    write_gap(analysis, output, source, counts=read.counts, problems=read.problems)
    typer.echo(results(analysis))
    for sentence in (*read.problems.values(), *analysis.notes):
        typer.echo(sentence, err=True)
    typer.echo(output / "gap.html")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
