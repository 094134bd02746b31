"""Which map finds what was changed, and which falls apart when the model does.

``python benchmarks/planted.py [--model MODEL] [--reference FOLDER] [--pairs N] [--seed N] [--write]``
simulates pairs of brains that differ in one structure and prints, for each method, the mass of the map's
change in the structure over chance, its AUC and how often its sign is right; then how alike maps stay when
the weights are spoiled from the regressor down, and deletion curves against noise and edges.
``--write`` puts the verdict into the model folder: ``brainclock explain`` goes by it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from brainclock.config import derive_seed
from brainclock.explain.attribution import as_volume
from brainclock.explain.explain import METHODS, map_age, own_reference
from brainclock.explain.faithfulness import edge_map, faithfulness, random_map
from brainclock.explain.layers import layer_names
from brainclock.explain.nuance import nuance
from brainclock.explain.plant import PLANTED, PlantedPair, planted_pairs, try_methods
from brainclock.explain.planted import judge, write_verdict
from brainclock.explain.randomise import cascade
from brainclock.explain.reference import Reference, load_reference
from brainclock.explain.spread import on_model_grid
from brainclock.model.folder import LoadedModel, load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
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
    first: PlantedPair | None = None
    for structure in PLANTED:
        pairs = list(planted_pairs(structure, loaded.model.grid, options.pairs, options.seed))
        first = first or pairs[0]
        for s in try_methods(loaded, pairs, methods, layers=layers, reference=reference):
            summaries.append(s)
            cells = f"{s.ratio:.2f} | {s.mass:.3f} | {s.auc:.2f} | {s.sign_right:.0%}"
            print(f"| {s.structure} | {s.method} | {cells} |", flush=True)
    verdict = judge(summary for summary in summaries if " at " not in summary.method)
    print(f"\n{verdict.reason}\n")
    assert first is not None
    show_randomised(loaded, first, methods, reference)
    if reference is not None:
        show_faithfulness(loaded, first, methods, reference)
    if options.write:
        write_verdict(verdict, loaded.folder, loaded.card.weights_sha256)


def show_randomised(
    loaded: LoadedModel, pair: PlantedPair, methods: list[str], reference: Reference | None
) -> None:
    print("| method | spoiled down to | Spearman | Spearman of absolute | structure |\n|---|---|---|---|---|")
    scan = pair.before
    for method in methods:
        steps = cascade(
            loaded.model,
            lambda model, method=method: on_model_grid(
                map_age(scan, replace(loaded, model=model), method, reference=reference), scan
            ),
            scan.mask,
            torch.Generator().manual_seed(derive_seed(1, "cascade")),
        )
        for step in steps:
            a = step.alike
            print(
                f"| {method} | {step.layer} | {a.spearman:.2f} | {a.spearman_absolute:.2f} | {a.ssim:.2f} |",
                flush=True,
            )
    print()


def show_faithfulness(
    loaded: LoadedModel, pair: PlantedPair, methods: list[str], reference: Reference
) -> None:
    scan, model = pair.after, loaded.model
    volume = as_volume(scan.data, model)
    with torch.no_grad():
        age = float(model(volume)[0])
    baseline = as_volume(reference.brain_at(age, scan.mask), model)
    spacing = scan.grid.spacing_mm
    print("| map | deletion, years | insertion, years |\n|---|---|---|")
    maps = {m: on_model_grid(map_age(scan, loaded, m, reference=reference), scan) for m in methods}
    for method, values in list(maps.items()):
        width = nuance(values, scan.mask, spacing).effective_resolution_mm
        rng = np.random.default_rng(derive_seed(1, "noise", method))
        maps[f"noise as smooth as {method}"] = random_map(scan.mask, width, spacing, rng)
    maps["edges of the scan"] = edge_map(volume, spacing)
    for name, values in maps.items():
        out, into = (faithfulness(model, volume, baseline, values, way) for way in ("deletion", "insertion"))
        print(f"| {name} | {out.area:.2f} | {into.area:.2f} |", flush=True)


if __name__ == "__main__":
    main()
