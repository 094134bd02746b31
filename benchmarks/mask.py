"""Brain masks against given labels.

``python benchmarks/mask.py DATA [--heads N]``: DATA is a BIDS dataset of raw heads with label maps in
``derivatives/dlmuse/`` (``*_dseg.nii.gz`` or any other image there, one a head, on the grid of the head;
label > 0 is the brain with its CSF). Prints the Dice overlap of each head's mask with its labels, the
mean and the worst, and how much larger or smaller the masks are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from brainclock.config import PrepareSettings
from brainclock.io.find import find_scans
from brainclock.io.nifti import read_volume
from brainclock.prepare.chain import prepare_volume

SETTINGS = PrepareSettings()


def labels_of(data: Path, key: str) -> Path:
    found = sorted((data / "derivatives" / "dlmuse").rglob(f"{key}_*.nii*"))
    if len(found) != 1:
        raise SystemExit(f"{key}: {len(found)} label maps in {data / 'derivatives' / 'dlmuse'}, expected one")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--heads", type=int, help="so many, evenly spread; all if left out")
    options = parser.parse_args()
    scans = find_scans([options.data])
    if options.heads:
        scans = [scans[i] for i in np.linspace(0, len(scans) - 1, options.heads).astype(int)]
    overlaps, sizes = [], []
    print("| head | Dice | mask ml | labels ml |\n| --- | --- | --- | --- |")
    for scan in scans:
        head = read_volume(scan.path)
        mask = prepare_volume(head, SETTINGS).own.mask()
        brain = read_volume(labels_of(options.data, scan.key)).data > 0
        overlaps.append(2 * (mask & brain).sum() / (mask.sum() + brain.sum()))
        sizes.append(mask.sum() / brain.sum())
        ml = abs(np.linalg.det(head.affine[:3, :3])) / 1000
        print(
            f"| {scan.key} | {overlaps[-1]:.4f} | {mask.sum() * ml:.0f} | {brain.sum() * ml:.0f} |",
            flush=True,
        )
    print(f"\n{len(scans)} heads: Dice mean {np.mean(overlaps):.4f}, worst {np.min(overlaps):.4f}; ", end="")
    print(f"volume against labels {np.mean(sizes):.3f} ({np.min(sizes):.3f} to {np.max(sizes):.3f})")


if __name__ == "__main__":
    main()
