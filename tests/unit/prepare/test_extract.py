from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import ModelError, ScanRefused
from brainclock.io.volume import Volume
from brainclock.prepare import extract
from brainclock.prepare.extract import check_weights, extract_brain

CENTRED = np.array([[1.0, 0, 0, 100], [0, 1, 0, 118], [0, 0, 1, 92], [0, 0, 0, 1]])


def test_the_mask_is_that_of_deepbet(head: Volume, brain_mask: np.ndarray) -> None:
    """The stock call, with its own box, components and holes (cc3d, fill_voids) and executor."""
    import nibabel
    from deepbet.bet import BrainExtraction

    stock = BrainExtraction(no_gpu=True).run(nibabel.Nifti1Image(head.data, head.affine))[1]
    theirs = np.asarray(stock.dataobj) > 0
    assert (
        2 * (theirs & brain_mask).sum() / (theirs.sum() + brain_mask.sum()) > 0.98
    )  # the boxes differ by some mm


def test_what_has_no_contrast_is_refused() -> None:
    with pytest.raises(ScanRefused, match="brain_found: no contrast"):
        extract_brain(np.full((200, 200, 200), 7, dtype=np.float32), CENTRED)


def test_a_brain_outside_of_the_image_is_refused() -> None:
    beside = np.eye(4)
    beside[0, 3] = 400
    with pytest.raises(ScanRefused, match="brain_found: the brain lies outside"):
        extract_brain(np.ones((200, 200, 200), dtype=np.float32), beside)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = check_weights()
    for name in extract._SHA256:
        shutil.copy(folder / name, tmp_path)
    with (tmp_path / "model.pt").open("ab") as stream:
        stream.write(b" ")
    monkeypatch.setattr(extract, "_weights_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"model\.pt of deepbet is not the file"):
        check_weights()


def test_missing_weights_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match="pip install deepbet"):
        check_weights()
