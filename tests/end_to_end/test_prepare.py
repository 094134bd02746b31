from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.io.nifti import write_volume
from brainclock.io.tables import read_table
from brainclock.simulate.head import simulate_brain, simulate_head

HEADS, KILLS = 3, 3


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coarse heads with their masks, which spares the networks, and a file that is none."""
    folder = tmp_path_factory.mktemp("heads")
    for seed in range(HEADS):
        head, brain = (make(seed, spacing_mm=4.0) for make in (simulate_head, simulate_brain))
        anat = folder / f"sub-{seed}" / "anat"
        write_volume(anat / f"sub-{seed}_T1w.nii.gz", head.data, head.affine)
        mask = anat / f"sub-{seed}_desc-brain_mask.nii.gz"
        write_volume(mask, brain.data > 0, brain.affine, dtype=np.uint8)
    (folder / "sub-9").mkdir()
    (folder / "sub-9" / "sub-9_T1w.nii.gz").write_bytes(b"no image")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*_desc-preproc_T1w.nii.gz"))


def command(heads: Path, out: Path, workers: int = 1) -> list[str]:
    return [
        *(sys.executable, "-m", "brainclock", "prepare", str(heads), "-o", str(out)),
        *("--workers", str(workers)),
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(heads: Path, tmp_path: Path, workers: int) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main(["prepare", str(heads), "-o", str(whole)]) == 1
    moments = random.Random(workers)
    for kill in range(KILLS):
        before = {path: path.stat().st_mtime_ns for path in images(out)}
        with subprocess.Popen(
            command(heads, out, workers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as run:
            while run.poll() is None and len(images(out)) <= min(kill, HEADS - 2):
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.6))
            os.killpg(run.pid, 9)
        assert before.items() <= {path: path.stat().st_mtime_ns for path in images(out)}.items()
        for image in images(out):  # an image is whole, and its sidecar is there
            assert image.read_bytes() == (whole / image.relative_to(out)).read_bytes()
            assert image.with_name(image.name.replace(".nii.gz", ".json")).is_file()
    assert main(["prepare", str(heads), "-o", str(out)]) == 1
    assert files(out) == files(whole)


def test_the_table_names_every_scan_and_the_screen_the_failures(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["prepare", str(heads), "-o", str(out), "--set", "prepare.bias=none", "--quiet"]) == 1
    said = capsys.readouterr()
    assert "3 of 4 scans are prepared." in said.out
    assert str(out / "preparation.tsv") in said.out
    assert "sub-9: " in said.err
    assert "another kind of file" in said.err
    rows = read_table(out / "preparation.tsv")
    assert [row["status"] for row in rows] == ["ok"] * HEADS + ["failed"]
    assert all(float(row["q_template_r2"]) > 0.8 for row in rows[:HEADS])


def test_a_wrong_setting_or_input_is_one_line(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        ([str(heads), "--set", "prepare.bias=n5"], "prepare.bias = 'n5'"),
        ([str(tmp_path / "nothing")], "no such file or folder"),
        ([str(heads), "--model", "whole-brain", "--set", "prepare.bias=none"], "Leave out one of them."),
    ):
        assert main(["prepare", *arguments, "-o", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (tmp_path / "out").exists()
