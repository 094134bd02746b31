from __future__ import annotations

import numpy as np
import pytest

from brainclock.config import Grid
from brainclock.errors import InputError
from brainclock.io.nifti import write_volume
from brainclock.prepare.prepared import PreparedScan
from brainclock.simulate.muse import class_code
from brainclock.train.labels import classes_on_grid

GRID = Grid.box((12, 14, 12), (6.0, 6.0, 6.0), (0.0, 0.0, 0.0))


def prepared(shift_mm: float) -> PreparedScan:
    """Return a box of brain whose scan lies ``shift_mm`` further right than the template."""
    data = np.zeros(GRID.shape, np.float32)
    data[2:10, 2:12, 2:10] = 1
    template_to_scan = np.eye(4)
    template_to_scan[0, 3] = shift_mm
    return PreparedScan(data, data > 0, GRID, template_to_scan)


def write_labels(path, shift_mm: float, white: slice = slice(2, 9)) -> None:
    labels = np.zeros(GRID.shape, np.int16)
    labels[white, 1:12, 2:10] = 81
    labels[4:6, 4:6, 4:6] = 51
    affine = GRID.matrix.copy()
    affine[0, 3] += shift_mm
    write_volume(path, labels[::-1], affine @ _mirrored(), dtype=np.int16)


def _mirrored() -> np.ndarray:
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = GRID.shape[0] - 1
    return flip


def test_labels_move_with_their_scan_whatever_their_axes(tmp_path) -> None:
    write_labels(tmp_path / "l.nii.gz", 24.0)
    classes = classes_on_grid(tmp_path / "l.nii.gz", prepared(24.0))
    assert set(np.unique(classes[4:6, 4:6, 4:6])) == {class_code("ventricle")}
    assert set(np.unique(classes[2:4, 2:12, 2:10])) == {class_code("white")}
    assert set(np.unique(classes[9, 2:12, 2:10])) == {class_code("rim")}  # in the mask, without a label
    assert not classes[:, 1].any()  # a label outside the mask
    assert ((classes > 0) == prepared(24.0).mask).all()


def test_labels_that_lie_elsewhere_are_refused(tmp_path) -> None:
    write_labels(tmp_path / "l.nii.gz", 24.0)
    with pytest.raises(InputError, match=r"overlap \(Dice\) of 0\.\d\d"):
        classes_on_grid(tmp_path / "l.nii.gz", prepared(-24.0))
