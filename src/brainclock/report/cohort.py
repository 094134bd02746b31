"""The page of all scans of a run: who has no age and why, who is worth a look, and a table of everybody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.io.atomic import atomic_path
from brainclock.io.tables import MISSING, Row
from brainclock.prepare.scans import QUALITY
from brainclock.report.cohort_figures import draw_ages, draw_gap_by_level
from brainclock.report.figures import Picture
from brainclock.report.interval_figures import draw_coverage
from brainclock.report.page import inlined, template
from brainclock.report.person import PAGES
from brainclock.report.references import methods
from brainclock.report.run_folder import Entry, RunFacts, number, read_run
from brainclock.stats.conformal import coverage

#: So many rows are on the page before its script runs, and at a time afterwards.
ROWS = 50
#: Fewer scans than this tell no outlier.
_FEWEST = 20
#: A modified z-score beyond this is an outlier (Iglewicz and Hoaglin 1993).
_FAR = 3.5
#: Fewer people than this are no level of a figure.
_FEWEST_IN_LEVEL = 3
#: Columns of the table: title, and whether it is a number.
COLUMNS: tuple[tuple[str, bool], ...] = (
    *(("scan", False), ("look at", False), ("predicted age", True), ("interval", True), ("age", True)),
    *(("gap", True), ("corrected gap", True), ("sex", False), ("site", False), ("group", False)),
)
_FLAGS = {
    "unlike_training_scans": "unlike the training scans",
    "predicted_age_outside_training_ages": "beyond the ages of the training",
    "refused_when_turned": "refused when turned",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One scan in the table of the page: its cells as they are shown, its state for the filter."""

    key: str
    state: str
    cells: tuple[str, ...]


def write_cohort_page(out: Path) -> Path:
    """Write the page of all scans of a run and return where it is: ``OUT/report/index.html``.

    Parameters
    ----------
    out : Path
        Folder that ``brainclock predict`` wrote.

    Raises
    ------
    InputError
        There is no run in the folder.
    OutputError
        The page cannot be written.
    """
    return write_cohort(*read_run(out))


def write_cohort(facts: RunFacts, entries: Sequence[Entry]) -> Path:
    """Write the page of a run that was read already; raises `OutputError`.

    It is written row by row: the page of a large cohort is never in memory as a whole.
    """
    rows = [entry.row for entry in entries]
    lines = _lines(rows)
    how = methods(facts, mapped=False)
    page = facts.out / PAGES / "index.html"
    with atomic_path(page) as unfinished:
        template("cohort.html.j2").stream(
            summary=_summary(rows),
            reasons=_reasons(rows),
            counts=Counter(line.state for line in lines),
            columns=COLUMNS,
            lines=lines,
            most=ROWS,
            sites=_levels(rows, "site"),
            groups=_levels(rows, "group"),
            pictures=[inlined(picture) for picture in _pictures(rows)],
            model=facts.model,
            versions=facts.versions,
            methods=how.text,
            sources=how.sources,
        ).dump(str(unfinished), encoding="utf-8")
    return page


def _summary(rows: Sequence[Row]) -> str:
    people = len({row["participant_id"] for row in rows})
    predicted = sum(row["status"] == "ok" for row in rows)
    scans = "scan" if len(rows) == 1 else "scans"
    persons = "person" if people == 1 else "people"
    return f"{predicted} of {len(rows)} {scans} of {people} {persons} have an age."


def _reasons(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Return what scans failed at, most often first: the gate, or that the image is unusable."""
    at = Counter(_gate(row["reason"]) for row in rows if row["status"] == "failed")
    return sorted(at.items(), key=lambda item: (-item[1], item[0]))


def _gate(reason: str) -> str:
    gate = re.match(r"([a-z][a-z0-9_]*): ", reason)
    return gate[1].replace("_", " ") if gate else "image not usable"


def _lines(rows: Sequence[Row]) -> list[Line]:
    """Return the table: failures first, then who is worth a look, then the others, each by key."""
    unusual = _unusual(rows)
    lines = []
    for row, odd in zip(rows, unusual, strict=True):
        if row["status"] == "failed":
            state, look = "failed", f"failed: {row['reason']}"
        else:
            words = [_FLAGS[flag] for flag in row["flags"].split(",") if flag in _FLAGS] + odd
            if _outside(row):
                words.insert(0, "age outside its interval")
            state, look = ("look" if words else "ok"), ", ".join(words)
        lines.append(Line(row["key"], state, _cells(row, look)))
    order = {"failed": 0, "look": 1, "ok": 2}
    return sorted(lines, key=lambda line: order[line.state])


def _cells(row: Row, look: str) -> tuple[str, ...]:
    low, high = number(row, "predicted_age_low"), number(row, "predicted_age_high")
    return (
        row["key"],
        look,
        _years(number(row, "predicted_age")),
        "" if low is None or high is None else f"{low:.1f} to {high:.1f}",
        _years(number(row, "age")) + ("+" if row.get("age_censored") == "true" else ""),
        _years(number(row, "brain_age_gap"), plus=True),
        _years(number(row, "corrected_brain_age_gap"), plus=True),
        *("" if (cell := row.get(name, MISSING)) == MISSING else cell for name in ("sex", "site", "group")),
    )


def _years(value: float | None, *, plus: bool = False) -> str:
    return "" if value is None else f"{value:{'+' if plus else ''}.1f}".replace("-", "−")


def _outside(row: Row) -> bool:
    """Whether the age is known and lies outside the interval."""
    low, high, age = (number(row, name) for name in ("predicted_age_low", "predicted_age_high", "age"))
    if low is None or high is None or age is None:
        return False
    return age > high if row.get("age_censored") == "true" else not low <= age <= high


def _unusual(rows: Sequence[Row]) -> list[list[str]]:
    """Return, for each row, the quality measures that lie far from those of the other scans."""
    found: list[list[str]] = [[] for _ in rows]
    good = [index for index, row in enumerate(rows) if row["status"] == "ok"]
    if len(good) < _FEWEST:
        return found
    for column in [name for name in rows[0] if name.startswith(QUALITY)]:
        values = np.array([_or_nan(number(rows[index], column)) for index in good])
        for index in np.flatnonzero(_far(values)):
            found[good[index]].append(f"unusual {column.removeprefix(QUALITY).replace('_', ' ')}")
    return found


def _far(values: Float64[ndarray, " n"]) -> Bool[ndarray, " n"]:
    """Return which values lie far from the median, in median absolute deviations; NaN does not."""
    known = values[np.isfinite(values)]
    if known.size < _FEWEST:
        return np.zeros(values.size, dtype=bool)
    away = np.abs(values - np.median(known))
    spread = np.median(away[np.isfinite(away)])
    if spread == 0:
        return np.zeros(values.size, dtype=bool)
    return np.asarray(np.nan_to_num(0.6745 * away / spread) > _FAR)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _levels(rows: Sequence[Row], column: str) -> list[str]:
    return sorted({row.get(column, MISSING) for row in rows} - {MISSING})


def _pictures(rows: Sequence[Row]) -> list[Picture]:
    """Return the drawings, of scans with an exact age; each person counts once, by the first such scan."""
    first: dict[str, Row] = {}
    for row in rows:
        if row["status"] == "ok" and number(row, "age") is not None and row.get("age_censored") != "true":
            first.setdefault(row["participant_id"], row)
    people = list(first.values())
    if not people:
        return []
    age, predicted_age = (
        np.array([number(row, name) for row in people], dtype=np.float64) for name in ("age", "predicted_age")
    )
    drawn = [draw_ages(age, predicted_age, np.array([_outside(row) for row in people]))]
    covered = [row for row in people if number(row, "predicted_age_low") is not None]
    if covered:
        drawn.append(_coverage(covered))
    corrected = all(number(row, "corrected_brain_age_gap") is not None for row in people)
    column, words = (
        ("corrected_brain_age_gap", "corrected gap (years)")
        if corrected
        else ("brain_age_gap", "raw gap (years)")
    )
    for by in ("group", "site"):
        levels = _by_level(people, by, column)
        if len(levels) > 1:
            drawn.append(draw_gap_by_level(f"gap-by-{by}", by, words, levels))
    return drawn


def _by_level(people: Sequence[Row], by: str, column: str) -> list[tuple[str, Float64[ndarray, " _n"]]]:
    """Return the gaps of the people of each level, the most people first."""
    gaps = {
        level: np.array([number(row, column) for row in own], dtype=np.float64)
        for level, own in _parted(people, by).items()
        if len(own) >= _FEWEST_IN_LEVEL
    }
    return sorted(gaps.items(), key=lambda item: -item[1].size)


def _parted(people: Sequence[Row], by: str) -> dict[str, list[Row]]:
    """Return the people of each level, by name; who has none is left out."""
    parts: dict[str, list[Row]] = {}
    for row in people:
        parts.setdefault(row.get(by, MISSING), []).append(row)
    return {level: parts[level] for level in sorted(parts) if level != MISSING}


def _coverage(people: Sequence[Row]) -> Picture:
    """Draw how many ages lie in their interval: of everybody, and of each group."""
    parts = [("all", list(people)), *_parted(people, "group").items()]
    parts = [part for part in parts if len(part[1]) >= _FEWEST_IN_LEVEL]
    parts = parts if len(parts) > 2 else [("all", list(people))]
    found = [coverage(sum(not _outside(row) for row in own), len(own)) for _, own in parts]
    shares, lows, highs = (np.array(column, dtype=np.float64) for column in zip(*found, strict=True))
    levels = {number(row, "interval_level") for row in people}
    nominal = next(iter(levels)) if len(levels) == 1 else None
    names = [f"{name}  n {len(own)}" for name, own in parts]
    return draw_coverage(names, shares, lows, highs, nominal)
