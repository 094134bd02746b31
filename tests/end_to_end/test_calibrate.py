"""``brainclock calibrate``: the new model is shifted, has intervals, and predicts with them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from brainclock.cli.main import main
from brainclock.model.card import hashed_id
from brainclock.model.folder import load_model, save_model
from brainclock.predict.predict import predict
from brainclock.stats.conformal import Calibration
from tiny_model import build_model_folder, write_brain

SHIFT = 7.0


def controls(folder: Path, model: str, n: int = 30, group: str = "HC") -> str:
    rng = np.random.default_rng(1)
    lines = ["participant_id\tpredicted_age\tage\tgroup\tmodel"]
    for i in range(n):
        predicted = rng.uniform(30, 70)
        lines.append(
            f"sub-{i}\t{predicted:.2f}\t{predicted + SHIFT + rng.normal(0, 2):.2f}\t{group}\t{model}"
        )
    path = folder / "controls.tsv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("members", [1, 2])
def test_a_calibrated_model_is_shifted_and_has_intervals(
    members: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_model(build_model_folder(tmp_path / "tiny", members=members))
    table = controls(tmp_path, before.card.identity)
    out = tmp_path / "shifted"
    assert main(["calibrate", str(before.folder), table, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "30 people" in said
    assert "Ages inside the 90 % interval: before, there was none; after, " in said
    after = load_model(out)
    assert after.card.age_bias is not None
    assert after.card.age_bias.people == 30
    assert after.card.metrics["calibration"]["coverage_before"] is None
    shift = after.model.intercept - before.model.intercept
    assert shift == pytest.approx(SHIFT, abs=1.5)
    assert after.card.metrics["calibration"]["shift"] == pytest.approx(shift, abs=1e-4)
    assert after.card.name == "tiny-calibrated"
    write_brain(tmp_path, "sub-1", seed=3)
    brain, mask = tmp_path / "sub-1_T1w.nii.gz", tmp_path / "sub-1_desc-brain_mask.nii.gz"
    plain = predict(brain, before, mask=mask, in_template=True)
    answer = predict(brain, after, mask=mask, in_template=True)
    assert plain.predicted_age_low is None
    assert answer.predicted_age is not None
    assert plain.predicted_age is not None
    assert answer.predicted_age - plain.predicted_age == pytest.approx(shift, abs=1e-3)
    assert answer.predicted_age_low is not None
    assert answer.predicted_age_high is not None
    half = answer.predicted_age - answer.predicted_age_low
    assert half == pytest.approx(answer.predicted_age_high - answer.predicted_age)
    assert 2 < half < 8  # scatter of 2 years: about 3.3
    assert "90 % interval" in str(answer)


def test_coverage_before_and_after_and_the_slope_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_model(build_model_folder(tmp_path / "tiny"))
    errors = Calibration((), (tuple(float(e) / 5 for e in range(-15, 16)),))  # of 3 years: the shift is 7
    known = loaded.card.model_copy(update={"calibration": errors})
    card = save_model(loaded.model, known, loaded.familiarity, tmp_path / "known")
    table, out = controls(tmp_path, card.identity, n=60), tmp_path / "out"
    assert main(["calibrate", str(tmp_path / "known"), table, "-o", str(out), "--slope"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"Slope of age on predicted age [01]\.\d\d \(95 % 0\.\d\d to 1\.\d\d\)", said)
    before, after = (int(n) for n in re.findall(r"(?:before|after), (\d+) %", said))
    assert before < 10 < 80 < after
    measured = load_model(out).card.metrics["calibration"]
    assert measured["coverage_before"] == pytest.approx(before / 100, abs=0.006)
    assert measured["coverage_cross_fitted"] == pytest.approx(after / 100, abs=0.006)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"n": 19}, "19 healthy people"), ({"model": "other-1+00000000"}, "other-1"), ({"group": "AD"}, "AD")],
)
def test_what_cannot_calibrate_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], word: str
) -> None:
    folder = build_model_folder(tmp_path / "tiny")
    table = controls(tmp_path, **{"model": load_model(folder).card.identity, **change})
    assert main(["calibrate", str(folder), table, "-o", str(tmp_path / "out")]) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_people_who_trained_the_model_cannot_calibrate_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = load_model(build_model_folder(tmp_path / "tiny"))
    card = tiny.card.model_copy(update={"training_ids": (hashed_id("sub-3", None),)})
    card = save_model(tiny.model, card, tiny.familiarity, tmp_path / "known")
    table = controls(tmp_path, card.identity)
    assert main(["calibrate", str(tmp_path / "known"), table, "-o", str(tmp_path / "out")]) == 2
    assert "1 people who trained it (sub-3)" in capsys.readouterr().err
