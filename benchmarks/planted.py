"""Which map finds what was changed, and which falls apart when the model does.

``python benchmarks/planted.py [--model MODEL] [--reference FOLDER] [--scans DATASET] [--pairs N] [--seed N]
[--write] [--save FILE]`` simulates pairs of brains that differ in one structure and prints, for each method,
the mass of the map's change in the structure over chance, its AUC and how often its sign is right; then, on
real scans if there are some, how alike maps stay when the weights are spoiled from the regressor down, and
how many years the age moves when tissue is exchanged in the order of the map, of noise, or of edges.
``--write`` puts the verdict into the model folder: ``brainclock explain`` goes by it. ``--save`` keeps all
figures for docs/make_explanations.py.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainclock.config import derive_seed
from brainclock.explain.attribution import SMOOTHGRAD, as_volume
from brainclock.explain.explain import METHODS, map_age, own_reference
from brainclock.explain.faithfulness import edge_map, faithfulness, random_map
from brainclock.explain.layers import layer_names
from brainclock.explain.nuance import nuance
from brainclock.explain.plant import PLANTED, PlantedPair, planted_pairs, try_methods
from brainclock.explain.planted import REQUIRED, judge, write_verdict
from brainclock.explain.randomise import cascade, mean_likeness
from brainclock.explain.reference import Reference, load_reference
from brainclock.explain.spread import on_model_grid
from brainclock.io.atomic import write_json
from brainclock.io.find import find_scans
from brainclock.model.folder import LoadedModel, load_model
from brainclock.prepare.chain import prepare_scan
from brainclock.prepare.prepared import PreparedScan

Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--scans", type=Path, help="for sanity and faithfulness; else simulated brains")
    parser.add_argument("--count", type=int, default=4, help="scans for sanity and faithfulness")
    parser.add_argument("--pairs", type=int, default=20, help="of each structure that decides")
    parser.add_argument("--other-pairs", type=int, default=6, help="of each other structure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    loaded = load_model(options.model)
    reference = (
        own_reference(loaded)
        if options.reference is None
        else load_reference(options.reference, loaded.card.weights_sha256)
    )
    methods = [m for m in METHODS if reference is not None or m in ("grad-ram", "smoothgrad")]
    layers = (None, *layer_names(loaded.model)[:-1])
    summaries = []
    print("| structure | method | mass over chance | mass | AUC | sign right |\n|---|---|---|---|---|---|")
    simulated: list[PlantedPair] = []
    for structure in PLANTED:
        count = options.pairs if structure in REQUIRED else options.other_pairs
        pairs = list(planted_pairs(structure, loaded.model.grid, count, options.seed))
        simulated += pairs
        for s in try_methods(loaded, pairs, methods, layers=layers, reference=reference):
            summaries.append(s)
            cells = f"{s.ratio:.2f} | {s.mass:.3f} | {s.auc:.2f} | {s.sign_right:.0%}"
            print(f"| {s.structure} | {s.method} | {cells} |", flush=True)
    # a sensitivity says neither older nor younger: it has no sign that could be right
    judged = [s for s in summaries if " at " not in s.method and s.method != SMOOTHGRAD]
    verdict = judge(judged)
    print(f"\n{verdict.reason}\n")
    scans = read_scans(loaded, options.scans, options.count) if options.scans else []
    scans = scans or [(pair.after, pair.age) for pair in simulated[: options.count]]
    kept = {
        "model": loaded.card.identity,
        "seed": options.seed,
        "real_scans": options.scans is not None,
        "scans": len(scans),
        "method": verdict.method,
        "reason": verdict.reason,
        "planted": [asdict(summary) for summary in summaries],
        "randomised": randomised(loaded, scans, methods, reference),
        "faithfulness": [] if reference is None else faithful(loaded, scans, methods, reference),
    }
    if options.write:
        write_verdict(verdict, loaded.folder, loaded.card.weights_sha256)
    if options.save:
        write_json(options.save, kept)


def read_scans(loaded: LoadedModel, dataset: Path, count: int) -> list[tuple[PreparedScan, float]]:
    """Return so many scans of known age, from the youngest to the oldest in even steps."""
    found = sorted((s for s in find_scans([dataset]) if s.age is not None), key=lambda s: (s.age, s.key))
    chosen = [found[place] for place in np.linspace(0, len(found) - 1, count).round().astype(int)]
    settings = loaded.card.settings.prepare
    return [(prepare_scan(scan, settings), float(scan.age or 0)) for scan in chosen]


def randomised(
    loaded: LoadedModel,
    scans: list[tuple[PreparedScan, float]],
    methods: list[str],
    reference: Reference | None,
) -> Rows:
    """Spoil the weights from the regressor down: mean likeness of the map to the true one over scans."""
    print("| method | spoiled down to | Spearman | Spearman of absolute | structure |\n|---|---|---|---|---|")
    rows: Rows = []
    for method in methods:
        steps = [
            cascade(
                loaded.model,
                lambda model, scan=scan, age=age, method=method: on_model_grid(
                    map_age(scan, replace(loaded, model=model), method, age=age, reference=reference), scan
                ),
                scan.mask,
                torch.Generator().manual_seed(derive_seed(1, "cascade", number)),
            )
            for number, (scan, age) in enumerate(scans)
        ]
        for same in zip(*steps, strict=True):
            a = mean_likeness([step.alike for step in same])
            rows.append({"method": method, "layer": same[0].layer, **asdict(a)})
            cells = f"{a.spearman:.2f} | {a.spearman_absolute:.2f} | {a.ssim:.2f}"
            print(f"| {method} | {same[0].layer} | {cells} |", flush=True)
    print()
    return rows


def faithful(
    loaded: LoadedModel, scans: list[tuple[PreparedScan, float]], methods: list[str], reference: Reference
) -> Rows:
    """Exchange tissue in the order of each map: mean area under the years, over scans."""
    areas: dict[str, list[tuple[float, float]]] = {}
    for scan, age in scans:
        model, spacing = loaded.model, scan.grid.spacing_mm
        volume = as_volume(scan.data, model)
        baseline = as_volume(reference.brain_at(age, scan.mask), model)
        maps = {
            m: on_model_grid(map_age(scan, loaded, m, age=age, reference=reference), scan) for m in methods
        }
        for method, values in list(maps.items()):
            width = nuance(values, scan.mask, spacing).effective_resolution_mm
            rng = np.random.default_rng(derive_seed(1, "noise", method))
            maps[f"noise as smooth as {method}"] = random_map(scan.mask, width, spacing, rng)
        maps["edges of the scan"] = edge_map(volume, spacing)
        for name, values in maps.items():
            one, other = (
                faithfulness(model, volume, baseline, values, way).area for way in ("deletion", "insertion")
            )
            areas.setdefault(name, []).append((one, other))
    print("| map | deletion, years | insertion, years |\n|---|---|---|")
    rows: Rows = []
    for name, found in areas.items():
        out, into = np.mean(found, axis=0)
        rows.append({"map": name, "deletion_years": float(out), "insertion_years": float(into)})
        print(f"| {name} | {out:.2f} | {into:.2f} |", flush=True)
    return rows


if __name__ == "__main__":
    main()
