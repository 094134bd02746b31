"""``brainclock explain``: where the years of each brain come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from brainclock.explain.run import Explained


def explain_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images, folders, BIDS datasets, or tables with a column path.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for maps and tables.", show_default=False)
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="grad-ram, smoothgrad, integrated-gradients or occlusion; left out: the one that found "
            "planted changes best with this model."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Layer for grad-ram: stem, block1, ...; only the last one adds up exactly."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder written by brainclock reference; left out: the model's own, if there is one."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label image of regions in MNI152 space, instead of the own ones.")
    ] = None,
    label_names: Annotated[
        Path | None,
        typer.Option(
            "--label-names", help="Table with index and name of each label; else the TSV beside the image."
        ),
    ] = None,
    ages: Annotated[
        Path | None,
        typer.Option(
            help="Table with participant_id, age, sex, site, group; else participants.tsv beside the scans."
        ),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Mean maps by age, sex or group; sex and group are compared.")
    ] = None,
    permutations: Annotated[int, typer.Option(help="Of the comparison of groups.", min=100)] = 1000,
    mask: Annotated[Path | None, typer.Option(help="Brain mask of the image, if it is a single one.")] = None,
    template_space: Annotated[
        bool, typer.Option("--template-space", help="The scans lie in MNI152 space; don't register them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the noise of smoothgrad and of permutations.", min=0)] = 1,
    workers: Annotated[int, typer.Option(help="Processes on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Show where the years of each predicted age come from: maps in years, regions, gaps."""
    from brainclock.explain.groups import check_by
    from brainclock.explain.run import explain_scans
    from brainclock.io.find import find_scans

    parted = check_by(by or [])
    scans = find_scans(inputs, mask=mask, in_template=template_space, participants=ages, output=output)
    explained = explain_scans(
        scans,
        output,
        model=model,
        methods=method or [],
        layer=layer,
        reference=reference,
        labels=labels,
        names=label_names,
        seed=seed,
        workers=workers,
        scheduler=scheduler,
    )
    failed = [e for e in explained if e.status == "failed"]
    for e in failed:
        typer.echo(f"{e.scan.key}: {e.reason}", err=True)
    typer.echo(f"{len(explained) - len(failed)} of {len(explained)} scans are explained.")
    typer.echo(output / "explanations.tsv")
    if parted:
        typer.echo(_show_groups(explained, output, model, method or [], parted, permutations, seed))
    if failed:
        raise typer.Exit(1)


def _show_groups(
    explained: list[Explained],
    output: Path,
    model: str | None,
    methods: list[str],
    by: list[str],
    permutations: int,
    seed: int,
) -> Path:
    """Write maps of groups and their page; return the page."""
    import numpy as np

    from brainclock.explain.explain import load
    from brainclock.explain.planted import read_verdict
    from brainclock.explain.regions import template_intensity
    from brainclock.explain.run import default_method
    from brainclock.explain.write_groups import write_groups
    from brainclock.report.age_maps import write_explanation_page

    loaded = load(model)
    verdict = read_verdict(loaded.folder, loaded.card.weights_sha256)
    shown = methods[0] if methods else default_method(verdict)
    grid = loaded.model.grid
    means, differences = write_groups(
        explained, output, shown, by, grid, permutations=permutations, seed=seed
    )
    return write_explanation_page(
        output,
        shown,
        means,
        differences,
        template_intensity(grid),
        float(abs(np.linalg.det(grid.matrix[:3, :3]))) / 1000,
        None if verdict is None else verdict.reason,
        reliable=verdict is None or verdict.reliable(shown),
    )
