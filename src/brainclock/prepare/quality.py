"""A number or a reason: each gate compares one figure with its limits and refuses what lies outside."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from brainclock.config import GateSettings
from brainclock.errors import ScanRefused
from brainclock.io.volume import Volume
from brainclock.prepare.register import Registration

Figures = dict[str, float]

#: Every measure: what it is, and its unit where it has one.
MEASURES: dict[str, tuple[str, str | None]] = {
    "voxel_mm_min": ("Shortest side of a voxel of the scan.", "mm"),
    "voxel_mm_max": ("Longest side of a voxel of the scan.", "mm"),
    "brain_volume_ml": ("Volume of the brain mask in the scan, with its CSF.", "ml"),
    "template_r2": ("Share of the template's variance that the registered scan explains.", None),
    "axis_scale_min": ("Smallest singular value of the map from template to scan.", "mm/mm"),
    "axis_scale_max": ("Largest singular value of the map from template to scan.", "mm/mm"),
    "scale_ratio": ("Largest over smallest axis scale.", None),
    "shear": ("Largest cosine between the images of two axes of the template; 0 is a right angle.", None),
    "rotation_degrees": ("Angle of the rotation between template and scan.", "degrees"),
    "template_in_view": ("Share of the template brain inside the scan's field of view.", None),
    "mirror_margin": (
        "Fit to the template (R² at 4 mm) minus the best fit of the brain turned upside down or back to "
        "front; below 0 the header tells the wrong orientation.",
        None,
    ),
    "coverage": ("Share of the brain on the model grid inside the scan's field of view.", None),
    "template_overlap": ("Dice overlap of the brain mask and the template's on the model grid.", None),
    "contrast": ("Median of white matter minus median of grey matter, as a share of white matter.", None),
}


def describe_measure(name: str) -> dict[str, object]:
    """Return the meaning and unit of a measure, as BIDS puts them beside a table."""
    text, unit = MEASURES[name]
    return {"Description": text} if unit is None else {"Description": text, "Units": unit}


def written(value: float) -> str | None:
    """Return a measure as tables have it: 6 digits; None where it is not a number."""
    return None if np.isnan(value) else f"{value:.6g}"


def limits(gates: GateSettings) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest figure that passes, of each measure that is a gate."""
    at_least = {
        "voxel_mm_min": gates.min_voxel_mm,
        "template_r2": gates.min_template_r2,
        "mirror_margin": 0.0,
        "coverage": gates.min_coverage,
        "template_overlap": gates.min_template_overlap,
        "contrast": gates.min_contrast,
    }
    at_most = {
        "voxel_mm_max": gates.max_voxel_mm,
        "scale_ratio": gates.max_scale_ratio,
        "shear": gates.max_shear,
    }
    return {
        **{name: (low, np.inf) for name, low in at_least.items()},
        **{name: (-np.inf, high) for name, high in at_most.items()},
        "brain_volume_ml": gates.brain_volume_ml,
        "axis_scale_min": gates.axis_scale,
        "axis_scale_max": gates.axis_scale,
    }


def allowed(low: float, high: float) -> str:
    """Return limits in words: ``0.65 to 1.5``, ``at least 0.4``."""
    if np.isfinite([low, high]).all():
        return f"{low:g} to {high:g}"
    return f"at least {low:g}" if np.isfinite(low) else f"at most {high:g}"


def gate(
    name: str, value: float, low: float, high: float, unit: str, advice: str, figures: Mapping[str, float]
) -> None:
    """Refuse a figure outside [low, high]; NaN is outside.

    Raises
    ------
    ScanRefused
        With the figure, the limits and what it usually means.
    """
    if not low <= value <= high:
        reason = f"{value:.3g}{unit}, allowed {allowed(low, high)}{unit}: {advice}."
        raise ScanRefused(name, reason, figures)


def check_voxels(volume: Volume, limits: GateSettings, figures: Figures) -> None:
    """Refuse voxels that no T1w scan of a head has."""
    figures["voxel_mm_min"], figures["voxel_mm_max"] = min(volume.spacing_mm), max(volume.spacing_mm)
    advice = "check the header, or give a scan with a 3D resolution"
    gate("voxel_size", figures["voxel_mm_min"], limits.min_voxel_mm, np.inf, " mm", advice, figures)
    gate("voxel_size", figures["voxel_mm_max"], -np.inf, limits.max_voxel_mm, " mm", advice, figures)


def check_volume(
    mask: Bool[ndarray, "x y z"], volume: Volume, limits: GateSettings, figures: Figures
) -> None:
    """Refuse a brain mask whose volume no adult brain has."""
    figures["brain_volume_ml"] = float(mask.sum() * abs(np.linalg.det(volume.affine[:3, :3])) / 1000)
    low, high = limits.brain_volume_ml
    advice = "the mask is wrong, the voxel size is wrong, or this is not a head"
    gate("brain_volume", figures["brain_volume_ml"], low, high, " ml", advice, figures)


def check_registration(found: Registration, limits: GateSettings, figures: Figures) -> None:
    """Refuse a brain that does not look like the template, or only after an impossible stretch."""
    figures |= {
        "template_r2": found.r2,
        "axis_scale_min": min(found.axis_scales),
        "axis_scale_max": max(found.axis_scales),
        "shear": found.shear,
        "rotation_degrees": found.rotation_degrees,
        "mirror_margin": found.mirror_margin,
    }
    figures["scale_ratio"] = figures["axis_scale_max"] / figures["axis_scale_min"]
    unlike = "the brain does not match the template; look at the scan and its orientation"
    gate("template_r2", found.r2, limits.min_template_r2, np.inf, "", unlike, figures)
    low, high = limits.axis_scale
    size = "the brain would have to be stretched too far to fit the template"
    gate("axis_scale", figures["axis_scale_min"], low, high, "", size, figures)
    gate("axis_scale", figures["axis_scale_max"], low, high, "", size, figures)
    gate("scale_ratio", figures["scale_ratio"], 0.0, limits.max_scale_ratio, "", size, figures)
    gate("shear", found.shear, 0.0, limits.max_shear, "", size, figures)
    header = "the scan fits better upside down or back to front: its header tells the wrong orientation"
    gate("mirror_margin", found.mirror_margin, 0.0, np.inf, "", header, figures)


def check_view(
    seen: Bool[ndarray, "x y z"],
    brain: Bool[ndarray, "x y z"],
    limits: GateSettings,
    figures: Figures,
) -> None:
    """Refuse a scan that does not cover the brain on the model grid (``brain``: the template's mask)."""
    figures["coverage"] = float(seen[brain].mean()) if brain.any() else float(seen.mean())
    advice = "part of the model's field of view was not scanned"
    gate("coverage", figures["coverage"], limits.min_coverage, np.inf, "", advice, figures)


def check_overlap(
    mask: Bool[ndarray, "x y z"], brain: Bool[ndarray, "x y z"], limits: GateSettings, figures: Figures
) -> None:
    """Refuse a mask that, in template space, is not where the template's brain is (Dice)."""
    figures["template_overlap"] = float(2 * (mask & brain).sum() / max(1, mask.sum() + brain.sum()))
    advice = "brain extraction or registration went wrong"
    gate(
        "template_overlap", figures["template_overlap"], limits.min_template_overlap, 1.0, "", advice, figures
    )


def check_contrast(
    data: Float32[ndarray, "x y z"],
    grey: Bool[ndarray, "x y z"],
    white: Bool[ndarray, "x y z"],
    limits: GateSettings,
    figures: Figures,
) -> None:
    """Refuse an image whose white matter is not brighter than its grey matter: it is no T1w."""
    if grey.sum() < 50 or white.sum() < 50:
        return
    figures["contrast"] = float(np.median(data[white]) - np.median(data[grey]))
    advice = "white matter must be brighter than grey matter; is this a T1-weighted scan?"
    gate("contrast", figures["contrast"], limits.min_contrast, np.inf, "", advice, figures)
