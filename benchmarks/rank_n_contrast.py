"""Rank-N-Contrast against a straightforward implementation: one masked softmax a positive.

``python benchmarks/rank_n_contrast.py`` prints, for n = 64 … 4096 embeddings of 512 features with ages in
whole years, the time of value and gradient (median) and the peak of memory above what the
process held before, each measured in a process of its own. The rival is the published code's loop;
it stops where it would take more than 8 GB or 60 s. Then: how far the result in single precision is
from the rival's in double.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from brainclock.train.rank_n_contrast import rank_n_contrast

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
FEATURES = 512
MOST_SECONDS, MOST_GB = 60.0, 8.0


def masked_loop(embeddings: Tensor, ages: Tensor, temperature: float = 2.0) -> Tensor:
    """Zha et al. 2023, loss.py: for each positive k, mask those at least as far as k from each anchor."""
    n = len(embeddings)
    off_diagonal = ~torch.eye(n, dtype=torch.bool)
    gaps = (ages[:, None] - ages[None]).abs()
    logits = -(embeddings[:, None] - embeddings[None]).norm(2, dim=-1) / temperature
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    logits, gaps = logits[off_diagonal].view(n, n - 1), gaps[off_diagonal].view(n, n - 1)
    exponentials = logits.exp()
    loss = torch.zeros((), dtype=embeddings.dtype)
    for k in range(n - 1):
        mask = (gaps >= gaps[:, k : k + 1]).to(embeddings.dtype)
        log_probability = logits[:, k] - torch.log((mask * exponentials).sum(dim=-1))
        loss = loss - (log_probability / (n * (n - 1))).sum()
    return loss


LOSSES: dict[str, Callable[..., Tensor]] = {"brainclock": rank_n_contrast, "masked loop": masked_loop}


def batch(n: int) -> tuple[Tensor, Tensor]:
    """Embeddings that know something of age, two views of each person."""
    generator = torch.Generator().manual_seed(n)
    person = torch.randn(n // 2, FEATURES, generator=generator)
    years = torch.randint(20, 90, (n // 2,), generator=generator)
    ages = torch.cat([years, years])
    views = torch.cat([person, person + 0.3 * torch.randn(n // 2, FEATURES, generator=generator)])
    return 0.5 * views + ages[:, None] / 100, ages


def value_and_gradient(name: str, embeddings: Tensor, ages: Tensor) -> tuple[Tensor, Tensor]:
    leaf = embeddings.clone().requires_grad_()
    loss = LOSSES[name](leaf, ages)
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def resident_bytes(field: str) -> int:
    """Memory of this process now (VmRSS) or at its highest since the last reset (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def measure(name: str, n: int) -> dict[str, float]:
    """Time and peak memory of one size, in this process."""
    embeddings, ages = batch(n)
    value_and_gradient(name, *batch(16))  # loads libraries
    if sys.platform == "linux":
        before = resident_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        seconds = [timed(name, embeddings, ages)]
        peak = resident_bytes("VmHWM")
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        seconds = [timed(name, embeddings, ages)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    while sum(seconds) < 1.5 and len(seconds) < 30:
        seconds.append(timed(name, embeddings, ages))
    warm = seconds[1:] or seconds
    return {"seconds": statistics.median(warm), "bytes": max(peak - before, 1)}


def timed(name: str, embeddings: Tensor, ages: Tensor) -> float:
    start = time.perf_counter()
    value_and_gradient(name, embeddings, ages)
    return time.perf_counter() - start


def difference(n: int) -> dict[str, float]:
    """Relative distance of single precision from the rival in double."""
    embeddings, ages = batch(n)
    loss, gradient = value_and_gradient("brainclock", embeddings, ages)
    expected, slope = value_and_gradient("masked loop", embeddings.double(), ages)
    return {
        "value": abs(loss.item() - expected.item()) / expected.item(),
        "gradient": ((gradient.double() - slope).norm() / slope.norm()).item(),
    }


def in_its_own_process(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "N"), help="one measurement, as JSON")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    options = parser.parse_args()
    if options.one:
        what, n = options.one[0], int(options.one[1])
        print(json.dumps(difference(n) if what == "difference" else measure(what, n)))
        return

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {FEATURES} features\n")
    print("| n | brainclock | masked loop | times faster | times less memory |")
    print("| --- | --- | --- | --- | --- |")
    factor, last, n_last = 0.0, {"seconds": 0.0, "bytes": 0.0}, 1
    for n in options.sizes:
        ours = in_its_own_process("--one", "brainclock", str(n))
        factor = (n / n_last) ** 3
        expected_s, expected_gb = last["seconds"] * factor, last["bytes"] * factor / 1e9
        mine = f"{ours['seconds'] * 1e3:.1f} ms, {ours['bytes'] / 1e6:.1f} MB"
        if expected_s > MOST_SECONDS or expected_gb > MOST_GB:
            print(
                f"| {n} | {mine} | not run: about {expected_s:.0f} s, {expected_gb:.0f} GB | | |", flush=True
            )
            continue
        last, n_last = in_its_own_process("--one", "masked loop", str(n)), n
        faster, smaller = last["seconds"] / ours["seconds"], last["bytes"] / ours["bytes"]
        rival = f"{last['seconds'] * 1e3:.0f} ms, {last['bytes'] / 1e6:.0f} MB"
        print(f"| {n} | {mine} | {rival} | {faster:.0f} | {smaller:.0f} |", flush=True)

    print("\n| n | value, relative | gradient, relative |\n| --- | --- | --- |")
    for n in (size for size in options.sizes if size <= 512):
        apart = in_its_own_process("--one", "difference", str(n))
        print(f"| {n} | {apart['value']:.1e} | {apart['gradient']:.1e} |", flush=True)


if __name__ == "__main__":
    main()
