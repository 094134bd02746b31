from __future__ import annotations

from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.find import find_scans
from brainclock.io.participants import check_dataset, choose_folders


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for name in ("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1", "sub-03", "derivatives"):
        stem = "_".join(name.split("/"))
        (tmp_path / name / "anat").mkdir(parents=True)
        (tmp_path / name / "anat" / f"{stem}_T1w.nii.gz").touch()
    (tmp_path / "sub-01" / "ses-1" / "anat" / "copy of a head.nii.gz").touch()
    (tmp_path / "dataset_description.json").write_text('{"Name": "a", "BIDSVersion": "1.10.0"}')
    return tmp_path


@pytest.mark.parametrize(
    ("participants", "sessions", "names"),
    [
        ([], [], ["."]),
        (["02", "sub-01", "01"], [], ["sub-01", "sub-02"]),
        (["01"], ["ses-2"], ["sub-01/ses-2"]),
        ([], ["1"], ["sub-01/ses-1", "sub-02/ses-1"]),
        (["03", "02"], ["1"], ["sub-02/ses-1"]),
    ],
)
def test_labels_choose_folders(
    dataset: Path, participants: list[str], sessions: list[str], names: list[str]
) -> None:
    found = choose_folders(dataset, participants, sessions)
    assert [path.relative_to(dataset).as_posix() for path in found] == names


@pytest.mark.parametrize(
    ("participants", "sessions", "said"),
    [
        (["1"], [], "--participant-label 1: found no such participant, expected one of the 3 in"),
        (["sub-"], [], "--participant-label sub-: found no such participant"),
        (["../sub-01"], [], "no such participant"),
        (["03"], ["1"], "--session-label 1: found none"),
        ([], ["9"], "--session-label 9: found none"),
    ],
)
def test_a_label_of_nobody_is_a_sentence(
    dataset: Path, participants: list[str], sessions: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        choose_folders(dataset, participants, sessions)


def test_chosen_folders_give_the_scans_that_the_whole_dataset_gives(dataset: Path) -> None:
    whole = find_scans([dataset])
    assert len(whole) == 4  # the loose copy has no BIDS name
    parts = [choose_folders(dataset, [label]) for label in ("01", "02", "03")]
    assert [scan for part in parts for scan in find_scans(part)] == whole
    assert find_scans(choose_folders(dataset, ["01"], ["1"])) == whole[:1]


def test_a_folder_that_does_not_call_itself_a_dataset(dataset: Path) -> None:
    check_dataset(dataset)
    path = dataset / "dataset_description.json"
    path.write_text('{"Name": "a"}')
    with pytest.raises(InputError, match=r"no BIDSVersion.*--skip-bids-validation"):
        check_dataset(dataset)
    path.unlink()
    with pytest.raises(InputError, match=r"no dataset_description.json"):
        check_dataset(dataset)
    with pytest.raises(InputError, match="no such folder"):
        choose_folders(dataset / "gone")
