"""Make the figures from which docs/make_explanations.py writes docs/explanations.md.

``python docs/run_explanations.py ageing REFERENCE [--model NAME]``: what maps of healthy people say of
ageing, from what ``brainclock reference`` made of these people. Means alone.

``python docs/run_explanations.py networks DATASET WORK [--seeds N]``: networks trained by Rank-N-Contrast and
by L1 on four fifths of the healthy people, and one on their ages dealt out at random; maps of the others.
WORK keeps looks and checkpoints.

``python docs/run_explanations.py retests DATASET --model NAME``: people who were scanned twice.

The figures of planted truth are made by ``benchmarks/planted.py --save``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainclock.config import RunSettings, derive_seed, load_settings
from brainclock.explain.age_map import AgeMap, Lattice
from brainclock.explain.attribution import as_volume, integrated_gradients
from brainclock.explain.grad_ram import grad_ram
from brainclock.explain.nuance import likeness, nuance, regions_for, retest_agreement
from brainclock.explain.randomise import mean_likeness
from brainclock.explain.reference import Reference, fit_reference, load_reference
from brainclock.explain.regions import Regions, default_regions, share_by_region, template_intensity
from brainclock.explain.spread import on_lattice, on_model_grid, shares_by_label
from brainclock.io.atomic import write_json, write_text
from brainclock.io.find import find_scans
from brainclock.model.ensemble import Ensemble
from brainclock.model.folder import load_model
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.prepared import PreparedScan
from brainclock.report.age_maps import draw_age_map
from brainclock.train.augment import draw_look, look_like
from brainclock.train.cohort import Cohort, healthy_with_age, prepare_cohort
from brainclock.train.fit import fit
from brainclock.train.split import assign_folds
from brainclock.train.views import make_views

HERE = Path(__file__).parent
FOLDER, PICTURES = HERE / "explanations", HERE / "pictures"
YOUNG, MIDDLE, OLD = 30.0, 50.0, 70.0
#: Maps are made of so many of the people held out.
LOOKED_AT = 8
Explainer = Callable[[Ensemble, PreparedScan, float], AgeMap]


def ageing(folder: Path, name: str | None) -> None:
    """Write by region, and draw, what the maps of healthy people are expected to be at three ages."""
    loaded = load_model(name)
    grid = loaded.model.grid
    reference = load_reference(folder, loaded.card.weights_sha256)
    blank = PreparedScan(template_intensity(grid), template_intensity(grid) > 0, grid, np.eye(4))
    lattice = grad_ram(loaded.model, as_volume(blank.data, loaded.model)).lattice
    names, labels = default_regions(grid).in_brain(blank)
    shape = (reference.trend.shape[1], reference.trend.shape[2], reference.trend.shape[3])
    parts = shares_by_label(labels, len(names), shape, lattice)
    young, middle, old = (reference.expected_map(age) for age in (YOUNG, MIDDLE, OLD))
    drawn = reference.expected_parts_drawn(OLD, parts) - reference.expected_parts_drawn(YOUNG, parts)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    change, spread = parts @ (old - young).ravel(), reference.healthy_sd(parts)
    rows = zip(names, change, low, high, spread, strict=True)
    keys = ("region", "years", "low", "high", "healthy_sd")
    write_json(
        FOLDER / "ageing.json",
        {
            "model": loaded.card.identity,
            "people": reference.people,
            "ages": reference.ages,
            "from": YOUNG,
            "to": OLD,
            "expected_ages": [reference.expected_age(age) for age in (YOUNG, MIDDLE, OLD)],
            "regions": [dict(zip(keys, (row[0], *map(float, row[1:])), strict=True)) for row in rows],
        },
    )
    for file, title, values in (
        ("age_map", f"Expected map at {MIDDLE:.0f} years, {reference.people} healthy people", middle),
        ("age_map_change", f"Expected change from {YOUNG:.0f} to {OLD:.0f} years", old - young),
    ):
        fine = on_lattice(values, lattice, grid.shape, Lattice(), grid.shape)
        ml = float(abs(np.linalg.det(grid.matrix[:3, :3]))) / 1000
        write_text(PICTURES / f"{file}.svg", draw_age_map(file, title, fine, blank.data, ml).svg)


@dataclass(frozen=True, slots=True, eq=False)
class Net:
    """A trained network alone: its regressor reads the embedding, nothing reads blocks."""

    model: Ensemble
    reference: Reference
    mae: float


def networks(dataset: Path, work: Path, seeds: int) -> None:
    """Train, map the people held out, and write how the maps of the objectives differ."""
    settings = load_settings(HERE / "models" / "whole-brain.toml", [])
    cohort = prepare_cohort(healthy_with_age(find_scans([dataset])), settings.prepare, work)
    folds = assign_folds(cohort.ages, cohort.participants, cohort.sites, 5, settings.seed)
    inside, outside = np.flatnonzero(folds != 0), np.flatnonzero(folds == 0)
    dealt = cohort.ages.copy()
    rng = np.random.default_rng(derive_seed(settings.seed, "ages dealt out at random"))
    dealt[inside] = rng.permutation(dealt[inside])
    nets: dict[str, list[Net]] = {"rnc": [], "l1": []}
    for seed in range(1, seeds + 1):
        for objective, found in nets.items():
            found.append(_train(cohort, _settings(settings, objective), inside, outside, seed, work))
    random = _train(replace(cohort, ages=dealt), _settings(settings, "rnc"), inside, outside, 1, work)
    order = outside[np.argsort(cohort.ages[outside], kind="stable")]
    rows = order[np.linspace(0, len(order) - 1, LOOKED_AT).round().astype(int)]
    scans = [_as_prepared(cohort.volumes[row], settings) for row in rows]
    retests = [_rescan(scan, settings, number) for number, scan in enumerate(scans)]
    ages = [float(cohort.ages[row]) for row in rows]
    explainers: dict[str, Callable[[Net], Explainer]] = {
        "grad-ram": lambda _: lambda model, scan, _age: grad_ram(model, as_volume(scan.data, model)),
        "grad-ram at stem": lambda _: (
            lambda model, scan, _age: grad_ram(model, as_volume(scan.data, model), "stem")
        ),
        "integrated-gradients": lambda net: (
            lambda model, scan, age: _integrated(net.reference, model, scan, age)
        ),
    }
    answers = []
    likenesses = []
    for method, explainer in explainers.items():
        for objective, found in nets.items():
            maps = [_maps(net, explainer(net), scans, ages) for net in found]
            again = [_maps(net, explainer(net), retests, ages) for net in found]
            answers.append({"method": method, "objective": objective, **_measure(maps, again, scans)})
        other = _maps(random, explainer(random), scans, ages)
        true = _maps(nets["rnc"][0], explainer(nets["rnc"][0]), scans, ages)
        alike = [likeness(a, b, s.mask) for a, b, s in zip(true, other, scans, strict=True)]
        likenesses.append({"method": method, **asdict(mean_likeness(alike))})
    write_json(
        FOLDER / "networks.json",
        {
            "training": len(inside),
            "held_out": len(outside),
            "looked_at": len(rows),
            "seeds": seeds,
            "steps": settings.train.steps,
            "mae": {objective: [net.mae for net in found] for objective, found in nets.items()},
            "mae_random": random.mae,
            "naive_mae": float(np.abs(cohort.ages[outside] - np.median(cohort.ages[inside])).mean()),
            "nuance": answers,
            "random_labels": likenesses,
        },
    )


def _settings(settings: RunSettings, objective: str) -> RunSettings:
    train = settings.train.model_copy(update={"objective": objective, "folds": 1})
    regressor = settings.regressor.model_copy(update={"blocks": 0})
    return settings.model_copy(update={"train": train, "regressor": regressor})


def _train(
    cohort: Cohort,
    settings: RunSettings,
    inside: np.ndarray,
    outside: np.ndarray,
    seed: int,
    work: Path,
) -> Net:
    views = make_views(cohort.volumes, cohort.keys, settings, work, cohort.sources)
    fitted = fit(cohort, settings, inside, outside, seed=seed, views=views, folder=work)
    model = Ensemble(settings, [fitted.model]).eval().requires_grad_(False)
    people = []
    for row in inside:
        data = np.asarray(cohort.volumes[row], dtype=np.float32)
        people.append((float(cohort.ages[row]), data, grad_ram(model, as_volume(data, model)).values))
    reference = fit_reference(people, intercept=model.intercept, weights_sha256="")
    return Net(model, reference, float(np.abs(fitted.predicted_ages - cohort.ages[outside]).mean()))


def _as_prepared(volume: np.ndarray, settings: RunSettings) -> PreparedScan:
    data = np.asarray(volume, dtype=np.float32)
    return PreparedScan(data, data > 0, settings.prepare.grid, np.eye(4))


def _rescan(scan: PreparedScan, settings: RunSettings, number: int) -> PreparedScan:
    """Return the scan as another scanner might show it: contrast, bias field, sharpness, noise, border."""
    generator = torch.Generator().manual_seed(derive_seed(settings.seed, "rescan", number))
    look = draw_look(settings.augment, generator)
    data = look_like(torch.from_numpy(scan.data)[None, None], look, scan.grid.spacing_mm)[0, 0].numpy()
    return replace(scan, data=data, mask=data > 0)


def _integrated(reference: Reference, model: Ensemble, scan: PreparedScan, age: float) -> AgeMap:
    baseline = as_volume(reference.brain_at(age, scan.mask), model)
    return integrated_gradients(model, as_volume(scan.data, model), baseline)


def _maps(
    net: Net, explainer: Explainer, scans: Sequence[PreparedScan], ages: Sequence[float]
) -> list[np.ndarray]:
    return [
        on_model_grid(explainer(net.model, scan, age), scan) for scan, age in zip(scans, ages, strict=True)
    ]


def _measure(
    maps: Sequence[Sequence[np.ndarray]], again: Sequence[Sequence[np.ndarray]], scans: Sequence[PreparedScan]
) -> dict[str, Any]:
    """Return the measures of nuance: means over scans and seeds."""
    regions = default_regions(scans[0].grid)
    each = [[_nuance(values, regions, scan) for values, scan in zip(one, scans, strict=True)] for one in maps]
    by_seed = {name: [float(np.nanmean([f[name] for f in one])) for one in each] for name in each[0][0]}
    seeds = [
        likeness(a, b, scan.mask).spearman
        for one, other in combinations(maps, 2)
        for a, b, scan in zip(one, other, scans, strict=True)
    ]
    people = [
        likeness(a, b, scan.mask & other.mask).spearman
        for one in maps
        for (a, scan), (b, other) in pairwise(zip(one, scans, strict=True))
    ]
    within, between = zip(
        *(
            retest_agreement(_shares(one, regions, scans), _shares(other, regions, scans))
            for one, other in zip(maps, again, strict=True)
        ),
        strict=True,
    )
    return {
        **{name: float(np.mean(found)) for name, found in by_seed.items()},
        "by_seed": by_seed,
        "seeds_alike": float(np.mean(seeds)) if seeds else None,
        "people_alike": float(np.mean(people)),
        "retest_profile": float(np.mean(within)),
        "retest_icc": float(np.nanmedian(between)),
    }


def _nuance(values: np.ndarray, regions: Regions, scan: PreparedScan) -> dict[str, float]:
    shares = [share.absolute_share for share in share_by_region(values, regions, scan)]
    found = asdict(nuance(values, scan.mask, scan.grid.spacing_mm))
    return {**found, "regions_for_80": float(regions_for(shares))}


def _shares(maps: Sequence[np.ndarray], regions: Regions, scans: Sequence[PreparedScan]) -> np.ndarray:
    return np.array(
        [
            [share.share for share in share_by_region(values, regions, scan)]
            for values, scan in zip(maps, scans, strict=True)
        ]
    )


def retests(dataset: Path, name: str) -> None:
    """Write how well two scans of the same people agree in the years of their regions."""
    loaded = load_model(name)
    by_person: dict[str, list[np.ndarray]] = {}
    regions = default_regions(loaded.model.grid)
    scans = find_scans([dataset])
    for scan in scans:
        if sum(other.participant_id == scan.participant_id for other in scans) == 2:
            prepared = prepare_scan(scan, loaded.card.settings.prepare)
            found = grad_ram(loaded.model, as_volume(prepared.data, loaded.model))
            shares = _shares([on_model_grid(found, prepared)], regions, [prepared])[0]
            by_person.setdefault(scan.participant_id, []).append(shares)
    first, second = (np.array(found) for found in zip(*by_person.values(), strict=True))
    present = np.abs(first).sum(0) > 0
    within, between = retest_agreement(first[:, present], second[:, present])
    difference = np.abs(first.sum(1) - second.sum(1))
    write_json(
        FOLDER / f"retests-{name}.json",
        {
            "model": loaded.card.identity,
            "people": len(first),
            "retest_profile": within,
            "retest_icc": float(np.nanmedian(between)),
            "mean_difference_years": float(difference.mean()),
        },
    )


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("ageing")
    one.add_argument("reference", type=Path)
    one.add_argument("--model")
    one = commands.add_parser("networks")
    one.add_argument("dataset", type=Path)
    one.add_argument("work", type=Path)
    one.add_argument("--seeds", type=int, default=3)
    one = commands.add_parser("retests")
    one.add_argument("dataset", type=Path)
    one.add_argument("--model", required=True)
    options = parser.parse_args()
    if options.command == "ageing":
        ageing(options.reference, options.model)
    elif options.command == "networks":
        networks(options.dataset, options.work, options.seeds)
    else:
        retests(options.dataset, options.model)


if __name__ == "__main__":
    main()
