"""The template: ICBM152 2009a nonlinear symmetric (MNI152NLin2009aSym), small enough to ship.

``python -m brainclock.prepare.template --write`` makes ``template.npz`` from the 1 mm images that
nilearn bundles; a test proves that the shipped file equals what is built. Terms: TEMPLATE-LICENSE.txt.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray

from brainclock.errors import InputError

SPACE = "MNI152NLin2009aSym"
SHIPPED = Path(__file__).with_name("template.npz")

#: The 1 mm images in nilearn's package, all on one grid, 0 to 255.
_SOURCES = {
    "t1": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "grey": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "white": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}
#: Variance (mm²) of the point spread of the 2 mm images: a 1 mm voxel and the weights 1-2-1.
PSF_VARIANCE_MM2 = 1 / 12 + 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The template brain at 2 mm, without skull, exactly symmetric about x = 0.

    Parameters
    ----------
    t1, grey, white : ndarray of float32, shape (99, 117, 95)
        T1 intensity (0 to 1; white matter 0.86, grey 0.66, CSF 0.34) and tissue probabilities.
    mask : ndarray of bool, shape (99, 117, 95)
        The brain with its CSF (1.88 litres).
    affine : ndarray of float64, shape (4, 4)
        Voxel to template mm, RAS+.
    centroid_mm : ndarray of float64, shape (3,)
        Centre of the mask.
    corners_mm : ndarray of float64, shape (8, 3)
        Corners of the box around the mask.
    hash : str
        SHA-256 (hex) of the contents, for provenance.
    """

    t1: Float32[ndarray, "x y z"]
    grey: Float32[ndarray, "x y z"]
    white: Float32[ndarray, "x y z"]
    mask: Bool[ndarray, "x y z"]
    affine: Float64[ndarray, "4 4"]
    centroid_mm: Float64[ndarray, " 3"]
    corners_mm: Float64[ndarray, "8 3"]
    hash: str


@cache
def load_template() -> Template:
    """Return the shipped template; it is read once in a process, and its arrays are read-only."""
    with np.load(SHIPPED, allow_pickle=False) as shipped:
        arrays = {name: shipped[name] for name in ("affine", "grey", "mask", "t1", "white")}
    where = np.argwhere(arrays["mask"])
    affine = arrays["affine"]
    box = np.array([where.min(axis=0), where.max(axis=0)], dtype=np.float64)
    corners = np.stack(np.meshgrid(*box.T, indexing="ij"), axis=-1).reshape(8, 3)
    template = Template(
        t1=arrays["t1"].astype(np.float32) / 255,
        grey=arrays["grey"].astype(np.float32) / 255,
        white=arrays["white"].astype(np.float32) / 255,
        mask=arrays["mask"].astype(bool),
        affine=affine,
        centroid_mm=affine[:3, :3] @ where.mean(axis=0) + affine[:3, 3],
        corners_mm=corners @ affine[:3, :3].T + affine[:3, 3],
        hash=_digest(arrays),
    )
    for name in ("t1", "grey", "white", "mask", "affine", "centroid_mm", "corners_mm"):
        getattr(template, name).flags.writeable = False
    return template


def build_template() -> dict[str, ndarray]:
    """Make the arrays of ``template.npz`` from the images in nilearn's package.

    Returns
    -------
    dict
        ``t1``, ``grey``, ``white``: uint8, shape (99, 117, 95), 0 to 255; ``mask``: bool, same shape;
        ``affine``: float64, shape (4, 4), voxel to mm.

    Raises
    ------
    InputError
        nilearn or its images are missing.
    """
    import nibabel

    folder = _nilearn_folder()
    images = {name: nibabel.load(folder / file) for name, file in _SOURCES.items()}
    full = {name: np.asarray(image.dataobj) for name, image in images.items()}
    step = np.diag([2.0, 2.0, 2.0, 1.0])
    built: dict[str, ndarray] = {name: np.round(_halve(data)).astype(np.uint8) for name, data in full.items()}
    built["mask"] = _halve((full["t1"] > 0).astype(np.uint8)) >= 0.5
    built["affine"] = images["t1"].affine @ step
    return built


def write_template(path: Path = SHIPPED) -> str:
    """Build the template, write it to ``path`` and return its hash."""
    built = build_template()
    np.savez_compressed(path, **built)  # type: ignore[arg-type]
    return _digest(built)


def _halve(data: UInt8[ndarray, "a b c"]) -> Float32[ndarray, "x y z"]:
    """Weigh neighbours 1-2-1 along each axis, then keep every second voxel: symmetry is kept."""
    smooth = np.pad(data.astype(np.float32), 1)
    smooth = (smooth[:-2] + 2 * smooth[1:-1] + smooth[2:])[::2]
    smooth = (smooth[:, :-2] + 2 * smooth[:, 1:-1] + smooth[:, 2:])[:, ::2]
    smooth = (smooth[:, :, :-2] + 2 * smooth[:, :, 1:-1] + smooth[:, :, 2:])[:, :, ::2]
    return np.ascontiguousarray(smooth / np.float32(64))


def _digest(arrays: Mapping[str, ndarray]) -> str:
    """SHA-256 of names, shapes and bytes, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        data = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {data.dtype.str} {data.shape}".encode())
        sha.update(data.tobytes())
    return sha.hexdigest()


def _nilearn_folder() -> Path:
    """Folder of nilearn's bundled images, found without importing nilearn (which takes a second)."""
    spec = importlib.util.find_spec("nilearn")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place, "datasets", "data")
        if all((folder / file).is_file() for file in _SOURCES.values()):
            return folder
    found = "no nilearn" if spec is None else "no ICBM152 images in nilearn"
    raise InputError("template", found, "nilearn >= 0.12 with its bundled images", "Install nilearn.")


if __name__ == "__main__":
    import argparse
    import sys

    parser = argparse.ArgumentParser(description="Build the shipped template from nilearn's images.")
    parser.add_argument("--write", action="store_true", required=True, help=f"write {SHIPPED.name}")
    parser.parse_args()
    sys.stdout.write(f"{write_template()}  {SHIPPED.name}\n")
