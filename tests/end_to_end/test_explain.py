from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.config import Grid
from brainclock.explain.reference import load_reference
from brainclock.io.nifti import read_volume, write_volume
from brainclock.io.tables import read_table
from brainclock.model.folder import load_model
from tiny_model import build_model_folder, write_brain

GRID = Grid.box((32, 36, 32), (6.0, 6.0, 6.0), (0.0, -17.0, 5.0))
PEOPLE = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_folder(tmp_path_factory.mktemp("models") / "tiny", grid=GRID)


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Brains in template space with ages; every third is a man."""
    folder = tmp_path_factory.mktemp("brains")
    lines = ["participant_id\tage\tsex\tgroup"]
    for number in range(PEOPLE):
        name = f"sub-{number:02}"
        write_brain(folder / name / "anat", name, number)
        lines.append(f"{name}\t{20 + 5 * number}\t{'M' if number % 3 == 0 else 'F'}\tHC")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def reference(model: Path, brains: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference")
    assert main(["reference", str(brains), "-o", str(out), "--model", str(model), "--template-space"]) == 0
    return out


def run(brains: Path, out: Path, model: Path, *options: str) -> int:
    words = ["explain", str(brains), "-o", str(out), "--model", str(model), "--template-space", "--quiet"]
    return main([*words, *options])


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_maps_and_regions_add_up_to_the_predicted_age(brains: Path, model: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for number in (0, 1):
        shutil.copytree(brains / f"sub-{number:02}", few / f"sub-{number:02}")
    assert run(few, tmp_path / "out", model) == 0
    assert (
        main(["predict", str(few), "-o", str(tmp_path / "ages"), "--model", str(model), "--template-space"])
        == 0
    )
    ages = {row["key"]: row["predicted_age"] for row in read_table(tmp_path / "ages" / "predictions.tsv")}
    regions = read_table(tmp_path / "out" / "regions.tsv")
    rows = read_table(tmp_path / "out" / "explanations.tsv")
    assert len(rows) == 2
    for row in rows:
        assert float(row["predicted_age"]) == pytest.approx(float(ages[row["key"]]), abs=1e-3)
        years = float(row["predicted_age"]) - float(row["intercept"])
        assert float(row["sum"]) == pytest.approx(years, abs=2e-3)
        assert abs(float(row["completeness_error"])) < 1e-4
        shares = [float(r["share"]) for r in regions if r["key"] == row["key"]]
        assert sum(shares) == pytest.approx(float(row["sum"]), abs=1e-4)
        assert row["reliable"] == "untested"
        image = tmp_path / "out" / row["map"]
        sidecar = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
        own = next(image.parent.glob("*space-T1w*gradram*.nii.gz"))
        for path in (image, own):
            total = float(np.asarray(nibabel.load(path).dataobj, dtype=np.float64).sum())
            assert total == pytest.approx(sidecar["Sum"], abs=1e-4)
        scan = nibabel.load(next((few / row["key"] / "anat").glob("*T1w.nii.gz")))
        assert nibabel.load(own).shape == scan.shape
        assert np.allclose(nibabel.load(own).affine, scan.affine)
        assert sidecar["Units"] == "years"
        assert sidecar["Layer"] == "block4"
        assert 0 < sidecar["ShareOutsideBrain"] < 1
        assert sidecar["EffectiveResolution"] > 6


def test_with_a_reference_there_are_gaps_and_the_rivals(
    brains: Path, model: Path, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    methods = ("grad-ram", "smoothgrad", "integrated-gradients", "occlusion")
    one = tmp_path / "one"
    shutil.copytree(brains / "sub-05", one / "sub-05")
    shutil.copy(brains / "participants.tsv", one)
    options = [word for method in methods for word in ("--method", method)]
    assert run(one, out, model, "--reference", str(reference), *options) == 0
    rows = {row["method"]: row for row in read_table(out / "explanations.tsv")}
    assert set(rows) == set(methods)
    assert float(rows["grad-ram"]["gap"]) != 0
    integrated = {name: float(rows["integrated-gradients"][name]) for name in ("predicted_age", "intercept")}
    between = integrated["predicted_age"] - integrated["intercept"]
    assert float(rows["integrated-gradients"]["sum"]) == pytest.approx(between, rel=0.05, abs=0.5)
    assert rows["smoothgrad"]["intercept"] == "n/a"
    regions = [row for row in read_table(out / "regions.tsv") if row["method"] == "grad-ram"]
    gap = sum(float(row["gap_years"]) for row in regions)
    assert gap == pytest.approx(float(rows["grad-ram"]["gap"]), abs=1e-4)
    assert all(float(row["gap_low"]) <= float(row["gap_high"]) for row in regions)
    assert len(read_table(out / "agreement.tsv")) == 6
    assert (
        out / "sub-05" / "anat" / "sub-05_space-MNI152NLin2009aSym_desc-gradramgap_agemap.nii.gz"
    ).is_file()


def test_groups_are_averaged_and_compared(brains: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(brains, out, model, "--by", "sex", "--by", "age", "--permutations", "100") == 0
    rows = read_table(out / "groups.tsv")
    assert [(row["by"], row["level"]) for row in rows] == [("sex", "F"), ("sex", "M"), ("sex", "M")]
    mean = read_volume(out / rows[1]["map"]).data
    maps = [
        read_volume(out / row["map"]).data
        for row in read_table(out / "explanations.tsv")
        if int(row["key"][-2:]) % 3 == 0
    ]
    assert np.allclose(mean, np.mean(maps, axis=0), atol=1e-5)
    assert rows[2]["adjusted_for"] == "age"
    assert 0 < float(rows[2]["smallest_p"]) <= 1
    page = (out / "explanations.html").read_text()
    assert page.count("<figure>") == 3
    assert "not tried on planted truth" in page


def test_a_model_whose_maps_failed_draws_no_colours(brains: Path, model: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(model, own)
    card = json.loads((own / "model.json").read_text())
    verdict = {
        "model_weights_sha256": card["weights_sha256"],
        "method": None,
        "reason": "Not reliable: because.",
    }
    (own / "planted.json").write_text(json.dumps({**verdict, "summaries": []}))
    out = tmp_path / "out"
    assert run(brains, out, own, "--by", "sex", "--permutations", "100") == 0
    page = (out / "explanations.html").read_text()
    assert "Not reliable: because." in page
    assert "<figure>" not in page
    assert {row["reliable"] for row in read_table(out / "explanations.tsv")} == {"no"}


def test_runs_are_resumed_and_workers_change_nothing(brains: Path, model: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for number in (0, 1):
        shutil.copytree(brains / f"sub-{number:02}", few / f"sub-{number:02}")
    out = tmp_path / "out"
    assert run(few, out, model) == 0
    whole = files(out)
    image = next(out.rglob("*gradram*.nii.gz"))
    made = image.stat().st_mtime_ns
    assert run(few, out, model) == 0
    assert image.stat().st_mtime_ns == made
    image.unlink()
    assert run(few, out, model) == 0
    assert files(out) == whole
    assert run(few, tmp_path / "two", model, "--workers", "2") == 0
    assert files(tmp_path / "two") == whole


def test_a_scan_that_fails_stops_no_other(
    brains: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    shutil.copytree(brains / "sub-01", few / "sub-01")
    (few / "sub-09").mkdir()
    (few / "sub-09" / "sub-09_T1w.nii.gz").write_bytes(b"no image")
    assert run(few, tmp_path / "out", model) == 1
    said = capsys.readouterr()
    assert "1 of 2 scans are explained." in said.out
    assert "another kind of file" in said.err
    rows = read_table(tmp_path / "out" / "explanations.tsv")
    assert [row["status"] for row in rows] == ["ok", "failed"]
    assert rows[1]["sum"] == "n/a"


def test_bad_input_is_one_line(
    brains: Path, model: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "atlas.nii.gz"
    far = np.zeros((20, 20, 20), np.int16)
    far[5:15, 5:15, 5:15] = 1
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = 300
    write_volume(labels, far, affine, dtype=np.int16)
    names = tmp_path / "names.tsv"
    names.write_text("index\tname\n1\tone\n")
    nameless = tmp_path / "nameless.tsv"
    nameless.write_text("index\tname\n2\ttwo\n")
    other = build_model_folder(tmp_path / "other", seed=2, grid=GRID)
    capsys.readouterr()
    for options, said in (
        (["--layer", "block9"], "'block9', expected stem, block1"),
        (["--layer", "stem", "--method", "smoothgrad"], "stem for smoothgrad"),
        (["--method", "lrp"], "'lrp', expected grad-ram"),
        (["--method", "occlusion"], "no mean brain beside the model"),
        (["--by", "height"], "'height', expected age, sex, group"),
        (["--labels", str(labels), "--label-names", str(names)], "0 % of its labels in the template brain"),
        (["--labels", str(labels), "--label-names", str(nameless)], "no name for label 1"),
        (["--labels", str(labels)], "no such file"),
        (["--label-names", str(names)], "a label image as well"),
        (["--reference", str(tmp_path)], "no such file"),
    ):
        assert run(brains, tmp_path / "out", model, *options) == 2, options
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert run(brains, tmp_path / "out", other, "--reference", str(reference)) == 2
    assert "the reference of another model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_reference_needs_people(
    brains: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "one"
    shutil.copytree(brains / "sub-05", one / "sub-05")
    words = ["reference", str(one), "-o", str(tmp_path / "out"), "--model", str(model), "--quiet"]
    assert main(words) == 2
    assert "0 healthy people with an age, expected 10 or more" in capsys.readouterr().err


def test_people_who_trained_are_read_by_the_member_that_has_not_seen_them(
    brains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = build_model_folder(tmp_path / "three", grid=GRID, members=3)
    words = ["reference", str(brains), "--model", str(model), "--template-space", "--quiet"]
    assert main([*words, "-o", str(tmp_path / "all")]) == 0
    table = tmp_path / "validation.tsv"

    def build(fold: int | str) -> int:
        lines = [f"sub-{number:02}\t{fold}" for number in range(PEOPLE)]
        table.write_text("key\tfold\n" + "\n".join(lines) + "\n")
        return main([*words, "-o", str(tmp_path / f"by-{fold}"), "--held-out", str(table)])

    assert [build(fold) for fold in range(3)] == [0, 0, 0]
    sha = load_model(model).card.weights_sha256
    everybody = load_reference(tmp_path / "all", sha)
    each = [load_reference(tmp_path / f"by-{fold}", sha) for fold in range(3)]
    assert np.allclose(np.mean([one.trend for one in each], axis=0), everybody.trend, atol=1e-9)
    assert not np.allclose(each[0].trend, each[1].trend, atol=1e-3)
    assert build(3) == 2
    assert "fold 3, expected columns key and fold, folds below 3" in capsys.readouterr().err
