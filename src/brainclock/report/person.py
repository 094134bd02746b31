"""The page of one scan: its age or the reason why there is none, and all that helps to trust it or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from brainclock.config import Grid
from brainclock.errors import InputError
from brainclock.io.atomic import write_text
from brainclock.io.bids import parse_stem
from brainclock.io.scan import Scan
from brainclock.io.tables import MISSING, Row
from brainclock.model.card import ModelFacts
from brainclock.predict.flags import FLAGS
from brainclock.prepare.derivatives import prepared_path, read_prepared
from brainclock.prepare.quality import MEASURES, allowed, limits
from brainclock.prepare.scans import QUALITY
from brainclock.prepare.template import load_template
from brainclock.report.figures import Picture
from brainclock.report.keepsake import read_keepsake, views_of_prepared
from brainclock.report.page import inlined, template
from brainclock.report.person_figures import draw_among_healthy, draw_training_ages
from brainclock.report.references import methods
from brainclock.report.run_folder import Entry, RunFacts, number, read_run
from brainclock.report.slices import COLUMNS, PLANES, SLICES, Box, cut, grey_jpeg, outline

#: Where pages lie in the folder of a run.
PAGES = "report"
_ENTITIES = {
    "sub": "participant",
    "ses": "session",
    "run": "run",
    "acq": "acquisition",
    "rec": "reconstruction",
}
_MOST_REGIONS = 8
#: Names of quality measures for people.
_WORDS = {
    "voxel_mm_min": "shortest voxel side",
    "voxel_mm_max": "longest voxel side",
    "brain_volume_ml": "brain volume",
    "template_r2": "fit to the template (R²)",
    "axis_scale_min": "smallest scale",
    "axis_scale_max": "largest scale",
    "rotation_degrees": "rotation",
}


def write_person_page(out: Path, key: str) -> Path:
    """Write the page of one scan of a run and return where it is: ``OUT/report/KEY.html``.

    Parameters
    ----------
    out : Path
        Folder that ``brainclock predict`` wrote, best with ``--report``.
    key : str
        Of the scan.

    Raises
    ------
    InputError
        There is no run in the folder, or no such scan in it.
    OutputError
        The page cannot be written.
    """
    facts, entries = read_run(out)
    for entry in entries:
        if entry.row["key"] == key:
            return write_entry(facts, entry)
    found = f"no scan {key}"
    raise InputError(
        str(out / "predictions.tsv"), found, "a key of the table", "Choose one of its column key."
    )


def write_entry(facts: RunFacts, entry: Entry) -> Path:
    """Write the page of a scan that was read already; raises `OutputError`."""
    page = page_path(facts.out, entry.row["key"])
    write_text(page, person_page(facts, entry))
    return page


def page_path(out: Path, key: str) -> Path:
    """Return where the page of a scan lies."""
    return out / PAGES / f"{key}.html"


def person_page(facts: RunFacts, entry: Entry) -> str:
    """Return the HTML page of a scan, made of its row and of what was kept of it."""
    row = entry.row
    kept = read_keepsake(facts.out, row["key"]) if facts.kept_more else None
    if kept is not None and kept.get("sha256") != entry.sha256:
        kept = None
    views = None if kept is None else kept["views"]
    if views is None and row["status"] == "ok":
        views = _views_of_prepared(facts, row["key"])
    told = None if kept is None else kept["map"]
    how = methods(facts, mapped=told is not None and "regions" in told)
    return template("person.html.j2").render(
        who=_who(row),
        key=row["key"],
        row={name: (None if cell == MISSING else cell) for name, cell in row.items()},
        age=number(row, "age"),
        answer=_answer(row),
        flags=[FLAGS[name] for name in row["flags"].split(",") if name in FLAGS],
        pictures=[inlined(picture) for picture in _pictures(facts, row)],
        gates=_gates(facts, row),
        views=None if views is None else _viewer(views),
        template_sheets=_template_sheets(views),
        map=None if told is None else _map(told),
        done=_done(facts, entry, kept),
        versions=facts.versions,
        model=facts.model,
        methods=how.text,
        sources=how.sources,
    )


def _who(row: Row) -> list[tuple[str, str]]:
    """Return what the key says of the scan: participant, session, run."""
    return [(_ENTITIES.get(name, name), label) for name, label in parse_stem(row["key"]).items()]


@dataclass(frozen=True, slots=True)
class Answer:
    """The numbers of a scan that has an age, years."""

    predicted_age: float
    low: float | None
    high: float | None
    level: float | None
    gap: float | None
    corrected_gap: float | None
    older_than: float | None
    chance: float | None
    stability_sd: float | None


def _answer(row: Row) -> Answer | None:
    predicted_age = number(row, "predicted_age")
    if predicted_age is None:
        return None
    columns = (
        *("predicted_age_low", "predicted_age_high", "interval_level", "brain_age_gap"),
        *("corrected_brain_age_gap", "older_than", "probability_older", "stability_sd"),
    )
    return Answer(predicted_age, *(number(row, column) for column in columns))


def _pictures(facts: RunFacts, row: Row) -> list[Picture]:
    """Return the drawings: among whom the predicted age lies, and who trained the model."""
    answer = _answer(row)
    age = None if row.get("age_censored") == "true" else number(row, "age")
    drawn = []
    calibration = facts.model.calibration
    if answer is not None and calibration is not None:
        healthy = answer.predicted_age + calibration.errors_at(answer.predicted_age)
        ends = None if answer.low is None or answer.high is None else (answer.low, answer.high)
        drawn.append(draw_among_healthy(answer.predicted_age, healthy, ends, answer.level or 0.0, age))
    predicted_age = None if answer is None else answer.predicted_age
    drawn.append(draw_training_ages(_by_decade(facts.model), predicted_age, age))
    return drawn


def _by_decade(model: ModelFacts) -> dict[int, int]:
    counts: dict[int, int] = {}
    for cohort in model.cohorts:
        for decade, people in cohort.ages_by_decade.items():
            counts[int(decade)] = counts.get(int(decade), 0) + people
    return counts


def _gates(facts: RunFacts, row: Row) -> list[Mapping[str, object]]:
    """Return each quality measure with its limits; the one that the scan failed is marked."""
    gates = limits(facts.settings.gates)
    found: list[Mapping[str, object]] = []
    for name, (meaning, unit) in MEASURES.items():
        value = number(row, f"{QUALITY}{name}")
        if value is None:
            continue
        low, high = gates.get(name, (-np.inf, np.inf))
        free = name not in gates
        found.append(
            {
                "name": name,
                "words": _WORDS.get(name, name.replace("_", " ")),
                "value": f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}",
                "exact": row[f"{QUALITY}{name}"],
                "unit": unit or "",
                "allowed": "" if free else allowed(low, high),
                "state": "" if free else "passed" if low <= value <= high else "failed",
                "meaning": meaning,
            }
        )
    return found


def _views_of_prepared(facts: RunFacts, key: str) -> dict[str, Any] | None:
    """Return slices of the prepared scan, if the run kept it; None if not."""
    path = prepared_path(Scan(key, key, Path()), facts.settings.grid, facts.out)
    try:
        return views_of_prepared(read_prepared(path))
    except InputError:
        return None


def _viewer(views: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pictures of the planes with their sizes and places."""
    box = Box.from_dict(views["box"])
    planes = []
    for name, (axis, _, _) in PLANES.items():
        width, height = box.size(name)
        planes.append(
            {
                "name": name,
                "width": width,
                "height": height,
                "axis": "xyz"[axis],
                "places": box.places_mm[axis],
                **views["planes"][name],
            }
        )
    size = {"slices": SLICES, "columns": COLUMNS, "rows": SLICES // COLUMNS}
    return {**size, "head": views["head"], "registered": views["registered"], "planes": planes}


def _template_sheets(views: Mapping[str, Any] | None) -> Mapping[str, Mapping[str, str]]:
    """Return the template cut as the scan, where the scan lies in template space."""
    if views is None or not views["registered"]:
        return {}
    return _template_at(Box.from_dict(views["box"]))


@cache
def _template_at(box: Box) -> Mapping[str, Mapping[str, str]]:
    known = load_template()
    to_voxel = np.linalg.inv(known.affine)
    return {
        plane: {
            "picture": grey_jpeg(cut(known.t1, to_voxel, box, plane), 1.0),
            "outline": outline(cut(known.mask, to_voxel, box, plane)),
        }
        for plane in PLANES
    }


def _map(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the map with its largest regions, each with the length of its bar."""
    if "regions" not in told:
        return {**told, "planes": None}
    regions = sorted(told["regions"], key=lambda region: -abs(region["years"]))
    longest = max(abs(region["years"]) for region in regions) or 1.0
    rows = [
        {
            **region,
            "words": region["region"].replace("_", " "),
            "length": 100 * abs(region["years"]) / longest,
        }
        for region in regions
    ]
    outside = next((r["size"] for r in regions if r["region"] == "outside_the_brain"), 0.0)
    return {**told, "rows": rows, "most": _MOST_REGIONS, "outside": outside}


def _done(facts: RunFacts, entry: Entry, kept: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what was done to the scan, step by step."""
    came = None if kept is None else kept["provenance"]
    steps = [("image", entry.row["path"]), ("SHA-256 of the image", entry.sha256 or "not readable")]
    if came is not None:
        steps += [
            ("brain mask", str(came["BrainMask"])),
            ("came without its skull", "yes" if came["Stripped"] else "no"),
            ("bias field", "N4" if came["BiasField"] == "n4" else "not corrected"),
            ("registration", str(came["Registration"])),
            ("template", f"{came['Space']} ({str(came['TemplateHash'])[:12]})"),
        ]
    grid: Grid = facts.settings.grid
    spacing = " × ".join(f"{side:g}" for side in np.round(grid.spacing_mm, 3))
    steps += [
        ("model grid", f"{' × '.join(map(str, grid.shape))} voxels of {spacing} mm"),
        ("settings of the preparation", facts.settings.digest()[:12]),
        ("model", facts.model.identity),
        ("weights", facts.model.weights_sha256[:12]),
    ]
    return steps
