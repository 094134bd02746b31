"""How far one machine gets, what a scheduler costs, and what 40,000 scans would take.

1. Throughput of ``brainclock predict`` on raw heads with 1 and 2 local workers of one thread each, between
   the first and the last scan (loading the libraries is paid once a worker).
2. Overhead a scan of local processes and of a Dask scheduler: a function that does nothing.
3. Peak memory of the process that hands out scans and writes the tables, against their number: brains in
   template space at 4 mm and a small model, so that thousands take minutes.
4. From these, hours, core-hours and disk of a large cohort, on paper.

Run ``python benchmarks/scale.py``; every size is an option.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brainclock.execution import map_scans
from brainclock.io.nifti import write_volume
from brainclock.simulate.head import simulate_head

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def make_heads(folder: Path, count: int, spacing_mm: float) -> Path:
    for number in range(count):
        head = simulate_head(number, spacing_mm=spacing_mm)
        name = f"sub-{number:03}"
        image = folder / name / "anat" / f"{name}_T1w.nii.gz"
        write_volume(image, np.rint(head.data), head.affine, dtype=np.int16)
    return folder


def make_brains(folder: Path, count: int) -> Path:
    """Write a few brains in template space and link them under many names."""
    from tiny_model import write_brain

    space = "space-MNI152NLin2009aSym"
    kinds = ("T1w", "desc-brain_mask")
    for seed in range(8):
        write_brain(folder / "own", f"sub-{seed}_{space}", seed)
    for number in range(count):
        name = f"sub-{number:05}"
        anat = folder / "raw" / name / "anat"
        anat.mkdir(parents=True)
        for kind in kinds:
            own = folder / "own" / f"sub-{number % 8}_{space}_{kind}.nii.gz"
            (anat / f"{name}_{space}_{kind}.nii.gz").hardlink_to(own)
    return folder / "raw"


#: The peak is read by the process itself: what the system says of a child holds its parent's memory too.
DRIVER = """
import re, sys
from pathlib import Path
from brainclock.cli.main import main
code = main(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


def predict(inputs: Path, out: Path, *options: str) -> tuple[list[float], float]:
    """Return the moments (s) at which scans were done, and the peak memory (MB) of the driver."""
    command = [sys.executable, "-c", DRIVER, "predict", str(inputs), "-o", str(out), *options]
    moments, peak = [], 0.0
    with subprocess.Popen(
        command, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if ": done in " in line:
                moments.append(time.perf_counter())
            elif line.startswith("peak "):
                peak = float(line.split()[1]) / 1024
    if process.returncode:
        raise SystemExit(f"{' '.join(command[3:])} ended with code {process.returncode}")
    return moments, peak


def throughput(heads: Path, work: Path) -> tuple[float, float, float]:
    """Print and return scans a second with 1 and with 2 workers, and the bytes that a scan leaves."""
    rates = []
    for workers in (1, 2):
        out = work / f"workers-{workers}"
        moments, _ = predict(heads, out, "--workers", str(workers), "--keep-prepared")
        rates.append((len(moments) - workers) / (moments[-1] - moments[workers - 1]))
        print(f"  {workers} worker{'s' * (workers > 1)}: {1 / rates[-1]:.2f} s a scan", flush=True)
    print(
        f"  2 workers do {rates[1] / rates[0]:.2f} times what 1 does; load average {os.getloadavg()[0]:.1f}"
    )
    left = [path.stat().st_blocks * 512 for path in (work / "workers-1").rglob("*") if path.is_file()]
    return rates[0], rates[1], sum(left) / len(list(heads.glob("sub-*")))


def overhead(count: int) -> None:
    """Print what it costs to hand out a scan."""
    from distributed import LocalCluster

    items = [str(number) for number in range(count)]

    def clock(**how: object) -> float:
        outcomes = map_scans(len, items, key=str, progress=False, **how)  # type: ignore[arg-type]
        next(outcomes)  # the workers have started
        began = time.perf_counter()
        rest = sum(1 for _ in outcomes)
        return (time.perf_counter() - began) / rest

    print(
        f"  here {1e3 * clock():.3f} ms a scan, in 2 local processes {1e3 * clock(workers=2):.2f} ms", end=""
    )
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        print(f", by a Dask scheduler {1e3 * clock(scheduler=cluster.scheduler_address):.2f} ms", flush=True)


def memory(counts: Sequence[int], work: Path) -> float:
    """Print the peak memory for so many scans; return the slope, kB a scan."""
    from tiny_model import build_model_folder

    model = str(build_model_folder(work / "model"))
    peaks = []
    for count in counts:
        brains = make_brains(work / f"brains-{count}", count)
        began = time.perf_counter()
        _, peak = predict(brains, work / f"ages-{count}", "--model", model)
        seconds = time.perf_counter() - began
        _, again = predict(brains, work / f"ages-{count}", "--model", model)
        peaks.append(peak)
        print(
            f"  {count} scans: {peak:.0f} MB ({seconds:.0f} s), all answered before {again:.0f} MB",
            flush=True,
        )
    slope = float(np.polyfit(counts, peaks, 1)[0]) if len(counts) > 1 else float("nan")
    print(f"  {1024 * slope:.1f} kB a scan")
    return 1024 * slope


def on_paper(scans: int, workers: int, rate: float, ratio: float, disk: float, slope_kb: float) -> None:
    """Print what a cohort would take."""
    hours = scans / rate / 3600
    print(
        f"\n{scans} such scans on paper: {hours:.0f} core-hours; {hours / workers:.1f} hours on {workers} "
        f"workers of one thread;\n  {scans * disk / 1e9:.0f} GB of disk with prepared scans; "
        f"{scans * slope_kb / 1e6:.2f} GB more in the process that hands out the scans.\n"
        "Assumed: as many cores as workers, of this kind and not slowed by each other (here, 2 workers do\n"
        f"  {ratio:.2f} times what 1 does); 2 GB of memory a worker; reading is not slower than here;\n"
        "  one process hands out all scans; heads of this size; no --stability, which takes 5 times as long."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--heads", type=int, default=12, help="raw heads for the throughput")
    parser.add_argument("--spacing", type=float, default=1.0, help="their voxels, mm")
    parser.add_argument("--items", type=int, default=2000, help="for the overhead")
    parser.add_argument(
        "--scans", type=int, nargs="*", default=[500, 1000, 2000, 5000], help="for the memory"
    )
    parser.add_argument("--cohort", type=int, default=40_000, help="scans of the cohort on paper")
    parser.add_argument("--workers", type=int, default=64, help="workers of the cohort on paper")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        print(
            f"Throughput, {options.heads} raw heads of {options.spacing:g} mm, one thread a worker:",
            flush=True,
        )
        heads = make_heads(work / "heads", options.heads, options.spacing)
        one, two, disk = throughput(heads, work)
        print(f"Overhead, {options.items} times nothing:", flush=True)
        overhead(options.items)
        print("Peak memory of the driver:", flush=True)
        slope_kb = memory(options.scans, work)
    on_paper(options.cohort, options.workers, one, two / one, disk, slope_kb)


if __name__ == "__main__":
    main()
