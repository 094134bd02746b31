from __future__ import annotations

from pathlib import Path

import pytest

from brainclock.cli.main import main
from brainclock.io.nifti import read_volume
from brainclock.io.tables import read_table
from tiny_model import build_model_folder


def test_the_demo_goes_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = build_model_folder(tmp_path / "tiny")
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out), "--model", str(model)]) == 0
    shown = capsys.readouterr().out

    (row,) = read_table(out / "ages" / "predictions.tsv")
    assert row["status"] == "ok"
    names, values = (line.split() for line in shown.splitlines()[:2])
    assert dict(zip(names, values, strict=True)) == {name: row[name] or "n/a" for name in names}
    assert 0 < float(row["predicted_age"]) < 125

    named = [Path(word) for word in shown.split() if word.startswith(str(out))]
    assert named == [
        out / "heads" / "sub-01" / "anat" / "sub-01_T1w.nii.gz",
        out / "ages" / "predictions.tsv",
    ]
    head = read_volume(named[0])
    assert head.spacing_mm == pytest.approx((1, 1, 1))
    assert "a brain of 60 years that nobody has" in shown


def test_a_missing_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-o", str(tmp_path), "--model", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith(f"brainclock: {tmp_path / 'nothing'} is neither")
