"""``brainclock BIDS_DIR OUTPUT_DIR participant|group``: brainclock as a BIDS App."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from brainclock.predict.predictions import Predictions

#: The analysis levels: what tells a command line of a BIDS App from others.
LEVELS = ("participant", "group")
#: Options that take all words up to the next option, as in other BIDS Apps.
_LABELS = ("--participant-label", "--participant_label", "--session-label", "--session_label")


def bids_command(
    bids_dir: Annotated[Path, typer.Argument(help="A BIDS dataset with T1w scans.", show_default=False)],
    output_dir: Annotated[Path, typer.Argument(help="Folder of the derivatives.", show_default=False)],
    analysis_level: Annotated[
        Literal["participant", "group"],
        typer.Argument(
            help="participant: prepare and predict the scans; several such runs may share the folder. "
            "group: join what they left in the tables of the cohort.",
            show_default=False,
        ),
    ],
    participant_label: Annotated[
        list[str] | None,
        typer.Option("--participant-label", "--participant_label", help="Only these, with or without sub-."),
    ] = None,
    session_label: Annotated[
        list[str] | None,
        typer.Option("--session-label", "--session_label", help="Only these, with or without ses-."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Of the interval: share of healthy people whose age lies in it.")
    ] = 0.9,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability", help="Also how far the age moves on voxels turned by 3°; takes 5 times as long."
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="participant: keep pictures for pages. group: write a page a scan and one for all.",
        ),
    ] = False,
    n_procs: Annotated[
        int, typer.Option("--n-procs", "--n_procs", "--nprocs", help="Processes on this machine.", min=1)
    ] = 1,
    mem_gb: Annotated[
        float | None,
        typer.Option(
            "--mem-gb", "--mem_gb", help="Memory of all processes: no more of them than fit, each held to it."
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
    work_dir: Annotated[
        Path | None,
        typer.Option("--work-dir", "--work_dir", "-w", help="For temporary files; else that of the system."),
    ] = None,
    skip_bids_validation: Annotated[
        bool,
        typer.Option(
            "--skip-bids-validation",
            "--skip_bids_validation",
            help="Take a folder that does not say that it is a BIDS dataset.",
        ),
    ] = False,
) -> None:
    """Read the ages of a BIDS dataset, as a BIDS App: the word bids may be left out.

    `brainclock BIDS_DIR OUTPUT_DIR participant` is the same.
    """
    from brainclock.cli.predict import print_failures
    from brainclock.io.bids import describe_source
    from brainclock.io.find import find_scans
    from brainclock.io.participants import check_dataset, choose_folders

    folders = choose_folders(bids_dir, participant_label or [], session_label or [])
    if not skip_bids_validation:
        check_dataset(bids_dir)
    if work_dir is not None:
        _work_in(work_dir)
    scans = find_scans(folders, output=output_dir)
    sources = [describe_source(bids_dir)]
    if analysis_level == "participant":
        from brainclock.predict.participants import predict_participants
        from brainclock.report.keepsake import PageKeeper

        predictions = predict_participants(
            scans,
            output_dir,
            model=model,
            level=level,
            stability=stability,
            sources=sources,
            workers=n_procs,
            scheduler=scheduler,
            memory_gb=mem_gb,
            keeper=PageKeeper(output_dir.absolute()) if report else None,
        )
        for p in predictions:
            if p.brain_age.predicted_age is not None:
                typer.echo(f"{p.scan.key}: {p.brain_age}")
    else:
        from brainclock.predict.participants import join_participants

        predictions = join_participants(
            scans, output_dir, model=model, level=level, sources=sources, kept_more=report
        )
        typer.echo(output_dir / "predictions.tsv")
        _evaluate(predictions, model)
        if report:
            from brainclock.report.pages import write_report

            typer.echo(write_report(output_dir, workers=n_procs, scheduler=scheduler))
    failed = print_failures(predictions)
    typer.echo(f"{len(predictions) - failed} of {len(predictions)} scans have an age.")
    if failed:
        raise typer.Exit(1)


def is_bids_line(words: Sequence[str], commands: Sequence[str]) -> bool:
    """Whether a command line is that of a BIDS App: no command first, but a folder, or a level later."""
    if not words or words[0] in commands:
        return False
    return any(word in LEVELS for word in words[1:]) or Path(words[0]).is_dir()


def one_label_each(words: Sequence[str]) -> list[str]:
    """Return the words with ``--participant-label 01 02`` as two options, as other BIDS Apps read it."""
    found: list[str] = []
    option: str | None = None
    for word in words:
        if word.startswith("-"):
            option = word if word in _LABELS else None
            found.append(word)
        elif option is not None and found[-1] != option:
            found += [option, word]
        else:
            found.append(word)
    return found


def _work_in(folder: Path) -> None:
    """Let temporary files of this process, and of those that it starts, lie in a folder."""
    import os
    import tempfile

    from brainclock.io.atomic import make_folder

    os.environ["TMPDIR"] = str(make_folder(folder).absolute())
    tempfile.tempdir = None  # else what was found before holds


def _evaluate(predictions: Predictions, model: str | None) -> None:
    """Evaluate the table of the cohort, if enough people have an age in it."""
    from brainclock.cli.evaluate import evaluate_table
    from brainclock.predict.evaluate import FEWEST
    from brainclock.report.evaluation import summary

    people = {
        p.scan.participant_id
        for p in predictions
        if p.brain_age.predicted_age is not None and p.scan.age is not None and not p.scan.age_censored
    }
    if len(people) < FEWEST:
        typer.echo(f"Not evaluated: {len(people)} people with both ages, {FEWEST} are needed.", err=True)
        return
    out = predictions.out
    evaluation = evaluate_table(out / "predictions.tsv", out, model=model)
    typer.echo(summary(evaluation))
    typer.echo(out / "evaluation.html")
