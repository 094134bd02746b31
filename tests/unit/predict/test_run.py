import json
from dataclasses import replace
from pathlib import Path

import pytest

import brainclock.predict.answers as answers
from brainclock.config import Grid
from brainclock.errors import InputError, OutputError
from brainclock.io.find import find_scans
from brainclock.io.nifti import image_hash
from brainclock.io.scan import Scan
from brainclock.io.tables import read_table
from brainclock.model.folder import load_model
from brainclock.predict.predict import predict_scan
from brainclock.predict.run import predict_scans
from brainclock.prepare.scans import prepare_scans
from tiny_model import build_model_folder


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_table_holds_what_predict_says(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    scans = [replace(scan, age=40.0 + i, sex="F", site="A") for i, scan in enumerate(brains)]
    predictions = predict_scans(scans, tmp_path / "out", model=model_folder)
    rows = read_table(tmp_path / "out" / "predictions.tsv")
    assert [row["key"] for row in rows] == [scan.key for scan in scans]
    for row, scan, prediction in zip(rows, scans, predictions, strict=True):
        alone = predict_scan(scan, model_folder)
        assert prediction.brain_age == alone
        assert alone.predicted_age is not None
        assert float(row["predicted_age"]) == pytest.approx(alone.predicted_age, abs=0.0006)
        assert float(row["brain_age_gap"]) == pytest.approx(float(row["predicted_age"]) - float(row["age"]))
        assert row["status"] == "ok"
        assert (row["sex"], row["site"], row["group"], row["reason"]) == ("F", "A", "n/a", "n/a")
    described = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert set(described) == set(rows[0])


def test_the_run_is_described(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    predict_scans(brains, tmp_path / "out", model=model_folder)
    written = json.loads((tmp_path / "out" / "run.json").read_text())
    card = load_model(model_folder).card
    assert written["model"]["identity"] == card.identity
    assert written["settings"] == card.settings.prepare.model_dump(mode="json")
    assert {key: value["sha256"] for key, value in written["inputs"].items()} == {
        scan.key: image_hash(scan.path) for scan in brains
    }
    assert {"brainclock", "torch", "python"} <= set(written["versions"])
    assert (
        json.loads((tmp_path / "out" / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    )


def test_a_true_age_has_no_part_in_a_prediction(
    brains: list[Scan], model_folder: Path, tmp_path: Path
) -> None:
    ages = [30.0, 50.0, 70.0]
    runs = []
    for turn, order in enumerate(([0, 1, 2], [2, 0, 1])):
        scans = [replace(scan, age=ages[i]) for scan, i in zip(brains, order, strict=True)]
        runs.append(predict_scans(scans, tmp_path / str(turn), model=model_folder))
    without = predict_scans(brains, tmp_path / "none", model=model_folder)
    for one, two, three in zip(*runs, without, strict=True):
        assert one.brain_age == two.brain_age == three.brain_age
    kept = [sorted((tmp_path / name / ".scans").iterdir()) for name in ("0", "1", "none")]
    assert [p.read_bytes() for p in kept[0]] == [p.read_bytes() for p in kept[1]]
    assert [p.read_bytes() for p in kept[0]] == [p.read_bytes() for p in kept[2]]


def test_a_failing_scan_stops_no_other_and_gets_no_number(
    brains: list[Scan], model_folder: Path, tmp_path: Path
) -> None:
    brains[1].path.write_bytes(b"not an image")
    missing = replace(brains[2], path=tmp_path / "gone.nii.gz")
    predictions = predict_scans([*brains[:2], missing], tmp_path / "out", model=model_folder)
    assert [p.brain_age.status for p in predictions] == ["ok", "failed", "failed"]
    rows = read_table(tmp_path / "out" / "predictions.tsv")
    assert [row["predicted_age"] == "n/a" for row in rows] == [False, True, True]
    assert "another kind of file" in rows[1]["reason"]
    assert "no such file" in rows[2]["reason"]
    inputs = json.loads((tmp_path / "out" / "run.json").read_text())["inputs"]
    assert inputs[missing.key]["sha256"] is None


def test_refused_scans_keep_their_figures(brains: list[Scan], tmp_path: Path) -> None:
    folder = build_model_folder(tmp_path / "off", intercept=900.0)
    predict_scans(brains[:1], tmp_path / "out", model=folder)
    (row,) = read_table(tmp_path / "out" / "predictions.tsv")
    assert row["predicted_age"] == "n/a"
    assert row["reason"].startswith("predicted_age: ")
    assert float(row["q_coverage"]) == 1
    assert row["flags"] == "given_mask,in_template_space"


def test_answers_are_kept_and_used_again(
    brains: list[Scan], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_scans(brains[:2], tmp_path / "out", model=model_folder)
    asked: list[str] = []
    prepare_scan = answers.prepare_scan
    monkeypatch.setattr(
        answers, "prepare_scan", lambda scan, *rest: asked.append(scan.key) or prepare_scan(scan, *rest)
    )
    predict_scans(brains, tmp_path / "out", model=model_folder)
    assert asked == ["sub-2"]
    whole = _files(tmp_path / "out")
    predict_scans(brains, tmp_path / "fresh", model=model_folder)
    assert whole == _files(tmp_path / "fresh")


def test_another_image_model_or_space_is_another_question(
    brains: list[Scan], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, out = brains[0], tmp_path / "out"
    first = predict_scans([scan], out, model=model_folder)[0].brain_age
    scan.path.write_bytes(brains[1].path.read_bytes())
    second = predict_scans([scan], out, model=model_folder)[0].brain_age
    assert second.predicted_age == predict_scan(brains[1], model_folder).predicted_age != first.predicted_age
    other = build_model_folder(tmp_path / "other", seed=2)
    third = predict_scans([scan], out, model=other)[0].brain_age
    assert third.model != second.model
    assert third.predicted_age != second.predicted_age


def test_a_damaged_answer_is_given_again(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    predict_scans(brains, tmp_path / "out", model=model_folder)
    whole = _files(tmp_path / "out")
    (tmp_path / "out" / ".scans" / "sub-0.json").write_text("{")
    (tmp_path / "out" / ".scans" / "sub-1.json").write_text("[]")
    predict_scans(brains, tmp_path / "out", model=model_folder)
    assert whole == _files(tmp_path / "out")


def test_prepared_scans_are_kept_as_prepare_keeps_them_and_have_the_same_age(
    brains: list[Scan], tmp_path: Path
) -> None:
    grid = Grid.box((32, 36, 32), (6.0, 6.0, 6.0), (0.0, -17.0, 5.0))
    model = build_model_folder(tmp_path / "model", grid=grid)
    settings = load_model(model).card.settings.prepare
    prepare_scans(brains, tmp_path / "prepared", settings)
    plain = predict_scans(brains, tmp_path / "out", model=model)
    assert not (tmp_path / "out" / "sub-0").exists()
    predict_scans(brains, tmp_path / "out", model=model, keep_prepared=True)  # answered before, kept now
    kept = {name: content for name, content in _files(tmp_path / "out").items() if name.startswith("sub-")}
    assert kept == {
        name: content for name, content in _files(tmp_path / "prepared").items() if name.startswith("sub-")
    }
    from_prepared = predict_scans(find_scans([tmp_path / "prepared"]), tmp_path / "again", model=model)
    assert [p.brain_age for p in from_prepared] == [p.brain_age for p in plain]
    assert all(p.brain_age.predicted_age is not None for p in plain)


def test_workers_change_nothing(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    predict_scans(brains, tmp_path / "one", model=model_folder)
    predict_scans(brains, tmp_path / "two", model=model_folder, workers=2)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_what_cannot_be_run_is_an_error(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scan"):
        predict_scans([], tmp_path / "out", model=model_folder)
    with pytest.raises(InputError, match="the key sub-0 for"):
        predict_scans([brains[0], replace(brains[1], key="sub-0")], tmp_path / "out", model=model_folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        predict_scans(brains, tmp_path / "file" / "out", model=model_folder)


def test_level_and_chance_are_written_and_need_no_new_answers(
    brains: list[Scan], calibrated_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = [replace(brains[0], age=40.0), replace(brains[1], age=80.0), brains[2]]
    predict_scans(scans, tmp_path / "out", model=calibrated_folder)
    first = read_table(tmp_path / "out" / "predictions.tsv")
    monkeypatch.setattr(answers, "prepare_scan", lambda *_: pytest.fail("not kept"))
    predict_scans(scans, tmp_path / "out", model=calibrated_folder, level=0.5, older_than=50.0)
    second = read_table(tmp_path / "out" / "predictions.tsv")
    for row, narrow in zip(first, second, strict=True):
        age = float(row["predicted_age"])
        assert float(row["predicted_age_high"]) == pytest.approx(age + 18, abs=0.002)
        assert float(narrow["predicted_age_high"]) == pytest.approx(age + 10, abs=0.002)
        assert (row["interval_level"], narrow["interval_level"]) == ("0.9", "0.5")
        assert narrow["older_than"] == "50"
        assert row["stability_sd"] == row["stability_max"] == "n/a"
    assert [row["older_than"] for row in first] == ["40", "80", "n/a"]
    assert first[2]["probability_older"] == first[2]["corrected_brain_age_gap"] == "n/a"
    assert "age_outside_correction" in first[1]["flags"]
    gap = float(first[0]["brain_age_gap"])
    assert float(first[0]["corrected_brain_age_gap"]) == pytest.approx(gap - (10 - 0.2 * 40), abs=0.002)


def test_stability_is_another_question(brains: list[Scan], model_folder: Path, tmp_path: Path) -> None:
    plain = predict_scans(brains[:1], tmp_path / "out", model=model_folder)[0].brain_age
    (found,) = predict_scans(brains[:1], tmp_path / "out", model=model_folder, stability=True)
    (row,) = read_table(tmp_path / "out" / "predictions.tsv")
    assert found.brain_age.predicted_age == plain.predicted_age
    assert float(row["stability_sd"]) == pytest.approx(found.brain_age.stability_sd, abs=0.0006)
    assert float(row["stability_max"]) == pytest.approx(found.brain_age.stability_max, abs=0.0006)
