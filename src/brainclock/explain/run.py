"""Many scans to maps and tables: resumable, on any number of workers, always the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from brainclock import __version__
from brainclock.config import Grid
from brainclock.errors import InputError, ModelError
from brainclock.execution import Outcome, map_scans
from brainclock.explain.explain import (
    COMPARING,
    STEPS,
    check_method,
    explain_prepared,
    load,
    own_reference,
)
from brainclock.explain.nuance import likeness, regions_for
from brainclock.explain.planted import Verdict, read_verdict
from brainclock.explain.reference import Reference, load_reference
from brainclock.explain.regions import Regions, default_regions, read_regions
from brainclock.explain.table import AGREEMENT, EXPLANATIONS, REGIONS
from brainclock.explain.write import map_path, write_maps
from brainclock.io.atomic import make_folder, write_json
from brainclock.io.bids import write_dataset_description
from brainclock.io.lock import writing
from brainclock.io.nifti import image_hash
from brainclock.io.read import read_json
from brainclock.io.scan import Scan
from brainclock.io.tables import write_data_dictionary, write_table
from brainclock.model.folder import LoadedModel, shipped_models
from brainclock.prepare.chain import prepare_scan, versions
from brainclock.prepare.scans import check_keys

_ANSWERS = ".scans"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Explained:
    """What became of one scan.

    Parameters
    ----------
    scan : Scan
    status : {'ok', 'failed'}
    reason : str or None
        Why it failed.
    kept : Path or None
        Where its rows lie: those of a scan are many, and are read when they are asked for.
    """

    scan: Scan
    status: Literal["ok", "failed"]
    reason: str | None
    kept: Path | None = None

    def rows(self, table: str) -> Rows:
        """Return its rows of ``explanations``, ``regions`` or ``agreement``, as in `explain.table`."""
        if self.kept is None:
            return []
        found: Rows = read_json(self.kept)["rows"].get(table, [])
        return found


@dataclass(frozen=True, slots=True)
class _Job:
    """What all scans of a run share; it travels to the workers, weights and arrays do not."""

    model: str | None
    identity: str
    out: Path
    methods: tuple[str, ...]
    layer: str | None
    reference: Path | None
    labels: Path | None
    names: Path | None
    seed: int


def explain_scans(
    scans: Sequence[Scan],
    out: Path,
    *,
    model: str | Path | None = None,
    methods: Sequence[str] = (),
    layer: str | None = None,
    reference: Path | None = None,
    labels: Path | None = None,
    names: Path | None = None,
    seed: int = 1,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> list[Explained]:
    """Explain the age of each scan and write maps and tables.

    For each scan and method a map on the model grid and one on the scan's own voxels, each with a sidecar;
    ``explanations.tsv``, ``regions.tsv``, ``agreement.tsv`` with their data dictionaries, ``run.json`` and
    ``dataset_description.json``.

    Parameters
    ----------
    scans : sequence of Scan
        With different keys, as `find_scans` gives them.
    out : Path
        Folder; what an earlier run in it made of the same question is used again.
    model : str, Path or None
        Name of a shipped model or a model folder; None is the default shipped model.
    methods : sequence of str
        Of `METHODS`; none is the one that found planted changes best, or Grad-RAM where none was tried.
    layer : str or None
        For Grad-RAM; None is the last one.
    reference : Path or None
        Folder that ``brainclock reference`` wrote; None takes the model's own, if it has one.
    labels, names : Path or None
        Regions: a label image in template space and the table of its names (None: beside the image).
    seed : int
        Of SmoothGrad's noise.
    workers, scheduler, progress
        As for `map_scans`.

    Returns
    -------
    list of Explained
        In the order of the scans.

    Raises
    ------
    InputError
        No scan; two scans with one key; another run is writing there; no such method or layer; a method
        without the reference that it needs; regions that cannot be used.
    ModelError
        The model or its reference cannot be loaded.
    OutputError
        The folder cannot be written.
    """
    check_keys(scans, "explain")
    name = _anywhere(model)
    loaded = load(name)
    verdict = read_verdict(loaded.folder, loaded.card.weights_sha256)
    chosen = tuple(dict.fromkeys(methods)) or (default_method(verdict),)
    _check(chosen, layer, loaded, reference)
    if names is None and labels is not None:
        names = labels.with_name(labels.name.split(".nii", 1)[0] + ".tsv")
    grid = loaded.model.grid
    if labels is not None and names is not None:
        _regions(labels.absolute(), names.absolute(), grid)
    elif names is not None:
        fix = "Give the label image by --labels."
        raise InputError("--label-names", names, "a label image as well", fix)
    job = _Job(
        model=name,
        identity=loaded.card.identity,
        out=out.absolute(),
        methods=chosen,
        layer=layer,
        reference=None if reference is None else reference.absolute(),
        labels=None if labels is None else labels.absolute(),
        names=None if names is None else names.absolute(),
        seed=seed,
    )
    with writing(out):
        make_folder(out / _ANSWERS)
        outcomes = map_scans(
            partial(_answer, job),
            scans,
            key=_key,
            workers=workers,
            scheduler=scheduler,
            description="explain",
            progress=progress,
        )
        explained = [_collect(job, scan, outcome) for scan, outcome in zip(scans, outcomes, strict=True)]
        _write(explained, job, loaded, verdict)
    return explained


def default_method(verdict: Verdict | None) -> str:
    """Return the method that a user is shown first."""
    return "grad-ram" if verdict is None or verdict.method is None else verdict.method


def _check(methods: Sequence[str], layer: str | None, loaded: LoadedModel, reference: Path | None) -> None:
    from brainclock.explain.layers import check_layer

    for method in methods:
        check_method(method, None)
    if layer is not None:
        if "grad-ram" not in methods:
            check_method(methods[0], layer)
        check_layer(loaded.model, layer)
    found = _reference(reference, loaded)
    needy = [method for method in methods if method in COMPARING]
    if needy and found is None:
        fix = "Make one with brainclock reference from healthy people, or choose --method grad-ram."
        raise InputError(f"--method {needy[0]}", "no mean brain beside the model", "a reference", fix)


def _answer(job: _Job, scan: Scan) -> None:
    """Keep the rows of one scan, after its maps, unless they are kept already."""
    loaded = load(job.model)
    if loaded.card.identity != job.identity:
        raise ModelError(f"{loaded.folder} changed during the run: start again.")
    digest = _digest(job, scan, loaded)
    kept = _place(job, scan)
    if not _is_kept(kept, digest, job, scan):
        write_json(kept, {"digest": digest, "rows": _explain(job, scan, loaded)})


def _place(job: _Job, scan: Scan) -> Path:
    return job.out / _ANSWERS / f"{scan.key}.json"


def _explain(job: _Job, scan: Scan, loaded: LoadedModel) -> dict[str, Rows]:
    prepared = prepare_scan(scan, loaded.card.settings.prepare)
    reference = _reference(job.reference, loaded)
    regions = _regions(job.labels, job.names, prepared.grid)
    verdict = read_verdict(loaded.folder, loaded.card.weights_sha256)
    tables: dict[str, Rows] = {"explanations": [], "regions": [], "agreement": []}
    maps = {}
    for method in job.methods:
        explanation = explain_prepared(
            prepared,
            loaded,
            method,
            layer=job.layer if method == "grad-ram" else None,
            age=scan.age,
            reference=reference,
            regions=regions,
            seed=job.seed,
        )
        reliable = "untested" if verdict is None else "yes" if verdict.reliable(method) else "no"
        maps[method], found = write_maps(explanation, scan, loaded.card, reliable, job.out)
        age_map, gap = explanation.age_map, explanation.gap
        tables["explanations"].append(
            {
                "method": method,
                "layer": age_map.layer,
                "predicted_age": round(age_map.predicted_age, 3),
                "intercept": age_map.intercept,
                "sum": age_map.total,
                "completeness_error": age_map.completeness_error,
                "unit": age_map.unit,
                "outside_share": 1 - found.inside_share,
                "edge_share": found.edge_share,
                "entropy": found.entropy,
                "effective_resolution_mm": found.effective_resolution_mm,
                "regions_for_80": regions_for([r.absolute_share for r in explanation.regions]),
                "gap": None if gap is None else gap.total,
                "reliable": reliable,
                "map": map_path(job.out, scan.key, method).relative_to(job.out).as_posix(),
            }
        )
        gaps = {g.region: g for g in explanation.region_gaps}
        for region in explanation.regions:
            row: dict[str, Any] = {"method": method, **asdict(region)}
            if region.region in gaps:
                ours = gaps[region.region]
                row |= {"gap_years": ours.years, "gap_low": ours.low, "gap_high": ours.high}
                row["healthy_sd"] = ours.healthy_sd
            tables["regions"].append(row)
    for one, other in combinations(job.methods, 2):
        alike = likeness(maps[one], maps[other], prepared.mask)
        tables["agreement"].append({"method": one, "other": other, **asdict(alike)})
    return tables


def _digest(job: _Job, scan: Scan, loaded: LoadedModel) -> str:
    """SHA-256 of all that an explanation depends on; the age is among it: it chooses what to compare with."""
    folder = loaded.folder if job.reference is None else job.reference
    card = folder / "reference.json"
    planted = loaded.folder / "planted.json"
    everything = {
        "image": image_hash(scan.path),
        "mask": None if scan.mask_path is None else image_hash(scan.mask_path),
        "scan": [scan.in_template, scan.stripped, scan.age],
        "model": [loaded.card.weights_sha256, loaded.card.digest()],
        "asked": [job.methods, job.layer, job.seed, STEPS],
        "files": [image_hash(p) if p is not None and p.is_file() else None for p in (card, planted)],
        "regions": [None if p is None else image_hash(p) for p in (job.labels, job.names)],
        "versions": [__version__, versions()],
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _is_kept(path: Path, digest: str, job: _Job, scan: Scan) -> bool:
    """Whether an earlier run answered the same question and the maps are there."""
    if not path.is_file() or not all(map_path(job.out, scan.key, m).is_file() for m in job.methods):
        return False
    try:
        kept = read_json(path)
    except InputError:  # damaged from outside: explain again
        return False
    return isinstance(kept, dict) and kept.get("digest") == digest and isinstance(kept.get("rows"), dict)


def _collect(job: _Job, scan: Scan, outcome: Outcome[None]) -> Explained:
    if outcome.failure is not None:
        return Explained(scan, "failed", outcome.failure)
    return Explained(scan, "ok", None, _place(job, scan))


def _write(explained: Sequence[Explained], job: _Job, loaded: LoadedModel, verdict: Verdict | None) -> None:
    """Write the tables last, so that they only ever describe a whole run."""
    write_dataset_description(job.out, "Where predicted ages come from")
    write_json(
        job.out / "run.json",
        {
            "command": "explain",
            "model": {"identity": loaded.card.identity, "weights_sha256": loaded.card.weights_sha256},
            "methods": job.methods,
            "layer": job.layer,
            "reference": job.reference,
            "labels": job.labels,
            "seed": job.seed,
            "planted_truth": None if verdict is None else verdict.reason,
            "versions": versions(),
            "inputs": {e.scan.key: {"path": str(e.scan.path), "age": e.scan.age} for e in explained},
        },
    )
    for name, columns in (("explanations", EXPLANATIONS), ("regions", REGIONS), ("agreement", AGREEMENT)):
        table = job.out / f"{name}.tsv"
        write_data_dictionary(table, columns)
        write_table(table, _rows(explained, name), list(columns))


def _rows(explained: Sequence[Explained], table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all scans; those that failed come last, in one table."""
    for e in explained:
        for row in e.rows(table):
            yield {**_who(e.scan), "status": e.status, **row}
    if table == "explanations":
        for e in explained:
            if e.status == "failed":
                yield {**_who(e.scan), "status": e.status, "reason": e.reason}


def _who(scan: Scan) -> dict[str, Any]:
    return {"participant_id": scan.participant_id, "session_id": scan.session_id, "key": scan.key}


def _reference(folder: Path | None, loaded: LoadedModel) -> Reference | None:
    """Return the reference that was named, or the model's own; read once a process."""
    if folder is None:
        return own_reference(loaded)
    return _read_reference(folder.absolute(), loaded.card.weights_sha256)


@lru_cache(maxsize=2)
def _read_reference(folder: Path, weights_sha256: str) -> Reference:
    return load_reference(folder, weights_sha256)


@lru_cache(maxsize=2)
def _regions(labels: Path | None, names: Path | None, grid: Grid) -> Regions:
    return default_regions(grid) if labels is None or names is None else read_regions(labels, names, grid)


def _anywhere(model: str | Path | None) -> str | None:
    """Return a name of the model that means the same in another process, whatever its folder."""
    if model is None or model in shipped_models():
        return None if model is None else str(model)
    return str(Path(model).absolute())


def _key(scan: Scan) -> str:
    return scan.key
