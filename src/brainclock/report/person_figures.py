"""Drawings for the page of one person: among whom a predicted age lies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.report.figures import _LINE, _POINTS, _QUIET, Picture, _canvas, _svg

_BAND = "#dbeafe"
_BIN_YEARS = 2.0
_MOST_DOTS = 150  # more people than this are drawn as bars


def draw_among_healthy(
    predicted_age: float,
    healthy: Float64[ndarray, " n"],
    interval: tuple[float, float] | None,
    level: float,
    age: float | None,
) -> Picture:
    """Ages of healthy people whose brains look as old, the interval, and where this person lies.

    Parameters
    ----------
    predicted_age : float
        Years.
    healthy : ndarray of float64, shape (n,)
        Ages of the calibration's people, moved to this prediction, years.
    interval : tuple of 2 float or None
    level : float
        Of the interval.
    age : float or None
        The person's own, years.
    """
    figure, axes = _canvas(4.3, 2.5)
    starts = np.floor(healthy / _BIN_YEARS) * _BIN_YEARS
    columns, counts = np.unique(starts, return_counts=True)
    top = int(counts.max())
    if interval is not None:
        axes.axvspan(*interval, color=_BAND, linewidth=0, zorder=0)
    if healthy.size <= _MOST_DOTS:
        places = [
            (start + _BIN_YEARS / 2, k + 0.5)
            for start, n in zip(columns, counts, strict=True)
            for k in range(n)
        ]
        across, up = zip(*places, strict=True)
        axes.scatter(across, up, s=26, color="#94a3b8", linewidths=0, zorder=2)
    else:
        axes.bar(columns + _BIN_YEARS / 2, counts, width=0.9 * _BIN_YEARS, color="#94a3b8", zorder=2)
    axes.axvline(predicted_age, color=_POINTS, linewidth=2, zorder=3)
    words = [(predicted_age, f"brain {predicted_age:.1f}", _POINTS)]
    if age is not None:
        axes.axvline(age, color=_LINE, linewidth=2, linestyle=(0, (4, 2)), zorder=3)
        words.append((age, f"age {age:.1f}", _LINE))
    words.sort(key=lambda one: one[0])
    for (place, text, colour), side in zip(words, ("right", "left"), strict=False):
        side = side if len(words) == 2 else "left"
        shift = -4 if side == "right" else 4
        axes.annotate(
            text,
            (place, 1),
            (shift, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=side,
            va="bottom",
            color=colour,
            fontsize=9,
            fontweight="bold",
            annotation_clip=False,
        )
    first, third = np.quantile(healthy, [0.25, 0.75])
    ends = [predicted_age, *healthy, *(interval or ()), *(() if age is None else (age,))]
    axes.set_xlim(min(ends) - 3, max(ends) + 3)
    axes.set_ylim(0, top + 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("age of healthy people whose brains look as old (years)")
    where = "" if age is None else f"; this person is {age:.1f}"
    band = (
        ""
        if interval is None
        else f" The {100 * level:g} % interval is {interval[0]:.1f} to {interval[1]:.1f}."
    )
    return Picture(
        "among-healthy",
        _svg(figure),
        f"Ages of {healthy.size} healthy people around a predicted age of {predicted_age:.1f} years: half "
        f"of them are {first:.0f} to {third:.0f} years old{where}.{band}",
        f"{'Dots' if healthy.size <= _MOST_DOTS else 'Bars'}: {healthy.size} healthy people whom the model "
        "had not seen and whose brains looked about as old, at this predicted age plus the error that it "
        "made on each. Shaded: the interval.",
    )


def draw_training_ages(
    by_decade: Mapping[int, int], predicted_age: float | None, age: float | None
) -> Picture:
    """How many people of each decade trained the model, and where this person lies.

    Parameters
    ----------
    by_decade : mapping of int to int
        People by the first year of their decade.
    predicted_age, age : float or None
        Years.
    """
    figure, axes = _canvas(4.3, 1.9)
    decades = sorted(by_decade)
    axes.bar([d + 5 for d in decades], [by_decade[d] for d in decades], width=9, color="#94a3b8")
    for value, colour, style in ((predicted_age, _POINTS, "-"), (age, _LINE, (0, (4, 2)))):
        if value is not None:
            axes.axvline(value, color=colour, linewidth=2, linestyle=style)
    axes.tick_params(colors=_QUIET)
    axes.set(xlabel="age (years)", ylabel="people")
    spoken = ", ".join(f"{by_decade[d]} of {d} to {d + 9}" for d in decades)
    here = "" if predicted_age is None else f" The predicted age is {predicted_age:.1f}."
    return Picture(
        "training-ages",
        _svg(figure),
        f"People who trained the model, by age: {spoken}.{here}",
        "Who trained the model. Blue: predicted age; orange, dashed: age. Where few people stand, little is "
        "known.",
    )
