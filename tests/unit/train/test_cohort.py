import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from brainclock.config import GateSettings, PrepareSettings
from brainclock.errors import InputError
from brainclock.io.find import find_scans
from brainclock.io.nifti import read_volume, write_volume
from brainclock.io.scan import Scan
from brainclock.simulate.muse import class_code
from brainclock.train.cohort import healthy_with_age, log_who_trains, prepare_cohort
from tiny_model import GRID, write_brain

SETTINGS = PrepareSettings(grid=GRID, bias="none", gates=GateSettings(min_contrast=-1.0))


def scan(number: int, **known) -> Scan:
    return Scan(f"sub-{number}", f"sub-{number}", Path(f"{number}.nii.gz"), **known)


@pytest.fixture
def brains(tmp_path) -> list[Scan]:
    folder = tmp_path / "in"
    for number in (1, 2, 3):
        write_brain(folder, f"sub-{number}", number)
    found = find_scans([folder], in_template=True)
    return [dataclasses.replace(one, age=20.0 + row, site="here") for row, one in enumerate(found)]


def test_patients_do_not_train_and_the_log_says_who(caplog):
    caplog.set_level(logging.INFO, "brainclock")
    scans = [scan(1, age=60.0, group="HC"), scan(2, age=70.0, group="AD"), scan(3, age=70.0, group="n/a")]
    scans.append(scan(4, group="AD"))
    assert [one.key for one in healthy_with_age(scans)] == ["sub-1"]
    log_who_trains(scans)
    assert "2 AD, 1 n/a" in caplog.text


def test_without_groups_all_train_and_the_log_says_so(caplog):
    caplog.set_level(logging.INFO, "brainclock")
    scans = [scan(1, age=60.0), scan(2, age=90.0, age_censored=True)]
    assert healthy_with_age(scans) == scans
    log_who_trains(scans)
    assert "count as healthy" in caplog.text
    assert "1 ages are lower bounds" in caplog.text


def test_a_missing_age_is_refused_by_name():
    with pytest.raises(InputError, match=r"none for 1 scans \(sub-2\)"):
        healthy_with_age([scan(1, age=60.0), scan(2)])


def test_patients_alone_are_refused():
    with pytest.raises(InputError, match="no scan of a healthy person"):
        healthy_with_age([scan(1, age=60.0, group="PD")])


def test_one_key_for_two_scans_is_refused():
    with pytest.raises(InputError, match="sub-1 twice"):
        healthy_with_age([scan(1, age=60.0), scan(1, age=61.0)])


def prepared(scans, folder, monkeypatch, settings=SETTINGS):
    """Prepare, and say which scans were really worked on."""
    from brainclock.train import cohort

    worked: list[str] = []

    def noting(one, settings):
        worked.append(one.key)
        return original(one, settings)

    original = cohort.prepare_scan
    with monkeypatch.context() as patch:
        patch.setattr(cohort, "prepare_scan", noting)
        return prepare_cohort(scans, settings, folder), worked


def test_a_scan_is_prepared_once(tmp_path, brains, monkeypatch):
    first, worked = prepared(brains[:2], tmp_path / "work", monkeypatch)
    assert worked == ["sub-1", "sub-2"]
    assert first.ages.tolist() == [20.0, 21.0]
    assert first.volumes[0].shape == GRID.shape
    assert not np.array_equal(first.volumes[0], first.volumes[1])
    again, worked = prepared(brains, tmp_path / "work", monkeypatch)
    assert worked == ["sub-3"]
    assert np.array_equal(again.volumes[1], first.volumes[1])


def test_half_precision_keeps_the_mask(tmp_path, brains):
    from brainclock.prepare.chain import prepare_scan

    cohort = prepare_cohort(brains[:1], SETTINGS, tmp_path / "work")
    assert ((cohort.volumes[0] > 0) == prepare_scan(brains[0], SETTINGS).mask).all()


@pytest.mark.parametrize("change", ["image", "mask", "stripped", "in_template", "recipe"])
def test_what_changes_the_preparation_makes_it_anew(tmp_path, brains, monkeypatch, change):
    prepared(brains, tmp_path / "work", monkeypatch)
    settings = SETTINGS
    if change == "recipe":  # what a later version of the chain would say
        settings = SETTINGS.model_copy(update={"recipe": SETTINGS.recipe + 1})
    elif change in ("image", "mask"):
        other = brains[0].path if change == "image" else brains[0].mask_path
        other.write_bytes(other.read_bytes() + b"\0")
    else:
        brains[0] = dataclasses.replace(brains[0], **{change: not getattr(brains[0], change)})
    again, worked = prepared(brains, tmp_path / "work", monkeypatch, settings)
    assert worked == (["sub-1", "sub-2", "sub-3"] if change == "recipe" else ["sub-1"])
    assert len(again) >= 2


def test_a_scan_that_fails_is_left_out_and_tried_again(tmp_path, brains, monkeypatch):
    good = brains[1].path.read_bytes()
    brains[1].path.write_bytes(b"no image")
    brains[2].path.rename(tmp_path / "away")
    cohort, _ = prepared(brains, tmp_path / "work", monkeypatch)
    assert cohort.keys == ("sub-1",)
    assert set(cohort.left_out) == {"sub-2", "sub-3"}
    assert "no such file" in cohort.left_out["sub-3"]
    brains[1].path.write_bytes(good)
    (tmp_path / "away").rename(brains[2].path)
    cohort, worked = prepared(brains, tmp_path / "work", monkeypatch)
    assert cohort.keys == ("sub-1", "sub-2", "sub-3")
    assert worked == ["sub-2", "sub-3"]
    assert not cohort.left_out


def test_nothing_that_can_be_prepared_is_refused(tmp_path, brains):
    for one in brains:
        one.path.write_bytes(b"no image")
    with pytest.raises(InputError, match="none that could be prepared"):
        prepare_cohort(brains, SETTINGS, tmp_path / "work")


def add_labels(scan: Scan, code: int = 81) -> Path:
    """Write a label map beside a scan: its mask, all of one structure."""
    mask = read_volume(scan.mask_path)
    path = scan.path.with_name(f"{scan.participant_id}_desc-dlmuse_dseg.nii.gz")
    write_volume(path, (mask.data > 0).astype(np.int16) * code, mask.affine, dtype=np.int16)
    return path


def most_of(cohort) -> int:
    """Return the class of tissue that nearly all of the first brain consists of."""
    inside = cohort.classes[0][cohort.volumes[0] > 0]
    assert not cohort.classes[0][cohort.volumes[0] == 0].any()
    assert (inside == np.median(inside)).mean() > 0.9
    return int(np.median(inside))


def test_label_maps_come_along_and_change_nothing_else(tmp_path, brains):
    plain = prepare_cohort(brains, SETTINGS, tmp_path / "plain")
    assert plain.classes is None
    path = add_labels(brains[0])
    cohort = prepare_cohort(brains, SETTINGS, tmp_path / "work", labels=True)
    assert cohort.keys == plain.keys
    assert all(np.array_equal(a, b) for a, b in zip(cohort.volumes, plain.volumes, strict=True))
    assert most_of(cohort) == class_code("white")
    assert not cohort.classes[1].any()
    assert cohort.sources[1:] == plain.sources[1:]
    assert cohort.sources[0].startswith(f"{plain.sources[0]}, labels ")
    # another map is taken up; the others stay
    add_labels(brains[0], 59)
    again = prepare_cohort(brains, SETTINGS, tmp_path / "work", labels=True)
    assert most_of(again) == class_code("thalamus")
    assert again.sources[0] != cohort.sources[0]
    path.unlink()
    with pytest.raises(InputError, match=r"set augment.synthetic to 0"):
        prepare_cohort(brains, SETTINGS, tmp_path / "work", labels=True)


def test_a_scan_with_labels_of_another_atlas_does_not_train(tmp_path, brains):
    add_labels(brains[0], 2)
    add_labels(brains[1])
    cohort = prepare_cohort(brains, SETTINGS, tmp_path / "work", labels=True)
    assert cohort.keys == ("sub-2", "sub-3")
    assert "the code 2" in cohort.left_out["sub-1"]


def test_the_scale_of_each_head_is_kept_if_asked_for(brains, tmp_path, monkeypatch):
    first = prepare_cohort(brains, SETTINGS, tmp_path / "work", scales=True)
    np.testing.assert_allclose(first.scales, 1.0, atol=1e-3)  # they lie in template space
    monkeypatch.setattr("brainclock.train.cohort.prepare_scan", lambda *_: pytest.fail("prepared again"))
    again = prepare_cohort(brains, SETTINGS, tmp_path / "work", scales=True)
    np.testing.assert_array_equal(again.scales, first.scales)
    assert prepare_cohort(brains, SETTINGS, tmp_path / "work").scales is None
