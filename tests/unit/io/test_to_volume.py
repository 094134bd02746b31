from pathlib import Path

import nibabel
import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.io.nifti import read_volume, to_volume

DATA = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def test_an_image_in_memory_is_read_as_its_file_is(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(DATA[..., None], AFFINE)
    image.to_filename(tmp_path / "a.nii.gz")
    for given in (image, nibabel.load(tmp_path / "a.nii.gz")):
        here, there = to_volume(given), read_volume(tmp_path / "a.nii.gz")
        assert np.array_equal(here.data, there.data)
        assert np.array_equal(here.affine, there.affine)


def test_other_formats_of_nibabel_are_read() -> None:
    image = nibabel.MGHImage(DATA.astype(np.float32), AFFINE)
    assert to_volume(image).spacing_mm == (2, 2, 3)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((4, 4, 4)), "a ndarray, expected a path or an image of nibabel"),
        (nibabel.Nifti1Image(np.zeros((8, 8, 8), np.float32), AFFINE), "only zeros"),
        (nibabel.Nifti1Image(DATA, None), "neither sform nor qform"),
        (nibabel.Nifti1Image(DATA[..., 0], AFFINE), "expected one 3D image"),
        (nibabel.Nifti1Image(DATA, np.diag([9.0, 9.0, 9.0, 1.0])), "voxels of 9×9×9 mm"),
    ],
)
def test_images_that_cannot_be_used(image: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        to_volume(image)


def test_a_file_that_was_cut_short_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nibabel.Nifti1Image(DATA, AFFINE).to_filename(path)
    image = nibabel.load(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match=r"a\.nii: found damaged or cut-off data"):
        to_volume(image)
