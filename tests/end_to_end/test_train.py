"""``brainclock train`` from scans to a model, killed on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainclock.io.tables import read_table, write_table
from simulated_study import RUN
from tiny_model import write_brain

SETTINGS = f"""{RUN}
steps_per_epoch = 8
checkpoint_minutes = 0
""".replace("steps = 20", "steps = 40")
SAME = ("weights.safetensors", "model.json", "metrics.tsv", "validation.tsv", "run.json")


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory) -> list[Path]:
    """Two cohorts of ten healthy people each; one has two patients besides."""
    folder = tmp_path_factory.mktemp("cohorts")
    found = []
    for cohort in ("north", "south"):
        rows = []
        for number in range(12 if cohort == "north" else 10):
            person = f"sub-{cohort}{number:02}"
            anat = folder / cohort / person / "anat"
            write_brain(anat, f"{person}_space-MNI152NLin2009aSym", number + (50 if cohort == "south" else 0))
            group = "AD" if number >= 10 else "HC"
            rows.append({"participant_id": person, "age": 20.0 + 6 * number, "sex": "F", "site": cohort})
            rows[-1]["group"] = group
        write_table(folder / cohort / "participants.tsv", rows, list(rows[0]))
        found.append(folder / cohort)
    (folder / "run.toml").write_text(SETTINGS)
    return found


def command(cohorts: list[Path], out: Path, *options: str) -> list[str]:
    run = [sys.executable, "-m", "brainclock", "train", *map(str, cohorts), "-o", str(out)]
    return [*run, "--config", str(cohorts[0].parent / "run.toml"), *options]


def start(cohorts: list[Path], out: Path) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(cohorts, out), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> str:
    out, error = process.communicate(timeout=200)
    assert process.returncode == 0, error
    return out


@pytest.fixture(scope="module")
def undisturbed(cohorts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "model"
    assert finish(start(cohorts, out)) == f"{out}\n"
    return out


def kill(process: subprocess.Popen, seen, delay: float, number: int) -> None:
    """Send a signal soon after something is seen."""
    for _ in range(6000):
        if process.poll() is not None or seen():
            break
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(number)
    process.communicate(timeout=60)


def filled(path: Path, rows: int) -> bool:
    return path.is_file() and len(json.loads(path.read_text())["filled"]) >= rows


def test_killed_again_and_again_the_model_is_the_same(cohorts, undisturbed, tmp_path):
    out, draw = tmp_path / "model", random.Random(7)
    work = out / ".work"
    moments = (
        (lambda: filled(work / "scans.json", 3), signal.SIGKILL),
        (lambda: filled(work / "views.json", 3), signal.SIGKILL),
        (lambda: any(work.glob("checkpoint-*")), signal.SIGKILL),
    )
    for seen, number in moments:
        process = start(cohorts, out)
        kill(process, seen, draw.uniform(0.0, 0.3), number)
        assert not (out / "model.json").exists(), "it was done before it was killed: give it more to do"
        assert process.returncode == -number
    process = start(cohorts, out)
    before = max(path.stat().st_mtime_ns for path in work.glob("checkpoint-*"))
    kill(process, lambda: any(path.stat().st_mtime_ns > before for path in work.glob("checkpoint-*")), 0, 15)
    assert process.returncode == -signal.SIGTERM
    finish(start(cohorts, out))
    for name in SAME:
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_the_model_says_the_ages_that_the_training_said(cohorts, undisturbed, tmp_path):
    from brainclock.io.find import find_scans
    from brainclock.predict.run import predict_scans

    rows = {row["key"]: row for row in read_table(undisturbed / "validation.tsv")}
    assert {row["site"] for row in rows.values()} == {"north", "south"}
    scans = [scan for scan in find_scans(cohorts) if scan.key in rows]
    for one in predict_scans(scans, tmp_path, model=undisturbed, progress=False):
        said = float(rows[one.scan.key]["predicted_age"])
        assert one.brain_age.predicted_age == pytest.approx(said, abs=0.05)


def test_patients_have_no_part_in_it(undisturbed):
    run = json.loads((undisturbed / "run.json").read_text())
    assert len(run["scans"]) == 20
    assert not any("north10" in key or "north11" in key for key in run["scans"])
    assert "2 AD" in (undisturbed / "train.log").read_text()


def test_a_missing_age_is_one_sentence(cohorts, tmp_path):
    table = tmp_path / "ages.tsv"
    table.write_text("participant_id\tage\nsub-north00\t30\nsub-south01\tn/a\n")
    done = subprocess.run(
        command(cohorts, tmp_path / "out", "--ages", str(table)), capture_output=True, text=True
    )
    assert done.returncode == 2
    sentence = done.stderr.strip().splitlines()[-1]
    assert "ages: found none for 21 scans" in sentence
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "model.json").exists()


def test_a_scan_that_fails_is_left_out_and_told(cohorts, undisturbed, tmp_path):
    broken = tmp_path / "broken" / "sub-broken_T1w.nii.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"no image")
    (broken.parent / "participants.tsv").write_text("participant_id\tage\tsite\nsub-broken\t30\tnorth\n")
    done = subprocess.run(
        command([*cohorts, broken], tmp_path / "model", "--set", "train.steps=2"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path / 'model'}\n"
    assert "sub-broken did not train" in done.stderr
    assert (tmp_path / "model" / "model.json").is_file()
