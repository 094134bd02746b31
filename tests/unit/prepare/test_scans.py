from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import brainclock.prepare.scans as room
from brainclock.config import GateSettings, Grid, PrepareSettings
from brainclock.errors import InputError, ScanRefused
from brainclock.io.find import find_scans
from brainclock.io.scan import Scan
from brainclock.io.tables import read_table
from brainclock.prepare.scans import prepare_into, prepare_scans
from tiny_model import write_brain

GRID = Grid.box((32, 38, 32), (6.0, 6.0, 6.0), (0.0, -17.0, 5.0))
SETTINGS = PrepareSettings(grid=GRID, bias="none", gates=GateSettings(min_contrast=-1.0))


@pytest.fixture
def scans(tmp_path: Path) -> list[Scan]:
    for seed in range(3):
        write_brain(tmp_path / "in", f"sub-{seed}", seed)
    return find_scans([tmp_path / "in"], in_template=True)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    prepare_scan = room.prepare_scan
    monkeypatch.setattr(
        room, "prepare_scan", lambda scan, *rest: asked.append(scan.key) or prepare_scan(scan, *rest)
    )
    return asked


def test_a_row_a_scan_and_everything_described(scans: list[Scan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = prepare_scans(scans, out, SETTINGS)
    table = read_table(out / "preparation.tsv")
    assert [row["key"] for row in table] == [scan.key for scan in scans] == ["sub-0", "sub-1", "sub-2"]
    for row, line in zip(rows, table, strict=True):
        assert (row.status, line["status"], line["reason"]) == ("ok", "ok", "n/a")
        assert row.prepared == out / line["prepared"]
        assert row.prepared is not None
        assert row.prepared.is_file()
        assert float(line["q_coverage"]) == row.quality["coverage"] == 1
    described = json.loads((out / "preparation.json").read_text())
    assert set(described) == set(table[0])
    assert json.loads((out / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    run = json.loads((out / "run.json").read_text())
    assert PrepareSettings.model_validate(run["settings"]) == SETTINGS


def test_a_failing_scan_stops_no_other(scans: list[Scan], tmp_path: Path) -> None:
    scans[0].path.write_bytes(b"not an image")
    missing = replace(scans[2], path=tmp_path / "gone.nii.gz")
    rows = prepare_scans([*scans[:2], missing], tmp_path / "out", SETTINGS)
    assert [row.status for row in rows] == ["failed", "ok", "failed"]
    table = read_table(tmp_path / "out" / "preparation.tsv")
    assert "another kind of file" in table[0]["reason"]
    assert "no such file" in table[2]["reason"]
    assert table[0]["prepared"] == "n/a"


def test_a_refused_scan_keeps_its_figures(scans: list[Scan], tmp_path: Path) -> None:
    strict = SETTINGS.model_copy(update={"gates": GateSettings(min_contrast=2.0)})
    (row,) = prepare_scans(scans[:1], tmp_path / "out", strict)
    assert row.reason is not None
    assert row.reason.startswith("contrast: ")
    (line,) = read_table(tmp_path / "out" / "preparation.tsv")
    assert float(line["q_contrast"]) == pytest.approx(row.quality["contrast"], rel=1e-5)


def test_what_is_prepared_is_not_prepared_again(
    scans: list[Scan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_scans(scans[:2], tmp_path / "out", SETTINGS)
    asked = count_calls(monkeypatch)
    prepare_scans(scans, tmp_path / "out", SETTINGS)
    assert asked == ["sub-2"]
    prepare_scans(scans, tmp_path / "fresh", SETTINGS)
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


def test_workers_change_nothing(scans: list[Scan], tmp_path: Path) -> None:
    prepare_scans(scans, tmp_path / "one", SETTINGS)
    prepare_scans(scans, tmp_path / "two", SETTINGS, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_anything_that_changed_is_prepared_again(
    scans: list[Scan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare_scans(scans, out, SETTINGS)
    asked = count_calls(monkeypatch)
    scans[0].path.write_bytes(scans[1].path.read_bytes())
    assert scans[1].mask_path is not None
    without = replace(scans[1], in_template=True, mask_path=None, stripped=True)
    assert prepare_into(scans[0], SETTINGS, out).data.tobytes() == (
        prepare_into(scans[1], SETTINGS, out).data.tobytes()
    )
    assert asked == ["sub-0"]
    other = SETTINGS.model_copy(update={"gates": GateSettings(min_contrast=-0.5)})
    prepare_into(scans[2], other, out)
    assert asked == ["sub-0", "sub-2"]
    monkeypatch.setattr(room, "prepare_scan", lambda *_: asked.append("again") or _refuse())
    with pytest.raises(ScanRefused):
        prepare_into(without, SETTINGS, out)
    assert asked[-1] == "again"


def _refuse() -> None:
    raise ScanRefused("gate", "reason")


def test_what_an_earlier_run_made_of_a_refused_scan_goes(
    scans: list[Scan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that stayed would be taken for the answer of this run."""
    (row,) = prepare_scans(scans[:1], tmp_path / "out", SETTINGS)
    assert row.prepared is not None
    scans[0].path.write_bytes(scans[1].path.read_bytes())
    monkeypatch.setattr(room, "prepare_scan", lambda *_: _refuse())
    (row,) = prepare_scans(scans[:1], tmp_path / "out", SETTINGS)
    assert row.status == "failed"
    assert not list((tmp_path / "out" / "sub-0" / "anat").iterdir())


def test_a_damaged_answer_is_made_again(scans: list[Scan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (row,) = prepare_scans(scans[:1], out, SETTINGS)
    whole = files(out)
    assert row.prepared is not None
    for damage in (b"", b"\x1f\x8b", None):
        if damage is None:
            row.prepared.unlink()
        else:
            row.prepared.write_bytes(damage)
        prepare_scans(scans[:1], out, SETTINGS)
        assert files(out) == whole


def test_prepared_scans_in_their_own_place_stay(scans: list[Scan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_scans(scans, out, SETTINGS)
    before = files(out)
    again = find_scans([out], output=out)
    assert [row.status for row in prepare_scans(again, out, SETTINGS)] == ["ok"] * 3
    assert {name: content for name, content in files(out).items() if name.startswith("sub-")} == {
        name: content for name, content in before.items() if name.startswith("sub-")
    }
    other = SETTINGS.model_copy(update={"gates": GateSettings(min_contrast=-0.5)})
    rows = prepare_scans(again, out, other)
    assert all("with other settings" in (row.reason or "") for row in rows)


def test_what_cannot_be_run_is_an_error(scans: list[Scan], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scan"):
        prepare_scans([], tmp_path / "out", SETTINGS)
    with pytest.raises(InputError, match="the key sub-0 for"):
        prepare_scans([scans[0], replace(scans[1], key="sub-0")], tmp_path / "out", SETTINGS)
