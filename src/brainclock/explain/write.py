"""One explained scan on disk: maps as NIfTI, each with a sidecar that says how to read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

import brainclock
from brainclock.explain.age_map import YEARS, AgeMap
from brainclock.explain.explain import METHODS, Explanation
from brainclock.explain.nuance import Nuance, nuance
from brainclock.explain.spread import on_model_grid, on_scan
from brainclock.io.atomic import write_json
from brainclock.io.bids import derivative_path
from brainclock.io.nifti import write_volume
from brainclock.io.scan import Scan
from brainclock.prepare.template import SPACE

if TYPE_CHECKING:
    from brainclock.model.card import ModelCard

SUFFIX = "agemap"


def map_path(out: Path, key: str, method: str, *, in_scan: bool = False) -> Path:
    """Return where a map lies: on the model grid in template space, or on the scan's own voxels."""
    entities = {"desc": "".join(letter for letter in method if letter.isalnum())}
    entities["space"] = "T1w" if in_scan else SPACE
    return derivative_path(out, key, entities, SUFFIX, ".nii.gz")


def write_maps(
    explanation: Explanation, scan: Scan, card: ModelCard, reliable: str, out: Path
) -> tuple[Float64[ndarray, "x y z"], Nuance]:
    """Write the maps of one scan and method: years by place, and the gap where there is one.

    Parameters
    ----------
    explanation : Explanation
    scan : Scan
    card : ModelCard
    reliable : {'yes', 'no', 'untested'}
        Whether the method found planted changes with this model.
    out : Path
        Folder of the derivative dataset.

    Returns
    -------
    values : ndarray of float64, shape of the model grid
        The map.
    nuance : Nuance
        Of this map.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    values, found = _write(explanation, explanation.age_map, scan, card, reliable, out)
    if explanation.gap is not None:
        _write(explanation, explanation.gap, scan, card, reliable, out)
    return values, found


def _write(
    explanation: Explanation, age_map: AgeMap, scan: Scan, card: ModelCard, reliable: str, out: Path
) -> tuple[Float64[ndarray, "x y z"], Nuance]:
    prepared = explanation.prepared
    values = on_model_grid(age_map, prepared)
    found = nuance(values, prepared.mask, prepared.grid.spacing_mm)
    sidecar = _describe(age_map, found, scan, card, reliable, prepared.grid.spacing_mm)
    path = map_path(out, scan.key, age_map.method)
    write_json(_sidecar(path), sidecar)
    write_volume(path, values, prepared.grid.matrix, space="template")
    own = on_scan(age_map, prepared)
    if own is not None and prepared.own is not None:
        path = map_path(out, scan.key, age_map.method, in_scan=True)
        write_json(_sidecar(path), sidecar)
        write_volume(path, own, prepared.own.affine)
    return values, found


def _describe(
    age_map: AgeMap,
    found: Nuance,
    scan: Scan,
    card: ModelCard,
    reliable: str,
    spacing_mm: tuple[float, float, float],
) -> dict[str, object]:
    """Return the sidecar: unit, method, layer, what the sum means, resolution, what lies outside."""
    steps = np.array(age_map.lattice.step) * np.array(spacing_mm)
    return {
        "Description": f"Where the predicted age comes from: {_meaning(age_map)}",
        "Units": age_map.unit,
        "Method": age_map.method,
        "Layer": age_map.layer,
        "Statement": _statement(age_map),
        "PredictedAge": age_map.predicted_age,
        "Intercept": age_map.intercept,
        "Sum": age_map.total,
        "CompletenessError": age_map.completeness_error,
        "LatticeStep": [round(float(step), 4) for step in steps],
        "EffectiveResolution": found.effective_resolution_mm,
        "ShareOutsideBrain": 1 - found.inside_share,
        "ShareOnEdge": found.edge_share,
        "Reliable": reliable,
        "Model": card.identity,
        "Sources": [scan.path.name],
        "GeneratedBy": [{"Name": "brainclock", "Version": brainclock.__version__}],
    }


def _meaning(age_map: AgeMap) -> str:
    if age_map.method in METHODS:
        return METHODS[age_map.method]
    return "years more than to be expected of healthy people of the same age"


def _statement(age_map: AgeMap) -> str:
    """Return what the sum of the map means."""
    if age_map.additive:
        return "exact: the voxels add up to PredictedAge − Intercept; a voxel is a share, not a density"
    if age_map.layer is not None:
        return "first order: activation times gradient at an inner layer; the voxels need not add up"
    if age_map.unit == YEARS:
        return "by replacement: the years of a region, spread over its voxels; regions do not add up"
    return "a sensitivity: says what the age reacts to, not what it is made of"


def _sidecar(image: Path) -> Path:
    return image.with_name(image.name.split(".nii", 1)[0] + ".json")
