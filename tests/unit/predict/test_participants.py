"""Participants side by side in one folder, joined afterwards."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

import brainclock.predict.answers as answers
from brainclock.io.scan import Scan
from brainclock.io.tables import read_table
from brainclock.predict.participants import join_participants, predict_participants
from brainclock.predict.run import predict_scans
from tiny_model import build_model_folder


def test_joined_participants_are_the_run_over_all_of_them(
    brains: list[Scan], model_folder: Path, tmp_path: Path
) -> None:
    brains[1].path.write_bytes(b"not an image")
    scans = [replace(scan, age=40.0 + i) for i, scan in enumerate(brains)]
    sources = [{"URL": "file:///somewhere"}]
    for scan in reversed(scans):
        predict_participants([scan], tmp_path / "parts", model=model_folder, sources=sources)
    assert not (tmp_path / "parts" / "predictions.tsv").exists()
    joined = join_participants(scans, tmp_path / "parts", model=model_folder, sources=sources)
    whole = predict_scans(scans, tmp_path / "whole", model=model_folder)
    for name in ("predictions.tsv", "predictions.json", "run.json", ".scans/sub-0.json", ".scans/sub-1.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [p.brain_age for p in joined] == [p.brain_age for p in whole]
    described = json.loads((tmp_path / "parts" / "dataset_description.json").read_text())
    assert described["SourceDatasets"] == sources


def test_each_scan_has_its_row_beside_its_image(
    brains: list[Scan], model_folder: Path, tmp_path: Path
) -> None:
    predict_participants(brains[:2], tmp_path, model=model_folder, level=0.8)
    joined = join_participants(brains, tmp_path, model=model_folder, level=0.8)
    rows = read_table(tmp_path / "predictions.tsv")
    for scan, row in zip(brains[:2], rows[:2], strict=True):
        table = tmp_path / scan.key / "anat" / f"{scan.key}_predictions.tsv"
        assert read_table(table) == [row]
        assert set(json.loads(table.with_suffix(".json").read_text())) == set(row)
    assert rows[2]["status"] == joined[2].brain_age.status == "failed"
    assert "no answer yet" in rows[2]["reason"]
    assert (rows[2]["predicted_age"], rows[2]["flags"]) == ("n/a", "given_mask,in_template_space")


def test_answers_of_another_model_are_none(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    other = build_model_folder(tmp_path / "other", seed=2)
    predict_participants(brains[:1], tmp_path / "out", model=other)
    (joined,) = join_participants(brains[:1], tmp_path / "out", model=model_folder)
    assert joined.brain_age.predicted_age is None
    assert "answered by tiny-1" in str(joined.brain_age.reason)


def test_joining_reads_no_image(
    brains: list[Scan], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_participants(brains, tmp_path, model=model_folder)
    monkeypatch.setattr(answers, "image_hash", lambda _: pytest.fail("an image was read"))
    for scan in brains:
        scan.path.unlink()
    joined = join_participants(brains, tmp_path, model=model_folder)
    assert [p.brain_age.status for p in joined] == ["ok"] * 3


def test_a_sequence_that_lies_on_disk(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    found = predict_scans(brains, tmp_path, model=model_folder)
    ages = [p.brain_age.predicted_age for p in found]
    assert len(found) == len(ages) == 3
    assert found[-1].brain_age.predicted_age == ages[-1]
    assert [p.brain_age.predicted_age for p in found[1:]] == ages[1:]
    assert [p.scan for p in found] == brains
    with pytest.raises(IndexError):
        found[3]


def test_a_figure_that_is_not_a_number_survives(
    brains: list[Scan], model_folder: Path, tmp_path: Path
) -> None:
    from brainclock.execution import Outcome
    from brainclock.model.folder import load_model

    outcome: Outcome[None] = Outcome("sub-0", None, "shear: nan", 1.0, {"shear": math.nan, "coverage": 1.0})
    answers.keep_failure(tmp_path, brains[0], outcome, load_model(model_folder))
    kept = answers.read_answer(tmp_path, "sub-0")
    assert kept is not None
    assert math.isnan(kept.brain_age.quality["shear"])
    (joined,) = join_participants(brains[:1], tmp_path, model=model_folder)
    (row,) = read_table(tmp_path / "predictions.tsv")
    assert (row["q_shear"], row["q_coverage"], row["reason"]) == ("n/a", "1", "shear: nan")
    assert joined.brain_age.reason == "shear: nan"


def test_a_worker_that_sees_another_folder_is_said(
    brains: list[Scan], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brainclock.errors import InputError

    monkeypatch.setattr("brainclock.predict.run.answer_scan", lambda *_: None)
    with pytest.raises(InputError, match="no answer for sub-0, though a worker gave one"):
        predict_scans(brains, tmp_path, model=model_folder)
