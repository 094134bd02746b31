from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import ModelError, ScanRefused
from brainclock.io.volume import Volume
from brainclock.prepare import extract
from brainclock.prepare.extract import check_weights, extract_brain


def test_the_mask_is_that_of_deepbet(head: Volume, brain_mask: np.ndarray) -> None:
    """The stock call, with its own components and holes (cc3d, fill_voids) and its profiling executor."""
    import nibabel
    from deepbet.bet import BrainExtraction

    stock = BrainExtraction(no_gpu=True).run(nibabel.Nifti1Image(head.data, head.affine))[1]
    theirs = np.asarray(stock.dataobj) > 0
    assert 2 * (theirs & brain_mask).sum() / (theirs.sum() + brain_mask.sum()) > 0.999


def test_what_has_no_contrast_is_refused() -> None:
    with pytest.raises(ScanRefused, match="brain_found: no contrast"):
        extract_brain(np.full((20, 20, 20), 7, dtype=np.float32))


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
