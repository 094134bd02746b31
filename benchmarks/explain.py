"""What explanations cost, against the network's own time and against hooks, and whether they add up.

``python benchmarks/explain.py [SCANS ...] [--model MODEL] [--count N] [--rounds N]`` measures on a simulated
brain, in one run, in processor time: the network's prediction; Grad-RAM in closed form; captum's activation
times gradient at the same layer; SmoothGrad and integrated gradients as `brainclock explain` makes them. With
scans (as `brainclock explain` takes them) it prints, over the first N that can be prepared, how far map and
intercept, and regions and intercept, are from the age that the model predicts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from captum.attr import LayerGradientXActivation

from brainclock.errors import ScanRefused
from brainclock.explain.attribution import as_volume, integrated_gradients, smoothgrad
from brainclock.explain.explain import STEPS
from brainclock.explain.grad_ram import grad_ram
from brainclock.explain.regions import default_regions, share_by_region
from brainclock.explain.spread import on_model_grid
from brainclock.io.find import find_scans
from brainclock.model.folder import LoadedModel, golden_volume, load_model
from brainclock.prepare.chain import prepare_scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scans", nargs="*", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    loaded = load_model(options.model)
    show_costs(loaded, options.rounds)
    if options.scans:
        show_completeness(loaded, options.scans, options.count)


def show_costs(loaded: LoadedModel, rounds: int) -> None:
    model = loaded.model
    volume = torch.from_numpy(golden_volume(model.grid))[None, None]
    rival = LayerGradientXActivation(model, [member.encoder.stages[-1] for member in model.members])

    def predict() -> None:
        with torch.no_grad():
            model(volume)

    runs: dict[str, Callable[[], object]] = {
        "prediction": predict,
        "Grad-RAM, closed form": lambda: grad_ram(model, volume),
        "activation times gradient, captum": lambda: rival.attribute(volume),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):  # interleaved: what else the machine does falls on all alike
        for name, run in runs.items():
            times[name].append(seconds(run))
    base = statistics.median(times["prediction"])
    print("| what | median ms | over the prediction |\n|---|---|---|")
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"| {name} | {1000 * middle:.1f} | {middle / base - 1:+.0%} |")
    baseline = torch.where(volume > 0, 0.9 * volume + 0.05, 0)
    print(f"\nIntegrated gradients, {STEPS} steps: ", end="", flush=True)
    print(f"{seconds(lambda: integrated_gradients(model, volume, baseline, steps=STEPS)):.1f} s")
    print(f"SmoothGrad, 25 copies: {seconds(lambda: smoothgrad(model, volume, 1)):.1f} s")


def show_completeness(loaded: LoadedModel, inputs: list[Path], count: int) -> None:
    """Compare sums with the age from the model itself, which no map was made for."""
    of_map, of_regions = [], []
    for scan in find_scans(inputs):
        try:
            prepared = prepare_scan(scan, loaded.card.settings.prepare)
        except ScanRefused:
            continue
        volume = as_volume(prepared.data, loaded.model)
        with torch.no_grad():
            age = float(loaded.model(volume)[0])
        found = grad_ram(loaded.model, volume)
        values = on_model_grid(found, prepared)
        shares = share_by_region(values, default_regions(prepared.grid), prepared)
        of_map.append(abs(float(values.sum()) + found.intercept - age))
        of_regions.append(abs(sum(share.share for share in shares) + found.intercept - age))
        if len(of_map) == count:
            break
    print(
        f"\nOf {len(of_map)} scans, the one that adds up worst: map {max(of_map, default=0):.1e} years, ",
        end="",
    )
    print(f"regions {max(of_regions, default=0):.1e} years.")


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
