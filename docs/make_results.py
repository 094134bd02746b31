"""Write docs/results.md from the tables that ``brainclock evaluate`` made.

``docs/results/index.toml`` lists the experiments: a title, the table, the commands. Run
``python docs/make_results.py``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from brainclock.io.tables import Row, read_table

HERE = Path(__file__).parent
PAGE = HERE / "results.md"
INDEX = HERE / "results" / "index.toml"

METRICS = ("mae", "r2", "mean_error", "slope", "naive_mae")
HEAD = """# Results

<!-- Written by docs/make_results.py from docs/results/: run the commands, replace those tables. -->

Mean absolute error (MAE), mean error and the error of the best constant (naive MAE) in years; in brackets
95 % bootstrap intervals over people. Raw predictions, never corrected for age. Nobody who is counted
here trained the model that is judged. R² depends on the
range of ages: compare it only between like cohorts."""


def results_page() -> str:
    """Return the page as Markdown."""
    index = tomllib.loads(INDEX.read_text(encoding="utf-8"))
    parts = [HEAD]
    for experiment in index["experiment"]:
        rows = read_table(INDEX.parent / experiment["table"])
        parts += [f"\n## {experiment['title']}\n", experiment["about"].strip(), ""]
        parts.append("| people | n | ages | MAE | R² | mean error | slope | naive MAE |")
        parts.append("|---|---|---|---|---|---|---|---|")
        for by, level in _strata(rows):
            parts.append(_line(by, level, [row for row in rows if (row["by"], row["level"]) == (by, level)]))
        parts.append("\n```\n" + experiment["commands"].strip() + "\n```")
    return "\n".join(parts) + "\n"


def _strata(rows: list[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["by"], row["level"]) for row in rows if row["metric"] != "n/a"))


def _line(by: str, level: str, rows: list[Row]) -> str:
    found = {row["metric"]: row for row in rows}
    name = "all" if by == "all" else f"{by} {level}"
    ages = f"{float(rows[0]['youngest']):.0f}–{float(rows[0]['oldest']):.0f}"
    # within ten years R² and slope say nothing
    cells = [
        "" if by == "decade" and metric in ("r2", "slope") else _number(found[metric], metric)
        for metric in METRICS
    ]
    return f"| {name} | {rows[0]['people']} | {ages} | " + " | ".join(cells) + " |"


def _number(row: Row, metric: str) -> str:
    if row["value"] == "n/a":
        return "n/a"
    digits = 2 if metric in ("r2", "slope") else 1
    text = f"{float(row['value']):.{digits}f}"
    if "n/a" in (row["low"], row["high"]):
        return text
    return f"{text} ({float(row['low']):.{digits}f} to {float(row['high']):.{digits}f})"


if __name__ == "__main__":
    PAGE.write_text(results_page(), encoding="utf-8")
