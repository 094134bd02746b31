"""``brainclock demo``: the whole way on a head that needs no scanner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from brainclock.predict.predictions import Predictions

#: Of the simulated brain, years.
_AGE = 60.0
_COLUMNS = ("participant_id", "predicted_age", "status", "reason", "flags", "model")


def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for head and results.")] = Path(
        "demo"
    ),
    model: Annotated[
        str | None,
        typer.Option(help="Name of a shipped model, or a model folder.", show_default="whole-brain"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the person, the pose and the noise.", min=0)] = 1,
) -> None:
    """Simulate a raw head, read its age and show where everything is."""
    import numpy as np

    from brainclock.io.find import find_scans
    from brainclock.io.nifti import write_volume
    from brainclock.predict.run import predict_scans
    from brainclock.simulate.head import simulate_head

    heads, results = output / "heads", output / "ages"
    head = simulate_head(seed, age=_AGE)
    image = heads / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    write_volume(image, np.rint(head.data), head.affine, dtype=np.int16)  # as scanners store it
    predictions = predict_scans(find_scans([heads]), results, model=model, progress=False)

    typer.echo("\n".join(_aligned(predictions)))
    typer.echo(f"""
The head is simulated: a brain of {_AGE:g} years that nobody has. What a model of real people reads off
it says how the tool works, not how good it is.

  head     {image}
  table    {results / "predictions.tsv"} (columns: predictions.json, run: run.json)

The same with heads of your own: brainclock predict FOLDER -o RESULTS""")
    if any(one.brain_age.predicted_age is None for one in predictions):
        raise typer.Exit(1)


def _aligned(predictions: Predictions) -> list[str]:
    """Return the main columns of the table, one under the other."""
    from brainclock.predict.table import prediction_row

    rows = [prediction_row(one.scan, one.brain_age) for one in predictions]
    lines = [_COLUMNS, *([str(row[name] or "n/a") for name in _COLUMNS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
