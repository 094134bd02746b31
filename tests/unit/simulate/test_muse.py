from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.simulate.muse import CLASSES, MUSE, class_code, classes_of


def test_every_code_has_one_class() -> None:
    codes = [code for several in MUSE.values() for code in several]
    assert len(codes) == len(set(codes))
    assert set(MUSE) == set(CLASSES) - {"outside", "rim"}


def test_known_structures_get_their_class() -> None:
    labels = np.array([[[0, 1, 51, 47, 59, 81, 94, 100, 207]]])
    names = [CLASSES[code] for code in classes_of(labels, "x").ravel()]
    lobes = ["white", "white", "cortex", "cortex"]
    assert names == ["outside", "csf", "ventricle", "hippocampus", "thalamus", *lobes]
    assert class_code("outside") == 0


@pytest.mark.parametrize(
    ("labels", "found"),
    [([0, 2], "code 2"), ([1, 1001], "code 1001"), ([-1, 1], "code -1"), ([0, 0], "no label")],
)
def test_labels_of_another_atlas_are_refused(labels: list[int], found: str) -> None:
    with pytest.raises(InputError, match=f"aseg.nii: found .*{found}"):
        classes_of(np.array([[labels]]), "aseg.nii")


@pytest.mark.data
def test_all_labels_of_real_scans_are_known(shared_data) -> None:
    import nibabel

    paths = sorted((shared_data / "ixi" / "derivatives" / "dlmuse").glob("sub-*/anat/*_dseg.nii.gz"))
    for path in paths[:3]:
        classes = classes_of(np.asarray(nibabel.load(path).dataobj).astype(np.int32), str(path))
        assert set(np.unique(classes)) == set(range(len(CLASSES))) - {class_code("rim")}
