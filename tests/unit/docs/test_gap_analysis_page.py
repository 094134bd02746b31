"""The code on the page about the gap runs on made-up files and finds what was planted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from brainclock.io.scan import Scan
from brainclock.io.tables import write_table
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.embedding import write_embeddings
from brainclock.predict.predictions import Prediction

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gap_analysis.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 people, half of them ill, two scans each; ten of 30 features differ, and the gap does."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    people = [f"sub-{i:02d}" for i in range(80)]
    age = rng.uniform(60, 85, 80)
    ill = np.arange(80) % 2 == 1
    gap = rng.normal(0, 4, 80) + np.where(ill, rng.uniform(3, 9, 80), 0)
    table = [
        {
            "participant_id": name,
            "age": age[i],
            "sex": "FM"[i // 2 % 2],
            "group": "AD" if ill[i] else "HC",
            "mmse": float(np.clip(np.round(29 - 0.7 * max(gap[i], 0) + rng.normal(0, 1.5)), 0, 30)),
        }
        for i, name in enumerate(people)
    ]
    write_table(tmp_path / "participants.tsv", table, list(table[0]))
    rows = [{"participant_id": name, "predicted_age": age[i] + gap[i]} for i, name in enumerate(people)]
    write_table(tmp_path / "RESULTS" / "predictions.tsv", rows, list(rows[0]))
    own = rng.normal(0, 1, (80, 30)) + np.where(np.arange(30) < 10, 0.8, 0) * ill[:, None]
    predictions = []
    for i, visit in ((i, visit) for i in range(80) for visit in (1, 2)):
        scan = Scan(f"{people[i]}_ses-{visit}", people[i], Path("a.nii"), f"ses-{visit}")
        embedding = (own[i] + rng.normal(0, 0.3, 30)).astype(np.float32)
        predictions.append(Prediction(scan, BrainAge(70.0, "ok", None), None, embedding))
    write_embeddings(tmp_path / "RESULTS", predictions, "tiny-1+00000000")


@pytest.mark.usefixtures("results")
def test_the_logistic_model_is_judged_on_people_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    values: dict[str, object] = {}
    exec(compile(CODE[0], "gap_analysis.md", "exec"), values)  # noqa: S102  our own page
    auc = float(capsys.readouterr().out.rsplit(" ", 1)[1])
    assert 0.75 < auc < 1  # the best possible is 0.96
    assert len(values["people"]) == 80


@pytest.mark.usefixtures("results")
def test_the_analysis_runs_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    values: dict[str, object] = {}
    exec(compile(CODE[1], "gap_analysis.md", "exec"), values)  # noqa: S102  our own page
    said = capsys.readouterr().out
    assert "AD − HC brain_age_gap OLS, HC3 difference (years)" in said
    difference = next(f for f in values["analysis"].findings if f.measure == "difference (years)")
    assert difference.low < 6 < difference.high


def test_every_block_is_tried() -> None:
    assert len(CODE) == 2
