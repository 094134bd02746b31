"""Finding scans, and what is known of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.find import find_scans
from brainclock.io.scan import Scan


def touch(root: Path, *names: str) -> list[Path]:
    """Make files; finding reads none of them."""
    paths = [root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line.replace(" | ", "\t") + "\n" for line in lines), encoding="utf-8")
    return path


def keys(scans: list[Scan]) -> list[str]:
    return [scan.key for scan in scans]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw dataset with two sessions, other contrasts, and derivatives."""
    root = tmp_path / "raw"
    touch(
        root,
        "sub-01/ses-1/anat/sub-01_ses-1_run-1_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_run-2_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii",
        "sub-01/ses-2/anat/sub-01_ses-2_T2w.nii.gz",
        "sub-01/ses-2/func/sub-01_ses-2_task-rest_bold.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/.tmp-00000000-1-0-sub-02_acq-x_T1w.nii.gz",
        "derivatives/other/sub-01/anat/sub-01_desc-brain_T1w.nii.gz",
        "sourcedata/sub-01/anat/sub-01_T1w.nii.gz",
    )
    write(root / "dataset_description.json", "{}")
    write(
        root / "participants.tsv",
        "participant_id | age | sex | site | group",
        "sub-01 | 60 | F | A | HC",
        "sub-02 | 89+ | male | B | AD",
    )
    return root


def test_a_raw_dataset(raw: Path) -> None:
    scans = find_scans([raw])
    assert keys(scans) == ["sub-01_ses-1_run-1", "sub-01_ses-1_run-2", "sub-01_ses-2", "sub-02"]
    first, last = scans[0], scans[-1]
    assert (first.participant_id, first.session_id) == ("sub-01", "ses-1")
    assert (first.age, first.sex, first.site, first.group) == (60.0, "F", "A", "HC")
    assert (last.age, last.age_censored, last.sex, last.group) == (89.0, True, "M", "AD")
    assert not any(scan.in_template or scan.stripped or scan.mask_path for scan in scans)


def test_age_at_the_session_beats_age_at_inclusion(raw: Path) -> None:
    write(raw / "sub-01" / "sub-01_sessions.tsv", "session_id | age", "ses-1 | 60.5", "2 | 63")
    ages = {scan.key: scan.age for scan in find_scans([raw])}
    assert ages == {"sub-01_ses-1_run-1": 60.5, "sub-01_ses-1_run-2": 60.5, "sub-01_ses-2": 63, "sub-02": 89}
    (raw / "sub-01" / "sub-01_sessions.tsv").unlink()
    write(raw / "sessions.tsv", "participant_id | session_id | age", "01 | 2 | 64")
    assert [scan.age for scan in find_scans([raw])] == [60, 60, 64, 89]
    write(raw / "scans.tsv", "participant_id | session_id | age", "01 | 2 | 65")
    assert [scan.age for scan in find_scans([raw])] == [60, 60, 65, 89]


def test_months_of_a_sessions_table_are_declared_above_it(raw: Path) -> None:
    write(raw / "sub-01" / "sub-01_sessions.tsv", "session_id | age", "ses-2 | 756")
    (raw / "sessions.json").write_text(json.dumps({"age": {"Units": "months"}}))
    assert find_scans([raw / "sub-01" / "ses-2"])[0].age == 63


def test_a_list_of_files_is_no_table_of_people(raw: Path) -> None:
    write(raw / "scans.tsv", "filename | acq_time", "anat/sub-01_T1w.nii | 2020")
    assert find_scans([raw])[0].age == 60


def test_derivatives_only_if_they_are_given(raw: Path) -> None:
    (scan,) = find_scans([raw / "derivatives"])
    assert scan.stripped
    assert scan.age == 60  # the table of the raw dataset


def test_the_order_of_inputs_does_not_matter_and_a_file_comes_once(raw: Path) -> None:
    image = raw / "sub-02/anat/sub-02_T1w.nii.gz"
    link = raw.parent / "link"
    link.symlink_to(raw)
    expected = find_scans([raw])
    for inputs in (
        [image, raw],
        [raw, image],
        [raw, raw],
        [link / "sub-02" / "anat" / image.name, raw],
        [link, raw],
    ):
        assert find_scans(inputs) == expected


def test_a_file_alone_knows_its_tables(raw: Path) -> None:
    (scan,) = find_scans([raw / "sub-02/anat/sub-02_T1w.nii.gz"])
    assert (scan.key, scan.age, scan.age_censored) == ("sub-02", 89.0, True)
    assert scan.path.is_absolute()


def test_a_table_of_people_that_is_given_replaces_those_nearby(raw: Path, tmp_path: Path) -> None:
    ages = write(tmp_path / "ages.csv", "participant_id,session_id,age", "SUB-01,1,41", "01,2,42")
    assert [scan.age for scan in find_scans([raw], participants=ages)] == [41, 41, 42, None]


def test_a_table_that_knows_nobody_is_said(
    raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ages = write(tmp_path / "ages.csv", "participant_id,age", "sub-99,41")
    assert all(scan.age is None for scan in find_scans([raw], participants=ages))
    assert "an age for none of the 4 scans" in caplog.text


def test_derivatives_say_what_was_done(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "dataset_description.json",
        "sub-1/anat/sub-1_desc-preproc_T1w.nii.gz",
        "sub-1/anat/sub-1_desc-brain_mask.nii.gz",
        "sub-1/anat/sub-1_dseg.nii.gz",
        "sub-1/anat/sub-1_label-GM_probseg.nii.gz",
        "sub-2/anat/sub-2_desc-brain_T1w.nii.gz",
        "sub-3/anat/sub-3_space-MNI152NLin6Asym_res-2_desc-preproc_T1w.nii.gz",
        "sub-3/anat/sub-3_space-MNI152NLin6Asym_res-2_desc-brain_mask.nii.gz",
        "sub-3/anat/sub-3_desc-brain_mask.nii.gz",
        "sub-4/anat/sub-4_space-T1w_desc-preproc_T1w.nii.gz",
        "sub-4/anat/sub-4_desc-brain_mask.nii.gz",
        "sub-5/anat/sub-5_space-MNIPediatricAsym_desc-preproc_T1w.nii.gz",
    )
    one, two, three, four, five = find_scans([tmp_path])
    anat = tmp_path.resolve()
    assert one.mask_path == anat / "sub-1/anat/sub-1_desc-brain_mask.nii.gz"
    assert (two.stripped, two.mask_path) == (True, None)
    assert three.in_template
    assert three.mask_path == anat / "sub-3/anat/sub-3_space-MNI152NLin6Asym_res-2_desc-brain_mask.nii.gz"
    assert (four.in_template, four.mask_path) == (False, None)
    assert not five.in_template
    assert (one.stripped, one.in_template) == (False, False)


def test_of_one_head_the_least_processed_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(
        tmp_path,
        "sub-1/anat/sub-1_space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz",
        "sub-1/anat/sub-1_desc-preproc_T1w.nii.gz",
        "sub-1/anat/sub-1_desc-brain_T1w.nii.gz",
        "sub-1/anat/sub-1_run-2_space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz",
    )
    scans = find_scans([tmp_path])
    assert [scan.path.name for scan in scans] == [
        "sub-1_desc-preproc_T1w.nii.gz",
        "sub-1_run-2_space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz",
    ]
    assert caplog.text.count("shows the same head") == 2
    both = sorted((tmp_path / "sub-1" / "anat").glob("sub-1_desc*"))
    assert len(find_scans(both)) == 2  # who names files gets them


def test_a_json_may_say_that_the_skull_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "sub-1_T1w.nii.gz", "sub-2_T1w.nii.gz", "sub-3_T1w.nii.gz", "sub-4_T1w.nii.gz")
    (tmp_path / "sub-1_T1w.json").write_text('{"SkullStripped": true}')
    (tmp_path / "sub-2_T1w.json").write_text('{"SkullStripped": false}')
    (tmp_path / "sub-3_T1w.json").write_text("broken")
    assert [scan.stripped for scan in find_scans([tmp_path])] == [True, False, False, False]
    assert "sub-3_T1w.json: found no JSON" in caplog.text


def test_a_folder_of_loose_files(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("a/T1.nii.gz", "b/deep/T1.nii.gz", "IXI012-Guys-T1.nii.gz", "notes.txt", "b/deep/brainmask.nii.gz"),
        *("x_mask.nii", "x_dseg.nii", "x_T2w.nii.gz", "x-FLAIR.nii", "labels.nii", ".hidden/T1.nii"),
    )
    scans = find_scans([tmp_path])
    assert keys(scans) == ["sub-IXI012Guys", "sub-aT1", "sub-deepT1"]
    assert [scan.participant_id for scan in scans] == keys(scans)


def test_ages_of_loose_files(tmp_path: Path) -> None:
    touch(tmp_path, "A-01.nii.gz", "A-02_T1w.nii.gz", "C.nii.gz")
    write(tmp_path / "participants.tsv", "participant_id | age", "A-01 | 40", "A-02 | 50")
    assert [scan.age for scan in find_scans([tmp_path])] == [40, 50, None]


def test_a_dataset_ignores_images_without_bids_names(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "dataset_description.json",
        "sub-1/anat/sub-1_T1w.nii",
        "sub-1/anat/scratch.nii",
        "old/T1.nii",
    )
    assert keys(find_scans([tmp_path])) == ["sub-1"]


def test_several_datasets_in_a_folder(raw: Path) -> None:
    touch(raw.parent, "second/sub-02/anat/sub-02_T1w.nii.gz")
    write(raw.parent / "second" / "participants.tsv", "participant_id | age", "sub-02 | 20")
    scans = {scan.key: scan for scan in find_scans([raw.parent])}
    assert {key: scan.age for key, scan in scans.items() if "02" in key} == {
        "sub-raw02": 89,
        "sub-second02": 20,
    }
    assert scans["sub-01_ses-2"].participant_id == "sub-01"


def test_a_link_that_leads_back_is_walked_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert keys(find_scans([tmp_path])) == ["sub-x"]


def test_content_that_was_not_fetched_is_still_a_scan(tmp_path: Path) -> None:
    (tmp_path / "sub-1_T1w.nii.gz").symlink_to(tmp_path / ".git" / "annex")
    assert keys(find_scans([tmp_path])) == keys(find_scans([tmp_path / "sub-1_T1w.nii.gz"])) == ["sub-1"]


def test_a_table_of_paths(tmp_path: Path) -> None:
    touch(tmp_path, "scans/x.nii.gz", "scans/y.nii.gz", "masks/x.nii.gz")
    table = write(
        tmp_path / "list.csv",
        "Path,participant_id,session_id,age,sex,site,group,mask",
        "scans/x.nii.gz,7,1,44.5,f,A,PD,masks/x.nii.gz",
        f"{tmp_path}/scans/y.nii.gz,7,2,89+,n/a,,HC,n/a",
        "scans/not there.nii.gz,8,n/a,n/a,,,,",
    )
    x, y, gone = find_scans([table])
    root = tmp_path.resolve()
    assert x == Scan(
        *("sub-7_ses-1", "sub-7", root / "scans/x.nii.gz", "ses-1", root / "masks/x.nii.gz", False, False),
        *(44.5, False, "F", "A", "PD"),
    )
    assert (y.key, y.age, y.age_censored, y.group, y.mask_path) == ("sub-7_ses-2", 89.0, True, "HC", None)
    assert (gone.participant_id, gone.session_id, gone.group) == ("sub-8", None, "n/a")


@pytest.mark.parametrize("column", ["path", "file", "FileName", "t1w"])
def test_a_table_with_nothing_but_paths(tmp_path: Path, column: str) -> None:
    touch(tmp_path, "a/T1.nii.gz", "b/T1.nii.gz", "a/x_mask.nii")
    table = write(tmp_path / "list.tsv", column, "b/T1.nii.gz", "a/T1.nii.gz", "b/T1.nii.gz", "a/x_mask.nii")
    assert keys(find_scans([table])) == ["sub-aT1", "sub-bT1", "sub-xmask"]


def test_a_table_wins_over_the_folder_and_fills_from_it(raw: Path) -> None:
    table = write(raw.parent / "list.tsv", "path | age", "raw/sub-02/anat/sub-02_T1w.nii.gz | 71")
    for inputs in ([table, raw], [raw, table]):
        scan = find_scans(inputs)[-1]
        assert (scan.key, scan.age, scan.age_censored, scan.group) == ("sub-02", 71.0, False, "AD")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("path | age", "x.nii | 26,9"), r"list\.tsv:2, column age: found '26,9'"),
        (("path | age", "x.nii | 26", "n/a | 27"), r"list\.tsv:3, column path: found no path"),
        (("participant_id | age", "1 | 26"), "expected a column path, file, filename or t1w"),
        (("path",), "found no rows"),
        (
            ("path | participant_id", "x.nii | 1", "x.nii | 2"),
            r"list\.tsv:3: found .*x\.nii again.*list\.tsv:2",
        ),
        (("path | participant_id", "x.nii | A-1", "y.nii | A1"), "found 'A1' besides 'A-1'"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    touch(tmp_path, "x.nii", "y.nii")
    with pytest.raises(InputError, match=message):
        find_scans([write(tmp_path / "list.tsv", *lines)])


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.nii: found no such file or folder"):
        find_scans([tmp_path / "gone.nii"])
    with pytest.raises(InputError, match=r"found no T1w image, expected sub-\*/\[ses-\*/\]anat/\*_T1w\.nii"):
        find_scans([tmp_path])
    touch(tmp_path, "sub-1/anat/sub-1_T2w.nii.gz")
    with pytest.raises(InputError, match="found 1 other images and no T1w image"):
        find_scans([tmp_path])
    with pytest.raises(InputError, match="The input: found no T1w image"):
        find_scans([])


def test_a_mask_given_as_a_scan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mask, image = touch(tmp_path, "sub-1_desc-brain_mask.nii.gz", "sub-1_T1w.nii.gz")
    with pytest.raises(InputError, match="found no T1w image"):
        find_scans([mask])
    assert keys(find_scans([mask, image])) == ["sub-1"]
    assert "sub-1_desc-brain_mask.nii.gz: by its name no T1w image, left out" in caplog.text


def test_another_kind_of_file_is_left_to_the_reader(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "scan.dcm")
    assert find_scans([path])[0].path == path.resolve()


def test_a_mask_goes_with_one_scan(tmp_path: Path) -> None:
    one, two, mask = touch(tmp_path, "a.nii", "b.nii", "m.nii")
    assert find_scans([one], mask=mask)[0].mask_path == mask.resolve()
    with pytest.raises(InputError, match="found 2 scans, expected a single scan"):
        find_scans([one, two], mask=mask)
    with pytest.raises(InputError, match=r"--mask .*gone\.nii: found no such file"):
        find_scans([one], mask=tmp_path / "gone.nii")


def test_a_flag_says_that_all_lie_in_template_space(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii")
    assert find_scans([tmp_path], in_template=True)[0].in_template


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii", "b/y.nii")
    (tmp_path / "b").chmod(0)
    with pytest.raises(InputError, match="b: found Permission denied, expected a readable folder"):
        find_scans([tmp_path])


@pytest.mark.data
def test_the_real_cohorts(shared_data: Path) -> None:
    ixi, slab = find_scans([shared_data / "ixi"]), find_scans([shared_data / "oasis1-slab"])
    assert (len(ixi), len(slab)) == (140, 311)
    assert all(scan.age is not None and scan.sex in "FM" and scan.site for scan in [*ixi, *slab])
    assert all(scan.in_template and scan.stripped and scan.session_id for scan in slab)
    assert not any(scan.in_template or scan.stripped for scan in ixi)
    assert len({scan.participant_id for scan in slab}) == 305


def test_results_of_an_earlier_run_are_no_scans_of_this_one(tmp_path: Path) -> None:
    touch(tmp_path, "head.nii.gz", "out/sub-head/anat/sub-head_space-MNI152_desc-preproc_T1w.nii.gz")
    assert keys(find_scans([tmp_path], output=tmp_path / "out")) == ["sub-head"]
    assert len(find_scans([tmp_path])) == 2
    assert len(find_scans([tmp_path / "out"], output=tmp_path / "out")) == 1
