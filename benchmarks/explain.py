"""What explanations cost, against the network's own time and against hooks and a backward pass.

``python benchmarks/explain.py [--model MODEL] [--rounds N]`` measures on one simulated brain, in one run:
the network's prediction; Grad-RAM in closed form; captum's activation times gradient at the same layer; how
far the map is from adding up; SmoothGrad and integrated gradients as `brainclock explain` makes them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from captum.attr import LayerGradientXActivation

from brainclock.explain.attribution import integrated_gradients, smoothgrad
from brainclock.explain.explain import STEPS
from brainclock.explain.grad_ram import grad_ram
from brainclock.model.folder import golden_volume, load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    model = load_model(options.model).model
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
    for _ in range(options.rounds):  # interleaved: what else the machine does falls on all alike
        for name, run in runs.items():
            times[name].append(seconds(run))
    base = statistics.median(times["prediction"])
    print("| what | median ms | over the prediction |\n|---|---|---|")
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"| {name} | {1000 * middle:.1f} | {middle / base - 1:+.0%} |")
    found = grad_ram(model, volume)
    print(f"\nGrad-RAM is {abs(found.completeness_error):.1e} years from adding up.")
    baseline = torch.where(volume > 0, 0.9 * volume + 0.05, 0)
    print(f"Integrated gradients, {STEPS} steps: ", end="", flush=True)
    print(f"{seconds(lambda: integrated_gradients(model, volume, baseline, steps=STEPS)):.1f} s")
    print(f"SmoothGrad, 25 copies: {seconds(lambda: smoothgrad(model, volume, 1)):.1f} s")


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
