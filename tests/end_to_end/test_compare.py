"""``brainclock compare`` from scans to a page, killed on the way."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.compare.tables import Budget, PairedTest, Prediction, Representation, Summary, read_rows
from brainclock.io.nifti import read_volume, write_volume
from brainclock.io.tables import write_table
from tiny_model import GRID, write_brain

SETTINGS = f"""
title = "Eighteen brains"
simulated = true
data = ["DATA"]
template_space = true
rivals = ["rnc-ridge", "l1", "rnc-then-l1", "soft-label", "mean", "volume", "ridge-gradient", "pca-gp"]
seeds = [4]
[protocol]
folds = 3
resamples = 200
leave_site_out = false
[axes]
rivals = ["rnc-ridge", "mean"]
people = [10]
[run]
device = "cpu"
[run.prepare]
bias = "none"
grid = {{ shape = {list(GRID.shape)}, affine = {[list(row) for row in GRID.affine]} }}
[run.prepare.gates]
min_contrast = -1.0
[run.channels]
channels = ["intensity"]
pool = [2, 2, 2]
[run.encoder]
depth = 10
width = 4
stem = "s2"
cells = [1, 1, 1]
[run.augment]
looks = 1
[run.train]
steps = 4
batch_size = 6
warmup_steps = 1
checkpoint_minutes = 0
[run.regressor]
views = 0
log10_alpha = [-1, 3, 5]
"""
TABLES = ("predictions.tsv", "summary.tsv", "tests.tsv", "representation.tsv", "embedding.tsv")


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    """Eighteen healthy people at two sites; a part of the brain darkens with age."""
    folder = tmp_path_factory.mktemp("compare")
    rows = []
    for number in range(18):
        person = f"sub-{number:02}"
        name = f"{person}_space-MNI152NLin2009aSym"
        write_brain(folder / "data" / person / "anat", name, number)
        age = 20.0 + 4 * number
        path = folder / "data" / person / "anat" / f"{name}_T1w.nii.gz"
        image = read_volume(path)
        image.data[30:70, 40:80, 30:60] *= 1.2 - age / 100
        write_volume(path, image.data, image.affine)
        site = "north" if number % 2 else "south"
        rows.append({"participant_id": person, "age": age, "sex": "F", "site": site, "group": "HC"})
    write_table(folder / "data" / "participants.tsv", rows, list(rows[0]))
    (folder / "compare.toml").write_text(SETTINGS.replace("DATA", str(folder / "data")))
    return folder / "compare.toml"


@pytest.fixture(scope="module")
def compared(config) -> Path:
    """Killed in the middle of its first training, then done."""
    out = config.parent / "out"
    command = [sys.executable, "-m", "brainclock", "compare", str(config), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while not list(out.glob("jobs/*/checkpoint-*")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, error
    assert not (out / "summary.tsv").exists()
    assert main(["compare", str(config), "-o", str(out)]) == 0
    return out


def test_everybody_is_asked_once_by_every_rival(compared):
    rows = read_rows(compared / "predictions.tsv", Prediction)
    base = [row for row in rows if row.condition == "base"]
    rivals = {row.rival for row in base}
    assert len(rivals) == 8
    for rival in rivals:
        assert sorted(row.participant_id for row in base if row.rival == rival) == [
            f"sub-{number:02}" for number in range(18)
        ]
    few = [row for row in rows if row.condition == "people=10"]
    assert {(row.rival, row.training_people) for row in few} == {("rnc-ridge", 10), ("mean", 10)}
    mean = [row for row in base if row.rival == "mean"]
    for row in mean:
        others = [one.age for one in mean if one.part != row.part]
        assert row.predicted_age == pytest.approx(np.mean(others))


def test_tables_agree_with_the_predictions(compared):
    rows = [row for row in read_rows(compared / "predictions.tsv", Prediction) if row.condition == "base"]
    errors = {
        rival: np.mean([abs(row.predicted_age - row.age) for row in rows if row.rival == rival])
        for rival in {row.rival for row in rows}
    }
    for row in read_rows(compared / "summary.tsv", Summary):
        if row.measure == "mae" and row.condition == "base":
            assert row.value == pytest.approx(errors[row.rival])
            assert row.low < row.value < row.high
    tests = [test for test in read_rows(compared / "tests.tsv", PairedTest) if test.condition == "base"]
    assert len(tests) == 7
    for test in tests:
        assert test.difference == pytest.approx(errors["rnc-ridge"] - errors[test.rival])
        assert test.p_wilcoxon <= test.p_wilcoxon_holm <= 1
    measures = {row.measure for row in read_rows(compared / "representation.tsv", Representation)}
    assert measures == {"embedding_order", "rnc_loss", "site_accuracy", "site_accuracy_by_age"}


def test_every_network_had_the_same_budget(compared):
    budgets = read_rows(compared / "budgets.tsv", Budget)
    assert {row.method for row in budgets} == {"rnc", "l1", "rnc-then-l1", "soft-label"}
    assert {row.scans_seen for row in budgets} == {4 * 6 * 2}
    assert {row.steps for row in budgets if row.method == "rnc-then-l1"} == {"3 + 1"}


def test_the_page_says_what_the_numbers_say_and_names_nobody(compared):
    page = (compared / "comparison.html").read_text(encoding="utf-8")
    assert "All people of this comparison are simulated." in page
    assert "sub-0" not in page
    assert "RNC with ridge against L1: " in page
    assert len(re.findall(r"<figure", page)) == len(list((compared / "figures").glob("*.svg"))) >= 2


def test_what_is_done_is_not_done_again_and_gives_the_same_bytes(compared, config, monkeypatch):
    before = {name: (compared / name).read_bytes() for name in (*TABLES, "comparison.html")}
    monkeypatch.setattr("brainclock.compare.run_job.ask_network", lambda *_: pytest.fail("trained again"))
    assert main(["compare", str(config), "-o", str(compared)]) == 0
    assert {name: (compared / name).read_bytes() for name in before} == before
    assert not list(compared.glob("jobs/*/checkpoint-*"))


def test_a_rival_that_comes_later_finds_the_others_done(compared, config):
    rivals = 'rivals=["rnc-ridge", "l1", "l1-ridge", "mean", "ridge-intensity"]'
    assert main(["compare", str(config), "-o", str(compared), "--set", rivals, "--set", "axes={}"]) == 0
    rows = read_rows(compared / "predictions.tsv", Prediction)
    assert {row.rival for row in rows} == {"rnc-ridge", "l1", "l1-ridge", "mean", "ridge-intensity"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("protocol.folds=2", "expected at least 10"),
        ('data=["nowhere"]', "nowhere"),
        ("run.encoder.cells=[9,9,9]", "encoder.cells"),
        ("reference=nobody", "reference"),
        ("axes.seeds=[7]", "axes.seeds: 7"),
    ],
)
def test_bad_input_is_one_sentence(config, tmp_path, capsys, override, words):
    assert main(["compare", str(config), "-o", str(tmp_path / "out"), "--set", override]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
