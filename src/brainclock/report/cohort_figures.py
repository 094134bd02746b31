"""Drawings of all scans of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.report.figures import _LINE, _POINTS, _QUIET, Picture, _canvas, _svg

#: More levels than this are not drawn: those with the fewest people are left out, and the words say so.
MOST_LEVELS = 30


def draw_gap_by_level(
    name: str, title: str, xlabel: str, gaps: Sequence[tuple[str, Float64[ndarray, " _n"]]]
) -> Picture:
    """Mean gap of the people of each level with its 95 % interval, and the middle half of their gaps.

    Parameters
    ----------
    name : str
        Of the picture.
    title : str
        What the levels are: group, site.
    xlabel : str
        Which gap.
    gaps : sequence of (str, ndarray of float64, shape (n,))
        Level and gap of each of its people, years; the most people first.
    """
    from scipy import stats

    shown = list(gaps[:MOST_LEVELS])
    figure, axes = _canvas(4.6, 1.1 + 0.34 * len(shown))
    axes.axvline(0, color=_QUIET, linewidth=1, linestyle="--")
    spoken: list[str] = []
    for row, (level, gap) in enumerate(reversed(shown)):
        mean = float(gap.mean())
        axes.plot(
            np.quantile(gap, [0.25, 0.75]), [row, row], color="#c7d2de", linewidth=7, solid_capstyle="butt"
        )
        if gap.size > 1:
            reach = float(stats.t.ppf(0.975, gap.size - 1)) * gap.std(ddof=1) / np.sqrt(gap.size)
            axes.plot([mean - reach, mean + reach], [row, row], color=_POINTS, linewidth=2)
        axes.scatter([mean], [row], s=30, color=_POINTS, zorder=3)
        spoken.insert(0, f"{level} {mean:+.1f} ({gap.size} people)")
    axes.set_yticks(
        range(len(shown)),
        [f"{level.replace('$', chr(92) + '$')}  n {gap.size}" for level, gap in reversed(shown)],
    )
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set(xlabel=xlabel)
    rest = len(gaps) - len(shown)
    left_out = f" {rest} more with fewer people are not drawn." if rest else ""
    return Picture(
        name,
        _svg(figure),
        f"Mean {xlabel} by {title}: {'; '.join(spoken)}.{left_out}",
        f"Gap by {title}: mean with its 95 % interval (blue), and the middle half of the people (grey)."
        f"{left_out} People are not matched here: brainclock gap compares groups at equal age, sex and site.",
    )


def draw_ages(
    age: Float64[ndarray, " n"],
    predicted_age: Float64[ndarray, " n"],
    outside: Bool[ndarray, " n"],
) -> Picture:
    """Predicted age against age, those outside their interval marked.

    Parameters
    ----------
    age, predicted_age : ndarray of float64, shape (n,)
        Years.
    outside : ndarray of bool, shape (n,)
        Whose age lies outside the interval.
    """
    figure, axes = _canvas(4.6, 4.6)
    low = min(age.min(), predicted_age.min()) - 2
    high = max(age.max(), predicted_age.max()) + 2
    axes.plot(
        [low, high], [low, high], color=_QUIET, linewidth=1, linestyle="--", label="predicted age = age"
    )
    opacity = 0.75 if age.size <= 200 else 0.4
    many = age.size > 2000
    for part, colour, marker, words in (
        (~outside, _POINTS, "o", "age inside its interval"),
        (outside, _LINE, "^", "outside"),
    ):
        if part.any():
            axes.scatter(
                age[part],
                predicted_age[part],
                s=20,
                color=colour,
                marker=marker,
                alpha=opacity,
                linewidths=0,
                rasterized=many,
                label=words,
            )
    axes.set(
        xlim=(low, high),
        ylim=(low, high),
        xlabel="age (years)",
        ylabel="predicted age (years)",
        aspect="equal",
    )
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    error = float(np.abs(predicted_age - age).mean())
    return Picture(
        "ages",
        _svg(figure),
        f"Scatter plot of predicted age against age of {age.size} people of {age.min():.0f} to "
        f"{age.max():.0f} years; the mean absolute difference is {error:.1f} years; {int(outside.sum())} "
        "ages lie outside their interval.",
        "Predicted age against age, raw. On the dashed line both are equal.",
    )
