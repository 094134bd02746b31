"""Drawings of predicted ages, as SVG text that stands alone and is the same in every run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = "#1b6ca8"
_LINE = "#c2410c"
_QUIET = "#6b7280"
_MANY = 2000  # more points than this are drawn as pixels, else a page of 10 000 people is 5 MB


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing with its words.

    Parameters
    ----------
    name : str
        Identifies it on the page: ``predicted-by-age``.
    svg : str
        The drawing; refers to nothing outside.
    alt : str
        What it shows, for those who cannot see it, figures included.
    caption : str
    """

    name: str
    svg: str
    alt: str
    caption: str


def draw_predicted_by_age(
    age: Float64[ndarray, " n"],
    predicted_age: Float64[ndarray, " n"],
    slope: float,
    intercept: float,
) -> Picture:
    """Predicted age against age with the line of equality and the regression of predicted age on age."""
    figure, axes = _canvas(4.6, 4.6)
    low = min(age.min(), predicted_age.min()) - 2
    high = max(age.max(), predicted_age.max()) + 2
    ends = np.array([low, high])
    axes.plot(ends, ends, color=_QUIET, linewidth=1, linestyle="--", label="predicted age = age")
    _scatter(axes, age, predicted_age)
    if np.isfinite(slope):
        span = np.array([age.min(), age.max()])
        axes.plot(span, intercept + slope * span, color=_LINE, linewidth=1.5, label=f"slope {slope:.2f}")
    axes.set(xlim=ends, ylim=ends, xlabel="age (years)", ylabel="predicted age (years)", aspect="equal")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    line = f"; the regression line has slope {slope:.2f}" if np.isfinite(slope) else ""
    return Picture(
        "predicted-by-age",
        _svg(figure),
        f"Scatter plot of predicted age against age for {age.size} points aged {age.min():.0f} to "
        f"{age.max():.0f} years, with the line of equality{line}.",
        "Predicted age against age. Dashed: equality. Solid: regression of predicted age on age; "
        "flatter than equality means that predictions shrink to the mean.",
    )


def draw_gap_by_age(age: Float64[ndarray, " n"], gap: Float64[ndarray, " n"]) -> Picture:
    """Brain age gap against age, with its mean by decade."""
    figure, axes = _canvas(5.6, 3.8)
    axes.axhline(0, color=_QUIET, linewidth=1, linestyle="--")
    _scatter(axes, age, gap)
    starts = np.unique(np.floor(age / 10) * 10)
    means = [gap[(age >= start) & (age < start + 10)].mean() for start in starts]
    for start, mean in zip(starts, means, strict=True):
        axes.plot([start, start + 10], [mean, mean], color=_LINE, linewidth=2)
    axes.set(xlabel="age (years)", ylabel="brain age gap (years)")
    spoken = ", ".join(f"{m:+.1f} from {s:.0f} to {s + 10:.0f}" for s, m in zip(starts, means, strict=True))
    return Picture(
        "gap-by-age",
        _svg(figure),
        f"Scatter plot of the brain age gap against age. Mean gap in years by age: {spoken}.",
        "Brain age gap (predicted age − age) against age; bars are means by decade. A trend is the "
        "age bias that every prediction with R² below 1 has: adjust for age when groups are compared.",
    )


def draw_errors(
    name: str,
    title: str,
    levels: Sequence[str],
    values: Float64[ndarray, " k"],
    lows: Float64[ndarray, " k"],
    highs: Float64[ndarray, " k"],
    naive: Float64[ndarray, " k"] | None = None,
) -> Picture:
    """Mean absolute error of some strata with intervals, beside that of each stratum's best constant."""
    figure, axes = _canvas(5.6, 0.9 + 0.34 * len(levels))
    rows = np.arange(len(levels))[::-1]
    if naive is not None:
        axes.scatter(naive, rows, marker="|", s=120, color=_QUIET, label="best constant")
    known = np.isfinite(lows) & np.isfinite(highs)
    axes.hlines(rows[known], lows[known], highs[known], color=_POINTS, linewidth=2)
    axes.scatter(values, rows, s=28, color=_POINTS, zorder=3, label="predicted")
    axes.set_yticks(rows, [level.replace("$", r"\$") for level in levels])
    axes.set(xlabel="mean absolute error (years)", ylabel=title, xlim=(0, None))
    axes.set_ylim(-0.6, len(levels) - 0.4)
    if naive is not None:
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    spoken = ", ".join(f"{level} {value:.1f}" for level, value in zip(levels, values, strict=True))
    return Picture(
        name,
        _svg(figure),
        f"Mean absolute error in years by {title}: {spoken}.",
        f"Mean absolute error by {title}, with bootstrap intervals."
        + ("" if naive is None else " Grey: always saying the median age of the same people."),
    )


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Figure and axes; without pyplot, so nothing global is touched and no window is opened."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def _scatter(axes: Axes, x: Float64[ndarray, " n"], y: Float64[ndarray, " n"]) -> None:
    opacity = 0.7 if x.size <= 200 else 0.35
    axes.scatter(x, y, s=14, color=_POINTS, alpha=opacity, linewidths=0, rasterized=x.size > _MANY)


def _svg(figure: Figure) -> str:
    """SVG without a date, with ids that do not depend on the run and letters drawn as outlines."""
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "brainclock", "svg.fonttype": "path"}):
        figure.savefig(stream, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def draw_gap_by_group(groups: Sequence[str], gaps: Sequence[Float64[ndarray, " _n"]], ylabel: str) -> Picture:
    """Gap of every person by group, with mean and 95 % interval of the mean."""
    figure, axes = _canvas(1.6 + 1.1 * len(groups), 3.8)
    axes.axhline(0, color=_QUIET, linewidth=1, linestyle="--")
    spread = np.random.default_rng(0)  # only sideways, so that points do not hide each other
    for place, gap in enumerate(gaps):
        _scatter(axes, place + spread.uniform(-0.22, 0.22, gap.size), gap)
        mean = gap.mean()
        axes.plot([place - 0.3, place + 0.3], [mean, mean], color=_LINE, linewidth=2)
        if gap.size > 1:
            reach = 1.96 * gap.std(ddof=1) / np.sqrt(gap.size)
            axes.plot([place, place], [mean - reach, mean + reach], color=_LINE, linewidth=2)
    labels = [f"{group}\nn {gap.size}" for group, gap in zip(groups, gaps, strict=True)]
    axes.set_xticks(range(len(groups)), [label.replace("$", r"\$") for label in labels])
    axes.set(ylabel=ylabel)
    spoken = ", ".join(f"{group} {gap.mean():+.1f}" for group, gap in zip(groups, gaps, strict=True))
    return Picture(
        "gap-by-group",
        _svg(figure),
        f"Gap of each person by group. Mean in years: {spoken}.",
        f"{ylabel.capitalize()} by group; bars are means with 95 % intervals. "
        "The table has the differences at equal covariates.",
    )


def draw_severity(
    name: str,
    group: str,
    score: str,
    gap_left: Float64[ndarray, " n"],
    score_left: Float64[ndarray, " n"],
    words: str,
) -> Picture:
    """Score against gap, both as ranks without what the covariates explain."""
    figure, axes = _canvas(4.6, 3.8)
    _scatter(axes, gap_left, score_left)
    slope = float(gap_left @ score_left / (gap_left @ gap_left))
    span = np.array([gap_left.min(), gap_left.max()])
    axes.plot(span, slope * span, color=_LINE, linewidth=1.5)
    axes.set(xlabel="gap, rank, covariates removed", ylabel=f"{score}, rank, covariates removed")
    return Picture(
        name,
        _svg(figure),
        f"Scatter plot of {score} against the gap in {group}, {gap_left.size} people, both as ranks without "
        f"what the covariates explain: {words}.",
        f"{score} and gap in {group}: {words}.",
    )


def draw_bland_altman(
    first: Float64[ndarray, " n"],
    second: Float64[ndarray, " n"],
    bias: float,
    limits: tuple[float, float],
) -> Picture:
    """Difference of two visits against their mean, with bias and limits of agreement."""
    figure, axes = _canvas(5.6, 3.8)
    _scatter(axes, (first + second) / 2, second - first)
    axes.axhline(bias, color=_LINE, linewidth=1.5)
    for limit in limits:
        axes.axhline(limit, color=_LINE, linewidth=1, linestyle="--")
    axes.set(xlabel="mean of both predicted ages (years)", ylabel="second − first (years)")
    return Picture(
        "bland-altman",
        _svg(figure),
        f"Difference of the predicted ages of two scans of {first.size} people against their mean: bias "
        f"{bias:+.2f} years, limits of agreement {limits[0]:+.2f} to {limits[1]:+.2f} years.",
        "Second − first predicted age against their mean. Solid: bias; dashed: limits of agreement, within "
        "which 95 % of differences are expected.",
    )
