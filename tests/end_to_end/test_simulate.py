"""``brainclock simulate``: the same bytes however it is run, and nothing half done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bids_dataset import bids_issues
from brainclock.cli.main import main
from brainclock.errors import InputError
from brainclock.io.find import find_scans
from brainclock.io.nifti import read_volume
from brainclock.io.tables import read_table
from brainclock.simulate.anatomy import Anatomy
from brainclock.simulate.deformation import Deformation, deform

#: Coarse voxels, so that a scan takes seconds.
SMALL = ("--set", "spacing_mm=4", "--set", "ages=[30, 80]")


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but what is hidden, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in files if ".scans" not in path.parts
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "cohort"
    options = ("--set", "ad.share=0.5", "--set", "visits=2", "--set", "sites=2")
    assert main(["simulate", str(out), "--n", "2", "--seed", "3", *SMALL, *options]) == 0
    return out


def test_a_cohort_is_a_dataset_that_is_found_with_its_people(cohort: Path) -> None:
    scans = find_scans([cohort])
    truth = read_table(cohort / "derivatives" / "truth" / "truth.tsv")
    assert [scan.key for scan in scans] == [row["key"] for row in truth]
    assert [scan.age for scan in scans] == [float(row["age"]) for row in truth]
    assert {scan.site for scan in scans} <= {"simulated-01", "simulated-02"}
    assert all(scan.group in {"HC", "AD"} for scan in scans)
    assert float(truth[1]["brain_age"]) - float(truth[0]["brain_age"]) == pytest.approx(2)


def test_the_validator_of_bids_has_nothing_against_it(cohort: Path) -> None:
    for folder in (cohort, cohort / "derivatives" / "truth"):
        assert [issue for issue in bids_issues(folder) if issue["severity"] == "error"] == []


def test_volumes_were_achieved_and_labels_lie_on_the_scan(cohort: Path) -> None:
    truth = cohort / "derivatives" / "truth"
    for row in read_table(truth / "volumes.tsv"):
        if row["target_factor"] != "n/a":
            assert float(row["achieved_factor"]) == pytest.approx(float(row["target_factor"]), rel=0.03)
    scan = read_volume(cohort / "sub-0001" / "ses-1" / "anat" / "sub-0001_ses-1_T1w.nii.gz")
    labels = read_volume(truth / "sub-0001" / "ses-1" / "anat" / "sub-0001_ses-1_desc-truth_dseg.nii.gz")

    def mean(*codes: int) -> float:
        voxels = np.argwhere(np.isin(labels.data, codes))
        place = np.linalg.inv(scan.affine) @ labels.affine @ np.vstack([voxels.T, np.ones(len(voxels))])
        return float(scan.data[tuple(np.rint(place[:3]).astype(int))].mean())

    ventricle, white = mean(21, 22), mean(201, 202)
    assert ventricle < 0.85 * white


def test_bytes_do_not_depend_on_workers(tmp_path: Path) -> None:
    options = ["--n", "2", "--seed", "5", *SMALL, "--set", "image=brain"]
    assert main(["simulate", str(tmp_path / "one"), *options]) == 0
    assert main(["simulate", str(tmp_path / "two"), *options, "--workers", "2"]) == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert all(scan.stripped for scan in find_scans([tmp_path / "one"]))


def test_killed_damaged_and_grown_cohorts_end_in_the_same_bytes(tmp_path: Path) -> None:
    options = ["--n", "2", "--seed", "5", *SMALL]
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "brainclock", "simulate", str(killed), *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None and not list(killed.glob(".scans/*.json")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (killed / "participants.tsv").exists()
    done = next(killed.glob("sub-0001/anat/*.nii.gz"))
    written = done.stat().st_mtime_ns
    assert main(["simulate", str(killed), *options]) == 0
    assert done.stat().st_mtime_ns == written
    grown = tmp_path / "grown"
    assert main(["simulate", str(grown), "--n", "1", "--seed", "5", *SMALL]) == 0
    next(grown.glob("sub-0001/anat/*.nii.gz")).write_bytes(b"damaged")
    assert main(["simulate", str(grown), *options]) == 0
    assert contents(killed) == contents(grown)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--n", "0"], "1 to 9999"),
        (["--set", "gap=1"], "gap is not a setting"),
        (["--set", "ages=[1, 2]"], "18 to 95"),
        (["--set", "visits=9"], "at their last visit"),
        (["--set", "change.cerebrum=0.5"], "no structure"),
        (["--set", "change.white_matter=1.6"], "white_matter"),
        (["--config", "nowhere.toml"], "no such file"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["simulate", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_folders_of_something_else_are_left_alone(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n", encoding="utf-8")
    assert main(["simulate", str(tmp_path)]) == 2
    assert "other files" in capsys.readouterr().err
    before = json.loads((cohort / "run.json").read_text(encoding="utf-8"))
    assert main(["simulate", str(cohort), "--seed", "4"]) == 2
    assert "another run" in capsys.readouterr().err
    assert json.loads((cohort / "run.json").read_text(encoding="utf-8")) == before


def test_one_brain_that_folds_is_a_row_with_a_reason_and_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[int, float]] = []

    def fold_the_first(anatomy: Anatomy, factors: dict[int, float], shape: np.ndarray) -> Deformation:
        seen.append(factors)
        if len(seen) == 1:
            raise InputError(anatomy.name, "a fold in thalamus_left", "none", "Ask for less.")
        return deform(anatomy, factors, shape)

    monkeypatch.setattr("brainclock.simulate.brain.deform", fold_the_first)
    out = tmp_path / "out"
    assert main(["simulate", str(out), "--n", "2", *SMALL]) == 1
    said = capsys.readouterr()
    assert "sub-0001" in said.err
    assert "thalamus_left" in said.err
    assert "1 of 2 scans" in said.out
    failed, made = read_table(out / "derivatives" / "truth" / "truth.tsv")
    assert (failed["status"], failed["path"], made["status"]) == ("failed", "n/a", "ok")
    assert "thalamus_left" in failed["reason"]
    assert float(failed["brain_age"]) > 0
    assert [row["participant_id"] for row in read_table(out / "participants.tsv")] == ["sub-0002"]
    assert not list(out.glob("sub-0001/**/*.nii.gz"))
