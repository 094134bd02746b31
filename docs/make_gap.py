"""Write docs/gap.md from the tables in docs/gap, which docs/run_gap.py makes.

Run ``python docs/make_gap.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainclock.io.tables import Row, read_table

HERE = Path(__file__).parent
PAGE = HERE / "gap.md"
TABLES = HERE / "gap"

HEAD = """# The gap in patients

<!-- Written by docs/make_gap.py from docs/gap/: run the commands, which replace those tables. -->

Two analyses, each made by one command: of real patients with Alzheimer's disease, and of simulated
ones. How the numbers are computed is on the page [What the gap means](gap_analysis.md). Everything that
was run is in the tables; q is adjusted over all of it. These are associations: nothing here is about
cause, change, or one person.
"""
REAL = """## OASIS-1: very mild to moderate Alzheimer's disease

Ten coronal slices of the skull-stripped average of OASIS-1 (1.5 T), public data (Marcus et al. 2007,
doi:10.1162/jocn.2007.19.9.1498). No patient trained a model. Each healthy person is read by a network
that was trained without that person; patients are read by the mean of all networks of the model, which
scatters less, so errors that allow for unequal scatter (HC3) matter here. Only numbers about groups are
in this repository.

```
brainclock train oasis1-slab -o slab --config docs/models/slab.toml
python docs/run_gap.py oasis1 oasis1-slab slab WORK
```
"""
MADE = """## Simulated patients

**Made with the `whole-brain` that came before the present one**, whose registration was another; the command
gives the figures of the present one. **Nobody here is a real person.** Heads, disease and scores are simulated ([how](simulating.md)); what
comes out says whether the analysis finds what was put in, and nothing about a disease. It is ready for
whoever has ADNI or PPMI: [the columns](gap_analysis.md#columns-of-adni-and-ppmi). The volumes are the
true ones of the simulation: no measured volume can be a stronger rival of the gap.

```
python docs/run_gap.py simulated WORK
```
"""
#: Titles of the analyses, by the name of their tables.
ANALYSES = {
    "oasis1": "### People of 60 years and older",
    "oasis1_all_ages": "### Patients against healthy people of all ages",
    "simulated_ad": "### Simulated Alzheimer's disease",
    "simulated_pd": "### Simulated Parkinson's disease",
}
#: Whole tables; the others are in docs/gap/*.tsv.
SHOWN = (
    ("group_difference", "adjusted_mean"),
    ("severity",),
    ("added_value",),
    ("sex_interaction", "sensitivity", "power"),
)


def gap_page() -> str:
    """Return the page as Markdown; an analysis without tables is left out."""
    parts = [HEAD]
    for head, names, more in (
        (REAL, ("oasis1", "oasis1_all_ages"), _intervals),
        (MADE, ("simulated_ad", "simulated_pd"), _truth),
    ):
        found = [name for name in names if (TABLES / f"{name}.json").is_file()]
        if found:
            parts += [head, *(_analysis(name) for name in found), more()]
    return "\n".join(parts).rstrip() + "\n"


def _analysis(name: str) -> str:
    about = _read(name)
    rows = read_table(TABLES / f"{name}.tsv")
    lines = [ANALYSES[name], "", about["results"], ""]
    notes = [*about["problems"].values(), *about["notes"]]
    lines += [f"- {note}" for note in notes]
    lines += _missing(about["missing"])
    for shown in SHOWN:
        own = [row for row in rows if row["analysis"] in shown]
        if own:
            lines += _table(own)
    lines += ["", "<details><summary>Methods</summary>", "", about["methods"], "", "</details>", ""]
    return "\n".join(lines)


def _missing(missing: dict[str, dict[str, int]]) -> list[str]:
    lacking = [
        f"{variable}: " + ", ".join(f"{number} {group}" for group, number in groups.items() if number)
        for variable, groups in missing.items()
        if any(groups.values())
    ]
    return [f"- Unknown: {'; '.join(lacking)}."] if lacking else []


def _table(rows: list[Row]) -> list[str]:
    lines = ["", "| question | of | outcome | method | given | n | measure | value (95 %) | p | q |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        if row["run"] == "true":
            value, p, q = _value(row), _p(row["p"]), _p(row["q"])
            cells = [row["n"], row["measure"], value, p, q]
        else:
            cells = ["", f"not run: {row['note']}", "", "", ""]
        given = "" if row["covariates"] == "n/a" else row["covariates"]
        question = row["analysis"].replace("_", " ")
        line = [question, row["group"], row["outcome"].replace("_", " "), row["method"], given, *cells]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |")
    return lines


def _value(row: Row) -> str:
    value = _number(row["value"])
    return value if "n/a" in (row["low"], row["high"]) else f"{value} ({_range(row['low'], row['high'])})"


def _number(text: object) -> str:
    return "n/a" if text in ("n/a", None) else f"{float(str(text)):.2f}".replace("-", "−")


def _range(low: object, high: object) -> str:
    return f"{_number(low)} to {_number(high)}"


def _p(text: str) -> str:
    if text == "n/a":
        return ""
    return "< 0.001" if float(text) < 0.001 else f"{float(text):.3f}"


def _intervals() -> str:
    if not (TABLES / "oasis1_intervals.json").is_file():
        return ""
    lines = [
        "### Intervals of healthy people",
        "",
        "How many lie in the 90 % interval that the errors of the others give them, by age:",
        "",
        "| age | people | inside (%), 95 % interval |",
        "|---|---|---|",
    ]
    for name, found in sorted(_read("oasis1_intervals").items(), key=lambda item: item[0] != "all"):
        share, low, high = (100 * found[part] for part in ("coverage", "low", "high"))
        lines.append(f"| {name} | {found['people']} | {share:.0f} ({low:.0f} to {high:.0f}) |")
    return "\n".join([*lines, ""])


def _truth() -> str:
    if not (TABLES / "simulated_truth.json").is_file():
        return ""
    found = _read("simulated_truth")
    gap, age = (found["predicted_age_on"][name] for name in ("true gap", "age"))
    return (
        "### What was put in and what comes out\n\n"
        f"In {found['healthy']} simulated healthy people the model is {found['mae']:.1f} years off (the best "
        f"constant: {found['naive_mae']:.1f}; mean error {_number(found['mean_error'])}). At equal age, the "
        f"predicted age rises by {_number(gap['slope'])} years ({_range(gap['low'], gap['high'])}) for each "
        f"year of true gap; at equal gap, by {_number(age['slope'])} ({_range(age['low'], age['high'])}) for "
        "each year of age. A model that saw ageing and nothing else would rise by 1 for both; what is below "
        "1 is lost, and differences between groups shrink by as much.\n"
    )


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TABLES / f"{name}.json").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    PAGE.write_text(gap_page(), encoding="utf-8")
