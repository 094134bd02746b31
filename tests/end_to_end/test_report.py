from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.config import Grid
from brainclock.io.nifti import read_volume, write_volume
from brainclock.io.tables import Row, read_table
from brainclock.model.folder import load_model, save_model
from brainclock.predict.keeper import Sight
from brainclock.report import pages
from brainclock.report.keepsake import PageKeeper
from brainclock.stats.age_bias import AgeBiasCorrection
from brainclock.stats.conformal import Calibration
from browser import axe_violations, run_in_page
from html_page import Page
from tiny_model import build_model_folder, write_brain

GRID = Grid.box((32, 36, 32), (6.0, 6.0, 6.0), (0.0, -17.0, 5.0))
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with intervals and a line of age bias."""
    folder = tmp_path_factory.mktemp("models")
    loaded = load_model(build_model_folder(folder / "tiny", grid=GRID))
    known = {
        "calibration": Calibration((), (tuple(float(e) for e in range(-19, 20)),)),
        "age_bias": AgeBiasCorrection("de_lange", 39, (30.0, 70.0), 0.8, 10.0, (0.7, 0.9)),
    }
    card = loaded.card.model_copy(update=known)
    save_model(loaded.model, card, loaded.familiarity, folder / "calibrated")
    return folder / "calibrated"


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two brains of known age, one that is far too small, and a file that is no image."""
    folder = tmp_path_factory.mktemp("brains")
    for number in (1, 2, 3):
        write_brain(folder / f"sub-0{number}" / "ses-1" / "anat", f"sub-0{number}_ses-1", number)
    for path in (folder / "sub-03" / "ses-1" / "anat").iterdir():
        small = read_volume(path)
        dtype = np.uint8 if "mask" in path.name else np.float32
        write_volume(path, small.data.astype(dtype), small.affine @ np.diag([0.6, 0.6, 0.6, 1]), dtype=dtype)
    (folder / "sub-04" / "anat").mkdir(parents=True)
    (folder / "sub-04" / "anat" / "sub-04_T1w.nii.gz").write_bytes(b"no image")
    people = ["participant_id\tage\tsex\tsite\tgroup", "sub-01\t41.5\tF\tA & B\tHC", "sub-02\t67\tM\t<C>\tAD"]
    (folder / "participants.tsv").write_text("\n".join(people) + "\n")
    return folder


@pytest.fixture(scope="module")
def reported(brains: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reported")
    assert predict(brains, out, model, "--report") == 1
    return out


def predict(brains: Path, out: Path, model: Path, *options: str) -> int:
    words = ["predict", str(brains), "-o", str(out), "--model", str(model), "--template-space", "--quiet"]
    return main([*words, *options])


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def read_page(out: Path, name: str) -> Page:
    return Page((out / "report" / f"{name}.html").read_text(encoding="utf-8"))


def rows_of(out: Path) -> dict[str, Row]:
    return {row["key"]: row for row in read_table(out / "predictions.tsv")}


def test_each_scan_has_a_page_that_needs_nothing_else(reported: Path) -> None:
    made = {path.stem for path in (reported / "report").iterdir()}
    assert made == {*rows_of(reported), "index"}
    for path in (reported / "report").iterdir():
        page = read_page(reported, path.stem)
        assert path.stat().st_size < MOST_BYTES
        assert len(set(page.ids)) == len(page.ids)
        others = {f"{name}.html" for name in made}
        outside = [r for r in page.references if not r.startswith(("data:", "#")) and r not in others]
        assert outside == []
        assert {r[1:] for r in page.references if r.startswith("#")} <= set(page.ids)
        assert page.headings[0] == 1
        assert page.headings.count(1) == 1
        assert all(below <= above + 1 for above, below in zip(page.headings, page.headings[1:], strict=False))
        assert all(len(image["alt"] or "") > 40 for image in page.images)
        assert "Not a medical device." in page.words


def test_numbers_on_a_page_are_those_of_the_table(reported: Path) -> None:
    for key in ("sub-01_ses-1", "sub-02_ses-1"):
        row, page = rows_of(reported)[key], read_page(reported, key)
        for identity, column in {
            "predicted-age": "predicted_age",
            "interval": "predicted_age_low",
            "gap": "brain_age_gap",
            "corrected-gap": "corrected_brain_age_gap",
            "chance": "probability_older",
        }.items():
            assert float(page.numbers[identity]) == float(row[column]), identity
        quality = {line[0]: line[1].split()[0] for line in page.rows["quality"][1:]}
        measures = [name for name in row if name.startswith("q_") and name != "q_unfamiliarity"]
        known = [name for name in measures if row[name] != "n/a"]
        assert len(quality) == len(known)
        assert float(quality["brain volume"]) == pytest.approx(float(row["q_brain_volume_ml"]), rel=0.01)
        years = [
            float(line[1].replace("−", "-"))
            for name in ("regions", "more-regions")
            for line in page.rows[name][1:]
        ]
        total = float(row["predicted_age"]) - 45
        assert sum(years) == pytest.approx(total, abs=0.05 * len(years) + 0.05)


def test_a_scan_that_failed_has_its_reason_first_and_no_number(reported: Path) -> None:
    for key, pictures in (("sub-03_ses-1", True), ("sub-04", False)):
        row, page = rows_of(reported)[key], read_page(reported, key)
        assert row["status"] == "failed"
        assert row["reason"] in " ".join(page.words.split())
        assert page.ids.index("reason") < page.ids.index("h-views")
        assert not {"predicted-age", "interval", "gap", "map", "regions"} & set(page.ids)
        assert ("view-axial" in page.ids) == pictures
    lines = {line[0]: line[3] for line in read_page(reported, "sub-03_ses-1").rows["quality"][1:]}
    assert lines["brain volume"] == "failed"
    assert lines["shortest voxel side"] == "passed"


def test_the_page_of_all_has_failures_first_and_every_row(reported: Path) -> None:
    page = read_page(reported, "index")
    assert [line[0] for line in page.rows["scans"][1:3]] == ["sub-03_ses-1", "sub-04"]
    assert {line[0] for line in page.rows["scans"][1:]} == set(rows_of(reported))
    assert "2 of 4 scans of 4 people have an age." in page.words
    assert "<C>" not in (reported / "report" / "index.html").read_text(encoding="utf-8")
    for line in page.rows["scans"][3:]:
        row = rows_of(reported)[line[0]]
        assert float(line[2]) == pytest.approx(float(row["predicted_age"]), abs=0.0501)
        assert line[8] == row["site"]


def test_interrupted_twice_it_ends_the_same(
    brains: Path, model: Path, reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, write = PageKeeper.keep, pages.write_entry
    calls: list[str] = []

    def stop_at_second(self: PageKeeper, sight: Sight) -> None:
        calls.append("kept")
        if len(calls) == 2:
            raise KeyboardInterrupt
        keep(self, sight)

    monkeypatch.setattr(PageKeeper, "keep", stop_at_second)
    assert predict(brains, tmp_path, model, "--report") == 130
    assert len(list((tmp_path / ".report").iterdir())) == 1
    assert not (tmp_path / "report").exists()
    monkeypatch.setattr(PageKeeper, "keep", keep)

    def stop_at_third(facts: object, entry: object) -> Path:
        calls.append("written")
        if calls.count("written") == 3:
            raise KeyboardInterrupt
        return write(facts, entry)

    def only_failed(self: PageKeeper, sight: Sight) -> None:
        assert sight.answer is None, "kept before"
        keep(self, sight)

    monkeypatch.setattr(pages, "write_entry", stop_at_third)
    assert predict(brains, tmp_path, model, "--report") == 130
    assert len(list((tmp_path / "report").iterdir())) == 2
    monkeypatch.setattr(pages, "write_entry", write)
    monkeypatch.setattr(PageKeeper, "keep", only_failed)
    assert predict(brains, tmp_path, model, "--report") == 1
    assert files(tmp_path) == files(reported)


def test_report_alone_makes_the_same_pages_and_removes_strangers(
    reported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(reported, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "report")
    (tmp_path / "out" / "report").mkdir()
    (tmp_path / "out" / "report" / "sub-99.html").write_text("of an earlier run")
    assert main(["report", str(tmp_path / "out"), "--workers", "2", "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report" / "index.html")
    assert files(tmp_path / "out") == files(reported)


def test_without_pictures_there_is_a_page_and_with_prepared_scans_there_are_pictures(
    brains: Path, model: Path, tmp_path: Path
) -> None:
    assert predict(brains, tmp_path, model) == 1
    assert main(["report", str(tmp_path), "--quiet"]) == 0
    page = read_page(tmp_path, "sub-01_ses-1")
    assert page.numbers["predicted-age"] == rows_of(tmp_path)["sub-01_ses-1"]["predicted_age"]
    assert "No pictures were kept." in page.words
    assert predict(brains, tmp_path, model, "--keep-prepared") == 1
    assert main(["report", str(tmp_path), "--quiet"]) == 0
    page = read_page(tmp_path, "sub-01_ses-1")
    assert "The prepared brain in template space." in page.words
    assert "view-axial" in page.ids


def test_what_was_kept_for_another_run_is_not_shown(
    brains: Path, model: Path, reported: Path, tmp_path: Path
) -> None:
    shutil.copytree(reported, tmp_path / "out")
    shutil.copytree(brains, tmp_path / "brains")
    image = tmp_path / "brains" / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.gz"
    image.write_bytes((brains / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_T1w.nii.gz").read_bytes())
    assert predict(tmp_path / "brains", tmp_path / "out", model) == 1
    assert main(["report", str(tmp_path / "out"), "--quiet"]) == 0
    assert "view-axial" not in read_page(tmp_path / "out", "sub-01_ses-1").ids
    assert predict(tmp_path / "brains", tmp_path / "out", model, "--report") == 1
    assert "view-axial" in read_page(tmp_path / "out", "sub-01_ses-1").ids


@pytest.mark.parametrize("reliable", [True, False])
def test_a_verdict_on_the_map_is_obeyed(reliable: bool, brains: Path, model: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(model, own)
    passed = {"pairs": 9, "mass": 0.5, "volume_share": 0.05, "ratio": 10.0, "auc": 0.9, "sign_right": 1.0}
    summaries = [
        {"method": "grad-ram", "structure": name, **passed} for name in ("ventricles", "medial_temporal_lobe")
    ]
    weights = json.loads((own / "model.json").read_text())["weights_sha256"]
    verdict = {
        "model_weights_sha256": weights,
        "method": "grad-ram" if reliable else None,
        "reason": "Because.",
    }
    (own / "planted.json").write_text(json.dumps({**verdict, "summaries": summaries if reliable else []}))
    shutil.copytree(brains / "sub-01", tmp_path / "brains" / "sub-01")
    assert predict(tmp_path / "brains", tmp_path / "out", own, "--report") == 0
    page = read_page(tmp_path / "out", "sub-01_ses-1")
    assert "Because." in page.words
    assert ("Reliable for this model." in page.words) == reliable
    assert ("not shown" in page.words) != reliable
    assert ("regions" in page.ids) == ("years-axial" in page.ids) == reliable


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "run.json: found no such file" in capsys.readouterr().err
    (tmp_path / "run.json").write_text('{"command": "explain"}')
    assert main(["report", str(tmp_path)]) == 2
    assert "found a run of explain, expected one of predict" in capsys.readouterr().err
    assert main(["predict", "x.nii.gz", "--report"]) == 2


@pytest.mark.parametrize(
    ("name", "width"),
    [("index", 1280), ("index", 390), ("sub-01_ses-1", 1280), ("sub-01_ses-1", 390), ("sub-03_ses-1", 1280)],
)
def test_axe_finds_nothing(name: str, width: int, reported: Path, tmp_path: Path) -> None:
    assert axe_violations(reported / "report" / f"{name}.html", tmp_path, width=width) == []


def test_slices_and_layers_can_be_flicked(reported: Path, tmp_path: Path) -> None:
    script = """
        const sheet = document.getElementById("view-coronal");
        const slider = document.getElementById("view-coronal-slice");
        const seen = [sheet.getAttribute("viewBox")];
        slider.value = 11;
        slider.dispatchEvent(new Event("input"));
        seen.push(sheet.getAttribute("viewBox"), slider.getAttribute("aria-valuetext"));
        const shown = (name) => document.querySelector("." + name).checkVisibility();
        seen.push(shown("layer-template"), shown("line-mask"));
        document.getElementById("flick").click();
        document.querySelector("[data-toggles=line-mask]").click();
        seen.push(shown("layer-template"), shown("line-mask"));
        window.dispatchEvent(new Event("beforeprint"));
        seen.push(sheet.getAttribute("viewBox"));
        return seen;
    """
    seen, console = run_in_page(reported / "report" / "sub-01_ses-1.html", script, tmp_path)
    assert console == []
    assert seen[:2] == ["352 184 176 184", "528 368 176 184"]
    assert seen[2].startswith("y = ")
    assert seen[3:7] == [False, True, True, False]
    assert seen[7] == "0 0 704 552"
