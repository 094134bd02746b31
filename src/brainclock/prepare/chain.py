"""A raw head becomes a volume on the model grid: the steps in their order, a gate after each."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock import __version__
from brainclock.config import Grid, PrepareSettings
from brainclock.errors import InputError
from brainclock.io.nifti import read_volume
from brainclock.io.scan import Scan
from brainclock.io.volume import Volume
from brainclock.prepare import quality
from brainclock.prepare.bias import correct_bias
from brainclock.prepare.derivatives import read_own
from brainclock.prepare.extract import extract_brain, rough_brain
from brainclock.prepare.normalise import normalise
from brainclock.prepare.orient import reorient
from brainclock.prepare.prepared import OwnSpace, PreparedScan
from brainclock.prepare.register import find_pose, in_view, register
from brainclock.prepare.resample import covered, to_grid
from brainclock.prepare.template import SPACE, load_template
from brainclock.prepare.upright import mask_onto, turn_upright

#: A scan with more exact zeros than this was stripped by somebody else; raw heads have 20 to 50 %.
_STRIPPED_ZEROS = 0.75
#: A scan thinner than this along an axis holds a slab, not a brain.
_SLAB_MM = 100.0
_PACKAGES = ("deepbet", "nibabel", "numpy", "scipy", "SimpleITK", "torch")


def prepare_volume(
    volume: Volume,
    settings: PrepareSettings,
    *,
    mask: Bool[ndarray, "x y z"] | None = None,
    in_template: bool = False,
    stripped: bool = False,
) -> PreparedScan:
    """Prepare one scan.

    Parameters
    ----------
    volume : Volume
        A T1w head or brain, any orientation.
    settings : PrepareSettings
    mask : ndarray of bool, shape of ``volume.data``, or None
        A brain mask; None finds one.
    in_template : bool
        The scan lies in MNI152 space: it is not registered again.
    stripped : bool
        The skull is gone. Also recognised from the many exact zeros.

    Raises
    ------
    ScanRefused
        A gate refused it; the reason and the figures are in the exception.
    InputError
        The mask does not lie on the voxels of the scan.

    Examples
    --------
    With the settings of a model, since every model wants its own:

    >>> loaded = brainclock.load_model()
    >>> head = brainclock.simulate_head(1, age=60.0, spacing_mm=4.0)
    >>> prepared = brainclock.prepare_volume(head, loaded.card.settings.prepare)
    >>> prepared.data.shape == prepared.grid.shape
    True
    >>> sorted(prepared.quality)[:2]
    ['axis_scale_max', 'axis_scale_min']
    """
    figures: quality.Figures = {}
    quality.check_voxels(volume, settings.gates, figures)
    if mask is not None:
        _check_mask(mask, volume)
        mask = reorient(Volume(mask.astype(np.float32), volume.affine)).data > 0
    scan = _not_negative(reorient(volume))
    slab = bool(min(np.array(scan.data.shape) * scan.spacing_mm) < _SLAB_MM)
    stripped = stripped or 1 - float((scan.data > 0).mean()) > _STRIPPED_ZEROS
    partial = slab and in_template
    given = mask if mask is not None else scan.data > 0 if stripped or partial else None
    head, pose = scan, None
    if not in_template:
        pose = find_pose(scan, rough_brain(scan.data) if given is None else given)
        head = turn_upright(scan, pose)
        given = None if given is None else mask_onto(given, scan.affine, head.data.shape, head.affine)
    place = np.linalg.inv(head.affine) @ (np.eye(4) if pose is None else pose)
    brain, source = _brain_mask(head, place, given, mask is not None, partial)
    if not slab:
        quality.check_volume(brain, head, settings.gates, figures)
    even = head
    if settings.bias == "n4":
        even = Volume(correct_bias(head.data, brain, head.spacing_mm), head.affine, head.source)
    template_to_scan = np.eye(4)
    if pose is not None:
        found = register(even, brain, pose)
        template_to_scan = found.template_to_scan
        figures["template_in_view"] = in_view(template_to_scan, scan)
        quality.check_registration(found, settings.gates, figures)
    template = _template_on(settings.grid)
    quality.check_view(
        covered(scan, settings.grid, template_to_scan), template["mask"] > 0.5, settings.gates, figures
    )
    intensity, share = to_grid(even, brain, settings.grid, template_to_scan)
    inside = share > 0.5
    if not slab:
        quality.check_overlap(inside, template["mask"] > 0.5, settings.gates, figures)
    prepared = normalise(intensity, share)
    whole = share > 0.99  # the border is faded
    grey, white = (whole & (template[tissue] > 0.9) for tissue in ("grey", "white"))
    quality.check_contrast(prepared, grey, white, settings.gates, figures)
    return PreparedScan(
        data=prepared,
        mask=inside,
        grid=settings.grid,
        template_to_scan=template_to_scan,
        quality=figures,
        provenance={
            "Space": SPACE,
            "BrainMask": source,
            "InTemplateSpace": in_template,
            "Stripped": stripped,
            "BiasField": settings.bias,
            "Registration": "none: given in template space" if in_template else "affine, 12 parameters",
            "TemplateHash": load_template().hash,
            "Settings": settings.model_dump(mode="json"),
            "SettingsDigest": settings.digest(),
            "Versions": versions(),
        },
        own=OwnSpace(volume.data.shape, volume.affine, brain, head.affine),
    )


@cache
def versions() -> dict[str, str]:
    """Return the versions of what a prepared scan depends on."""
    return {"brainclock": __version__, **{name: version(name) for name in _PACKAGES}}


def prepare_scan(scan: Scan, settings: PrepareSettings) -> PreparedScan:
    """Read a scan, and the mask that came with it, and prepare it.

    A scan that brainclock prepared before, with the same settings, is taken as it is.

    Raises
    ------
    InputError
        A file cannot be read, the mask is not on the voxels of the scan, or the scan was prepared with
        other settings.
    ScanRefused
        As `prepare_volume`.
    """
    before = read_own(scan.path, settings)
    if before is not None:
        return before
    volume = read_volume(scan.path)
    mask = None if scan.mask_path is None else read_mask(scan.mask_path, volume)
    return prepare_volume(volume, settings, mask=mask, in_template=scan.in_template, stripped=scan.stripped)


def read_mask(path: Path, volume: Volume) -> Bool[ndarray, "x y z"]:
    """Read the mask of a scan: what is above 0.

    Raises
    ------
    InputError
        The file cannot be read, or its voxels lie elsewhere than those of the scan.
    """
    mask = read_volume(path)
    if mask.data.shape == volume.data.shape:
        corners = np.array(list(product(*((0, size - 1) for size in mask.data.shape))))
        gap = mask.affine - volume.affine
        away = float(np.linalg.norm(corners @ gap[:3, :3].T + gap[:3, 3], axis=1).max())
        if away > min(volume.spacing_mm) / 2:
            found = f"a mask whose voxels lie up to {away:.3g} mm from those of {volume.source}"
            raise InputError(str(path), found, "the same voxels", "Give the scan's own mask, or resample it.")
    return mask.data > 0


def _check_mask(mask: Bool[ndarray, "x y z"], volume: Volume) -> None:
    if mask.shape != volume.data.shape:
        raise InputError(
            f"mask of {volume.source}",
            f"shape {mask.shape}",
            f"{volume.data.shape}",
            "Give the scan's own mask.",
        )
    if not mask.any():
        raise InputError(f"mask of {volume.source}", "no voxel", "a brain", "Give a mask that is not empty.")


def _not_negative(scan: Volume) -> Volume:
    return Volume(np.maximum(scan.data, 0), scan.affine, scan.source)


def _brain_mask(
    head: Volume,
    place: Float64[ndarray, "4 4"],
    given: Bool[ndarray, "x y z"] | None,
    is_mask: bool,
    partial: bool,
) -> tuple[Bool[ndarray, "x y z"], str]:
    """Return the brain mask and where it comes from.

    ``place``: template mm to voxels; ``given``: a mask, or what is not 0 of a stripped brain.

    A stripped brain goes through the same network as a raw head, so that both get the same border;
    a slab in template space is too little for it and keeps what is not 0.
    """
    if given is not None and (is_mask or partial):
        return given, "given" if is_mask else "non-zero voxels"
    found = extract_brain(head.data, place)
    if given is not None:
        return found & given, "deepbet within the given brain"
    return found, "deepbet"


def _template_on(grid: Grid) -> dict[str, Float32[ndarray, "a b c"]]:
    """Template mask and tissue probabilities on the grid."""
    template = load_template()
    where: Float64[ndarray, "4 4"] = np.linalg.inv(template.affine) @ grid.matrix
    images = {"mask": template.mask.astype(np.float32), "grey": template.grey, "white": template.white}
    return {name: _sample(image, where, grid.shape) for name, image in images.items()}


def _sample(
    image: Float32[ndarray, "x y z"], where: Float64[ndarray, "4 4"], shape: tuple[int, int, int]
) -> Float32[ndarray, "a b c"]:
    from scipy import ndimage

    return np.asarray(
        ndimage.affine_transform(image, where[:3, :3], where[:3, 3], output_shape=shape, order=1)
    )
