"""Milliseconds to synthesise a view from a label map, against the look that training makes of a real scan.

``python benchmarks/synthesis.py [LABELS]``: LABELS is a MUSE label map; without it, shells of tissue. One
thread, a grid of 3 mm (64 × 72 × 64), the median of 30 after a warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SHAPE, SPACING_MM = (64, 72, 64), (3.0, 3.0, 3.0)
SHELLS = (("csf", 1.0), ("cortex", 0.93), ("white", 0.75), ("thalamus", 0.3), ("ventricle", 0.2))


def shells() -> np.ndarray:
    """Return an ellipsoid as large as a brain, of CSF, cortex, white matter and what lies within."""
    from brainclock.simulate.muse import class_code

    places = [np.linspace(-1, 1, size) * size * 3 / 2 for size in SHAPE]
    x, y, z = np.meshgrid(*places, indexing="ij")
    radius = np.sqrt((x / 68) ** 2 + (y / 85) ** 2 + (z / 65) ** 2)
    classes = np.zeros(SHAPE, np.uint8)
    for name, outer in SHELLS:
        classes[radius < outer] = class_code(name)
    return classes


def from_file(path: Path) -> np.ndarray:
    """Return a label map on a grid of 3 mm about its middle."""
    from scipy import ndimage

    from brainclock.io.nifti import read_volume
    from brainclock.prepare.orient import reorient
    from brainclock.simulate.muse import classes_of

    volume = reorient(read_volume(path))
    classes = classes_of(np.rint(volume.data).astype(np.int32), str(path))
    middle = np.argwhere(classes).mean(axis=0)
    step = np.array(SPACING_MM) / volume.spacing_mm
    start = middle - step * (np.array(SHAPE) - 1) / 2
    return np.asarray(ndimage.affine_transform(classes, step, start, output_shape=SHAPE, order=0))


def milliseconds(what: Callable[[int], object], times: int = 30) -> float:
    """Return the median time of a call."""
    what(0)
    spans = []
    for number in range(times):
        start = time.perf_counter()
        what(number)
        spans.append(1000 * (time.perf_counter() - start))
    return statistics.median(spans)


def report(classes: np.ndarray) -> None:
    """Print the times and their ratio."""
    import torch

    from brainclock.config import AugmentSettings
    from brainclock.simulate.synthesis import draw_palette, paint, synthesise
    from brainclock.train.augment import draw_look, look_like

    torch.set_num_threads(1)
    scan = torch.from_numpy(
        paint(classes, draw_palette("t1w", np.random.default_rng(0)), SPACING_MM, np.random.default_rng(0))
    )

    def painted(number: int) -> object:
        rng = np.random.default_rng(number)
        return paint(classes, draw_palette("t1w", rng), SPACING_MM, rng)

    def look(number: int) -> object:
        drawn = draw_look(AugmentSettings(), torch.Generator().manual_seed(number))
        return look_like(scan[None, None], drawn, SPACING_MM)

    whole = milliseconds(lambda number: synthesise(classes, SPACING_MM, np.random.default_rng(number)))
    parts, rival = milliseconds(painted), milliseconds(look)
    print(f"synthesise {whole:.0f} ms, of which paint {parts:.0f} ms; a look of a real scan {rival:.0f} ms")
    print(f"ratio {whole / rival:.2f}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path, nargs="?")
    labels = parser.parse_args().labels
    report(shells() if labels is None else from_file(labels))


if __name__ == "__main__":
    main()
