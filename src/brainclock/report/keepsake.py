"""What a page shows of a head, drawn while the head is in memory and kept beside the answers.

``OUT/.report/KEY.json`` holds the slices as pictures, the outlines, the map in years and its regions. Pages
are made of it and of the tables alone, whenever and as often as one likes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.explain.explain import Explanation, explain_prepared, own_reference
from brainclock.explain.planted import Verdict, read_verdict
from brainclock.io.atomic import write_json
from brainclock.io.nifti import image_hash
from brainclock.io.read import read_json
from brainclock.io.scan import Scan
from brainclock.predict.keeper import Sight
from brainclock.prepare.prepared import PreparedScan
from brainclock.report.slices import PLANES, Box, cut, grey_jpeg, head_box, outline, palette_png, template_box

if TYPE_CHECKING:
    from brainclock.model.folder import LoadedModel

#: The map that a page shows: in closed form, so that it costs next to nothing.
METHOD = "grad-ram"
#: Rises when keepsakes are drawn otherwise.
_RECIPE = 1
_PARTS = {"digest", "sha256", "views", "map", "provenance"}
_WHITE = 0.995  # quantile of the brain that is white in a picture
_STRONG = 0.995  # quantile of the map that has the strongest colour
_OPACITY = 0.6
_COLOURS = 63  # odd: nothing is white
_MAP_STEP_MM = 2.0


@dataclass(frozen=True, slots=True)
class PageKeeper:
    """A `Keeper` for pages.

    Parameters
    ----------
    out : Path
        Folder of the run.
    """

    out: Path

    def has(self, scan: Scan, digest: str, loaded: LoadedModel) -> bool:
        """Whether an earlier run kept this very scan for a page."""
        kept = read_keepsake(self.out, scan.key)
        return kept is not None and kept.get("digest") == _digest(scan, digest, loaded)

    def keep(self, sight: Sight) -> None:
        """Draw and keep; raises `OutputError`."""
        prepared = sight.prepared
        kept: dict[str, Any] = {
            "digest": _digest(sight.scan, sight.digest, sight.loaded),
            "sha256": sight.sha256,
            "views": _views(sight),
            "map": None,
            "provenance": None if prepared is None else prepared.provenance,
        }
        if prepared is not None and sight.answer is not None:
            kept["map"] = _map(prepared, sight)
        write_json(_path(self.out, sight.scan.key), kept)


def read_keepsake(out: Path, key: str) -> dict[str, Any] | None:
    """Return what was kept for the page of a scan; None if nothing was, or it is damaged."""
    path = _path(out, key)
    if not path.is_file():
        return None
    try:
        kept = read_json(path)
    except InputError:
        return None
    return kept if isinstance(kept, dict) and kept.keys() >= _PARTS else None


def views_of_prepared(prepared: PreparedScan) -> dict[str, Any]:
    """Return slices of a scan of which only the prepared image is left: the brain without its head."""
    box = template_box(prepared.grid)
    to_voxel = np.linalg.inv(prepared.grid.matrix)
    return _draw(prepared.data, prepared.mask, to_voxel, box, head=False, registered=True)


def _path(out: Path, key: str) -> Path:
    return out / ".report" / f"{key}.json"


def _digest(scan: Scan, digest: str, loaded: LoadedModel) -> str:
    """SHA-256 of all that a keepsake depends on; the age is among it: a gap is compared with it."""
    files = [loaded.folder / name for name in ("reference.json", "planted.json")]
    hashes = [image_hash(path) if path.is_file() else None for path in files]
    return hashlib.sha256(json.dumps([_RECIPE, digest, scan.age, hashes]).encode()).hexdigest()


def _views(sight: Sight) -> dict[str, Any] | None:
    """Return slices of the head, in template space if the template was found in it."""
    head, brain, place = sight.snapshot.head, sight.snapshot.brain, sight.snapshot.template_to_scan
    if head is None:
        return None if sight.prepared is None else views_of_prepared(sight.prepared)
    if place is None:
        box, to_voxel = head_box(head, brain)
    else:
        box = template_box(sight.loaded.model.grid)
        to_voxel = np.linalg.inv(head.affine) @ place
    return _draw(head.data, brain, to_voxel, box, head=True, registered=place is not None)


def _draw(
    data: Float32[ndarray, "x y z"],
    brain: Bool[ndarray, "x y z"] | None,
    to_voxel: Float64[ndarray, "4 4"],
    box: Box,
    *,
    head: bool,
    registered: bool,
) -> dict[str, Any]:
    inside = data[brain] if brain is not None and brain.any() else data[data > 0]
    white = float(np.quantile(inside, _WHITE)) if inside.size else 1.0
    pictures = {
        plane: {
            "scan": grey_jpeg(cut(data, to_voxel, box, plane), white),
            "mask": None if brain is None else outline(cut(brain, to_voxel, box, plane)),
        }
        for plane in PLANES
    }
    return {"box": box.as_dict(), "head": head, "registered": registered, "planes": pictures}


def _map(prepared: PreparedScan, sight: Sight) -> dict[str, Any]:
    """Return the map: its verdict, and, unless it is not to be trusted, its picture and regions."""
    loaded = sight.loaded
    verdict = read_verdict(loaded.folder, loaded.card.weights_sha256)
    told: dict[str, Any] = {
        "method": METHOD,
        "reliable": _reliable(verdict),
        "verdict": None if verdict is None else verdict.reason,
        "found_by": None if verdict is None else verdict.method,
    }
    if told["reliable"] == "no":
        return told
    found = explain_prepared(prepared, loaded, METHOD, age=sight.scan.age, reference=own_reference(loaded))
    gaps = {gap.region: gap for gap in found.region_gaps}
    regions = []
    for region in found.regions:
        row: dict[str, Any] = {"region": region.region, "years": region.share, "size": region.absolute_share}
        if (gap := gaps.get(region.region)) is not None:
            row |= {"gap": gap.years, "low": gap.low, "high": gap.high}
        regions.append(row)
    return {
        **told,
        "intercept": found.age_map.intercept,
        "total": found.age_map.total,
        "gap": None if found.gap is None else found.gap.total,
        "regions": regions,
        **_coloured(found, prepared),
    }


def _reliable(verdict: Verdict | None) -> str:
    return "untested" if verdict is None else "yes" if verdict.reliable(METHOD) else "no"


def _coloured(found: Explanation, prepared: PreparedScan) -> dict[str, Any]:
    """Return the map as sheets, red where it adds years, clear outside the brain; and the limit of red."""
    from matplotlib import colormaps

    grid = prepared.grid
    voxel_ml = float(abs(np.linalg.det(grid.matrix[:3, :3]))) / 1000
    density = found.on_model_grid() / voxel_ml
    limit = float(np.quantile(np.abs(density[prepared.mask]), _STRONG)) or 1.0
    box, to_voxel = template_box(grid), np.linalg.inv(grid.matrix)
    palette = np.zeros((_COLOURS + 1, 4), dtype=np.uint8)
    palette[1:] = np.round(255 * colormaps["RdBu_r"](np.linspace(0, 1, _COLOURS)))
    palette[1:, 3] = round(255 * _OPACITY)
    planes = {}
    for plane in PLANES:
        years = cut(density, to_voxel, box, plane, _MAP_STEP_MM)
        inside = cut(prepared.mask, to_voxel, box, plane, _MAP_STEP_MM) > 0.5
        step = np.clip(np.round((0.5 + years / limit / 2) * (_COLOURS - 1)), 0, _COLOURS - 1)
        planes[plane] = palette_png(np.where(inside, step + 1, 0).astype(np.uint8), palette)
    return {"limit": limit, "planes": planes}
