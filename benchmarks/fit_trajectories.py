"""Fit the curves of healthy ageing in ``trajectories.toml`` and hold them against labelled heads.

Usage: ``python benchmarks/fit_trajectories.py CENTILES.tsv [LABELS_FOLDER PARTICIPANTS.tsv]``

CENTILES: columns structure, age, p5 … p95 (mm³) of MUSE structures. For each structure of
``trajectories.toml``: the median volume by decade over its mean at 21 to 29, to three digits, as the file has
it. With label maps (``*_dseg.nii.gz``, MUSE codes) and a table of ages: the same curve and the residual
spread of those people, volumes as shares of all labels, head size taken out. Neither table is in this
repository.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from brainclock.io.nifti import read_volume
from brainclock.io.tables import read_table
from brainclock.simulate.trajectories import AGES, load_trajectories

#: Rows of the table of centiles whose sum is a structure.
CENTILES = {
    "lateral_ventricle": ("Ventricle_L", "Ventricle_R"),
    "third_ventricle": ("3rdVentricle",),
    "fourth_ventricle": ("4thVentricle",),
    "hippocampus": ("Hippocampus_L", "Hippocampus_R"),
    "amygdala": ("Amygdala_L", "Amygdala_R"),
    "thalamus": ("ThalamusProper_L", "ThalamusProper_R"),
    "caudate": ("Caudate_L", "Caudate_R"),
    "putamen": ("Putamen_L", "Putamen_R"),
    "pallidum": ("Pallidum_L", "Pallidum_R"),
    "accumbens": ("AccumbensArea_L", "AccumbensArea_R"),
    "ventral_diencephalon": ("VentralDC_L", "VentralDC_R"),
    "basal_forebrain": ("BasalForebrain_L", "BasalForebrain_R"),
    "cortex_frontal": ("Frontal_GM",),
    "cortex_parietal": ("Parietal_GM",),
    "cortex_temporal": ("Temporal_GM",),
    "cortex_occipital": ("Occipital_GM",),
    "cortex_insula": ("FrontalInsular_GM",),
    "cortex_limbic": ("Limbic_GM",),
    "white_matter": ("WM",),
    "cerebellum": ("Cerebellum",),
    "brainstem": ("BrainStem",),
}


def fitted(path: Path) -> dict[str, list[float]]:
    """Return the median factor of each structure at each of `AGES`."""
    medians: dict[str, dict[float, float]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            medians[row["structure"]][float(row["age"])] = float(row["p50"])
    curves = {}
    for name, parts in CENTILES.items():
        ages = np.array(sorted(medians[parts[0]]))
        volume = np.array([sum(medians[part][age] for part in parts) for age in ages])
        curve = PchipInterpolator(ages, np.log(volume), extrapolate=False)
        young = np.mean(volume[(ages >= 21) & (ages <= 29)])
        curves[name] = [round(float(np.exp(curve(max(age, ages[0]))) / young), 3) for age in AGES]
    return curves


def measured(labels: Path, table: Path) -> dict[str, tuple[list[float], float]]:
    """Return factors at 20 to 80 by a quadratic fit, and the residual spread of log volume."""
    ages, volumes = [], []
    known = {row["participant_id"]: float(row["age"]) for row in read_table(table)}
    for path in sorted(labels.glob("**/*_dseg.nii.gz")):
        volume = read_volume(path)
        counts = np.bincount(volume.data.astype(int).ravel(), minlength=256)
        volumes.append(counts * abs(np.linalg.det(volume.affine[:3, :3])))
        ages.append(known[path.name.split("_")[0]])
    age, ml = np.array(ages) / 50, np.array(volumes) / 1000
    whole = np.log(ml[:, 1:].sum(axis=1))
    design = np.stack([np.ones_like(age), age, age**2, whole - whole.mean()], axis=1)
    found = {}
    for structure in load_trajectories().structures:
        codes = [code for side in structure.muse for code in side]
        y = np.log(ml[:, codes].sum(axis=1)) - whole
        weights, *_ = np.linalg.lstsq(design, y, rcond=None)
        spread = np.std(y - design @ weights, ddof=4)
        at = np.array([20, 30, 40, 50, 60, 70, 80, 25]) / 50
        curve = np.exp(weights[1] * at + weights[2] * at**2)
        found[structure.name] = ([float(value) for value in curve[:-1] / curve[-1]], float(spread))
    return found


def main() -> None:
    """Print the curves."""
    curves = fitted(Path(sys.argv[1]))
    seen = measured(Path(sys.argv[2]), Path(sys.argv[3])) if len(sys.argv) > 3 else {}
    for name, curve in curves.items():
        print(f"{name:22s} factor = [{', '.join(f'{value:.3f}' for value in curve)}]")
        if name in seen:
            factors, spread = seen[name]
            print(f"{'':22s} labels = [{', '.join(f'{value:.3f}' for value in factors)}] sd {spread:.3f}")


if __name__ == "__main__":
    main()
