"""NIfTI: what is read is what was written, whatever the header; what is no head is refused."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from brainclock.errors import InputError, OutputError
from brainclock.io.nifti import image_hash, read_volume, write_volume

SHAPE = (5, 6, 7)
DATA = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


def save(path: Path, data: Any = DATA, affine: Any = None, kind: Any = nibabel.Nifti1Image) -> Path:
    kind(data, np.eye(4) if affine is None else affine).to_filename(path)
    return path


def edit(path: Path, position: int, content: bytes) -> Path:
    """Overwrite bytes of an uncompressed file."""
    raw = bytearray(path.read_bytes())
    raw[position : position + len(content)] = content
    path.write_bytes(raw)
    return path


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", angles, degrees=True).as_matrix())


affines = st.builds(
    lambda angles, spacing, signs, order, origin: nibabel.affines.from_matvec(
        (rotation(angles) * np.array(spacing) * np.array(signs))[:, list(order)], origin
    ),
    st.tuples(*[st.floats(-60, 60)] * 3),
    st.tuples(*[st.floats(0.5, 5)] * 3),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.permutations([0, 1, 2]),
    st.tuples(*[st.floats(-200, 200)] * 3),
)


@settings(max_examples=40, deadline=None)
@given(
    data=st_numpy.arrays(
        np.float32,
        st.tuples(*[st.integers(4, 6)] * 3),
        elements=st.floats(-1e6, 1e6, width=32),
    ).filter(lambda values: np.ptp(values) > 0),
    affine=affines,
    suffix=st.sampled_from([".nii", ".nii.gz"]),
)
def test_what_is_written_is_read(
    data: np.ndarray, affine: np.ndarray, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("round") / f"image{suffix}"
    write_volume(path, data, affine)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)  # a header holds float32
    qform = nibabel.load(path).header.get_qform()
    np.testing.assert_allclose(qform, affine, atol=2e-3)


def test_equal_images_are_equal_bytes_whatever_their_name(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", DATA, np.eye(4))
    write_volume(tmp_path / "b.nii.gz", DATA.copy(order="F"), np.eye(4))
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content == (tmp_path / "b.nii.gz").read_bytes()
    assert content[3] == 0  # no name in the gzip header
    assert content[4:8] == bytes(4)  # no time either
    assert image_hash(tmp_path / "a.nii.gz") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_type_of_number(tmp_path: Path, dtype: Any, kind: Any, suffix: str) -> None:
    volume = read_volume(save(tmp_path / f"a{suffix}", DATA.astype(dtype), kind=kind))
    assert volume.data.dtype == np.float32
    np.testing.assert_array_equal(volume.data, DATA)


def test_the_other_byte_order(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nibabel.Nifti1Image(DATA.astype(">i2"), np.eye(4), header).to_filename(tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes()[:4] == (348).to_bytes(4, "big")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").data, DATA)


def test_scaled_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(DATA.astype(np.uint8), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    image.to_filename(path)
    expected = nibabel.load(path).get_fdata()
    assert expected.max() != DATA.max()
    np.testing.assert_array_equal(read_volume(path).data, expected)


@pytest.mark.parametrize("trailing", [(1,), (1, 1)])
def test_trailing_axes_of_one_go(tmp_path: Path, trailing: tuple[int, ...]) -> None:
    data = DATA.reshape(SHAPE + trailing)
    np.testing.assert_array_equal(read_volume(save(tmp_path / "a.nii.gz", data)).data, DATA)


def test_a_compressed_file_without_its_suffix(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz").rename(tmp_path / "a.nii")
    np.testing.assert_array_equal(read_volume(path).data, DATA)


def test_sform_before_qform_and_qform_without_it(tmp_path: Path) -> None:
    sform, qform = np.diag([-1.0, 1, 1, 1]), np.diag([2.0, 2, 2, 1])
    image = nibabel.Nifti1Image(DATA, None)
    image.set_sform(sform, 1)
    image.set_qform(qform, 1)
    image.to_filename(tmp_path / "both.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "both.nii").affine, sform)
    image.set_sform(sform, 0)
    image.to_filename(tmp_path / "qform.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "qform.nii").affine, qform)


def test_a_leaning_affine_is_kept_and_no_qform_contradicts_it(tmp_path: Path) -> None:
    leaning = np.array([[1, 0.04, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    write_volume(tmp_path / "a.nii.gz", DATA, leaning, space="template")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii.gz").affine, leaning, atol=1e-6)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (4, 0)


def test_a_mask_is_stored_as_bytes(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", DATA > 50, np.eye(4), dtype=np.uint8)
    assert nibabel.load(tmp_path / "a.nii.gz").get_data_dtype() == np.uint8
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").data, DATA > 50)


def test_a_background_of_nan_becomes_zero(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = np.full((8, 8, 8), np.nan, dtype=np.float32)
    data[2:6, 2:6, 2:6] = np.arange(64).reshape(4, 4, 4) + 1
    caplog.set_level("INFO", logger="brainclock")
    read = read_volume(save(tmp_path / "a.nii.gz", data)).data
    np.testing.assert_array_equal(read, np.nan_to_num(data))
    assert "87.5 %" in caplog.text


def holes() -> dict[str, np.ndarray]:
    inside, cut, infinite = (DATA.copy() for _ in range(3))
    inside[2, 3, 3] = np.nan
    cut[:3] = np.nan
    infinite[0, 0, 0] = np.inf
    stripped = np.full((8, 8, 8), np.nan, dtype=np.float32)
    stripped[1:7, 1:7, 1:7] = np.arange(216).reshape(6, 6, 6)
    stripped[4, 4, 4] = np.nan
    nothing = np.full((8, 8, 8), np.nan, dtype=np.float32)
    return {
        "inside": inside,
        "cut": cut,
        "infinite": infinite,
        "in a stripped brain": stripped,
        "everywhere": nothing,
    }


@pytest.mark.parametrize("where", list(holes()))
def test_nan_anywhere_else_is_refused_with_its_count(tmp_path: Path, where: str) -> None:
    data = holes()[where]
    count = int((~np.isfinite(data)).sum())
    with pytest.raises(InputError, match=f"found {count} of {data.size} voxels that are not finite"):
        read_volume(save(tmp_path / "a.nii.gz", data))


def test_float64_that_overflows_is_refused(tmp_path: Path) -> None:
    data = DATA.astype(np.float64)
    data[1, 1, 1] = 1e300
    with pytest.raises(InputError, match="not finite"):
        read_volume(save(tmp_path / "a.nii", data))


BAD_SHAPES = {
    (16, 16): "an image of 16×16 voxels",
    (16, 16, 1): "an image of 16×16 voxels|an image of 16×16×1 voxels",
    (1, 16, 16): "an image of 1×16×16 voxels",
    (5, 6, 7, 3): r"several volumes \(5×6×7×3\)",
    (5, 6, 7, 1, 3): r"several volumes \(5×6×7×1×3\)",
    (3, 16, 16): "3×16×16 voxels, expected 4 to 1024",
    (4, 4, 1025): "4×4×1025 voxels, expected 4 to 1024",
}


@pytest.mark.parametrize("shape", list(BAD_SHAPES))
def test_what_is_not_one_head(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    with pytest.raises(InputError, match=BAD_SHAPES[shape]):
        read_volume(save(tmp_path / "a.nii.gz", data))


def test_colours_and_complex_numbers(tmp_path: Path) -> None:
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="found colours, expected real numbers"):
        read_volume(save(tmp_path / "a.nii", colours))
    with pytest.raises(InputError, match="found complex64 values"):
        read_volume(save(tmp_path / "b.nii", DATA.astype(np.complex64)))


@pytest.mark.parametrize(("value", "found"), [(0, "only zeros"), (7, r"the same value \(7\) everywhere")])
def test_constant_images(tmp_path: Path, value: int, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_volume(save(tmp_path / "a.nii.gz", np.full(SHAPE, value, dtype=np.int16)))


def sheared(cosine: float) -> np.ndarray:
    affine = np.eye(4)
    affine[:2, 1] = cosine, np.sqrt(1 - cosine**2)
    return affine


def with_column(column: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, 2] = column
    return affine


BAD_AFFINES = {
    "zero axis": (with_column((0, 0, 0)), "a singular affine"),
    "flat": (with_column((0, 1, 0)), "a singular affine"),
    "not finite": (with_column((0, 0, np.nan)), "an affine that is not finite"),
    "thick": (with_column((0, 0, 6.5)), "voxels of 1×1×6.5 mm, expected 0.2 to 6 mm"),
    "in metres": (np.diag([0.001, 0.001, 0.001, 1]), "voxels of 0.001×0.001×0.001 mm"),
    "sheared": (sheared(0.2), r"sheared \(cosine 0.200\)"),
}


@pytest.mark.parametrize("name", list(BAD_AFFINES))
def test_impossible_affines(tmp_path: Path, name: str) -> None:
    affine, found = BAD_AFFINES[name]
    path = save(tmp_path / "a.nii")
    with pytest.raises(InputError, match=found):
        # nibabel would not write them all
        read_volume(edit(path, 280, affine[:3].astype("<f4").tobytes()))


def test_neither_sform_nor_qform(tmp_path: Path) -> None:
    path = edit(save(tmp_path / "a.nii"), 252, bytes(4))
    with pytest.raises(InputError, match=r"neither sform nor qform.*nobody knows where left is"):
        read_volume(path)


def test_a_damaged_qform(tmp_path: Path) -> None:
    path = edit(save(tmp_path / "a.nii"), 252, np.array([1, 0], dtype="<i2").tobytes())
    edit(path, 256, np.array([3, 3, 3], dtype="<f4").tobytes())
    with pytest.raises(InputError, match="a damaged qform"):
        read_volume(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_that_was_cut_short(tmp_path: Path, suffix: str, share: float) -> None:
    content = save(tmp_path / f"whole{suffix}", np.random.default_rng(0).random((16, 16, 16))).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        InputError, match=r"cut-off gzip|bytes, expected the whole image|damaged header|another"
    ):
        read_volume(path)


def test_a_gzip_with_a_wrong_byte(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).random((16, 16, 16)))
    edit(path, path.stat().st_size // 2, b"\x00\xff\x00")
    with pytest.raises(InputError, match="damaged or cut-off gzip"):
        read_volume(path)


@pytest.mark.parametrize(
    "content", [b"not an image", b"\x00" * 400, gzip.compress(b"text" * 300), b"DICM" * 200, b"\x1f\x8b\x08"]
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"another kind of file|damaged or cut-off gzip"):
        read_volume(tmp_path / "a.nii.gz")


def test_a_header_with_an_unknown_type(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged header"):
        read_volume(edit(save(tmp_path / "a.nii"), 70, (9999).to_bytes(2, "little")))


def test_a_pair_of_header_and_image(tmp_path: Path) -> None:
    nibabel.Nifti1Pair(DATA, np.eye(4)).to_filename(tmp_path / "a.hdr")
    with pytest.raises(InputError, match=r"another kind of file.*Convert"):
        read_volume(tmp_path / "a.hdr")


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.nii").touch()
    for name, found in (("gone.nii", "no such file"), ("empty.nii", "an empty file"), ("", "a folder")):
        with pytest.raises(InputError, match=found):
            read_volume(tmp_path / name)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_volume(tmp_path / "file" / "a.nii.gz", DATA, np.eye(4))


@pytest.mark.data
def test_real_scans_are_read_as_nibabel_reads_them(shared_data: Path) -> None:
    for folder in ("ixi", "ds002748", "oasis1-slab"):
        path = min((shared_data / folder).rglob("*_T1w.nii.gz"))
        volume, image = read_volume(path), nibabel.load(path)
        np.testing.assert_array_equal(volume.data, image.get_fdata(dtype=np.float32))
        np.testing.assert_array_equal(volume.affine, image.affine)
