"""The page about patients is what its tables say, and these name nobody."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from brainclock.io.tables import write_table
from brainclock.predict.study import read_study
from brainclock.report.gap import write_gap
from brainclock.stats.gap import analyse_gap
from brainclock.stats.plan import GapPlan

DOCS = Path(__file__).resolve().parents[3] / "docs"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_tables_say() -> None:
    expected = load("make_gap").gap_page()
    assert (DOCS / "gap.md").read_text(encoding="utf-8") == expected, "run python docs/make_gap.py"


def test_tables_of_real_people_name_nobody() -> None:
    for path in (DOCS / "gap").glob("oasis1*"):
        assert "OAS1" not in path.read_text(encoding="utf-8"), path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """60 healthy people and 40 patients of a made-up study, analysed."""
    rng = np.random.default_rng(2)
    rows = []
    for i in range(100):
        age, ill = rng.uniform(60, 90), i >= 60
        gap = rng.normal(8 if ill else 0, 4)
        rows.append(
            {
                "participant_id": f"sub-OAS1{i:04d}",
                "age": age,
                "sex": "FM"[i % 2],
                "group": "AD" if ill else "HC",
                "mmse": None if i % 10 == 0 else int(np.clip(29 - gap / 2 + rng.normal(0, 2), 0, 30)),
                "predicted_age": age + gap,
            }
        )
    table = tmp_path / "study.tsv"
    write_table(table, rows, list(rows[0]))
    read = read_study(table, table, variables=["mmse"])
    plan = GapPlan(severity=("mmse",), covariates=("age", "sex"), resamples=100)
    write_gap(analyse_gap(read.study, plan), tmp_path / "results", {"predictions": table}, counts=read.counts)
    return tmp_path / "results"


def test_results_become_a_section_without_persons_and_folders(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, page = load("run_gap"), load("make_gap")
    monkeypatch.setattr(keep, "GAP", tmp_path / "tables")
    monkeypatch.setattr(page, "TABLES", tmp_path / "tables")
    keep.keep(study, "oasis1")
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "tables").iterdir())
    assert "OAS1" not in text
    assert str(tmp_path) not in text
    made = page.gap_page()
    found = json.loads((study / "gap.json").read_text(encoding="utf-8"))
    assert found["results"] in made
    assert found["methods"] in made
    assert "- Unknown: mmse: 4 AD, 6 HC." in made
    difference = next(f for f in found["findings"] if f["measure"] == "difference (years)")
    assert f"| {difference['value']:.2f} ({difference['low']:.2f} to {difference['high']:.2f}) |" in made
    assert "not run: random effect" not in made  # one site: not asked
    assert "Simulated" not in made


def test_intervals_and_recovery_are_counted() -> None:
    module = load("run_gap")
    rng = np.random.default_rng(3)
    healthy = [
        {"participant_id": f"sub-{i}", "predicted_age": str(age + error), "age": str(age)}
        for i, (age, error) in enumerate(zip(rng.uniform(20, 80, 200), rng.normal(0, 5, 200), strict=True))
    ]
    found = module.left_out(healthy)
    assert found["all"]["people"] == 200
    assert sum(one["people"] for name, one in found.items() if name != "all") == 200
    assert 0.85 < found["all"]["coverage"] < 0.95
    assert found["all"]["low"] < 0.9 < found["all"]["high"]


def test_loading_leaves_nothing_behind() -> None:
    assert "run_gap" not in sys.modules
