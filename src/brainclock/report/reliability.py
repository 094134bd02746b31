"""The results about people who were scanned more than once: a table, JSON and a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from brainclock import __version__
from brainclock.io.atomic import write_json, write_text
from brainclock.io.tables import write_table
from brainclock.predict.repeats import Repeated, Repeats
from brainclock.report.figures import Picture, draw_bland_altman
from brainclock.report.page import inlined, template

#: Columns of reliability.tsv.
COLUMNS: dict[str, dict[str, object]] = {
    "of": {"Description": "What was repeated; the corrected gap is the gap minus its line on age."},
    "measure": {"Description": "What the value is."},
    "unit": {"Description": "Unit of the three numbers that follow; 1 for a pure number."},
    "people": {"Description": "How many people it is of."},
    "value": {"Description": "The number."},
    "low": {"Description": "Lower end of its 95 % interval."},
    "high": {"Description": "Upper end of its 95 % interval."},
    "run": {"Description": "Whether it could be computed.", "Levels": {"false": "not: see note"}},
    "note": {"Description": "How to read it, or why there is no number."},
}


def write_reliability(
    repeats: Repeats, out: Path, source: Mapping[str, object], counts: Mapping[str, int]
) -> None:
    """Write ``reliability.tsv``, ``reliability.json`` and ``reliability.html``; raises `OutputError`."""
    rows = [asdict(row) for row in repeats.rows]
    write_table(out / "reliability.tsv", rows, list(COLUMNS))
    write_json(
        out / "reliability.json",
        {
            "brainclock": __version__,
            "source": source,
            "counts": dict(counts),
            "within_years": repeats.within_years,
            "pairs": repeats.first.size,
            "summary": summary(repeats),
            "methods": methods(repeats),
            "rows": rows,
            "columns": COLUMNS,
        },
    )
    write_text(out / "reliability.html", reliability_page(repeats, counts))


def reliability_page(repeats: Repeats, counts: Mapping[str, int]) -> str:
    """Return the HTML page; it names no person."""
    return template("reliability.html.j2").render(
        summary=summary(repeats),
        methods=methods(repeats),
        counts=[(name.replace("_", " "), number) for name, number in counts.items()],
        rows=[
            {
                "of": row.of.replace("_", " "),
                "measure": row.measure,
                "people": row.people,
                "value": _number(row.value),
                "interval": _interval(row),
                "unit": "" if row.unit == "1" else row.unit,
                "note": row.note,
                "run": row.run,
            }
            for row in repeats.rows
        ],
        pictures=[inlined(picture) for picture in _pictures(repeats)],
    )


def summary(repeats: Repeats) -> str:
    """Return one sentence: how far two scans of one person differ by chance."""
    numbers = {(row.of, row.measure): row for row in repeats.rows if row.run}
    smallest = numbers.get(("predicted_age", "smallest credible change"))
    icc = numbers.get(("corrected_brain_age_gap", "ICC(2,1)"))
    if smallest is None or icc is None:
        return f"Only {repeats.first.size} people have two scans close in time: no reliability."
    return (
        f"In {smallest.people} people with two scans within {repeats.within_years:g} years, two predicted "
        f"ages have to differ by {smallest.value:.2f} years before it is credible change; ICC(2,1) of the "
        f"age-corrected gap is {_number(icc.value)} ({_interval(icc)})."
    )


def methods(repeats: Repeats) -> str:
    """Return how the numbers were computed, as sentences for a paper."""
    return (
        f"A pair is the first two scans of a person no more than {repeats.within_years:g} years apart. "
        "ICC(2,1) (absolute agreement) and ICC(3,1) (consistency) with 95 % intervals follow Shrout and "
        "Fleiss (1979) and McGraw and Wong (1996); the within-person SD is the root of the residual mean "
        "square, the smallest credible change 1.96 √2 times it. Limits of agreement follow Bland and Altman "
        "(1986). The gap was corrected by its line on age over these people, because a spread of ages raises "
        "the ICC of predicted age whatever the error. The rate of change is the within-person slope of "
        "predicted age on age over all scans of people whose scans lie further apart, with errors clustered "
        "by person."
    )


def _pictures(repeats: Repeats) -> list[Picture]:
    if repeats.limits is None:
        return []
    bias, *limits = repeats.limits
    return [draw_bland_altman(repeats.first, repeats.second, bias, (limits[0], limits[1]))]


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else "n/a"


def _interval(row: Repeated) -> str:
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return "n/a"
    return f"{_number(row.low)} to {_number(row.high)}"
