"""Drawings of how far predicted ages and their intervals can be taken at their word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.report.figures import _LINE, _POINTS, _QUIET, Picture, _canvas, _scatter, _svg
from brainclock.stats.conformal import coverage_by_level

#: Fewer people than this in a decade of predicted age have no mean worth drawing.
FEWEST = 5


def draw_coverage(
    levels: Sequence[str],
    shares: Float64[ndarray, " k"],
    lows: Float64[ndarray, " k"],
    highs: Float64[ndarray, " k"],
    nominal: float | None,
) -> Picture:
    """Share of ages inside their interval by stratum, with binomial intervals and the nominal share."""
    figure, axes = _canvas(5.6, 0.9 + 0.3 * len(levels))
    rows = np.arange(len(levels))[::-1]
    if nominal is not None:
        axes.axvline(100 * nominal, color=_LINE, linewidth=1.5, label=f"asked for: {100 * nominal:g} %")
        axes.legend(frameon=False, fontsize=8, loc="lower left")
    known = np.isfinite(lows) & np.isfinite(highs)
    axes.hlines(rows[known], 100 * lows[known], 100 * highs[known], color=_POINTS, linewidth=2)
    axes.scatter(100 * shares, rows, s=28, color=_POINTS, zorder=3)
    axes.set_yticks(rows, [level.replace("$", r"\$") for level in levels])
    axes.set(xlabel="ages inside their interval (%)", xlim=(0, 102))
    axes.set_ylim(-0.6, len(levels) - 0.4)
    spoken = ", ".join(f"{level} {100 * share:.0f}" for level, share in zip(levels, shares, strict=True))
    asked = "" if nominal is None else f" Asked for: {100 * nominal:g} %."
    return Picture(
        "coverage",
        _svg(figure),
        f"Percentage of ages inside their interval: {spoken}.{asked}",
        "How many ages lie inside their interval, with exact binomial intervals. The intervals are made for "
        "healthy people scanned like those of the calibration.",
    )


def draw_calibration(predicted_age: Float64[ndarray, " n"], age: Float64[ndarray, " n"]) -> Picture:
    """Age against predicted age, with the mean age in each decade of the latter and its 95 % interval."""
    from scipy import stats

    figure, axes = _canvas(4.6, 4.6)
    ends = np.array([min(age.min(), predicted_age.min()) - 2, max(age.max(), predicted_age.max()) + 2])
    axes.plot(ends, ends, color=_QUIET, linewidth=1, linestyle="--", label="age = predicted age")
    _scatter(axes, predicted_age, age)
    starts = np.floor(predicted_age / 10) * 10
    spoken = []
    for start in np.unique(starts):
        own = age[starts == start]
        if own.size < FEWEST:
            continue
        reach = float(stats.t.ppf(0.975, own.size - 1)) * own.std(ddof=1) / np.sqrt(own.size)
        middle, mean = float(predicted_age[starts == start].mean()), float(own.mean())
        axes.errorbar(middle, mean, yerr=reach, color=_LINE, marker="o", markersize=5, capsize=3)
        spoken.append(f"{mean:.1f} where {middle:.1f} is predicted")
    axes.set(xlim=ends, ylim=ends, xlabel="predicted age (years)", ylabel="age (years)", aspect="equal")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    words = ", ".join(spoken) or "too few people in each decade"
    return Picture(
        "calibration",
        _svg(figure),
        f"Mean age in years by decade of predicted age: {words}.",
        "Age against predicted age. Orange: mean age in each decade of predicted age, with 95 % intervals; "
        "on the dashed line, a predicted age is right on average for those who get it.",
    )


def draw_coverage_by_level(chance: Float64[ndarray, " n"]) -> Picture:
    """Share of ages inside the central interval of every level, against the level."""
    figure, axes = _canvas(4.6, 4.6)
    levels = np.linspace(0, 1, 101)
    inside = coverage_by_level(chance, levels)
    axes.plot([0, 100], [0, 100], color=_QUIET, linewidth=1, linestyle="--", label="as asked for")
    axes.plot(100 * levels, 100 * inside, color=_POINTS, linewidth=2, label=f"{chance.size} found")
    axes.set(xlabel="level asked for (%)", ylabel="ages inside (%)", xlim=(0, 100), ylim=(0, 100))
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    spoken = ", ".join(f"{inside[at]:.0%} at {at} %" for at in (50, 80, 90, 95))
    return Picture(
        "coverage-by-level",
        _svg(figure),
        f"Percentage of {chance.size} ages inside the central interval of each level: {spoken}.",
        "Ages inside the interval of every level, from the chances of being older than the own age. Below "
        "the dashed line, intervals are too narrow or lie too high or low.",
    )
