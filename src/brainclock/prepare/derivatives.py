"""Prepared scans on disk: BIDS derivatives that are read back exactly as they were.

For each scan, in ``OUT/sub-X[/ses-Y]/anat/``: the brain mask in the scan's own space, the transforms both
ways, the brain mask on the model grid, a sidecar for each mask, the sidecar that says how all was made, and,
last of all, the image. The sidecar carries the image's hash: an image beside a sidecar that names it is a
whole answer, and a run that was killed never leaves an image without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from brainclock.config import Grid, PrepareSettings
from brainclock.errors import InputError
from brainclock.io.atomic import write_json, write_text
from brainclock.io.bids import derivative_path
from brainclock.io.nifti import image_hash, read_volume, write_volume
from brainclock.io.read import read_json
from brainclock.io.scan import Scan
from brainclock.prepare.prepared import OwnSpace, PreparedScan
from brainclock.prepare.template import SPACE

#: Where the sidecar keeps what `read_prepared` needs.
_SECTION = "Preparation"
_AGAIN = "Prepare the scan again."


@dataclass(frozen=True, slots=True)
class _Files:
    """All that is written for one scan."""

    image: Path
    sidecar: Path
    mask: Path
    scan_mask: Path
    to_template: Path
    to_scan: Path

    @classmethod
    def of(cls, scan: Scan, grid: Grid, out: Path) -> _Files:
        on_grid = {"space": SPACE, "res": _resolution(grid.spacing_mm)}

        def name(entities: dict[str, str], suffix: str, extension: str) -> Path:
            return derivative_path(out, scan.key, entities, suffix, extension)

        image = name({**on_grid, "desc": "preproc"}, "T1w", ".nii.gz")
        return cls(
            image=image,
            sidecar=_sidecar(image),
            mask=name({**on_grid, "desc": "brain"}, "mask", ".nii.gz"),
            scan_mask=name({"desc": "brain"}, "mask", ".nii.gz"),
            to_template=name({"from": "T1w", "to": SPACE, "mode": "image"}, "xfm", ".txt"),
            to_scan=name({"from": SPACE, "to": "T1w", "mode": "image"}, "xfm", ".txt"),
        )


def prepared_path(scan: Scan, grid: Grid, out: Path) -> Path:
    """Return where the prepared image of a scan lies."""
    return _Files.of(scan, grid, out).image


def describe_inputs(scan: Scan) -> dict[str, object]:
    """Return all that a preparation depends on besides the settings: hashes of the files, what they say.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    return {
        "ImageSha256": image_hash(scan.path),
        "MaskSha256": None if scan.mask_path is None else image_hash(scan.mask_path),
        "InTemplateSpace": scan.in_template,
        "Stripped": scan.stripped,
    }


def write_prepared(prepared: PreparedScan, scan: Scan, inputs: Mapping[str, object], out: Path) -> Path:
    """Write a prepared scan; equal scans give equal bytes.

    Parameters
    ----------
    prepared : PreparedScan
    scan : Scan
        What it was made from.
    inputs : mapping of str to object
        What `describe_inputs` said before the scan was prepared.
    out : Path
        Folder of the derivative dataset.

    Returns
    -------
    Path
        The image.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    to = _Files.of(scan, prepared.grid, out)
    affine = prepared.grid.matrix
    write_json(_sidecar(to.mask), {**_describe_mask(scan), **_describe_grid(prepared.grid)})
    write_volume(to.mask, prepared.mask, affine, dtype=np.uint8, space="template")
    if prepared.own is not None:
        own = {**_describe_mask(scan), "SpatialReference": _source(scan.path)}
        write_json(_sidecar(to.scan_mask), own)
        write_volume(to.scan_mask, prepared.own.mask(), prepared.own.affine, dtype=np.uint8)
    # An ITK transform leads from the points of the image that is made to those of the image it is made of.
    write_text(to.to_template, _itk_text(prepared.template_to_scan))
    write_text(to.to_scan, _itk_text(np.linalg.inv(prepared.template_to_scan)))
    write_json(to.sidecar, _describe(prepared, scan, inputs))
    write_volume(to.image, prepared.data, affine, space="template")
    return to.image


def read_prepared(path: Path) -> PreparedScan:
    """Read what `write_prepared` wrote: the same values, without the mask in the scan's own space.

    Parameters
    ----------
    path : Path
        The image; its sidecar lies beside it.

    Raises
    ------
    InputError
        It isn't a prepared scan, or image or sidecar were changed since.
    """
    sidecar = _sidecar(path)
    section = _section(path)
    if section is None:
        raise InputError(str(sidecar), "no account of a preparation", "that of brainclock prepare", _AGAIN)
    try:
        provenance = section["Provenance"]
        settings = PrepareSettings.model_validate(provenance["Settings"])
        template_to_scan = np.array(section["TemplateToScan"], dtype=np.float64).reshape(4, 4)
        quality = {name: float(value) for name, value in section["Quality"].items()}
        digests = provenance["SettingsDigest"], section["ImageSha256"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(str(sidecar), f"a damaged account ({error})", "a whole one", _AGAIN) from None
    data = np.ascontiguousarray(read_volume(path).data)
    if digests != (settings.digest(), _hash(data)) or data.shape != settings.grid.shape:
        raise InputError(str(path), "an image or settings that were changed", "them as written", _AGAIN)
    return PreparedScan(data, data > 0, settings.grid, template_to_scan, quality, provenance)


def read_own(path: Path, settings: PrepareSettings) -> PreparedScan | None:
    """Return a scan that brainclock prepared before with these settings; None if it is another image.

    Where the original's voxels lie is known from the mask that was written beside it, if that is still there.

    Raises
    ------
    InputError
        It was prepared with other settings, and twice is once too often; or as `read_prepared`.
    """
    if _section(path) is None:
        return None
    prepared = read_prepared(path)
    if prepared.provenance["SettingsDigest"] != settings.digest():
        expected = "the settings that are wanted now"
        fix = "Give the scan that it was made from; its JSON names it."
        raise InputError(str(path), "a scan prepared by brainclock with other settings", expected, fix)
    return replace(prepared, own=_read_own_space(path))


def find_prepared(
    scan: Scan,
    inputs: Mapping[str, object],
    settings: PrepareSettings,
    versions: Mapping[str, str],
    out: Path,
) -> PreparedScan | None:
    """Return what an earlier run made of the same inputs with the same settings and versions, if whole."""
    path = prepared_path(scan, settings.grid, out)
    section = _section(path) if path.is_file() else None
    if section is None or section.get("Inputs") != inputs:
        return None
    try:
        prepared = read_prepared(path)
    except InputError:  # damaged from outside: it is made again
        return None
    same = prepared.provenance["SettingsDigest"] == settings.digest()
    return prepared if same and prepared.provenance.get("Versions") == versions else None


def remove_prepared(scan: Scan, grid: Grid, out: Path) -> None:
    """Remove what an earlier run made of a scan that is refused now."""
    files = _Files.of(scan, grid, out)
    for image in (files.image, files.mask, files.scan_mask):
        image.unlink(missing_ok=True)
        _sidecar(image).unlink(missing_ok=True)
    for transform in (files.to_template, files.to_scan):
        transform.unlink(missing_ok=True)


def _read_own_space(path: Path) -> OwnSpace | None:
    """Return the voxels of the scan that a prepared image was made from, from its mask there."""
    mask_path = path.with_name(f"{path.name.split('_space-', 1)[0]}_desc-brain_mask.nii.gz")
    if not mask_path.is_file():
        return None
    mask = read_volume(mask_path)
    return OwnSpace(mask.data.shape, mask.affine, mask.data > 0, mask.affine)


def _section(path: Path) -> dict[str, Any] | None:
    """Return brainclock's part of the JSON beside an image; None where there is none."""
    sidecar = _sidecar(path)
    if not sidecar.is_file():
        return None
    try:
        described = read_json(sidecar)
    except InputError:
        return None
    section = described.get(_SECTION) if isinstance(described, dict) else None
    return section if isinstance(section, dict) else None


def _describe(prepared: PreparedScan, scan: Scan, inputs: Mapping[str, object]) -> dict[str, object]:
    return {
        "Description": "T1-weighted brain on the model grid: 0 outside the brain, white matter near 1",
        "Sources": [_source(scan.path)],
        "SkullStripped": True,
        **_describe_grid(prepared.grid),
        _SECTION: {
            "Inputs": inputs,
            "ImageSha256": _hash(prepared.data),
            "TemplateToScan": prepared.template_to_scan,
            "ScanToTemplate": np.linalg.inv(prepared.template_to_scan),
            "Quality": prepared.quality,
            "Provenance": prepared.provenance,
        },
    }


def _describe_mask(scan: Scan) -> dict[str, object]:
    return {"Description": "Brain, without skull", "Type": "Brain", "Sources": [_source(scan.path)]}


def _describe_grid(grid: Grid) -> dict[str, object]:
    resolution = f"{_times(grid.spacing_mm)} mm, {_times(grid.shape)} voxels"
    return {"SpatialReference": SPACE, "Resolution": resolution}


def _hash(data: Float32[ndarray, "x y z"]) -> str:
    """SHA-256 (hex) of the values, whatever compresses them."""
    return hashlib.sha256(np.ascontiguousarray(data, dtype="<f4").tobytes()).hexdigest()


def _source(path: Path) -> str:
    """Return the path from the participant's folder on: it says the same on every machine."""
    at = next((i for i, part in enumerate(path.parts) if part.startswith("sub-")), len(path.parts) - 1)
    return "/".join(path.parts[at:])


def _sidecar(image: Path) -> Path:
    return image.with_name(image.name.split(".nii", 1)[0] + ".json")


def _resolution(spacing_mm: tuple[float, float, float]) -> str:
    """Return ``2``, ``1p5`` or ``1x1x3``: BIDS labels have letters and digits alone."""
    sides = [f"{side:.3g}".replace(".", "p") for side in spacing_mm]
    return sides[0] if len(set(sides)) == 1 else "x".join(sides)


def _times(numbers: Sequence[float | int]) -> str:
    return " × ".join(f"{number:.4g}" for number in numbers)


def _itk_text(points: Float64[ndarray, "4 4"]) -> str:
    """Return an affine map of points (mm, RAS+) as ITK writes it (LPS+)."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps = flip @ points @ flip + 0.0  # no -0.0
    numbers = " ".join(repr(float(x)) for x in (*lps[:3, :3].ravel(), *lps[:3, 3]))
    kind = "Transform: AffineTransform_double_3_3"
    lines = ("#Insight Transform File V1.0", "#Transform 0", kind, f"Parameters: {numbers}")
    return "\n".join((*lines, "FixedParameters: 0 0 0", ""))
