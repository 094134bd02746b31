"""Drawings of a comparison: errors along an axis, and embeddings in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.compare.tables import Point
from brainclock.report.figures import Picture, _canvas, _svg

_COLOURS = ("#1b6ca8", "#c2410c", "#15803d", "#7c3aed", "#6b7280", "#b45309", "#0f766e", "#be185d")
_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")


def draw_axis(
    name: str,
    words: str,
    labels: Sequence[str],
    series: Mapping[str, Float64[ndarray, "k 3"]],
) -> Picture:
    """Mean absolute error of each rival along one axis, with intervals.

    Parameters
    ----------
    name : str
        Of the axis.
    words : str
        What it changes.
    labels : sequence of str, length k
        Its conditions, in order.
    series : mapping of str to ndarray of float, shape (k, 3)
        By rival: value, low, high; NaN where a rival was not in a condition.
    """
    figure, axes = _canvas(5.6, 3.8)
    places = np.arange(len(labels), dtype=np.float64)
    spoken = []
    for number, (rival, values) in enumerate(series.items()):
        known = np.isfinite(values[:, 0])
        aside = places + 0.06 * (number - (len(series) - 1) / 2)
        colour = _COLOURS[number % len(_COLOURS)]
        axes.vlines(aside[known], values[known, 1], values[known, 2], color=colour, linewidth=1.5, alpha=0.6)
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot(aside[known], values[known, 0], color=colour, marker=marker, markersize=5, label=rival)
        told = ", ".join(f"{labels[k]}: {values[k, 0]:.1f}" for k in np.flatnonzero(known).tolist())
        spoken.append(f"{rival} {told}")
    axes.set_xticks(places, list(labels))
    axes.set(xlabel=words, ylabel="mean absolute error (years)")
    axes.set_ylim(0, None)
    axes.legend(frameon=False, fontsize=8)
    return Picture(
        f"axis-{name.replace('_', '-')}",
        _svg(figure),
        f"Mean absolute error in years by {words}. {'; '.join(spoken)}.",
        f"Mean absolute error by {words}, with 95 % intervals over people. One thing changes at a time.",
    )


def draw_planes(planes: Mapping[str, Sequence[Point]]) -> Picture:
    """Embeddings of people who did not train, in the plane of their two leading components, by age.

    Parameters
    ----------
    planes : mapping of str to sequence of Point
        By network, of the same people.
    """
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    ages = [point.age for points in planes.values() for point in points]
    norm = Normalize(min(ages), max(ages))
    figure = Figure(figsize=(1.0 + 3.2 * len(planes), 3.4), layout="constrained")
    rows = figure.subplots(1, len(planes), squeeze=False)
    sites = sorted({point.site for points in planes.values() for point in points})
    drawn = None
    for axes, (network, points) in zip(rows[0], planes.items(), strict=True):
        for number, site in enumerate(sites):
            there = [point for point in points if point.site == site]
            drawn = axes.scatter(
                [point.x for point in there],
                [point.y for point in there],
                c=[point.age for point in there],
                norm=norm,
                cmap="viridis",
                s=22,
                marker=_MARKERS[number % len(_MARKERS)],
                linewidths=0,
                label=site.replace("$", r"\$"),
            )
        axes.set_title(network, fontsize=10)
        axes.set(xticks=[], yticks=[], xlabel="component 1", ylabel="component 2")
        axes.spines[["top", "right"]].set_visible(False)
    if len(sites) > 1:
        rows[0][0].legend(frameon=False, fontsize=7)
    assert drawn is not None
    figure.colorbar(drawn, ax=rows[0].tolist(), label="age (years)", shrink=0.8)
    size = len(next(iter(planes.values())))
    return Picture(
        "planes",
        _svg(figure),
        f"Two leading principal components of the embeddings of {size} people who did not train, coloured by "
        f"age, for {' and '.join(planes)}.",
        "Embeddings of the people asked in the first fold, by the first seed, in the plane of their two "
        "leading components; colour is age, shape the site. They have many more: the table has the measures.",
    )
