"""``brainclock BIDS_DIR OUTPUT_DIR participant|group``, and what the BIDS validator says of every output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bids_dataset import bids_issues, write_dataset
from brainclock.cli.bids import is_bids_line, one_label_each
from brainclock.cli.main import COMMANDS, main
from brainclock.io.tables import read_table
from tiny_model import build_model_folder

STEMS = ("sub-1", "sub-2_ses-1", "sub-2_ses-2", "sub-3")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("bids") / "raw", STEMS, [40, 50, 60])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_folder(tmp_path_factory.mktemp("models") / "tiny")


def run(*words: object) -> int:
    return main([*map(str, words), "--quiet"])


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("/data /out participant", True),
        ("-w /tmp/w /data /out group", True),
        ("predict /data -o group", False),
        ("gap group participant", False),
        ("--version", False),
        ("bogus", False),
        ("", False),
        (". out particpant", True),  # a folder first: the misspelt level is said
    ],
)
def test_which_lines_are_those_of_a_bids_app(line: str, is_one: bool) -> None:
    assert is_bids_line(line.split(), list(COMMANDS)) is is_one


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("a b --participant-label 1 2 -w c", "a b --participant-label 1 --participant-label 2 -w c"),
        ("a --participant_label 1 --session-label x y", None),
        ("a --participant-label=1 b", "a --participant-label=1 b"),
        ("a --participant-label", "a --participant-label"),
        ("a --n-procs 2 b", "a --n-procs 2 b"),
    ],
)
def test_labels_are_read_up_to_the_next_option(line: str, read: str | None) -> None:
    expected = read or "a --participant_label 1 --session-label x --session-label y"
    assert " ".join(one_label_each(line.split())) == expected


def test_participants_side_by_side_then_the_group(
    dataset: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a cluster does it: one job a participant, at the same time, each a process of its own."""
    out = tmp_path / "out"
    jobs = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "brainclock", dataset, out, "participant"),
                *("--participant-label", label, "--model", model, "--mem-gb", "3"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for label in ("1", "sub-2")
    ]
    said = [job.communicate(timeout=200) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert "sub-2_ses-1: " in said[1][0]
    assert "2 of 2 scans have an age." in said[1][0]
    assert run(dataset, out, "group", "--model", model) == 1  # sub-3 is missing
    assert "sub-3: no age: no answer yet" in capsys.readouterr().err
    assert run(dataset, out, "participant", "--participant_label", "3", "--model", model) == 0
    assert run(dataset, out, "group", "--model", model) == 0
    shown = capsys.readouterr().out
    assert "Mean absolute error" in shown
    assert str(out / "evaluation.html") in shown
    assert run("predict", dataset, "-o", tmp_path / "whole", "--model", model, "--keep-prepared") == 0
    for name in ("predictions.tsv", "predictions.json", "run.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [row["key"] for row in read_table(out / "predictions.tsv")] == list(STEMS)
    assert errors(bids_issues(out)) == []


def test_both_levels_give_the_pages_of_one_run(dataset: Path, model: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    for level in ("participant", "group"):
        assert run(dataset, out, level, "--model", model, "--report") == 0
    assert run("predict", dataset, "-o", whole, "--model", model, "--keep-prepared", "--report") == 0
    names = sorted(path.name for path in (whole / "report").iterdir())
    assert names == sorted(["index.html", *(f"{stem}.html" for stem in STEMS)])
    for name in names:
        assert (out / "report" / name).read_bytes() == (whole / "report" / name).read_bytes()
    assert errors(bids_issues(out)) == []


def test_sessions_can_be_chosen(
    dataset: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", tempfile.gettempdir())  # which --work-dir sets, with all that follows
    monkeypatch.setattr(tempfile, "tempdir", None)
    words = (dataset, tmp_path / "out", "participant", "--model", model, "-w", tmp_path / "work")
    assert run(*words, "--session-label", "ses-2") == 0
    assert sorted(path.name for path in (tmp_path / "out" / ".scans").iterdir()) == ["sub-2_ses-2.json"]
    assert (tmp_path / "work").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["participant", "--participant-label", "9"], "--participant-label 9: found no such participant"),
        (["participant", "--mem-gb", "1"], "--mem-gb: found 1 GB, expected 2 GB or more"),
        (["particpant"], "'particpant' is not one of 'participant', 'group'"),
        ([], "Missing argument 'analysis_level'"),
    ],
)
def test_what_is_wrong_is_one_line(
    dataset: Path,
    model: Path,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(dataset, tmp_path / "out", *words, "--model", model) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out" / "predictions.tsv").exists()


def test_a_folder_that_is_no_dataset_is_taken_if_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_dataset(tmp_path / "raw", ["sub-1"])
    (folder / "dataset_description.json").unlink()
    words = (folder, tmp_path / "out", "participant", "--model", model)
    assert run(*words) == 2
    assert "no dataset_description.json" in capsys.readouterr().err
    assert run(*words, "--skip-bids-validation") == 0
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert description["SourceDatasets"] == [{"URL": folder.as_uri()}]


def errors(issues: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return what is wrong or recommended, but for the authors, whom brainclock does not know."""
    return [issue for issue in issues if issue["code"] != "TOO_FEW_AUTHORS"]


@pytest.mark.parametrize("command", ["prepare", "predict", "explain"])
def test_derivatives_are_valid(command: str, dataset: Path, model: Path, tmp_path: Path) -> None:
    options = {"prepare": (), "predict": ("--keep-prepared", "--embeddings"), "explain": ()}[command]
    assert run(command, dataset, "-o", tmp_path, "--model", model, *options) == 0
    assert len(list(tmp_path.glob("sub-*/**/anat/*.nii.gz"))) >= len(STEMS)
    assert errors(bids_issues(tmp_path)) == []


def test_two_drivers_on_one_folder_are_one(dataset: Path, model: Path, tmp_path: Path) -> None:
    """The second is told to wait and changes nothing; the first ends as if it had been alone."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "brainclock", "predict", dataset, "-o", out, "--model", model]
    jobs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(2)
    ]
    said = [job.communicate(timeout=200) for job in jobs]
    codes = sorted(job.returncode for job in jobs)
    assert codes in ([0, 0], [0, 2]), said  # one may have ended before the other began
    refused = [complaint for (_, complaint), job in zip(said, jobs, strict=True) if job.returncode == 2]
    assert all("another run that is writing there" in complaint for complaint in refused)
    assert run("predict", dataset, "-o", tmp_path / "alone", "--model", model) == 0
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(
        p.relative_to(tmp_path / "alone") for p in (tmp_path / "alone").rglob("*") if p.is_file()
    )
    assert all((out / file).read_bytes() == (tmp_path / "alone" / file).read_bytes() for file in files)
