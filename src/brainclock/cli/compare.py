"""``brainclock compare``: rivals on the same people, folds, seeds and budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    config: Annotated[
        Path, typer.Argument(help="The experiment, TOML; see docs/comparing.md.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, section.name=value; as often as needed.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, each with one job at a time.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Compare Rank-N-Contrast with its rivals by cross-validation, and test the differences.

    Run it again to go on after a stop. Exit code 1: the results are there, but jobs or scans are missing.
    """
    from brainclock.compare.run import compare
    from brainclock.compare.settings import load_compare_settings
    from brainclock.report.comparison import write_comparison
    from brainclock.report.comparison_words import conclusion

    settings = load_compare_settings(config, set_ or [])
    compared = compare(settings, output, workers=workers, scheduler=scheduler)
    write_comparison(compared, output)
    for sentence in conclusion(compared.summary, compared.tests, simulated=settings.simulated):
        typer.echo(sentence)
    for name, reason in (*compared.left_out.items(), *compared.failures.items()):
        typer.echo(f"{name} is missing: {reason}", err=True)
    typer.echo(output / "comparison.html")
    if compared.left_out or compared.failures:
        raise typer.Exit(1)
