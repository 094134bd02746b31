"""``brainclock simulate``: a cohort of heads that age, with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate_command(
    output: Annotated[Path, typer.Argument(help="A new folder, or one to go on with.", show_default=False)],
    n: Annotated[int, typer.Option("--n", help="Participants.")] = 20,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 1,
    config: Annotated[Path | None, typer.Option(help="Settings of the cohort, TOML.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, such as pd.share=0.5.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Simulate a cohort: raw heads that age, patients, scores, visits, and what is true of them."""
    from brainclock.simulate.cohort import simulate_cohort
    from brainclock.simulate.settings import load_cohort_settings

    settings = load_cohort_settings(config, set_ or [])
    scans = simulate_cohort(output, n, seed=seed, settings=settings, workers=workers, scheduler=scheduler)
    failed = [scan for scan in scans if scan.path is None]
    for scan in failed:
        typer.echo(scan.reason, err=True)
    made = f"{len(scans) - len(failed)} of {len(scans)} scans"
    typer.echo(f"{made} of {n} participants are simulated; none of them is a real person.")
    typer.echo(output / "participants.tsv")
    typer.echo(output / "derivatives" / "truth" / "truth.tsv")
    if failed:
        raise typer.Exit(1)
