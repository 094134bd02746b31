"""Registration to the template against SimpleITK: seconds, and millimetres at the corners of the brain.

``python benchmarks/registration.py`` simulates brains (the template at 1 mm, stretched, sheared, turned by
0, 20 and 40 degrees, shifted by up to 40 mm; contrast, bias, noise and border spoilt) whose map is known,
and registers each by both in one process on one thread. The rival is SimpleITK with mutual information, a
similarity and then all 12 unknowns. Errors are distances at the 8 corners of the box around the template
brain. ``--data ../shared/data`` adds real heads, prepared as `brainclock.prepare` does it: how near to where
SimpleITK (and ANTs, where antspyx is installed) puts the corners, given the same brain mask and N4? Nobody
knows the map of a real brain, but it must not depend on how the brain is stored, so some are tilted, put on
other voxels and given other borders, and compared with themselves.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy import ndarray
from scipy import ndimage
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from brainclock.config import PrepareSettings
from brainclock.io.nifti import read_volume
from brainclock.io.volume import Volume
from brainclock.prepare.affine_fit import rotation
from brainclock.prepare.bias import correct_bias
from brainclock.prepare.chain import prepare_volume
from brainclock.prepare.register import register
from brainclock.prepare.template import load_template
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


def register_by_ants(brain: Volume, mask: ndarray) -> ndarray:
    """Map from template mm to scan mm by the affine stages that ANTs runs by default, from 2 mm voxels."""
    import ants

    template = load_template()
    moving = _ants_image(np.where(mask, brain.data, 0), brain.affine)
    if min(brain.spacing_mm) < 1.5:
        moving = ants.resample_image(moving, (2, 2, 2), use_voxels=False, interp_type=0)
    fixed = _ants_image(template.t1, template.affine)
    found = ants.registration(fixed, moving, "Affine", random_seed=1, aff_random_sampling_rate=0.5)
    transform = ants.read_transform(found["fwdtransforms"][0])
    matrix = np.array(transform.parameters[:9]).reshape(3, 3)
    centre = np.array(transform.fixed_parameters)
    lps = np.diag([-1.0, -1.0, 1.0])
    whole = np.eye(4)
    whole[:3, :3] = lps @ matrix @ lps
    whole[:3, 3] = lps @ (centre + np.array(transform.parameters[9:]) - matrix @ centre)
    return whole


def _ants_image(data: ndarray, affine: ndarray):
    import ants

    lps = np.diag([-1.0, -1.0, 1.0])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return ants.from_numpy(
        np.ascontiguousarray(data, dtype=np.float32),
        origin=(lps @ affine[:3, 3]).tolist(),
        spacing=spacing.tolist(),
        direction=lps @ affine[:3, :3] / spacing,
    )


ORACLES: dict[str, Method] = {"SimpleITK": register_by_simpleitk}
METHODS: dict[str, Method] = {"brainclock": register_by_brainclock, **ORACLES}


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


def real_brains(folder: Path, people: int) -> Iterator[tuple[Brain, ndarray]]:
    """Brains of real heads, bias evened out, and the map from the template that the whole chain finds."""
    for cohort in ("ixi", "ds002748"):
        paths = sorted((folder / cohort).glob("sub-*/anat/*_T1w.nii.gz"))
        for place in np.unique(np.linspace(0, len(paths) - 1, people).astype(int)):
            head = read_volume(paths[place])
            prepared = prepare_volume(head, PrepareSettings())
            yield evened(head, prepared.own.mask()), prepared.template_to_scan


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
    moves: dict[str, dict[str, list[float]]] = {}
    apart: dict[tuple[str, str], list[ndarray]] = {}
    seconds = []
    opinions = {**ORACLES, "ANTs": register_by_ants} if importlib.util.find_spec("ants") else ORACLES
    for number, (brain, whole_chain) in enumerate(real_brains(folder, people)):
        straight = {name: timed(method, brain) for name, method in METHODS.items()}
        seconds.append([spent for _, spent in straight.values()])
        found = {name: oracle(*brain) for name, oracle in opinions.items() if name not in straight}
        found = {"whole chain": whole_chain, "SimpleITK": straight["SimpleITK"][0], **found}
        for one, other in combinations(found, 2):
            apart.setdefault((one, other), []).append(corner_distances_mm(found[one], found[other]))
        for what, other, moved in stored_otherwise(*brain) if number % people < STORED else ():
            for name, method in METHODS.items():
                move_mm = corner_distances_mm(method(*other), moved @ straight[name][0]).max()
                moves.setdefault(what, {}).setdefault(name, []).append(move_mm)
    print_apart(apart)
    ours, theirs = np.median(seconds, axis=0)
    ratio = np.median([rival / mine for mine, rival in seconds])
    print(f"\nSeconds: brainclock {ours:.2f}, SimpleITK {theirs:.2f}, ratio {ratio:.1f}.\n")
    print(f"How far a brain ({STORED} of each kind) moves when it is stored otherwise, worst corner, mm\n")
    print("| stored | brainclock: median, worst | SimpleITK: median, worst |\n| --- | --- | --- |")
    for what, by_method in moves.items():
        cells = [f"{np.median(by_method[name]):.2f}, {max(by_method[name]):.2f}" for name in METHODS]
        print(f"| {what} | {cells[0]} | {cells[1]} |", flush=True)


def print_apart(apart: dict[tuple[str, str], list[ndarray]]) -> None:
    """Print how near to each other two methods put the corners of the same real brains (wanted: 95 %)."""
    heads = len(next(iter(apart.values())))
    print(f"\n{heads} real brains, 8 corners each, from one method to another\n")
    print(f"| from, to | corners within {NEAR_MM:g} mm | heads with all | median | worst of a head |")
    print("| --- | --- | --- | --- | --- |")
    for (one, other), distances in apart.items():
        corners = np.array(distances)
        worst = corners.max(axis=1)
        print(
            f"| {one}, {other} | {(corners <= NEAR_MM).mean():.1%} | {(worst <= NEAR_MM).mean():.1%} "
            f"| {np.median(corners):.2f} | {np.median(worst):.2f} |"
        )


def main() -> None:
    import SimpleITK as sitk  # noqa: N813

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--heads", type=int, default=6, help="simulated brains for each angle")
    parser.add_argument("--data", type=Path, help="folder with ixi/ and ds002748/")
    parser.add_argument(
        "--people", type=int, default=2, help="real brains of each of the two, evenly from the list"
    )
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
