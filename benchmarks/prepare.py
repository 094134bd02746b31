"""Where the time of a preparation goes, against a conventional chain on the same head in the same run.

``python benchmarks/prepare.py [IMAGE]``: without an image, a simulated head of 1 mm. Prints, each
measured in a process of its own: the whole command from a cold start (seconds, peak memory); the steps
inside it, for the first head and for one more in the same process; and the conventional chain of the same
steps: deepbet as its authors call it, N4 as ITK offers it (every fourth voxel, 4 × 50 iterations), a
similarity and then an affine registration by SimpleITK (Mattes mutual information), linear resampling.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Seconds = dict[str, float]
STEPS = {
    "read_volume": "read",
    "extract_brain": "brain mask",
    "correct_bias": "bias field",
    "register": "registration",
    "to_grid": "resampling",
}


def ours(image: Path) -> list[Seconds]:
    """Prepare the head twice and clock the steps that chain.py calls."""
    import brainclock.prepare.chain as chain
    from brainclock.config import PrepareSettings
    from brainclock.io.scan import Scan

    clock: Seconds = {}
    for name, step in STEPS.items():
        setattr(chain, name, timed(getattr(chain, name), step, clock))
    runs = []
    for _ in range(2):
        clock.clear()
        start = time.perf_counter()
        chain.prepare_scan(Scan("head", "head", image), PrepareSettings())
        runs.append({**clock, "all": time.perf_counter() - start})
    return runs


def conventional(image: Path) -> list[Seconds]:
    """Do the same by the libraries' own calls."""
    import nibabel
    import SimpleITK as sitk  # noqa: N813
    from deepbet.bet import BrainExtraction

    from brainclock.config import WHOLE_BRAIN
    from brainclock.prepare.template import load_template

    template = load_template()
    runs = []
    for _ in range(2):
        clock: Seconds = {}
        start = time.perf_counter()
        head = timed(nibabel.load, "read", clock)(image)
        found = timed(lambda one: BrainExtraction(no_gpu=True).run(one)[1], "brain mask", clock)(head)
        data = np.asarray(head.dataobj, dtype=np.float32).clip(0)
        scan, mask = (to_itk(array, head.affine) for array in (data, np.asarray(found.dataobj) > 0))
        even = timed(full_n4, "bias field", clock)(scan, mask)
        brain = sitk.Cast(sitk.Mask(even, sitk.Cast(mask, sitk.sitkUInt8)), sitk.sitkFloat32)
        fixed = to_itk(template.t1, template.affine)
        found_map = timed(itk_register, "registration", clock)(fixed, brain)
        grid = to_itk(np.zeros(WHOLE_BRAIN.shape, dtype=np.float32), WHOLE_BRAIN.matrix)
        timed(sitk.Resample, "resampling", clock)(brain, grid, found_map, sitk.sitkLinear)
        runs.append({**clock, "all": time.perf_counter() - start})
    return runs


def full_n4(scan: Any, mask: Any) -> Any:
    import SimpleITK as sitk  # noqa: N813

    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50] * 4)
    n4.Execute(*(sitk.Shrink(one, [4] * 3) for one in (scan, sitk.Cast(mask, sitk.sitkUInt8))))
    scan = sitk.Cast(scan, sitk.sitkFloat32)
    return scan / sitk.Exp(n4.GetLogBiasFieldAsImage(scan))


def itk_register(fixed: Any, moving: Any) -> Any:
    import SimpleITK as sitk  # noqa: N813

    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    start = sitk.CenteredTransformInitializer(fixed, moving, sitk.Similarity3DTransform(), moments)
    similarity = itk_steps(fixed, moving, start)
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(similarity.GetMatrix())
    affine.SetTranslation(similarity.GetTranslation())
    affine.SetCenter(similarity.GetCenter())
    return itk_steps(fixed, moving, affine)


def itk_steps(fixed: Any, moving: Any, transform: Any) -> Any:
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([0.5, 0.25, 0.1])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(1.0, 100, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    return transform


def to_itk(data: np.ndarray, affine: np.ndarray) -> Any:
    """Return an image of ITK, whose millimetres run to the left and to the back."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T, dtype=np.float32))
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    return image


def timed(function: Callable[..., Any], step: str, clock: Seconds) -> Callable[..., Any]:
    def clocked(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            clock[step] = clock.get(step, 0.0) + time.perf_counter() - start

    return clocked


def in_its_own_process(command: list[str]) -> tuple[str, float, float]:
    """Return what it printed, its seconds and its peak memory (GB)."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        status, used = waited(process.pid)
        process.returncode = status
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return text, time.perf_counter() - start, used.ru_maxrss / unit


def waited(process: int) -> tuple[int, resource.struct_rusage]:
    import os

    _, status, used = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), used


def simulated(folder: Path) -> Path:
    from brainclock.io.nifti import write_volume
    from brainclock.simulate.head import simulate_head

    head = simulate_head(1, spacing_mm=1.0)
    write_volume(folder / "sub-01_T1w.nii.gz", head.data, head.affine)
    return folder / "sub-01_T1w.nii.gz"


def report(image: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "brainclock", "prepare", str(image), "-o", str(folder / "out")]
    _, seconds, memory = in_its_own_process(command)
    print(f"brainclock prepare, cold: {seconds:.1f} s, {memory:.2f} GB at most\n")
    measured = {}
    for who in ("ours", "conventional"):
        text, _, memory = in_its_own_process([sys.executable, __file__, str(image), "--one", who])
        measured[who] = json.loads(text.splitlines()[-1])
        print(f"{who}: {memory:.2f} GB at most")
    print("\n| step | brainclock s, first | next | conventional s, first | next | times faster, next |")
    print("| --- | --- | --- | --- | --- | --- |")
    for step in (*STEPS.values(), "all"):
        cells = [run[step] for who in ("ours", "conventional") for run in measured[who]]
        print(f"| {step} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {cells[3] / cells[1]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("--one", choices=("ours", "conventional"), help="one chain, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps((ours if options.one == "ours" else conventional)(options.image)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(options.image or simulated(Path(folder)), Path(folder))


if __name__ == "__main__":
    main()
