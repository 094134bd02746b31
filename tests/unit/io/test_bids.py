"""BIDS names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainclock.io.bids import (
    ENTITIES,
    build_name,
    build_stem,
    derivative_path,
    parse_name,
    parse_stem,
    write_dataset_description,
)

labels = st.text("abcXYZ0189", min_size=1, max_size=5)
entities = st.dictionaries(st.sampled_from(ENTITIES[1:]), labels).flatmap(
    lambda rest: labels.map(lambda sub: {"sub": sub, **rest})
)


@given(entities, st.sampled_from(["T1w", "mask", "xfm"]), st.sampled_from([".nii.gz", ".nii", ".json"]))
def test_a_name_that_is_built_is_parsed(parts: dict[str, str], suffix: str, extension: str) -> None:
    name = parse_name(build_name(parts, suffix, extension))
    assert name is not None
    assert (name.entities, name.suffix, name.extension) == (parts, suffix, extension)
    assert parse_stem(build_stem(parts)) == parts


def test_the_order_of_entities_does_not_matter() -> None:
    name = parse_name("sub-OAS1_ses-MR1_space-MNI152_acq-slab_desc-brain_T1w.nii.gz")
    assert name is not None
    assert build_stem(name.entities) == "sub-OAS1_ses-MR1_acq-slab_space-MNI152_desc-brain"


@pytest.mark.parametrize(
    "name",
    ["T1.nii.gz", "sub-01.nii.gz", "sub-01_T1w_brain.nii.gz", "ses-1_sub-01_T1w.nii", "sub-_T1w.nii", ""],
)
def test_other_names(name: str) -> None:
    assert parse_name(name) is None


def test_where_a_derivative_lies() -> None:
    new = {"desc": "preproc", "space": "MNI152NLin2009aSym"}
    assert derivative_path(Path("out"), "sub-01_ses-2_run-1", new, "T1w", ".nii.gz") == Path(
        "out/sub-01/ses-2/anat/sub-01_ses-2_run-1_space-MNI152NLin2009aSym_desc-preproc_T1w.nii.gz"
    )
    assert derivative_path(Path("out"), "sub-01", {}, "map", ".json", kind="maps") == Path(
        "out/sub-01/maps/sub-01_map.json"
    )


def test_the_description_of_a_dataset(tmp_path: Path) -> None:
    write_dataset_description(tmp_path, "Prepared scans", sources=[{"DOI": "doi:10.1/x"}])
    described = json.loads((tmp_path / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "brainclock"
    assert described["SourceDatasets"] == [{"DOI": "doi:10.1/x"}]
