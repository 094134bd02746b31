"""The page about a comparison, and its figures as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brainclock.compare.jobs import BASE
from brainclock.compare.rivals import RIVALS
from brainclock.compare.run import Compared
from brainclock.compare.tables import Summary
from brainclock.io.atomic import write_text
from brainclock.report.comparison_figures import draw_axis, draw_planes
from brainclock.report.comparison_words import (
    axes,
    axis_words,
    conclusion,
    lines,
    method_words,
    methods,
    representation_measures,
    representation_rows,
    sites,
)
from brainclock.report.figures import Picture, draw_errors
from brainclock.report.page import inlined, template

#: Networks whose embeddings are drawn, if they took part.
_DRAWN = ("rnc", "l1")


def write_comparison(compared: Compared, out: Path) -> None:
    """Write ``comparison.html`` and ``figures/*.svg``; raises `OutputError`."""
    pictures = _pictures(compared)
    for picture in pictures:
        write_text(out / "figures" / f"{picture.name}.svg", picture.svg)
    write_text(out / "comparison.html", comparison_page(compared, pictures))


def comparison_page(compared: Compared, pictures: Sequence[Picture]) -> str:
    """Return the HTML page; it names no person."""
    summary, tests = compared.summary, compared.tests
    tables = [("base", "Cross-validation", lines(summary, tests, "folds", "all", BASE))]
    tables += [
        (f"site-{number}", f"Left out: {site}", lines(summary, tests, "site", site, BASE))
        for number, site in enumerate(sites(summary), start=1)
    ]
    for axis, conditions in axes(summary, compared.budgets).items():
        tables += [
            (
                condition.replace("=", "-"),
                f"{axis_words(axis)}: {label}",
                lines(summary, tests, "folds", "all", condition),
            )
            for condition, label in conditions
            if condition != BASE
        ]
    return template("comparison.html.j2").render(
        title=compared.settings.title,
        conclusion=conclusion(summary, tests, simulated=compared.settings.simulated),
        simulated=compared.settings.simulated,
        failures=sorted(compared.failures.items()),
        reference=RIVALS[compared.settings.reference].words,
        tables=[table for table in tables if table[2]],
        rivals=[(RIVALS[name].words, RIVALS[name].about) for name in compared.settings.rivals],
        measures=representation_measures(compared.representation),
        representation=representation_rows(compared.representation),
        budgets=[(method_words(row.method), row) for row in compared.budgets],
        methods=methods(summary, compared.budgets),
        pictures=[inlined(picture) for picture in pictures],
    )


def _pictures(compared: Compared) -> list[Picture]:
    means = [row for row in compared.summary if row.measure == "mae"]
    base = [row for row in means if (row.scheme, row.condition) == ("folds", BASE)]
    found = []
    if base:
        values, lows, highs = (
            np.array([getattr(row, name) for row in base]) for name in ("value", "low", "high")
        )
        words = [RIVALS[row.rival].words for row in base]
        found.append(draw_errors("errors", "rival", words, values, lows, highs))
    for axis, conditions in axes(compared.summary, compared.budgets).items():
        found.append(_along(axis, conditions, means))
    planes = {
        method_words(method): [point for point in compared.points if point.method == method]
        for method in _DRAWN
        if any(point.method == method for point in compared.points)
    }
    return [*found, draw_planes(planes)] if planes else found


def _along(axis: str, conditions: Sequence[tuple[str, str]], means: Sequence[Summary]) -> Picture:
    """Draw the rivals that went through an axis."""
    rows = {(row.rival, row.condition): row for row in means if row.scheme == "folds"}
    through = dict.fromkeys(
        rival for rival, condition in rows if condition != BASE and condition.startswith(f"{axis}=")
    )
    nothing = [np.nan, np.nan, np.nan]
    series = {}
    for rival in through:
        cells = [rows.get((rival, condition)) for condition, _ in conditions]
        numbers = [nothing if row is None else [row.value, row.low, row.high] for row in cells]
        series[RIVALS[rival].words] = np.array(numbers, dtype=np.float64)
    return draw_axis(axis, axis_words(axis), [label for _, label in conditions], series)
