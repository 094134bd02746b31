"""The page of an evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brainclock import __version__
from brainclock.io.atomic import write_json, write_text
from brainclock.io.tables import write_table
from brainclock.predict.evaluate import INTERVALS, Evaluation, Stratum, metric_rows
from brainclock.report.figures import Picture, draw_errors, draw_gap_by_age, draw_predicted_by_age
from brainclock.report.interval_figures import draw_calibration, draw_coverage, draw_coverage_by_level
from brainclock.report.page import inlined, template
from brainclock.stats.bootstrap import Estimate
from brainclock.stats.metrics import METRICS

#: What is shown of each stratum; the whole is in evaluation.tsv. Within a decade the ages hardly differ,
#: so nothing that compares with a constant means much.
SHOWN = {
    "decade": ("mae", "mean_error", "gap_sd", "coverage"),
    "sex": ("mae", "naive_mae", "skill", "mean_error", "r2", "coverage"),
    "site": ("mae", "naive_mae", "skill", "mean_error", "r2", "coverage"),
}
_MEANINGS = METRICS | INTERVALS

#: Words for the counts, in the order of the page.
COUNTS = {
    "rows": "rows in the table",
    "failed": "scans without a prediction (failed)",
    "without_age": "scans without a known age",
    "censored_age": "scans whose age is only a lower bound, such as 89+",
    "used": "scans used",
}


#: Columns of evaluation.tsv.
COLUMNS: dict[str, dict[str, object]] = {
    "by": {"Description": "How people were parted: all, decade of age, sex or site."},
    "level": {"Description": "Which of the strata; a decade is named by its first year."},
    "people": {"Description": "Number of participants."},
    "scans": {"Description": "Number of scans."},
    "youngest": {"Description": "Lowest age.", "Units": "years"},
    "oldest": {"Description": "Highest age.", "Units": "years"},
    "metric": {
        "Description": "What was measured.",
        "Levels": {name: meaning for name, (_, meaning) in (METRICS | INTERVALS).items()},
    },
    "unit": {"Description": "Unit of the three numbers that follow; 1 for a pure number."},
    "value": {"Description": "The number."},
    "low": {"Description": "Lower end of its bootstrap interval; of a coverage, of its binomial interval."},
    "high": {"Description": "Upper end of the same interval."},
}


def write_evaluation(evaluation: Evaluation, out: Path, source: Mapping[str, object]) -> None:
    """Write ``evaluation.tsv`` and what its columns mean, ``evaluation.json``, and ``evaluation.html``.

    The JSON holds the same numbers, and the counts, notes and options as well. The data
    dictionary of the table is inside it, under ``columns``.

    Parameters
    ----------
    evaluation : Evaluation
    out : Path
        Folder; made if it is not there.
    source : mapping
        What was evaluated (paths, hashes, model): goes into the JSON as it is.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    rows = metric_rows(evaluation)
    write_table(out / "evaluation.tsv", rows, list(COLUMNS))
    write_json(
        out / "evaluation.json",
        {
            "brainclock": __version__,
            "source": source,
            "summary": summary(evaluation),
            "methods": methods(evaluation),
            "notes": evaluation.notes,
            "counts": {**evaluation.counts, "people": evaluation.all.people},
            "unit": evaluation.unit,
            "resamples": evaluation.resamples,
            "level": evaluation.level,
            "nominal_coverage": evaluation.nominal,
            "seed": evaluation.seed,
            "metrics": _nested(rows),
            "columns": COLUMNS,
        },
    )
    write_text(out / "evaluation.html", evaluation_page(evaluation))


def _nested(rows: Sequence[Mapping[str, object]]) -> dict[str, dict[str, dict[str, object]]]:
    """Return the rows by stratum and metric: ``metrics["site"]["Guys"]["mae"]["value"]``."""
    tree: dict[str, dict[str, dict[str, object]]] = {}
    for row in rows:
        stratum = tree.setdefault(str(row["by"]), {}).setdefault(
            str(row["level"]), {name: row[name] for name in ("people", "scans", "youngest", "oldest")}
        )
        if row["metric"] is not None:
            stratum[str(row["metric"])] = {name: row[name] for name in ("value", "low", "high", "unit")}
    return tree


def evaluation_page(evaluation: Evaluation, title: str = "Evaluation of predicted ages") -> str:
    """Return the HTML page: summary, counts, metrics, figures, strata and methods.

    Figures are inside the page, and it names no person.
    """
    return template("evaluation.html.j2").render(
        title=title,
        summary=summary(evaluation),
        notes=evaluation.notes,
        counts=_counts(evaluation),
        interval=f"{100 * evaluation.level:g} % interval",
        metrics=[
            {
                "name": name,
                "value": _number(estimate.value),
                "interval": _interval(estimate),
                "unit": "years" if _MEANINGS[name][0] == "years" else "",
                "meaning": _MEANINGS[name][1],
            }
            for name, estimate in evaluation.all.estimates.items()
        ],
        pictures=[inlined(picture) for picture in pictures(evaluation)],
        strata=_strata_tables(evaluation.strata),
        methods=methods(evaluation),
    )


def summary(evaluation: Evaluation) -> str:
    """Return one sentence with the error, its interval, who, and the naive error."""
    everyone = evaluation.all
    mae, naive = everyone.estimates["mae"], everyone.estimates["naive_mae"]
    covered = everyone.estimates.get("coverage")
    interval = "intervals" if evaluation.nominal is None else f"{100 * evaluation.nominal:g} % intervals"
    inside = "" if covered is None else f" {100 * covered.value:.0f} % of the ages lie in their {interval}."
    return (
        f"Mean absolute error {mae.value:.2f} years ({100 * evaluation.level:g} % interval {_interval(mae)}) "
        f"in {everyone.people} people of {everyone.ages[0]:.0f} to {everyone.ages[1]:.0f} years; "
        f"always saying their median age would be {naive.value:.2f} years off.{inside}"
    )


def methods(evaluation: Evaluation) -> str:
    """Return how the numbers were computed, as sentences for a paper."""
    averaged = {
        "participant": "The scans of a person were averaged first, so each person counts once.",
        "scan": "Each scan counts by itself.",
    }[evaluation.unit]
    return (
        f"All numbers are of raw predicted ages, without a correction for age. {averaged} Intervals are "
        f"{100 * evaluation.level:g} % percentile bootstrap intervals from {evaluation.resamples} resamples "
        f"of people, not scans (seed {evaluation.seed}). R² is 1 − SSE/SST about the mean age of the people "
        "evaluated. Error and R² depend on the range of ages: compare skill, and people of the same ages."
        + (
            " Coverage is the share of people whose age lies in the interval of its prediction, with the "
            "exact binomial interval (Clopper and Pearson 1934)."
            if "coverage" in evaluation.all.estimates
            else ""
        )
    )


def pictures(evaluation: Evaluation) -> list[Picture]:
    """Return the drawings: predicted age and gap against age, calibration, errors, coverage."""
    age = np.array([o.age for o in evaluation.observations], dtype=np.float64)
    predicted_age = np.array([o.predicted_age for o in evaluation.observations], dtype=np.float64)
    estimates = evaluation.all.estimates
    drawn = [
        draw_predicted_by_age(age, predicted_age, estimates["slope"].value, estimates["intercept"].value),
        draw_gap_by_age(age, predicted_age - age),
        draw_calibration(predicted_age, age),
    ]
    for by in SHOWN:
        measured = [s for s in evaluation.strata if s.by == by and s.estimates]
        if measured:
            drawn.append(_draw_stratum(by, measured))
    covered = [s for s in evaluation.strata if "coverage" in s.estimates]
    if covered:
        drawn.append(_draw_coverage(covered, evaluation.nominal))
    chances = [o.chance for o in evaluation.observations if o.chance is not None]
    if chances:
        drawn.append(draw_coverage_by_level(np.array(chances, dtype=np.float64)))
    return drawn


def _draw_coverage(strata: Sequence[Stratum], nominal: float | None) -> Picture:
    found = [s.estimates["coverage"] for s in strata]
    shares, lows, highs = (
        np.array([getattr(e, part) for e in found], dtype=np.float64) for part in ("value", "low", "high")
    )
    names = [s.level if s.by == "all" else f"{s.by} {_level(s)}" for s in strata]
    return draw_coverage(names, shares, lows, highs, nominal)


def _draw_stratum(by: str, strata: Sequence[Stratum]) -> Picture:
    def numbers(metric: str, part: str) -> np.ndarray:
        return np.array([getattr(s.estimates[metric], part) for s in strata], dtype=np.float64)

    return draw_errors(
        f"error-by-{by}",
        by,
        [_level(stratum) for stratum in strata],
        numbers("mae", "value"),
        numbers("mae", "low"),
        numbers("mae", "high"),
        None if by == "decade" else numbers("naive_mae", "value"),
    )


def _counts(evaluation: Evaluation) -> list[tuple[str, int]]:
    known = [(words, evaluation.counts[name]) for name, words in COUNTS.items() if name in evaluation.counts]
    return [*known, ("people", evaluation.all.people)]


def _strata_tables(strata: Sequence[Stratum]) -> list[Mapping[str, object]]:
    tables: list[Mapping[str, object]] = []
    known = {name for stratum in strata for name in stratum.estimates}
    for by, names in SHOWN.items():
        columns = [name for name in names if name in known or name not in INTERVALS]
        rows = [
            {
                "level": _level(s),
                "people": s.people,
                "ages": f"{s.ages[0]:.0f}–{s.ages[1]:.0f}",
                "cells": [_cell(s.estimates, name) for name in columns],
            }
            for s in strata
            if s.by == by
        ]
        if rows:
            tables.append({"by": by, "columns": columns, "rows": rows})
    return tables


def _level(stratum: Stratum) -> str:
    if stratum.by != "decade":
        return stratum.level
    return f"{stratum.level} to {int(stratum.level) + 10}"


def _cell(estimates: Mapping[str, Estimate], name: str) -> str:
    if not estimates:
        return "too few"
    estimate = estimates.get(name)
    if estimate is None:
        return "n/a"
    interval = _interval(estimate)
    return _number(estimate.value) + ("" if interval == "n/a" else f" ({interval})")


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else "n/a"


def _interval(estimate: Estimate) -> str:
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "n/a"
    return f"{_number(estimate.low)} to {_number(estimate.high)}"
