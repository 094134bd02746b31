"""The results of a gap analysis: tables, JSON, one page, and paragraphs for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from brainclock import __version__
from brainclock.io.atomic import write_json, write_text
from brainclock.io.tables import write_data_dictionary, write_table
from brainclock.report.figures import Picture, draw_gap_by_group, draw_severity
from brainclock.report.gap_words import interval_words, methods, number_words, p_words, results
from brainclock.report.page import inlined, template
from brainclock.stats.finding import ANALYSES
from brainclock.stats.gap import GapAnalysis

_YEARS = "years"

#: Columns of gap.tsv: a row for each thing that was run, or could not be.
COLUMNS: dict[str, dict[str, object]] = {
    "analysis": {"Description": "The question.", "Levels": ANALYSES},
    "group": {"Description": "Whom it is about: a group, a difference of two, a site."},
    "outcome": {"Description": "What was looked at: the gap (perhaps corrected), a score."},
    "method": {"Description": "How; HC3 errors allow for unequal scatter."},
    "covariates": {"Description": "Held fixed; those that do not vary among these people are left out."},
    "n": {"Description": "People with all of it known."},
    "measure": {"Description": "What the value is, with its unit."},
    "value": {"Description": "The estimate."},
    "low": {"Description": "Lower end of its interval."},
    "high": {"Description": "Upper end of its interval."},
    "df": {"Description": "Degrees of freedom of the test; n/a for tests on a normal distribution."},
    "p": {"Description": "Two-sided p-value."},
    "q": {"Description": "p adjusted for the false discovery rate over all rows (Benjamini and Hochberg)."},
    "run": {"Description": "Whether it could be run.", "Levels": {"true": "run", "false": "not: see note"}},
    "note": {"Description": "What to bear in mind, or why it could not be run."},
}

#: Columns of gap_people.tsv.
PEOPLE: dict[str, dict[str, object]] = {
    "participant_id": {"Description": "Participant, folded to small letters."},
    "group": {"Description": "Group."},
    "age": {"Description": "Chronological age at the first visit with a prediction.", "Units": _YEARS},
    "predicted_age": {"Description": "Raw predicted age.", "Units": _YEARS},
    "brain_age_gap": {"Description": "predicted_age − age, raw.", "Units": _YEARS},
    "corrected_brain_age_gap": {
        "Description": "Gap minus its line on age in the controls of this study, each control by the line of "
        "the others (de Lange and Cole 2020). No accuracy may be computed from it.",
        "Units": _YEARS,
    },
    "outside_ages_of_controls": {"Description": "Whether the line had to be drawn out to this age."},
}


def write_gap(
    analysis: GapAnalysis,
    out: Path,
    source: Mapping[str, object],
    *,
    counts: Mapping[str, int] | None = None,
    problems: Mapping[str, str] | None = None,
) -> None:
    """Write ``gap.tsv``, ``gap_people.tsv`` with its data dictionary, ``gap.json`` and ``gap.html``.

    The JSON holds the same findings, and counts, notes, options and what the columns mean.

    Parameters
    ----------
    analysis : GapAnalysis
    out : Path
        Folder; made if it is not there.
    source : mapping
        What was analysed (paths, hashes): goes into the JSON as it is.
    counts : mapping of str to int, optional
        What became of the rows of predictions.
    problems : mapping of str to str, optional
        Variables that could not be read, each with the reason.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    rows = [asdict(finding) for finding in analysis.findings]
    write_table(out / "gap.tsv", rows, list(COLUMNS))
    write_table(out / "gap_people.tsv", _people(analysis), list(PEOPLE))
    write_data_dictionary(out / "gap_people.tsv", PEOPLE)
    correction = analysis.correction
    write_json(
        out / "gap.json",
        {
            "brainclock": __version__,
            "source": source,
            "plan": asdict(analysis.plan),
            "groups": {group: int(analysis.study.members(group).sum()) for group in analysis.groups},
            "counts": dict(counts or {}),
            "problems": dict(problems or {}),
            "missing": analysis.missing,
            "notes": analysis.notes,
            "age_bias_correction": None if correction is None else asdict(correction),
            "findings": rows,
            "columns": COLUMNS,
            "methods": methods(analysis),
            "results": results(analysis),
        },
    )
    write_text(out / "gap.html", gap_page(analysis, counts or {}, problems or {}))


def gap_page(analysis: GapAnalysis, counts: Mapping[str, int], problems: Mapping[str, str]) -> str:
    """Return the HTML page: results, notes, tables by question, figures, methods. It names no person."""
    return template("gap.html.j2").render(
        results=results(analysis),
        methods=methods(analysis),
        notes=[*problems.values(), *analysis.notes],
        counts=[(name.replace("_", " "), number) for name, number in counts.items()],
        groups=analysis.groups,
        missing=analysis.missing,
        interval=f"{100 * analysis.plan.level:g} % interval",
        sections=[_section(analysis, name) for name in ANALYSES],
        pictures=[inlined(picture) for picture in pictures(analysis)],
    )


def pictures(analysis: GapAnalysis) -> list[Picture]:
    """Return the drawings: gap by group, and each score against the gap."""
    corrected = analysis.correction is not None
    gap = analysis.corrected_gap if corrected else analysis.study.gap
    gaps = [gap[analysis.study.members(group)] for group in analysis.groups]
    drawn = [draw_gap_by_group(analysis.groups, gaps, f"{'corrected ' if corrected else ''}gap (years)")]
    for number, scatter in enumerate(analysis.scatters):
        words = f"partial ρ {number_words(scatter.finding.value)} ({interval_words(scatter.finding)})"
        left = scatter.gap_left, scatter.score_left
        drawn.append(draw_severity(f"severity-{number}", scatter.group, scatter.score, *left, words))
    return drawn


def _section(analysis: GapAnalysis, name: str) -> dict[str, object]:
    rows = [
        {
            "group": finding.group,
            "outcome": finding.outcome,
            "method": finding.method,
            "covariates": finding.covariates or "none",
            "n": finding.n,
            "measure": finding.measure,
            "value": number_words(finding.value),
            "interval": interval_words(finding),
            "p": p_words(finding.p),
            "q": p_words(finding.q),
            "note": finding.note,
            "run": finding.run,
        }
        for finding in analysis.findings
        if finding.analysis == name
    ]
    return {"name": name, "question": ANALYSES[name], "rows": rows}


def _people(analysis: GapAnalysis) -> Sequence[Mapping[str, object]]:
    study = analysis.study
    rows: list[Mapping[str, object]] = []
    for i, person in enumerate(study.people):
        known = bool(np.isfinite(analysis.corrected_gap[i]))
        rows.append(
            {
                "participant_id": person,
                "group": study.group[i],
                "age": study.age[i],
                "predicted_age": study.predicted_age[i],
                "brain_age_gap": study.gap[i],
                "corrected_brain_age_gap": analysis.corrected_gap[i],
                "outside_ages_of_controls": bool(analysis.outside[i]) if known else None,
            }
        )
    return rows
