"""The same head, scanned otherwise: how alike the prepared volumes are, and how far the age moves.

``python benchmarks/robustness.py DATA [--heads N] [--model MODEL]``: DATA is a folder of raw heads; without
it, simulated ones. Each is turned by 15° and 40° about each axis (resampled), shifted by 40 mm, stored with
other axes, resampled to slices of 3 mm, dimmed by a strong bias field, and stripped of its skull. Each
prepared volume is correlated with that of the head as it is, within the mask of the latter and within both
masks (where the masks differ, one volume is 0); or it was refused, with the gate. The last rows have headers
that lie: they must be refused. A turn by 40° is more than a scanner allows: what the age does there is not
counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from brainclock.config import PrepareSettings
from brainclock.errors import ScanRefused
from brainclock.io.find import find_scans
from brainclock.io.nifti import read_volume
from brainclock.io.volume import Volume
from brainclock.model.folder import load_model
from brainclock.predict.predict import look
from brainclock.prepare.chain import prepare_volume
from brainclock.prepare.orient import reorient
from brainclock.prepare.prepared import PreparedScan
from brainclock.simulate.head import simulate_head

ALIKE = 0.97
MOST_YEARS = 2.0


def turn(axis: int, degrees: float) -> np.ndarray:
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    move = np.eye(4)
    move[i, i] = move[j, j] = c
    move[j, i], move[i, j] = s, -s
    return move


def resampled(head: Volume, move: np.ndarray, spacing: tuple[float, float, float]) -> Volume:
    """Move the head in space and resample it to an upright grid that holds all of it."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in head.data.shape], indexing="ij")).reshape(3, -1)
    mm = (move @ head.affine)[:3] @ np.vstack([corners, np.ones(8)])
    shape = tuple(np.ceil(np.ptp(mm, axis=1) / spacing).astype(int) + 1)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = mm.min(axis=1)
    to_old = np.linalg.inv(move @ head.affine) @ affine
    growth = np.linalg.norm(to_old[:3, :3], axis=1)
    data = ndimage.gaussian_filter(head.data, np.where(growth > 1.2, 0.42 * growth, 0))
    data = ndimage.affine_transform(data, to_old[:3, :3], to_old[:3, 3], output_shape=shape, order=3)
    return Volume(data.clip(0, head.data.max()).astype(np.float32), affine)


def turned(axis: int, degrees: float) -> Callable[[Volume], Volume]:
    return lambda head: resampled(head, turn(axis, degrees), head.spacing_mm)


def shifted(head: Volume) -> Volume:
    affine = head.affine.copy()
    affine[:3, 3] += (40, -40, 40)
    return Volume(head.data, affine)


def stored_otherwise(head: Volume) -> Volume:
    to_old = np.array([[0, 0, -1.0, head.data.shape[0] - 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    return Volume(np.ascontiguousarray(head.data.transpose(1, 2, 0)[..., ::-1]), head.affine @ to_old)


def thick(axis: int) -> Callable[[Volume], Volume]:
    spacing = tuple(3.0 if i == axis else 1.0 for i in range(3))
    return lambda head: resampled(head, np.eye(4), spacing)  # type: ignore[arg-type]


def dimmed(head: Volume) -> Volume:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in head.data.shape), indexing="ij", sparse=True)
    return Volume((head.data * np.exp(0.5 * x - 0.4 * y + 0.4 * z * z)).astype(np.float32), head.affine)


def stripped(head: Volume) -> Volume:
    prepared = prepare_volume(head, PrepareSettings())
    assert prepared.own is not None
    return Volume(head.data * prepared.own.mask(), head.affine)


def lying(*flips: float) -> Callable[[Volume], Volume]:
    return lambda head: Volume(head.data, np.diag([*flips, 1.0]) @ head.affine)


WAYS: dict[str, Callable[[Volume], Volume]] = {
    **{f"turned {d:+d}° about {'xyz'[a]}": turned(a, d) for a in range(3) for d in (-40, -15, 15, 40)},
    "shifted by 40 mm": shifted,
    "stored with other axes": stored_otherwise,
    **{f"3 mm along {'xyz'[a]}": thick(a) for a in (2, 1)},
    "strong bias field": dimmed,
    "stripped": stripped,
}
LIES: dict[str, Callable[[Volume], Volume]] = {
    "header upside down": lying(1, 1, -1),
    "header back to front": lying(1, -1, 1),
    "header turned by 180°": lying(1, -1, -1),
}


def prepared_or_gate(head: Volume, settings: PrepareSettings) -> PreparedScan | str:
    try:
        return prepare_volume(head, settings)
    except ScanRefused as refusal:
        return refusal.gate


def heads(data: Path | None, number: int) -> dict[str, Volume]:
    if data is None:
        return {f"simulated {seed}": simulate_head(seed, spacing_mm=2.0) for seed in range(number)}
    scans = find_scans([data])
    chosen = [scans[i] for i in np.linspace(0, len(scans) - 1, min(number, len(scans))).astype(int)]
    return {scan.key: reorient(read_volume(scan.path)) for scan in chosen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--model", help="a shipped model or a folder")
    options = parser.parse_args()
    loaded = load_model(options.model)
    settings = loaded.card.settings.prepare
    worst, worst_common, refused, wrong = 1.0, 1.0, 0, 0
    moves = []
    print(
        "| head | scanned otherwise | correlation, or gate | within both masks | Dice of the masks "
        "| age moves, years |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, head in heads(options.data, options.heads).items():
        base = prepared_or_gate(head, settings)
        if isinstance(base, str):
            print(f"| {name} | as it is | {base} | | | |", flush=True)
            continue
        age = look(base, loaded).age
        for way, make in (WAYS | LIES).items():
            other = prepared_or_gate(make(head), settings)
            if isinstance(other, str):
                refused += way in WAYS
                print(f"| {name} | {way} | {other} | | | |", flush=True)
                continue
            r = np.corrcoef(base.data[base.mask], other.data[base.mask])[0, 1]
            both = base.mask & other.mask
            common = np.corrcoef(base.data[both], other.data[both])[0, 1]
            dice = 2 * (base.mask & other.mask).sum() / (base.mask.sum() + other.mask.sum())
            move = look(other, loaded).age - age
            if way in LIES:
                wrong += 1
            else:
                worst, worst_common = min(worst, r), min(worst_common, common)
                moves += [] if "40°" in way else [abs(move)]
            print(f"| {name} | {way} | {r:.4f} | {common:.4f} | {dice:.4f} | {move:+.2f} |", flush=True)
    print(
        f"\nworst correlation {worst:.4f}, within both masks {worst_common:.4f} (wanted: {ALIKE}); "
        f"{refused} refused, {wrong} lying headers passed; age moves by at most {MOST_YEARS:g} years in "
        f"{np.mean(np.array(moves) <= MOST_YEARS):.0%} of {len(moves)} (wanted: 95 %), "
        f"by {max(moves):.2f} at most"
    )


if __name__ == "__main__":
    main()
