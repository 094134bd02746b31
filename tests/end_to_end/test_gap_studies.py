"""``brainclock gap`` on made-up tables with the columns of ADNI and of PPMI: what is planted is found."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main


def write(path: Path, rows: list[dict[str, object]], delimiter: str) -> str:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def adni(folder: Path) -> list[str]:
    """150 people, two visits each; the second has other scores; an ADNIMERGE with its spellings."""
    rng = np.random.default_rng(8)
    table: list[dict[str, object]] = []
    predictions: list[dict[str, object]] = []
    for i in range(150):
        dx = ("CN", "MCI", "Dementia")[i % 3]
        age = float(rng.normal(74, 6))
        gap = float(rng.normal({"CN": 0, "MCI": 2, "Dementia": 7}[dx], 3))
        score = float(np.clip(round(29 - 0.6 * max(gap, 0) + rng.normal(0, 1)), 0, 30))
        for visit, years in (("bl", 0.0), ("m12", 1.0)):
            table.append(
                {
                    "RID": i,
                    "PTID": f"{i % 7:03d}_S_{i:04d}",
                    "VISCODE": visit,
                    "SITE": i % 7,
                    "DX_bl": {"CN": "CN", "MCI": "LMCI", "Dementia": "AD"}[dx],
                    "AGE": round(age, 1),
                    "PTGENDER": ("Male", "Female")[i % 2],
                    "PTEDUCAT": int(rng.integers(8, 20)),
                    "MMSE": score if visit == "bl" else 0,
                    "CDRSB": "" if i % 10 == 0 else round(max(0.0, gap / 2 + rng.normal(0, 1)) * 2) / 2,
                    "WholeBrain": 1_050_000 - 9000 * gap + rng.normal(0, 60_000),
                    "Ventricles": 35_000 + 1500 * gap + rng.normal(0, 9000),
                    "DX": dx,
                    "Years_bl": years,
                }
            )
            month = {"bl": "M000", "m12": "M012"}[visit]
            predicted = 22 + 0.7 * age + years + gap + rng.normal(0, 2)
            row = {"participant_id": f"sub-ADNI{i % 7:03d}S{i:04d}", "session_id": f"ses-{month}"}
            predictions.append({**row, "predicted_age": predicted})
    return [
        write(folder / "predictions.tsv", predictions[::-1], "\t"),
        write(folder / "ADNIMERGE.csv", table, ","),
    ]


def ppmi(folder: Path) -> list[str]:
    """140 people at baseline; a curated data cut with its codes."""
    rng = np.random.default_rng(9)
    table: list[dict[str, object]] = []
    predictions: list[dict[str, object]] = []
    for i in range(140):
        ill = i % 2 == 0
        age, gap = float(rng.normal(62, 9)), float(rng.normal(3 if ill else 0, 3))
        table.append(
            {
                "PATNO": 3000 + i,
                "SITE": 10 + i % 3,
                "EVENT_ID": "BL",
                "COHORT": 1 if ill else 2,
                "age": round(age, 2),
                "age_at_visit": round(age, 2),
                "SEX": i // 2 % 2,
                "EDUCYRS": int(rng.integers(10, 20)),
                "updrs3_score": round(max(0.0, 20 + 2 * gap + rng.normal(0, 5))) if ill else 0,
                "hy": int(np.clip(round(1.5 + gap / 5 + rng.normal(0, 0.4)), 1, 4)) if ill else 0,
                "moca": float(np.clip(round(27 - 0.5 * gap + rng.normal(0, 1.5)), 0, 30)),
            }
        )
        row = {"participant_id": f"sub-{3000 + i}", "session_id": "ses-BL"}
        predictions.append({**row, "predicted_age": 15 + 0.75 * age + gap + rng.normal(0, 2)})
    return [
        write(folder / "predictions.tsv", predictions, "\t"),
        write(folder / "PPMI_Curated_Data_Cut.csv", table, ","),
    ]


def findings(out: Path) -> dict[tuple[str, str, str, str], dict[str, object]]:
    read = json.loads((out / "gap.json").read_text())
    return {(f["analysis"], f["group"], f["outcome"], f["method"]): f for f in read["findings"]}


def test_adni(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--columns", "adni", "--severity", "MMSE,CDRSB", "--volumes", "WholeBrain,Ventricles"]
    covariates = ["--covariates", "age,age2,sex,site,PTEDUCAT", "--resamples", "100", "-o", str(out)]
    assert main(["gap", *adni(tmp_path), *options, *covariates]) == 0
    assert "The analysis has 50 HC, 50 AD, 50 MCI." in capsys.readouterr().out
    read = json.loads((out / "gap.json").read_text())
    assert read["counts"]["later_visits"] == 150  # the baseline counts
    assert read["missing"]["CDRSB"]["AD"] > 0
    found = findings(out)
    difference = found["group_difference", "AD − HC", "brain_age_gap", "OLS, HC3"]
    assert difference["low"] < 7 < difference["high"]
    mmse = found["severity", "AD", "MMSE", "partial Spearman"]
    assert mmse["value"] < -0.4
    assert mmse["note"] == "expected below 0"
    assert found["severity", "AD", "CDRSB", "partial Spearman"]["note"] == "expected above 0"
    added = found["added_value", "AD − HC", "being a patient", "likelihood ratio, logistic"]
    assert added["covariates"] == "age, sex, WholeBrain, Ventricles"
    assert ("sensitivity", "AD − HC", "gap, raw", "mixed model, random site, REML") in found  # seven sites


def test_ppmi(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--columns", "ppmi", "--severity", "updrs3_score,hy,moca", "--resamples", "100"]
    assert main(["gap", *ppmi(tmp_path), *options, "-o", str(out)]) == 0
    assert "70 HC, 70 PD" in capsys.readouterr().out
    found = findings(out)
    difference = found["group_difference", "PD − HC", "brain_age_gap", "OLS, HC3"]
    assert difference["low"] < 3 < difference["high"]
    for score, sign in (("updrs3_score", 1), ("moca", -1), ("hy", 1)):
        row = found["severity", "PD", score, "partial Spearman"]
        assert sign * row["value"] > 0.2
        assert row["note"] == f"expected {'above' if sign > 0 else 'below'} 0"
    assert found["severity", "PD", "hy", "proportional odds, Wald"]["low"] > 1
