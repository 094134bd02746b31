"""NIfTI files to volumes and back.

What cannot be a T1-weighted head for sure is refused here, with one sentence; whether it is a good one is
for the quality gates. Array axes stay as they lie in the file: the affine says where they point.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Shaped
from numpy import ndarray
from numpy.typing import DTypeLike

from brainclock.errors import InputError
from brainclock.io.atomic import write_bytes
from brainclock.io.read import read_bytes
from brainclock.io.volume import Volume

logger = logging.getLogger("brainclock")

#: Limits of what can be a head: voxels along an axis, and millimetres along the side of a voxel.
MIN_VOXELS, MAX_VOXELS = 4, 1024
MIN_VOXEL_MM, MAX_VOXEL_MM = 0.2, 6.0
#: Largest cosine between two voxel axes. Scanners write right angles; an affine that was fitted to a
#: template may lean by a few hundredths.
MAX_SHEAR = 0.1
#: Fast, and within a few per cent of the size of the slowest setting.
_COMPRESSION = 4

_NIFTI = "a NIfTI image (.nii or .nii.gz)"
_CONVERT = "Convert the scan to NIfTI, for example with dcm2niix (DICOM) or mri_convert (FreeSurfer)."
_AGAIN = "Copy, download or convert it again."
#: nibabel would print each oddity of a header; what matters is an error here.
_NOWHERE = logging.Logger("nowhere", level=logging.CRITICAL + 1)
_SPACES = {"scanner": 1, "template": 4}


def read_volume(path: str | Path) -> Volume:
    """Read a NIfTI-1 or NIfTI-2 file, compressed or not.

    Trailing axes of length 1 are dropped. The affine is the sform if it is set, else the qform. A
    background of NaN (all eight corners, and what joins them) becomes 0; any other NaN is refused.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Volume
        Scaled intensities, axes as in the file.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty, cut short or not NIfTI; it isn't one 3D image of real
        numbers; an axis has fewer than 4 or more than 1024 voxels; its affine is missing, singular or
        sheared; a voxel is smaller than 0.2 mm or larger than 6 mm; the values are all the same or not
        finite.

    Examples
    --------
    >>> head = brainclock.read_volume("sub-01_T1w.nii.gz")
    >>> head.data.shape, head.spacing_mm
    ((45, 59, 60), (4.0, 4.0, 4.0))
    """
    path = Path(path)
    content = read_bytes(path, _NIFTI)
    header = _read_header(content, path)
    shape = _check_shape(header.get_data_shape(), path)
    _check_type(header.get_data_dtype(), path)
    affine = _read_affine(header, path)
    if content[:2] == b"\x1f\x8b":
        content = _decompress(content, path)
    data = _read_data(content, header, path).reshape(shape)
    return Volume(_check_data(data, path), affine, str(path))


def to_volume(image: Any) -> Volume:
    """Return what a nibabel image holds, after the same checks as for a file.

    Parameters
    ----------
    image : nibabel image
        Of any format; one 3D image in RAS+ mm, as nibabel has it.

    Raises
    ------
    InputError
        As for `read_volume`; or it isn't an image of nibabel.
    """
    if not (hasattr(image, "dataobj") and hasattr(image, "affine")):
        fix = "Give the path of a NIfTI file."
        raise InputError("The image", f"a {type(image).__name__}", "a path or an image of nibabel", fix)
    place = Path(image.get_filename() or "image in memory")
    shape = _check_shape(image.shape, place)
    _check_type(image.get_data_dtype(), place)
    if hasattr(image.header, "get_qform"):
        affine = _read_affine(image.header, place)
    elif image.affine is None:
        raise InputError(str(place), "no affine", "an affine", "Give the image its affine.")
    else:
        affine = np.asarray(image.affine, dtype=np.float64)
        _check_affine(affine, place)
    try:
        data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    except (OSError, EOFError, zlib.error) as error:  # nibabel reads the values only now
        raise InputError(str(place), f"damaged or cut-off data ({error})", _NIFTI, _AGAIN) from None
    return Volume(_check_data(data, place), affine, str(place))


def write_volume(
    path: Path,
    data: Shaped[ndarray, "x y z"],
    affine: Float64[ndarray, "4 4"],
    *,
    dtype: DTypeLike = np.float32,
    space: Literal["scanner", "template"] = "scanner",
) -> None:
    """Write a NIfTI-1 file atomically; equal input gives equal bytes.

    Both the sform and the qform are set (the sform alone where the axes lean: a qform cannot). Values are
    stored as they are, never scaled.

    Parameters
    ----------
    path : Path
        Ends in ``.nii`` or ``.nii.gz``.
    data : ndarray, shape (x, y, z)
    affine : ndarray of float64, shape (4, 4)
        Voxel indices to mm, RAS+.
    dtype : dtype
        Type in the file; the values must fit into it.
    space : {'scanner', 'template'}
        What the affine leads to: scanner mm or MNI152 mm.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    import nibabel

    code = _SPACES[space]
    image = nibabel.Nifti1Image(np.asarray(data, dtype=dtype), affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    if not np.allclose(image.get_qform(), affine, atol=1e-3):
        image.set_qform(affine, 0)  # a qform cannot lean: leave it unset rather than let it contradict
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        buffer = io.BytesIO()
        # Neither a file name nor a time in it: the same image is the same file.
        with gzip.GzipFile("", "wb", _COMPRESSION, buffer, mtime=0) as stream:
            stream.write(content)
        content = buffer.getvalue()
    write_bytes(path, content)


def image_hash(path: Path) -> str:
    """SHA-256 (hex) of the bytes of a file; raises `InputError` where it cannot be read."""
    return hashlib.sha256(read_bytes(path, "a file")).hexdigest()


def _read_header(content: bytes, path: Path) -> Any:
    """Return the nibabel header, NIfTI-1 or 2, either byte order."""
    import nibabel
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    if content[:2] == b"\x1f\x8b":
        content = _decompress(content, path, head=True)
    for kind, size in ((nibabel.Nifti1Header, 348), (nibabel.Nifti2Header, 540)):
        if size not in (int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big")):
            continue
        try:
            header = kind(content[:size], check=False)
            header.check_fix(logger=_NOWHERE)
        except (HeaderDataError, WrapStructError, ValueError) as error:
            raise InputError(str(path), f"a damaged header ({error})", _NIFTI, _AGAIN) from None
        if bytes(header["magic"])[:3] in (b"n+1", b"n+2"):
            return header
    raise InputError(str(path), "another kind of file", _NIFTI, _CONVERT)


def _decompress(content: bytes, path: Path, *, head: bool = False) -> bytes:
    """Unpack gzip, the whole file (its checksum is checked) or only its head."""
    try:
        if head:
            return zlib.decompressobj(wbits=31).decompress(content, 1024)
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        found = f"damaged or cut-off gzip ({error})"
        raise InputError(str(path), found, _NIFTI, _AGAIN) from None


def _check_shape(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """Return the three axes of the image."""
    text = "×".join(str(length) for length in shape)
    expected = "one 3D image"
    if len(shape) < 3 or sum(length > 1 for length in shape[:3]) < 3:
        raise InputError(str(path), f"an image of {text} voxels", expected, "Give the whole head.")
    if any(length != 1 for length in shape[3:]):
        fix = "Give one volume of it, a T1-weighted one."
        raise InputError(str(path), f"several volumes ({text})", expected, fix)
    if min(shape[:3]) < MIN_VOXELS or max(shape[:3]) > MAX_VOXELS:
        expected = f"{MIN_VOXELS} to {MAX_VOXELS} voxels along each axis"
        raise InputError(str(path), f"{text} voxels", expected, "Give a T1-weighted head.")
    return shape[0], shape[1], shape[2]


def _check_type(dtype: np.dtype[Any], path: Path) -> None:
    if dtype.kind not in "iuf":
        found = "colours" if dtype.kind == "V" else f"{dtype} values"
        raise InputError(str(path), found, "real numbers", "Give the T1-weighted image itself.")


def _read_affine(header: Any, path: Path) -> Float64[ndarray, "4 4"]:
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):  # what overflows is refused as not finite
            affine = header.get_sform(coded=True)[0]
            if affine is None:
                affine = header.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError) as error:
        fix = "Set its sform, or convert it from DICOM again."
        raise InputError(str(path), f"a damaged qform ({error})", "an affine", fix) from None
    if affine is None:
        fix = "Set its sform, or convert it from DICOM again: without it nobody knows where left is."
        raise InputError(str(path), "neither sform nor qform", "an affine in the header", fix)
    _check_affine(affine, path)
    return np.asarray(affine, dtype=np.float64)


def _check_affine(affine: Float64[ndarray, "4 4"], path: Path) -> None:
    fix = "Mend its header, or convert it from DICOM again."
    if not np.isfinite(affine).all():
        raise InputError(str(path), "an affine that is not finite", "numbers", fix)
    with np.errstate(over="ignore", under="ignore"):
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        axes = affine[:3, :3] / np.where(spacing > 0, spacing, 1)
    if abs(np.linalg.det(axes)) < 1e-3:
        raise InputError(str(path), "a singular affine", "three different directions", fix)
    if spacing.min() < MIN_VOXEL_MM or spacing.max() > MAX_VOXEL_MM:
        found = "voxels of " + "×".join(f"{side:.3g}" for side in spacing) + " mm"
        expected = f"{MIN_VOXEL_MM} to {MAX_VOXEL_MM:g} mm along each side"
        raise InputError(str(path), found, expected, "Mend its header, or give a finer scan.")
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    if shear > MAX_SHEAR:
        expected = f"right angles (cosines up to {MAX_SHEAR:g})"
        fix = "Resample it onto a grid with right angles."
        raise InputError(str(path), f"voxel axes that are sheared (cosine {shear:.3f})", expected, fix)


def _read_data(content: bytes, header: Any, path: Path) -> Float32[ndarray, ...]:
    """Return the scaled values as float32; float64 would double the memory for nothing."""
    from nibabel.arrayproxy import ArrayProxy
    from nibabel.spatialimages import HeaderDataError

    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    needed = int(header.get_data_offset()) + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(content) < needed:
        found = f"only {len(content)} of {needed} bytes"
        raise InputError(str(path), found, "the whole image", _AGAIN)
    try:
        proxy = ArrayProxy(io.BytesIO(content), header)
    except HeaderDataError as error:
        raise InputError(str(path), f"a damaged header ({error})", _NIFTI, _AGAIN) from None
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite, and refused as such
        return np.asarray(proxy, dtype=np.float32)


def _check_data(data: Float32[ndarray, "x y z"], path: Path) -> Float32[ndarray, "x y z"]:
    low, high = float(data.min()), float(data.max())
    if not np.isfinite([low, high]).all():
        data = _fill_background(data, path)
        low, high = float(data.min()), float(data.max())
    if low == high:
        found = "only zeros" if low == 0 else f"the same value ({low:g}) everywhere"
        raise InputError(str(path), found, "an image that shows something", "Look at the file in a viewer.")
    return data


def _fill_background(data: Float32[ndarray, "x y z"], path: Path) -> Float32[ndarray, "x y z"]:
    """Set a background of NaN to 0; refuse infinity, and NaN anywhere else."""
    bad = ~np.isfinite(data)
    if bad.all() or np.isinf(data).any() or not _is_background(bad):
        found = f"{int(bad.sum())} of {bad.size} voxels that are not finite"
        fix = "Set them to 0 if they are background, else make the image again."
        raise InputError(str(path), found, "finite values, or NaN only as the background", fix)
    logger.info("%s: the background is NaN (%.1f %% of the voxels) and read as 0.", path, 100 * bad.mean())
    return np.where(bad, np.float32(0), data)


def _is_background(bad: Bool[ndarray, "x y z"]) -> bool:
    """Whether all eight corners are bad and every other bad voxel is joined to one of them."""
    from scipy import ndimage

    corners = bad[:: bad.shape[0] - 1, :: bad.shape[1] - 1, :: bad.shape[2] - 1]
    if not corners.all():
        return False
    labels, _ = ndimage.label(bad)
    ends = labels[:: bad.shape[0] - 1, :: bad.shape[1] - 1, :: bad.shape[2] - 1]
    return bool(np.isin(labels[bad], np.unique(ends)).all())
