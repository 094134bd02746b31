"""One scan to a map of where its years come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError, ScanRefused
from brainclock.explain.age_map import AgeMap
from brainclock.explain.gap import RegionGap, gap_by_region, gap_map
from brainclock.explain.regions import Regions, RegionShare, default_regions, share_by_region
from brainclock.explain.spread import on_model_grid, on_scan
from brainclock.io.cells import MAX_AGE_YEARS
from brainclock.io.find import find_scans
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.prepared import PreparedScan

if TYPE_CHECKING:
    from brainclock.explain.reference import Reference
    from brainclock.model.folder import LoadedModel

#: Every method and what its map says.
METHODS: dict[str, str] = {
    "grad-ram": "years by place on the last feature map; add up to predicted age − intercept",
    "smoothgrad": "sensitivity: years for a change of one white-matter intensity in a voxel",
    "integrated-gradients": "years by voxel between the mean brain of the same age and the scan",
    "occlusion": "years that go if a region has the tissue of the mean brain of the same age",
}
#: Methods that compare the scan with the mean brain of its age.
COMPARING = frozenset({"integrated-gradients", "occlusion"})
STEPS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where the years of one scan come from.

    Parameters
    ----------
    prepared : PreparedScan
    age_map : AgeMap
        On its own lattice.
    regions : tuple of RegionShare
        The map by region; the shares of all rows add up to the map.
    gap : AgeMap or None
        Map of the gap; None without a reference, an age, or a map that has one.
    region_gaps : tuple of RegionGap
        The gap by region.
    """

    prepared: PreparedScan
    age_map: AgeMap
    regions: tuple[RegionShare, ...]
    gap: AgeMap | None = None
    region_gaps: tuple[RegionGap, ...] = ()

    def on_model_grid(self) -> Float64[ndarray, "x y z"]:
        """Return the map on the model grid, with the same sum."""
        return on_model_grid(self.age_map, self.prepared)

    def on_scan(self) -> Float64[ndarray, "a b c"] | None:
        """Return the map on the scan's own voxels, with the same sum; None if these aren't known."""
        return on_scan(self.age_map, self.prepared)


def explain(
    image: str | Path,
    model: str | Path | LoadedModel | None = None,
    *,
    method: str = "grad-ram",
    layer: str | None = None,
    age: float | None = None,
    reference: Reference | None = None,
    mask: str | Path | None = None,
    in_template: bool = False,
) -> Explanation:
    """Return where the years of a brain come from.

    Parameters
    ----------
    image : str or Path
        A T1w scan.
    model : str, Path, LoadedModel or None
        As for `brainclock.predict`.
    method : str
        One of `METHODS`.
    layer : str or None
        For Grad-RAM: None is the last layer, the only one at which the map adds up exactly.
    age : float or None
        Chronological age, years; None takes the one that a table beside the scan gives. Only the gap and the
        choice of the mean brain depend on it.
    reference : Reference or None
        What healthy people look like to the model; None takes the model's own, if it has one.
    mask : str, Path or None
        A brain mask.
    in_template : bool
        The scan lies in MNI152 space.

    Raises
    ------
    InputError
        The image cannot be used, there is no such method or layer, or the method needs a reference.
    ScanRefused
        A gate refused the scan, or its age is impossible: nothing is explained.
    ModelError
        The model cannot be loaded.

    Examples
    --------
    >>> scan = brainclock.find_scans(["BIDS_DATASET"])[0]
    >>> found = brainclock.explain(scan.path)
    >>> predicted_age = brainclock.predict(scan.path).predicted_age
    >>> abs(found.age_map.total + found.age_map.intercept - predicted_age) < 1e-3
    True
    >>> years = {region.region: region.share for region in found.regions}
    """
    loaded = load(model) if model is None or isinstance(model, str | Path) else model
    check_method(method, layer)
    scans = find_scans([Path(image)], mask=None if mask is None else Path(mask), in_template=in_template)
    if len(scans) != 1:
        raise InputError(str(image), f"{len(scans)} scans", "one", "Use explain_scans for many.")
    prepared = prepare_scan(scans[0], loaded.card.settings.prepare)
    return explain_prepared(
        prepared,
        loaded,
        method,
        layer=layer,
        age=scans[0].age if age is None else age,
        reference=reference if reference is not None else own_reference(loaded),
    )


def explain_prepared(
    prepared: PreparedScan,
    loaded: LoadedModel,
    method: str = "grad-ram",
    *,
    layer: str | None = None,
    age: float | None = None,
    reference: Reference | None = None,
    regions: Regions | None = None,
    seed: int = 1,
) -> Explanation:
    """Return where the years of a prepared scan come from; parameters and errors as for `explain`."""
    regions = default_regions(prepared.grid) if regions is None else regions
    found = map_age(
        prepared, loaded, method, layer=layer, age=age, reference=reference, regions=regions, seed=seed
    )
    _check_age(found.predicted_age)
    shares = tuple(share_by_region(on_model_grid(found, prepared), regions, prepared))
    if method != "grad-ram" or not found.additive or reference is None or age is None:
        return Explanation(prepared, found, shares)
    gap = gap_map(found, reference, age)
    gaps = tuple(gap_by_region(gap, reference, age, regions, prepared))
    return Explanation(prepared, found, shares, gap, gaps)


def map_age(
    prepared: PreparedScan,
    loaded: LoadedModel,
    method: str,
    *,
    layer: str | None = None,
    age: float | None = None,
    reference: Reference | None = None,
    regions: Regions | None = None,
    seed: int = 1,
) -> AgeMap:
    """Return the map alone, whatever the predicted age; parameters and errors as for `explain`.

    Without an age, the mean brain is that of the predicted age.
    """
    from brainclock.explain import attribution
    from brainclock.explain.grad_ram import grad_ram

    check_method(method, layer)
    model = loaded.model
    volume = attribution.as_volume(prepared.data, model)
    if method == "grad-ram":
        return grad_ram(model, volume, layer)
    if method == "smoothgrad":
        return attribution.smoothgrad(model, volume, derive_seed(seed, "smoothgrad"))
    if reference is None:
        fix = "Make one with brainclock reference from healthy people, or choose --method grad-ram."
        raise InputError(f"--method {method}", "no mean brain beside the model", "a reference", fix)
    at = age if age is not None else grad_ram(model, volume).predicted_age
    baseline = attribution.as_volume(reference.brain_at(at, prepared.mask), model)
    if method == "integrated-gradients":
        return attribution.integrated_gradients(model, volume, baseline, steps=STEPS)
    labels = (default_regions(prepared.grid) if regions is None else regions).labels
    return attribution.occlusion(model, volume, baseline, labels)


def check_method(method: str, layer: str | None) -> None:
    """Refuse a method that does not exist, and a layer for one that has none; raises `InputError`."""
    if method not in METHODS:
        raise InputError("--method", repr(method), ", ".join(METHODS), "Choose one of these.")
    if layer is not None and method != "grad-ram":
        fix = "Leave out --layer: the map lies on the voxels of the image."
        raise InputError("--layer", f"{layer} for {method}", "a layer for grad-ram", fix)


@lru_cache(maxsize=2)
def load(name_or_path: str | Path | None) -> LoadedModel:
    """Load a model once per process; raises `ModelError`."""
    from brainclock.model.folder import load_model

    return load_model(name_or_path)


def own_reference(loaded: LoadedModel) -> Reference | None:
    """Return the reference that lies in the model folder, if there is one; raises `ModelError`."""
    from brainclock.explain.reference import has_reference, load_reference

    if not has_reference(loaded.folder):
        return None
    return load_reference(loaded.folder, loaded.card.weights_sha256)


def _check_age(predicted_age: float) -> None:
    """Refuse to explain an age that is none."""
    if not 0 <= predicted_age <= MAX_AGE_YEARS:
        reason = (
            f"{predicted_age:.4g} years, allowed 0 to {MAX_AGE_YEARS:g}: the model does not fit this scan."
        )
        raise ScanRefused("predicted_age", reason)
