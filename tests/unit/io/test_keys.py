"""Keys: unique, safe, stable, and in the words of BIDS."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainclock.io.bids import parse_stem
from brainclock.io.keys import Origin, identify


def keys(*paths: str, cohorts: tuple[str, ...] = ()) -> list[str]:
    origins = {
        Path(path): Origin(cohort=next((Path(c) for c in cohorts if path.startswith(c)), None))
        for path in paths
    }
    named = identify(origins)
    return [named[Path(path)].key for path in paths]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/d/sub-01/anat/sub-01_T1w.nii.gz"], ["sub-01"]),
        (
            ["/d/sub-01/ses-2/anat/sub-01_ses-2_acq-mprage_run-1_T1w.nii.gz"],
            ["sub-01_ses-2_acq-mprage_run-1"],
        ),
        (["/d/sub-1_space-MNI152_acq-slab_desc-brain_T1w.nii"], ["sub-1_acq-slab"]),
        # one head in two versions
        (
            ["/d/sub-1_desc-brain_T1w.nii", "/d/sub-1_T1w.nii", "/d/sub-1_space-MNI152_desc-brain_T1w.nii"],
            ["sub-1_src-descbrain", "sub-1", "sub-1_src-spaceMNI152descbrain"],
        ),
        # the same name in several folders
        (["/d/sub-001/anat.nii.gz", "/d/sub-002/anat.nii.gz"], ["sub-001", "sub-002"]),
        (["/d/a/T1.nii", "/d/b/T1.nii"], ["sub-aT1", "sub-bT1"]),
        (["/d/a/mri/T1.nii", "/d/b/mri/T1.nii"], ["sub-aT1", "sub-bT1"]),
        (["/d/a/x/T1.nii", "/d/a/y/T1.nii", "/d/b/x/T1.nii"], ["sub-axT1", "sub-ayT1", "sub-bxT1"]),
        (["/d/T1.nii", "/d/a/T1.nii"], ["sub-dT1", "sub-aT1"]),
        (
            ["/ixi/sub-1/anat/sub-1_T1w.nii", "/oas/sub-1/anat/sub-1_T1w.nii"],
            ["sub-1_src-ixi", "sub-1_src-oas"],
        ),
        # two images in the folder of one person
        (["/d/sub-1/a.nii", "/d/sub-1/b.nii"], ["sub-1_src-a", "sub-1_src-b"]),
        (["/d/sub-1/ses-2/a.nii", "/d/sub-1/ses-3/a.nii"], ["sub-1_ses-2", "sub-1_ses-3"]),
        # loose files
        (["/d/IXI012-HH-1211-T1.nii.gz"], ["sub-IXI012HH1211"]),
        (["/d/p7.nii", "/d/p7_T1w.nii"], ["sub-p7", "sub-p7T1w"]),
        (["/d/sub-01_T1w_brain.nii.gz"], ["sub-01"]),
        (["/d/T1w.nii.gz"], ["sub-T1w"]),
    ],
)
def test_keys(paths: list[str], expected: list[str]) -> None:
    assert keys(*paths) == expected


def test_people_of_two_cohorts_are_two_people() -> None:
    paths = ["/x/ixi/sub-1/sub-1_T1w.nii", "/x/oas/sub-1/sub-1_T1w.nii", "/x/oas/sub-2/sub-2_T1w.nii"]
    assert keys(*paths, cohorts=("/x/ixi", "/x/oas")) == ["sub-ixi1", "sub-oas1", "sub-2"]
    named = identify(
        {Path(paths[0]): Origin(cohort=Path("/x/ixi")), Path(paths[1]): Origin(cohort=Path("/x/oas"))}
    )
    assert [who.participant_id for who in named.values()] == ["sub-ixi1", "sub-oas1"]
    assert {who.listed_as for who in named.values()} == {"sub-1"}


def test_two_images_of_one_person_in_one_cohort_are_one_person() -> None:
    named = identify(
        {
            Path("/d/sub-1/sub-1_T1w.nii"): Origin(cohort=Path("/d")),
            Path("/d/derivatives/p/sub-1/sub-1_T1w.nii"): Origin(cohort=Path("/d")),
        }
    )
    assert {who.participant_id for who in named.values()} == {"sub-1"}
    assert len({who.key for who in named.values()}) == 2


def test_a_table_says_whose_it_is() -> None:
    named = identify({Path("/d/x.nii"): Origin("sub-7", "ses-1"), Path("/d/y.nii"): Origin("sub-7", "ses-2")})
    assert [who.key for who in named.values()] == ["sub-7_ses-1", "sub-7_ses-2"]


def test_what_only_a_hash_can_tell_apart() -> None:
    one, two = keys("/d/T1.nii", "/d/T1.nii.gz")
    assert one != two
    assert re.fullmatch(r"sub-T1[0-9a-f]{10}", one)
    upper, lower = keys("/d/sub-A/sub-A_T1w.nii", "/d/sub-a/sub-a_T1w.nii")
    assert upper.casefold() != lower.casefold()


def test_adding_scans_renames_none_of_a_dataset() -> None:
    first = "/d/sub-01/ses-1/anat/sub-01_ses-1_acq-x_T1w.nii"
    more = ["/d/sub-01/ses-1/anat/sub-01_ses-1_acq-y_T1w.nii", "/d/sub-02/anat/sub-02_T1w.nii"]
    assert keys(first)[0] == keys(first, *more)[0]


parts = st.text("aAb1-_. é", min_size=1, max_size=4).filter(lambda part: part.strip(".") != "")
names = st.one_of(
    parts,
    st.sampled_from(
        [
            "T1",
            "anat",
            "sub-1",
            "sub-1_T1w",
            "sub-1_ses-1_T1w",
            "sub-1_desc-brain_T1w",
            "sub-a_src-b_T1w",
            "x" * 200,
        ]
    ),
)
trees = st.lists(
    st.builds(
        lambda folders, name, suffix: Path("/", *folders, name + suffix),
        st.lists(st.one_of(parts, st.sampled_from(["sub-1", "sub-2", "ses-1", "anat"])), max_size=4),
        names,
        st.sampled_from([".nii", ".nii.gz"]),
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


@settings(max_examples=200, deadline=None)
@given(trees, st.integers(0, 5), st.randoms(use_true_random=False))
def test_keys_of_any_tree(paths: list[Path], cohort: int, order: random.Random) -> None:
    origins = {path: Origin(cohort=list(path.parents)[-1 - cohort % len(path.parents)]) for path in paths}
    named = identify(origins)
    unique = {who.key.casefold() for who in named.values()}
    assert len(unique) == len(paths)
    for who in named.values():
        assert re.fullmatch(r"[A-Za-z0-9_+-]{1,240}", who.key)
        entities = parse_stem(who.key)
        assert who.participant_id == f"sub-{entities['sub']}"
        assert who.session_id == (f"ses-{entities['ses']}" if "ses" in entities else None)
    shuffled = list(origins.items())
    order.shuffle(shuffled)
    assert identify(dict(shuffled)) == named
