import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from brainclock.config import GateSettings, PrepareSettings
from brainclock.errors import ConfigError, InputError, OutputError
from brainclock.io.find import find_scans
from brainclock.io.tables import read_table
from brainclock.model.folder import load_model
from brainclock.train.run import train
from tiny_model import GRID, write_brain
from tiny_training import settings as tiny_settings

PREPARE = PrepareSettings(grid=GRID, bias="none", gates=GateSettings(min_contrast=-1.0))


def settings(**changes):
    changes = {"steps": 2, "validation_fraction": 0.2} | changes
    return tiny_settings(**changes).model_copy(update={"prepare": PREPARE})


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """14 healthy people at two sites, a patient, and a file that is no image."""
    folder = tmp_path_factory.mktemp("in")
    for number in range(10, 25):
        write_brain(folder, f"sub-{number}", number)
    (folder / "sub-25_T1w.nii.gz").write_bytes(b"no image")
    return [
        dataclasses.replace(
            scan, age=20.0 + 4 * row, site="a" if row % 2 else "b", group="AD" if row == 14 else "HC"
        )
        for row, scan in enumerate(find_scans([folder], in_template=True))
    ]


@pytest.fixture(scope="module")
def trained(scans, tmp_path_factory) -> Path:
    return train(scans, tmp_path_factory.mktemp("out") / "tiny", settings())


def test_the_folder_is_a_model_of_the_people_who_trained(trained):
    loaded = load_model(trained)
    assert loaded.card.name == "tiny"
    assert [cohort.name for cohort in loaded.card.cohorts] == ["a", "b"]
    assert sum(cohort.participants for cohort in loaded.card.cohorts) == 11
    assert len(loaded.card.training_ids) == 11
    assert loaded.card.metrics["validation"]["n"] == 3
    assert loaded.card.settings == settings()


def test_people_held_out_are_in_the_table_and_not_in_the_model(trained):
    from brainclock.model.card import hashed_id

    rows = read_table(trained / "validation.tsv")
    assert len(rows) == 3
    ids = load_model(trained).card.training_ids
    for row in rows:
        assert hashed_id(row["participant_id"], row["site"]) not in ids
        gap = float(row["predicted_age"]) - float(row["age"])
        assert float(row["brain_age_gap"]) == pytest.approx(gap)


def test_the_run_says_what_it_was_made_from(trained, scans):
    run = json.loads((trained / "run.json").read_text())
    assert set(run["scans"]) == {scan.key for scan in scans[:14]}
    assert "mask" in run["scans"]["sub-10"]
    assert set(run["left_out"]) == {"sub-25"}
    assert run["settings"] == settings().model_dump(mode="json")
    assert [row["step"] for row in read_table(trained / "metrics.tsv")] == ["2"]
    log = (trained / "train.log").read_text()
    assert "1 AD" in log
    assert "sub-25 does not train" in log
    assert "11 scans train, 3 are held out" in log


def test_everybody_trains_and_the_old_table_goes(trained, scans):
    train(scans[:14], trained, settings(validation_fraction=0.0), name="all")
    assert not (trained / "validation.tsv").exists()
    assert load_model(trained).card.name == "all"
    assert len(load_model(trained).card.training_ids) == 14


def test_an_ensemble_says_the_age_of_everybody_once(scans, tmp_path):
    folder = train(scans, tmp_path / "mean", settings(folds=4))
    loaded = load_model(folder)
    assert loaded.card.members == 4
    assert len(loaded.card.training_ids) == 14
    assert loaded.card.metrics["validation"]["n"] == 14
    rows = read_table(folder / "validation.tsv")
    assert len({row["participant_id"] for row in rows}) == len(rows) == 14
    assert {row["fold"] for row in rows} == {"0", "1", "2", "3"}
    tables = sorted(path.name for path in folder.glob("metrics*"))
    assert tables == [f"metrics_fold-{fold}.tsv" for fold in range(4)]
    log = (folder / "train.log").read_text()
    assert "Member 3 (of 4)" in log


@pytest.mark.parametrize("name", ["a model", "-x", "ä"])
def test_a_name_that_cannot_be_one_is_refused_before_the_work(tmp_path, scans, name):
    with pytest.raises(InputError, match="name"):
        train(scans, tmp_path / name, settings())
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("section", "update", "objective"),
    [("encoder", {"cells": (9, 9, 9)}, "rnc"), ("regressor", {"blocks": 2}, "l1")],
)
def test_what_does_not_go_together_is_refused_before_the_work(tmp_path, scans, section, update, objective):
    wrong = settings(objective=objective)
    wrong = wrong.model_copy(update={section: getattr(wrong, section).model_copy(update=update)})
    with pytest.raises(ConfigError):
        train(scans, tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (lambda _: [], "no scan of a healthy person"),
        (lambda scans: scans[14:15], "no scan of a healthy person"),
        (lambda scans: [dataclasses.replace(scans[0], age=None), *scans[1:]], r"none for 1 scans \(sub-10\)"),
        (lambda scans: scans[:9], "training people: found 9, expected at least 10"),
    ],
    ids=["nobody", "a patient", "no age", "too few"],
)
def test_people_who_cannot_train_are_refused_before_anything_is_written(tmp_path, scans, chosen, said):
    with pytest.raises(InputError, match=said):
        train(chosen(scans), tmp_path / "out", settings())
    assert not (tmp_path / "out").exists()


def test_too_few_people_for_the_folds_are_refused(tmp_path, scans):
    with pytest.raises(InputError, match="training people in each member: found 7, expected at least 10"):
        train(scans[:14], tmp_path / "out", settings(folds=2))
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_one_sentence(tmp_path, scans):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        train(scans, tmp_path / "out", settings())


def test_people_held_out_give_intervals_and_the_line_of_age_bias(scans, tmp_path):
    several = [
        dataclasses.replace(
            scans[number % 14], key=f"sub-{number}", participant_id=f"sub-{number}", age=20.0 + 2 * number
        )
        for number in range(24)
    ]
    out = train(several, tmp_path / "tiny", settings(folds=2))
    card = load_model(out).card
    rows = read_table(out / "validation.tsv")
    predicted, age = (np.array([float(row[name]) for row in rows]) for name in ("predicted_age", "age"))
    assert len(rows) == card.calibration.people == card.age_bias.people == 24
    slope, intercept = np.polyfit(age, predicted, 1)
    assert (card.age_bias.slope, card.age_bias.intercept) == pytest.approx((slope, intercept))
    assert card.age_bias.age_range == (20.0, 66.0)
    assert card.age_bias.method == "de_lange"
