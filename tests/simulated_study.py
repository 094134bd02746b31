"""What the examples in the documentation work on: simulated people, made in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brainclock.io.nifti import write_volume
from brainclock.io.tables import write_table
from brainclock.simulate.head import simulate_head
from tiny_model import GRID, write_brain

PEOPLE = 16
HEAD_SEED, HEAD_AGE, HEAD_SPACING_MM = 3, 60.0, 4.0
#: A training that takes a second.
RUN = f"""
seed = 3
device = "cpu"
[prepare]
bias = "none"
grid = {{ shape = {list(GRID.shape)}, affine = {[list(row) for row in GRID.affine]} }}
[prepare.gates]
min_contrast = -1.0
[channels]
channels = ["intensity"]
pool = [1, 1, 1]
[encoder]
depth = 10
width = 4
cells = [1, 1, 1]
[augment]
looks = 2
[train]
steps = 20
batch_size = 6
"""


def write_study(folder: Path) -> Path:
    """Write all that the examples name; the folder in which they run.

    ``sub-01_T1w.nii.gz`` is a raw head. ``BIDS_DATASET`` has 16 brains in template space, with their masks:
    nothing is left to find, so that they are prepared in milliseconds. ``participants.tsv`` and
    ``predictions.tsv`` are of 60 others, half of them patients whose brains look six years older.
    """
    head = simulate_head(HEAD_SEED, age=HEAD_AGE, spacing_mm=HEAD_SPACING_MM)
    write_volume(folder / "sub-01_T1w.nii.gz", np.rint(head.data), head.affine, dtype=np.int16)
    dataset, rows = folder / "BIDS_DATASET", []
    for number in range(PEOPLE):
        person = f"sub-{number + 1:02}"
        write_brain(dataset / person / "anat", f"{person}_space-MNI152NLin2009aSym", number)
        rows.append({"participant_id": person, "age": 20.0 + 4 * number, "sex": "FM"[number % 2]})
    write_table(dataset / "participants.tsv", rows, list(rows[0]))
    write_tables(folder)
    (folder / "run.toml").write_text(RUN, encoding="utf-8")
    return folder


def write_tables(folder: Path, people: int = 60) -> None:
    """Write predicted ages of people, two scans each, and what else is known of them."""
    rng = np.random.default_rng(4)
    known, predicted = [], []
    for number in range(people):
        person, ill = f"sub-{number + 1:03}", number % 2 == 1
        age = float(np.round(rng.uniform(60, 85), 1))
        gap = rng.normal(6.0 if ill else 0.0, 3.0)
        mmse = int(np.clip(np.round(29 - 0.7 * max(gap, 0) + rng.normal(0, 1.5)), 0, 30))
        row = {"participant_id": person, "age": age, "sex": "FM"[number // 2 % 2]}
        known.append({**row, "group": "AD" if ill else "HC", "mmse": mmse})
        for session in ("ses-1", "ses-2"):
            seen = round(age + gap + rng.normal(0, 1), 2)
            predicted.append({"participant_id": person, "session_id": session, "predicted_age": seen})
    write_table(folder / "participants.tsv", known, list(known[0]))
    write_table(folder / "predictions.tsv", predicted, list(predicted[0]))
