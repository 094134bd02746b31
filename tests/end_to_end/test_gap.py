"""``brainclock gap`` and ``brainclock reliability`` on made-up tables, and on tables that are wrong."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def people(n: int = 120) -> list[dict[str, object]]:
    rng = np.random.default_rng(3)
    rows: list[dict[str, object]] = []
    for i in range(n):
        ill = i >= n // 2
        age = float(rng.normal(74 if ill else 70, 6))
        gap = rng.uniform(2, 10) if ill else 0.0
        rows.append(
            {
                "participant_id": f"sub-{i:03d}",
                "age": f"{age:.2f}",
                "sex": "FM"[i % 2],
                "group": "AD" if ill else "HC",
                "mmse": int(np.clip(round(29 - 0.6 * gap + rng.normal(0, 1.5)), 0, 30)),
                "brain": f"{1200 - 5 * gap + rng.normal(0, 60):.1f}",
                "predicted_age": f"{20 + 0.7 * age + gap + rng.normal(0, 4):.3f}",
            }
        )
    return rows


def tables(folder: Path, rows: list[dict[str, object]]) -> list[str]:
    said = ("age", "sex", "group", "mmse", "brain")
    predictions = [{k: row[k] for k in ("participant_id", "predicted_age")} for row in reversed(rows)]
    participants = [{k: row[k] for k in ("participant_id", *said)} for row in rows]
    return [
        str(write(folder / "predictions.tsv", predictions)),
        str(write(folder / "participants.tsv", participants)),
    ]


def test_a_study_from_tables_to_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--severity", "mmse,moca", "--volumes", "brain", "--resamples", "200", "-o", str(out)]
    assert main(["gap", *tables(tmp_path, people()), *options]) == 0
    said = capsys.readouterr()
    assert said.out.strip().endswith("gap.html")
    assert "no column moca" in said.err
    results = json.loads((out / "gap.json").read_text())
    rows = list(csv.DictReader((out / "gap.tsv").open(), delimiter="\t"))
    assert len(rows) == len(results["findings"])
    assert set(rows[0]) == set(results["columns"])
    (difference,) = [
        r for r in rows if r["analysis"] == "group_difference" and r["measure"] == "difference (years)"
    ]
    assert float(difference["low"]) < 6 < float(difference["high"])
    assert f"{float(difference['value']):.2f} years" in results["results"]
    assert results["age_bias_correction"]["people"] == 60
    page = (out / "gap.html").read_text()
    assert {"group_difference", "severity", "added_value"} <= set(re.findall(r'<table id="(\w+)">', page))
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]{20,}", page)) == 2
    assert "sub-0" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert len((out / "gap_people.tsv").read_text().splitlines()) == 121


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--group", "dx"], "a column dx"),
        (["--columns", "adni"], "a column PTID"),
        (["--column", "corrected_age"], "raw"),
        (["--resamples", "3"], "resamples"),
    ],
)
def test_wrong_options_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], word: str
) -> None:
    assert main(["gap", *tables(tmp_path, people(20)), *options, "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err.strip()
    assert word in err
    assert "\n" not in err


def test_without_controls_the_rest_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--severity", "mmse", "--controls", "CN", "--resamples", "100", "-o", str(out)]
    assert main(["gap", *tables(tmp_path, people(60)), *options]) == 0
    findings = json.loads((out / "gap.json").read_text())["findings"]
    assert any(not f["run"] and "no group CN among AD, HC" in f["note"] for f in findings)
    assert any(f["run"] and f["analysis"] == "severity" and f["group"] == "AD" for f in findings)


def test_reliability_from_a_table_to_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(4)
    rows: list[dict[str, object]] = []
    for i in range(30):
        age, own = rng.uniform(30, 80), rng.normal(0, 4)
        for session, later in enumerate((0.0, 0.1, 3.0)):
            predicted = age + 1.2 * later + own + rng.normal(0, 1)
            rows.append(
                {
                    "participant_id": f"sub-{i}",
                    "session_id": f"ses-{session}",
                    "age": age + later,
                    "predicted_age": predicted,
                }
            )
    out = tmp_path / "out"
    assert main(["reliability", str(write(tmp_path / "p.tsv", rows)), "-o", str(out)]) == 0
    found = {(r["of"], r["measure"]): r for r in json.loads((out / "reliability.json").read_text())["rows"]}
    smallest = found["predicted_age", "smallest credible change"]["value"]
    assert smallest == pytest.approx(1.96 * np.sqrt(2), rel=0.4)
    icc = found["corrected_brain_age_gap", "ICC(2,1)"]
    assert icc["low"] < 16 / 17 < icc["high"]
    assert found["predicted_age", "ICC(2,1)"]["value"] > icc["value"]
    rate = found["predicted_age", "rate of change"]
    assert rate["low"] < 1.2 < rate["high"]
    assert f"{smallest:.2f} years" in capsys.readouterr().out
    page = (out / "reliability.html").read_text()
    assert "bland-altman" in page
    assert "sub-" not in page


def test_people_scanned_once_have_no_reliability(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "p.tsv", people(10))
    assert main(["reliability", str(table), "-o", str(tmp_path / "out")]) == 2
    assert "nobody with two scans" in capsys.readouterr().err


def test_few_pairs_say_why_and_the_rest_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "participant_id": f"sub-{i // 2}"} for i, row in enumerate(people(20))]
    for row in rows:
        row["sex"] = "F"
    out = tmp_path / "out"
    assert main(["reliability", str(write(tmp_path / "p.tsv", rows)), "-o", str(out)]) == 0
    found = json.loads((out / "reliability.json").read_text())["rows"]
    assert any(not row["run"] and "5 or more people" in row["note"] for row in found)
