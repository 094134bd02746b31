"""Pictures of where years come from, and the page that shows them, if the maps may be shown at all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from brainclock import __version__
from brainclock.explain.groups import GroupDifference, GroupMap
from brainclock.io.atomic import write_text
from brainclock.report.figures import Picture, _svg

_SLICES = (0.3, 0.42, 0.54, 0.66)  # along the extent of the background
_AXES = ("x", "y", "z")
_CAUTION = (
    "A map says what the model's arithmetic makes of each place of the image, not what ageing does there. "
    "Each place of a feature map sees tissue far around it; places whose tissue ages together share the "
    "years in an arbitrary way. No map is a finding about a person."
)


def draw_age_map(
    name: str,
    title: str,
    values: Float64[ndarray, "x y z"],
    background: Float32[ndarray, "x y z"],
    voxel_ml: float,
) -> Picture:
    """Draw a signed map over a brain: four slices along each axis, years per ml, red is older.

    Parameters
    ----------
    name, title : str
    values : ndarray of float64, shape (x, y, z)
        Share of each voxel, years.
    background : ndarray of float32, shape (x, y, z)
        A brain on the same grid; 0 outside.
    voxel_ml : float
        Volume of a voxel.
    """
    from matplotlib.figure import Figure

    density = values / voxel_ml
    inside = np.abs(density[background > 0]) if (background > 0).any() else np.abs(density)
    limit = float(np.quantile(inside, 0.995)) or 1.0
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    panels = figure.subplots(3, len(_SLICES))
    shown = None
    for row, (axis, letter) in enumerate(zip(range(3), _AXES, strict=True)):
        extent = np.flatnonzero((background > 0).any(axis=tuple(i for i in range(3) if i != axis)))
        for column, place in enumerate(_SLICES):
            index = (
                int(extent[int(place * (extent.size - 1))]) if extent.size else background.shape[axis] // 2
            )
            grey, colour = (np.take(image, index, axis).T for image in (background, density))
            panel = panels[row, column]
            panel.imshow(grey, origin="lower", cmap="gray", interpolation="nearest")
            over = np.ma.masked_where(grey <= 0, colour)
            shown = panel.imshow(
                over,
                origin="lower",
                cmap="RdBu_r",
                vmin=-limit,
                vmax=limit,
                alpha=0.6,
                interpolation="nearest",
            )
            panel.set_axis_off()
            panel.set_title(f"{letter} {index}", fontsize=6)
    if shown is not None:
        figure.colorbar(shown, ax=panels, shrink=0.6, label="years per ml")
    return Picture(
        name,
        _svg(figure),
        f"{title}: slices of a brain coloured by years per ml, from −{limit:.3g} (younger) to {limit:.3g} "
        "(older).",
        f"{title}. Red adds years, blue takes them away; the sum over the grid is {values.sum():+.2f} years.",
    )


def write_explanation_page(
    out: Path,
    method: str,
    means: Sequence[GroupMap],
    differences: Sequence[GroupDifference],
    background: Float32[ndarray, "x y z"],
    voxel_ml: float,
    verdict: str | None,
    *,
    reliable: bool,
) -> Path:
    """Write ``explanations.html``: mean maps and differences, or that the maps are not reliable.

    Parameters
    ----------
    out : Path
        Folder of the explanations.
    method : str
    means, differences : sequences
    background : ndarray of float32, shape of the grid
    voxel_ml : float
    verdict : str or None
        What planted truth said of this model; None: it was not tried.
    reliable : bool
        False: the page draws nothing and says why.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    pictures: list[Picture] = []
    if reliable:
        for mean in means:
            title = f"Mean of {mean.people} people, {mean.by} {mean.level}, {method}"
            pictures.append(
                draw_age_map(f"mean-{mean.by}-{mean.level}", title, mean.mean, background, voxel_ml)
            )
        for found in differences:
            title = (
                f"{found.level} ({found.people[0]} people) minus {found.against} ({found.people[1]}), "
                f"smallest corrected p {found.smallest_p:.3g}"
            )
            name = f"difference-{found.by}-{found.level}"
            pictures.append(draw_age_map(name, title, found.difference, background, voxel_ml))
    said = verdict or "The maps of this model were not tried on planted truth."
    parts = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8">']
    parts.append("<title>Where predicted ages come from</title>")
    parts.append(
        "<style>body{font-family:sans-serif;max-width:50em;margin:2em auto;line-height:1.45}</style></head>"
    )
    parts.append("<body><h1>Where predicted ages come from</h1>")
    parts.append(f"<p><strong>{escape(said)}</strong></p><p>{escape(_CAUTION)}</p>")
    for picture in pictures:
        data = base64.b64encode(picture.svg.encode()).decode()
        parts.append(
            f'<figure><img alt="{escape(picture.alt)}" src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        )
    parts.append(f"<p>brainclock {escape(__version__)}</p></body></html>\n")
    page = out / "explanations.html"
    write_text(page, "\n".join(parts))
    return page
