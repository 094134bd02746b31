"""Registration to the template against SimpleITK: seconds, and millimetres at the corners of the brain.

``python benchmarks/registration.py`` simulates brains (the template at 1 mm, stretched, sheared, turned by
0, 20 and 40 degrees, shifted by up to 40 mm; contrast, bias, noise and border spoilt) whose map is known,
and registers each by both in one process on one thread. The rival is SimpleITK with mutual information, a
similarity and then all 12 unknowns. Errors are distances at the 8 corners of the box around the template
brain. ``--data ../shared/data`` adds real brains: nobody knows their map, but it must not depend on how
they are stored, so each is tilted, put on other voxels and given other borders, and compared with itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy import ndarray
from scipy import ndimage
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from brainclock.io.nifti import read_volume
from brainclock.io.volume import Volume
from brainclock.prepare.affine_fit import rotation
from brainclock.prepare.bias import correct_bias
from brainclock.prepare.register import register
from posed_brain import (
    corner_distances_mm,
    draw_pose,
    move,
    pose_brain,
    register_by_simpleitk,
    scan_again,
    spoil,
)

ANGLES = (0.0, 20.0, 40.0)
FAILED_MM = 5.0
NEAR_MM = 2.0
STORED = 2
Brain = tuple[Volume, ndarray]
Method = Callable[[Volume, ndarray], ndarray]


def register_by_brainclock(brain: Volume, mask: ndarray) -> ndarray:
    return register(brain, mask).template_to_scan


METHODS: dict[str, Method] = {"brainclock": register_by_brainclock, "SimpleITK": register_by_simpleitk}


def timed(method: Method, brain: Brain) -> tuple[ndarray, float]:
    start = time.perf_counter()
    found = method(*brain)
    return found, time.perf_counter() - start


def simulated(heads: int) -> None:
    print(
        f"{heads} simulated brains for each angle, 1 mm; worst corner, mm; failed: above {FAILED_MM:g} mm\n"
    )
    print("| turned by | method | seconds, median | median | worst | failed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for angle in ANGLES:
        seconds: dict[str, list[float]] = {name: [] for name in METHODS}
        errors: dict[str, list[float]] = {name: [] for name in METHODS}
        for seed in range(heads):
            rng = np.random.default_rng([seed, int(angle)])
            pose = draw_pose(rng, angle)
            brain = spoil(*pose_brain(pose, (1.0, 1.0, 1.0)), rng)
            for name, method in METHODS.items():
                found, spent = timed(method, brain)
                seconds[name].append(spent)
                errors[name].append(corner_distances_mm(found, pose).max())
        for name in METHODS:
            worst = np.array(errors[name])
            print(
                f"| {angle:g}° | {name} | {np.median(seconds[name]):.2f} | {np.median(worst):.2f} "
                f"| {worst.max():.2f} | {(worst > FAILED_MM).sum()}/{heads} |"
            )
        ratio = np.median(np.array(seconds["SimpleITK"]) / np.array(seconds["brainclock"]))
        print(f"| {angle:g}° | SimpleITK / brainclock | {ratio:.1f} | | | |", flush=True)


def real_brains(folder: Path, people: int) -> Iterator[tuple[str, Brain]]:
    """Raw heads with the brain from their labels, and brains without their heads, their bias evened out."""
    labels = folder / "ixi" / "derivatives" / "dlmuse"
    for path in sorted((folder / "ixi").glob("sub-*/anat/*_T1w.nii.gz"))[:people]:
        name = path.name.split("_")[0]
        segmented = labels / name / "anat" / f"{name}_desc-dlmuse_dseg.nii.gz"
        yield name, evened(read_volume(path), read_volume(segmented).data > 0)
    for path in sorted((folder / "ds002748").glob("sub-*/anat/*_T1w.nii.gz"))[:people]:
        brain = read_volume(path)
        yield path.name.split("_")[0], evened(brain, brain.data > 0)


def evened(head: Volume, mask: ndarray) -> Brain:
    """Return a head after N4, as `brainclock.prepare` registers it, and its mask."""
    data = np.maximum(head.data, 0)
    return Volume(correct_bias(data, mask, head.spacing_mm), head.affine), mask


def stored_otherwise(brain: Volume, mask: ndarray) -> Iterator[tuple[str, Brain, ndarray]]:
    """Yield the same brain stored in other ways, and how each moves it: scan mm to scan mm, shape (4, 4)."""
    step = min(brain.spacing_mm)
    centre = move(np.argwhere(mask), brain.affine).mean(axis=0)
    for axis in range(3):
        tilt = np.eye(4)
        tilt[:3, :3] = rotation(np.deg2rad(40.0) * np.eye(3)[axis])
        tilt[:3, 3] = centre - tilt[:3, :3] @ centre + [40, -30, 20]
        yield "tilted 40°, header", (Volume(brain.data, tilt @ brain.affine), mask), tilt
    for turn in ((40.0, 0.0, 0.0), (0.0, 24.0, 32.0)):
        yield "tilted 40°, resampled", scan_again(brain, mask, turn, (step, step, step)), np.eye(4)
    for spacing in ((1.0, 1.0, 3.0), (3.0, 1.0, 1.0)):
        yield "1 × 1 × 3 mm", scan_again(brain, mask, (0.0, 0.0, 0.0), spacing), np.eye(4)
    yield "1.2 × 1.2 × 5 mm", scan_again(brain, mask, (0.0, 0.0, 0.0), (1.2, 1.2, 5.0)), np.eye(4)
    yield "1 × 1 × 3 mm, tilted 40°", scan_again(brain, mask, (40.0, 0.0, 0.0), (1.0, 1.0, 3.0)), np.eye(4)
    times = max(1, round(2 / step))
    yield "mask 2 mm smaller", (brain, ndimage.binary_erosion(mask, iterations=times)), np.eye(4)
    yield "mask 2 mm larger", (brain, ndimage.binary_dilation(mask, iterations=times)), np.eye(4)


def real(folder: Path, people: int) -> None:
    errors: dict[str, dict[str, list[float]]] = {}
    between, seconds = [], []
    for number, (_, brain) in enumerate(real_brains(folder, people)):
        straight = {name: timed(method, brain) for name, method in METHODS.items()}
        between.append(corner_distances_mm(*(found for found, _ in straight.values())))
        seconds.append([spent for _, spent in straight.values()])
        for what, other, moved in stored_otherwise(*brain) if number % people < STORED else ():
            for name, method in METHODS.items():
                apart = corner_distances_mm(method(*other), moved @ straight[name][0]).max()
                errors.setdefault(what, {}).setdefault(name, []).append(apart)
    ours, theirs = np.median(seconds, axis=0)
    ratio = np.median([rival / mine for mine, rival in seconds])
    print(
        f"\n{len(seconds)} real brains: {ours:.2f} s, SimpleITK {theirs:.2f} s, ratio {ratio:.1f}. ", end=""
    )
    corners = np.array(between)
    near, worst = (corners <= NEAR_MM).mean(), corners.max(axis=1)
    print(
        f"From one to the other: {near:.0%} of the corners within {NEAR_MM:g} mm (wanted: 95 %), median "
        f"{np.median(corners):.2f}; worst corner {np.median(worst):.2f} mm, at most {worst.max():.2f}\n"
    )
    print(f"How far a brain ({STORED} of each kind) moves when it is stored otherwise, worst corner, mm\n")
    print("| stored | brainclock: median, worst | SimpleITK: median, worst |\n| --- | --- | --- |")
    for what, by_method in errors.items():
        cells = [f"{np.median(by_method[name]):.2f}, {max(by_method[name]):.2f}" for name in METHODS]
        print(f"| {what} | {cells[0]} | {cells[1]} |", flush=True)


def main() -> None:
    import SimpleITK as sitk  # noqa: N813

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--heads", type=int, default=6, help="simulated brains for each angle")
    parser.add_argument("--data", type=Path, help="folder with ixi/ and ds002748/")
    parser.add_argument("--people", type=int, default=2, help="real brains of each of the two, at most")
    options = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    print(f"numpy {np.__version__}, SimpleITK {sitk.Version.VersionString()}, 1 thread\n")
    with threadpool_limits(1):
        register(*pose_brain(np.eye(4)))  # loads libraries and the template
        if options.heads:
            simulated(options.heads)
        if options.data:
            real(options.data, options.people)


if __name__ == "__main__":
    main()
