"""``brainclock predict``: the age of every brain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from brainclock.io.scan import Scan
    from brainclock.predict.brain_age import BrainAge
    from brainclock.predict.predictions import Predictions


def predict_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images, folders, BIDS datasets, or tables with a column path.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for the table; without it, one image and its age on the screen."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
    ages: Annotated[
        Path | None,
        typer.Option(
            help="Table with participant_id, age, sex, site, group; else participants.tsv beside the scans."
        ),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Brain mask of the image, if it is a single one.")] = None,
    template_space: Annotated[
        bool, typer.Option("--template-space", help="The scans lie in MNI152 space; don't register them.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
    keep_prepared: Annotated[
        bool, typer.Option("--keep-prepared", help="Also write the prepared scans.")
    ] = False,
    level: Annotated[
        float, typer.Option(help="Of the interval: share of healthy people whose age lies in it.")
    ] = 0.9,
    older_than: Annotated[
        float | None,
        typer.Option(
            help="Give the chance that somebody with such a brain is older than this, years.",
            show_default="the own age",
        ),
    ] = None,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability", help="Also how far the age moves on voxels turned by 3°; takes 5 times as long."
        ),
    ] = False,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Also write embeddings.npy and embeddings.tsv.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Also write pages: one for each scan with pictures, one for all.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read the age of each brain from its T1w scan."""
    from brainclock.errors import InputError
    from brainclock.io.find import find_scans
    from brainclock.predict.predict import predict_scan

    scans = find_scans(inputs, mask=mask, in_template=template_space, participants=ages, output=output)
    if output is None:
        for option, wanted in (("--embeddings", embeddings), ("--report", report)):
            if wanted:
                raise InputError(option, "no --output", "a folder for its files", "Add -o FOLDER.")
        _check_one(scans)
        answer = predict_scan(scans[0], model, level=level, older_than=older_than, stability=stability)
        _print_one(scans[0], answer, as_json)
        return
    from brainclock.predict.run import predict_scans
    from brainclock.report.keepsake import PageKeeper
    from brainclock.report.pages import write_report

    predictions = predict_scans(
        scans,
        output,
        model=model,
        workers=workers,
        scheduler=scheduler,
        keep_prepared=keep_prepared,
        level=level,
        older_than=older_than,
        stability=stability,
        embeddings=embeddings,
        keeper=PageKeeper(output.absolute()) if report else None,
    )
    written = [output / "predictions.tsv"]
    if report:
        written.append(write_report(output, workers=workers, scheduler=scheduler))
    _print_many(predictions, written, as_json)


def _check_one(scans: list[Scan]) -> None:
    from brainclock.errors import InputError

    if len(scans) != 1:
        found = f"{len(scans)} scans and no --output"
        raise InputError("brainclock predict", found, "a folder for the table", "Add -o FOLDER.")


def _print_one(scan: Scan, answer: BrainAge, as_json: bool) -> None:
    """Print the age of one scan; exit 1 if it has none."""
    import json

    from brainclock.predict.flags import FLAGS

    if as_json:
        typer.echo(json.dumps(answer.as_dict(), indent=2))
    elif answer.predicted_age is not None:
        typer.echo(str(answer))
        if answer.probability_older is not None:
            typer.echo(f"older than {answer.older_than:g} years: {100 * answer.probability_older:.0f} %")
        if answer.stability_sd is not None:
            typer.echo(
                f"on turned voxels: SD {answer.stability_sd:.2f}, at most {answer.stability_max:.2f} years"
            )
    if answer.predicted_age is None:
        typer.echo(f"{scan.path}: {answer}", err=True)
        raise typer.Exit(1)
    for flag in answer.flags:
        typer.echo(f"{flag}: {FLAGS[flag]}", err=True)


def _print_many(predictions: Predictions, written: list[Path], as_json: bool) -> None:
    """Print how many scans have an age, which have none and why, and what was written; exit 1 if any."""
    import json

    failed = print_failures(predictions)
    number = len(predictions) - failed
    if as_json:
        paths = dict(zip(("table", "report"), map(str, written), strict=False))
        typer.echo(json.dumps({**paths, "predicted": number, "failed": failed}))
    else:
        typer.echo(f"{number} of {len(predictions)} scans have an age.")
        typer.echo("\n".join(map(str, written)))
    if failed:
        raise typer.Exit(1)


def print_failures(predictions: Predictions) -> int:
    """Print which scans have no age, and why; return how many."""
    failed = 0
    for p in predictions:
        if p.brain_age.predicted_age is None:
            typer.echo(f"{p.scan.key}: {p.brain_age}", err=True)
            failed += 1
    return failed
