"""Bad input, as the user sees it: one line that names the thing, exit code 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.io.nifti import write_volume
from brainclock.io.tables import read_table
from tiny_model import build_model_folder, write_brain

#: The command, and how its line begins; ``{in}`` is the folder of the input.
REFUSED = [
    ("train {in}/sub-1_T1w.nii.gz", "ages: found none for 1 scans (sub-1)"),
    ("train {in}/nothing", "{in}/nothing: found no such file or folder"),
    ("train {in}/empty", "{in}/empty: found no T1w image"),
    ("train {in}/sub-1_T1w.nii.gz --ages {in}/unknown.tsv", "ages: found none for 1 scans (sub-1)"),
    ("train {in}/sub-1_T1w.nii.gz --ages {in}/few.tsv", "training people: found 1, expected at least 10"),
    ("train {in}/sub-1_T1w.nii.gz --ages {in}/twice.tsv", "{in}/twice.tsv:3: found sub-1 again"),
    ("train {in}/sub-1_T1w.nii.gz --config {in}/empty", "{in}/empty: found Is a directory, expected a TOML"),
    ("train {in}/sub-1_T1w.nii.gz --config {in}/none.toml", "{in}/none.toml: found no such file"),
    ("train {in}/sub-1_T1w.nii.gz --config {in}/few.tsv", "{in}/few.tsv: found Expected '='"),
    ("train {in}/sub-1_T1w.nii.gz --set train.stepz=3", "train.stepz is not a setting."),
    ("prepare {in}/sub-1_T1w.nii.gz --set prepare.bias=n5", "prepare.bias = 'n5'"),
    ("prepare {in}/nothing.nii.gz", "{in}/nothing.nii.gz: found no such file"),
    ("predict {in}/sub-1_T1w.nii.gz --model {in}/empty", "{in}/empty lacks model.json and weights"),
    ("predict {in}/sub-1_T1w.nii.gz --model {in}/none", "{in}/none is neither a model folder nor"),
    ("predict {in}/sub-1_T1w.nii.gz --ages {in}/comma.tsv", "{in}/comma.tsv:2, column age: found '26,9'"),
    ("predict {in}/sub-1_T1w.nii.gz --level 90", "level: found 90.0, expected a share above 0 and below 1"),
    ("predict {in}/sub-1_T1w.nii.gz --older-than 300", "older than: found 300.0, expected an age of 0 to"),
    ("predict {in}/few.tsv", "{in}/few.tsv: found the columns participant_id, age, group"),
    ("predict {in}/sub-1_T1w.nii.gz --mask {in}/none.nii", "--mask {in}/none.nii: found no such file"),
    ("predict {in}/sub-1_T1w.nii.gz --scheduler nowhere", "--scheduler nowhere: found no answer"),
    ("evaluate {in}/none.tsv", "{in}/none.tsv: found no such file"),
    ("evaluate {in}/few.tsv", "{in}/few.tsv: found the columns participant_id, age, group"),
    ("evaluate {in}/sub-1_T1w.nii.gz", "{in}/sub-1_T1w.nii.gz:1: found text that is not UTF-8"),
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    write_brain(folder, "sub-1", 1)
    (folder / "empty").mkdir()
    people = {
        "unknown": ["n/a\tHC"],
        "few": ["40\tHC"],
        "twice": ["40\tHC", "41\tHC"],
        "comma": ["26,9\tHC"],
    }
    for name, rows in people.items():
        lines = ["participant_id\tage\tgroup", *(f"sub-1\t{row}" for row in rows)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(("command", "said"), REFUSED, ids=[command for command, _ in REFUSED])
def test_what_cannot_be_used_is_one_line_and_writes_nothing(
    command: str, said: str, given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "scheduler" in command:
        pytest.importorskip("distributed")
    words = command.replace("{in}", str(given)).split()
    if words[0] == "predict" and "--model" not in words:
        words += ["--model", str(build_model_folder(tmp_path / "tiny"))]
    out = tmp_path / "out"
    assert main([*words, "-o", str(out), "--quiet"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("brainclock: " + said.replace("{in}", str(given)))
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not any(path.is_file() for path in out.rglob("*"))


def test_bad_scans_are_rows_and_the_good_one_has_its_age(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan, mask = (given / f"sub-1_{name}.nii.gz" for name in ("T1w", "desc-brain_mask"))
    content = scan.read_bytes()
    bad = {"empty": b"", "cut": content[: len(content) // 2], "text": b"no image" * 100}
    for name, made in bad.items():
        (tmp_path / f"{name}.nii.gz").write_bytes(made)
    rng = np.random.default_rng(1)
    noise = rng.normal(500, 100, (48, 56, 48)).astype(np.float32)
    images = {"zero": 0 * noise, "constant": 0 * noise + 7, "nan": np.nan * noise, "noise": noise}
    for name, data in images.items():
        write_volume(tmp_path / f"{name}.nii.gz", data, np.diag([4.0, 4.0, 4.0, 1.0]))
    names = [*bad, *images, "missing"]
    rows = ["path\tmask", f"{scan}\t{mask}", *(f"{name}.nii.gz\tn/a" for name in names)]
    (tmp_path / "list.tsv").write_text("\n".join(rows) + "\n")
    model, out = build_model_folder(tmp_path / "tiny"), tmp_path / "out"
    command = ["predict", str(tmp_path / "list.tsv"), "-o", str(out), "--model", str(model), "--quiet"]
    assert main([*command, "--template-space"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    table = {row["key"]: row for row in read_table(out / "predictions.tsv")}
    assert table["sub-1"]["status"] == "ok"
    for name in names:
        row = table[f"sub-{name}"]
        assert (row["status"], row["predicted_age"]) == ("failed", "n/a")
        assert len(row["reason"]) > 20
        assert row["reason"].count(". ") <= 2
