"""Write docs/comparison.md from the tables that ``brainclock compare`` made.

``docs/comparison/index.toml`` lists the experiments; the tables of one are ``NAME-summary.tsv``,
``NAME-tests.tsv``, ``NAME-representation.tsv`` and ``NAME-budgets.tsv``. Run
``python docs/make_comparison.py``.
With the words NAME and FOLDER it first takes over the tables that ``brainclock compare`` wrote into a folder.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from brainclock.compare.jobs import BASE
from brainclock.compare.rivals import RIVALS
from brainclock.compare.tables import Budget, PairedTest, Representation, Summary, read_rows
from brainclock.report.comparison_words import (
    Line,
    axes,
    axis_words,
    conclusion,
    lines,
    method_words,
    representation_measures,
    representation_rows,
    sites,
)

HERE = Path(__file__).parent
PAGE = HERE / "comparison.md"
TABLES = HERE / "comparison"
KINDS = {
    "summary": Summary,
    "tests": PairedTest,
    "representation": Representation,
    "budgets": Budget,
}

HEAD = """# Comparison

<!-- Written by docs/make_comparison.py from docs/comparison/: run the commands, replace those tables. -->

Rank-N-Contrast (RNC) and its rivals on the same people, folds and seeds;
[Comparing ways to train](comparing.md) says who they are and how it was done. Errors in years, of raw
predictions; in brackets 95 % bootstrap intervals over people. A difference below 0 is in favour of the rival
that stands before the minus; p is Wilcoxon's, after Holm's correction over the rivals of the table."""


def comparison_page() -> str:
    """Return the page as Markdown."""
    index = tomllib.loads((TABLES / "index.toml").read_text(encoding="utf-8"))
    parts = [HEAD]
    for experiment in index["comparison"]:
        parts += _experiment(experiment)
    return "\n".join(parts) + "\n"


def _experiment(experiment: dict[str, str]) -> list[str]:
    name = experiment["name"]
    summary = read_rows(TABLES / f"{name}-summary.tsv", Summary)
    tests = read_rows(TABLES / f"{name}-tests.tsv", PairedTest)
    representation = read_rows(TABLES / f"{name}-representation.tsv", Representation)
    budgets = read_rows(TABLES / f"{name}-budgets.tsv", Budget)
    simulated = bool(experiment.get("simulated", False))
    reference = RIVALS[tests[0].reference].words if tests else "reference"
    parts = [f"\n## {experiment['title']}\n", experiment["about"].strip(), ""]
    parts += [f"**{' '.join(conclusion(summary, tests, simulated=simulated))}**\n"]
    parts += _lines("Cross-validation", lines(summary, tests, "folds", "all", BASE), reference)
    for site in sites(summary):
        parts += _lines(f"Left out: {site}", lines(summary, tests, "site", site, BASE), reference)
    parts += _axes(summary, budgets)
    parts += _representation(representation)
    parts += _budgets(budgets)
    return [*parts, "```", experiment["commands"].strip(), "```"]


def _lines(title: str, rows: Sequence[Line], reference: str) -> list[str]:
    head = (
        "rival",
        "people",
        "MAE",
        "R²",
        "slope",
        "mean error",
        "SD over seeds",
        f"{reference} − rival",
        "p",
    )
    body = [
        (
            row.rival,
            row.people,
            row.mae,
            row.r2,
            row.slope,
            row.mean_error,
            row.over_seeds,
            row.difference,
            row.p,
        )
        for row in rows
    ]
    return _table(title, head, body)


def _axes(summary: Sequence[Summary], budgets: Sequence[Budget]) -> list[str]:
    """Return one table an axis: mean absolute error of each rival that went through it."""
    found = []
    for axis, conditions in axes(summary, budgets).items():
        rows = {}
        for condition, label in conditions:
            for line in lines(summary, [], "folds", "all", condition):
                rows.setdefault(line.rival, {})[label] = line.mae
        labels = [label for _, label in conditions]
        bodies = [(rival, *(cells.get(label, "") for label in labels)) for rival, cells in rows.items()]
        through = [body for body in bodies if sum(map(bool, body)) > 2]  # more than the base
        found += _table(f"MAE by {axis_words(axis)}", ("rival", *labels), through)
    return found


def _representation(representation: Sequence[Representation]) -> list[str]:
    names = [name for name, _ in representation_measures(representation)]
    body = [
        (network, *(cells.get(name, "") for name in names))
        for network, cells in representation_rows(representation)
    ]
    head = ("network", *(name.replace("_", " ") for name in names))
    return _table("Embeddings of people who did not train", head, body)


def _budgets(budgets: Sequence[Budget]) -> list[str]:
    head = (
        "network",
        "condition",
        "people who train",
        "steps",
        "people in a step",
        "scans seen",
        "weights",
        "trainings",
    )
    body = [
        (
            method_words(row.method),
            row.condition,
            row.people,
            row.steps,
            str(row.batch_size),
            str(row.scans_seen),
            str(row.weights),
            str(row.trainings),
        )
        for row in budgets
    ]
    return _table("What each network was given", head, body)


def _table(title: str, head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return a title and a table; nothing where there are no rows."""
    if not body:
        return []
    rows = [f"| {' | '.join(cells)} |" for cells in body]
    return [f"### {title}\n", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows, ""]


def take_over(name: str, folder: Path) -> None:
    """Copy the tables of an experiment into docs/comparison/."""
    for kind in KINDS:
        shutil.copyfile(folder / f"{kind}.tsv", TABLES / f"{name}-{kind}.tsv")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        take_over(sys.argv[1], Path(sys.argv[2]))
    PAGE.write_text(comparison_page(), encoding="utf-8")
