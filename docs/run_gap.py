"""Make the tables from which docs/make_gap.py writes docs/gap.md.

``python docs/run_gap.py oasis1 OASIS1_SLAB MODEL WORK``: real patients. OASIS1_SLAB is the dataset
(with a ``scans.tsv``: age, sex, group, cdr, mmse, education, nwbv, etiv), MODEL the folder that
``brainclock train`` made of it: its ``validation.tsv`` has the ages of healthy people by networks that
never saw them, and no patient trained it. WORK takes what comes on the way. Only numbers about groups
go to docs/gap.

``python docs/run_gap.py simulated WORK [--n 240] [--seed 1] [--model NAME] [--workers 2]``: simulated heads.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np

from brainclock.cli.main import main as brainclock
from brainclock.io.atomic import write_json
from brainclock.io.tables import Row, read_table, write_table
from brainclock.stats.conformal import coverage, left_out_coverage
from brainclock.stats.linear import fit_linear

GAP = Path(__file__).parent / "gap"
#: Of the patients' ages: younger people say nothing about how these age.
OLD = 60.0
FLUID = {"external_csf", "lateral_ventricle", "third_ventricle", "fourth_ventricle"}
#: What of gap.json goes into the documentation; it names no person and no folder.
KEPT = (
    "age_bias_correction",
    "counts",
    "groups",
    "methods",
    "missing",
    "notes",
    "plan",
    "problems",
    "results",
)


def oasis1(data: Path, model: Path, work: Path) -> None:
    """Compare patients with healthy people, nobody read by a network that knows him."""
    scans = read_table(data / "scans.tsv")
    images = {image.name.removesuffix("_T1w.nii.gz"): image for image in data.rglob("*_T1w.nii.gz")}
    named = {re.sub(r"_(space|desc|res|acq|run)-[^_]+", "", name): path for name, path in images.items()}
    patients = [
        {**row, "path": named[f"{row['participant_id']}_{row['session_id']}"].resolve()}
        for row in scans
        if row["group"] == "AD"
    ]
    write_table(work / "patients.tsv", patients, ["path", "participant_id", "session_id"])
    run("predict", work / "patients.tsv", "-o", work / "patients", "--model", model)
    session = re.compile(r"_(ses-[A-Za-z0-9]+)")
    healthy = [
        {**row, "session_id": session.search(row["key"])[1]}  # type: ignore[index]
        for row in read_table(model / "validation.tsv")
    ]
    ill = [row for row in read_table(work / "patients" / "predictions.tsv") if row["status"] == "ok"]
    both: list[dict[str, object]] = [
        {name: row[name] for name in ("participant_id", "session_id", "predicted_age")}
        for row in (*healthy, *ill)
    ]
    age = {(row["participant_id"], row["session_id"]): float(row["age"]) for row in scans}
    old = [row for row in both if age[str(row["participant_id"]), str(row["session_id"])] >= OLD]
    asked = ["--severity", "mmse,cdr", "--volumes", "nwbv,etiv"]
    for name, rows, held in (
        ("oasis1", old, "age,age2,sex,education"),
        ("oasis1_all_ages", both, "age,age2,sex"),
    ):
        write_table(work / f"{name}.tsv", rows, list(rows[0]))
        table = work / f"{name}.tsv"
        run("gap", table, data / "scans.tsv", "-o", work / name, *asked, "--covariates", held)
        keep(work / name, name)
    write_json(GAP / "oasis1_intervals.json", left_out(healthy))


def simulated(work: Path, n: int, seed: int, model: str | None, workers: int) -> None:
    """Simulate patients, read their ages, and compare what comes out with what was put in."""
    cohort, shares = work / "cohort", ["ad.share=0.25", "pd.share=0.25"]
    settings = [*shares, "ages=[50, 90]", "truth_maps=false"]
    sets = [word for one in settings for word in ("--set", one)]
    run("simulate", cohort, "--n", n, "--seed", seed, *sets, "--workers", workers, may_fail=True)
    chosen = [] if model is None else ["--model", model]
    run("predict", cohort, "-o", work / "ages", "--workers", workers, *chosen, may_fail=True)
    people = with_volumes(read_table(cohort / "participants.tsv"), cohort / "derivatives" / "truth")
    for disease, scores in (("AD", "mmse,cdr_sb"), ("PD", "mds_updrs_iii,hoehn_yahr,moca,mmse")):
        name = f"simulated_{disease.lower()}"
        own = [row for row in people if row["group"] in ("HC", disease)]
        write_table(work / f"{name}.tsv", own, list(own[0]))
        asked = ["--severity", scores, "--volumes", "brain_ml,ventricles_ml", "--covariates", "age,age2,sex"]
        run("gap", work / "ages" / "predictions.tsv", work / f"{name}.tsv", "-o", work / name, *asked)
        keep(work / name, name)
    write_json(GAP / "simulated_truth.json", recovery(work, cohort))


def with_volumes(people: list[Row], truth: Path) -> list[dict[str, object]]:
    """Add the true volumes of brain and ventricles: no measured volume can be a stronger rival."""
    key = {row["key"]: row["participant_id"] for row in read_table(truth / "truth.tsv")}
    brain: dict[str, float] = {}
    fluid: dict[str, float] = {}
    for row in read_table(truth / "volumes.tsv"):
        name = re.sub(r"[ _](left|right|l|r)$", "", row["structure"].casefold())
        sums = fluid if name in FLUID else brain
        if name != "external_csf":
            person = key[row["key"]]
            sums[person] = sums.get(person, 0.0) + float(row["volume_ml"])
    return [
        {**row, "brain_ml": brain[row["participant_id"]], "ventricles_ml": fluid[row["participant_id"]]}
        for row in people
        if row["participant_id"] in brain  # a head that could not be made has none
    ]


def recovery(work: Path, cohort: Path) -> dict[str, object]:
    """Return how the predicted age of simulated healthy people follows their true gap, at equal age."""
    truth = {row["key"]: row for row in read_table(cohort / "derivatives" / "truth" / "truth.tsv")}
    rows = [row for row in read_table(work / "ages" / "predictions.tsv") if row["status"] == "ok"]
    rows = [row for row in rows if truth[row["key"]]["group"] == "HC"]
    age = np.array([float(truth[row["key"]]["age"]) for row in rows])
    gap = np.array([float(truth[row["key"]]["brain_age_gap"]) for row in rows])
    predicted = np.array([float(row["predicted_age"]) for row in rows])
    design = np.column_stack([np.ones(len(rows)), gap, age - age.mean()])
    fit = fit_linear(predicted, design, ("intercept", "true gap", "age"))
    found = {}
    for name in ("true gap", "age"):
        effect = fit.effect(name)
        found[name] = {"slope": effect.value, "low": effect.low, "high": effect.high}
    error = predicted - age
    return {
        "healthy": len(rows),
        "mae": float(np.abs(error).mean()),
        "mean_error": float(error.mean()),
        "naive_mae": float(np.abs(age - np.median(age)).mean()),
        "predicted_age_on": found,
    }


def left_out(healthy: list[dict[str, object]]) -> dict[str, object]:
    """Return how many healthy people lie in the 90 % interval that the errors of the others give."""
    ages: dict[str, list[tuple[float, float]]] = {}
    for row in healthy:
        pair = float(str(row["predicted_age"])), float(str(row["age"]))
        ages.setdefault(str(row["participant_id"]), []).append(pair)
    both = np.array([np.mean(pairs, axis=0) for pairs in ages.values()])
    inside = left_out_coverage(both[:, 0], both[:, 1])
    groups = {"all": np.ones(len(both), dtype=bool)}
    for start in np.unique(np.floor(both[:, 1] / 10) * 10):
        groups[f"{start:.0f} to {start + 10:.0f}"] = np.floor(both[:, 1] / 10) * 10 == start
    found: dict[str, object] = {}
    for name, own in groups.items():
        share, low, high = coverage(int(inside[own].sum()), int(own.sum()))
        found[name] = {"people": int(own.sum()), "coverage": share, "low": low, "high": high}
    return found


def run(*words: object, may_fail: bool = False) -> None:
    """Run a command of brainclock, and say which."""
    command = [str(word) for word in words]
    print("$ brainclock", shlex.join(command), flush=True)  # noqa: T201
    code = brainclock(command)
    if code and not (may_fail and code == 1):
        sys.exit(code)


def keep(results: Path, name: str) -> None:
    """Copy what is about groups, and nothing else, to docs/gap."""
    found = json.loads((results / "gap.json").read_text(encoding="utf-8"))
    write_json(GAP / f"{name}.json", {key: found[key] for key in KEPT})
    rows = read_table(results / "gap.tsv")
    columns = list(rows[0])
    write_table(GAP / f"{name}.tsv", [{c: row[c] for c in columns} for row in rows], columns)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="analysis", required=True)
    real = commands.add_parser("oasis1")
    for name in ("data", "model", "work"):
        real.add_argument(name, type=Path)
    made = commands.add_parser("simulated")
    made.add_argument("work", type=Path)
    made.add_argument("--n", type=int, default=240)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--model")
    made.add_argument("--workers", type=int, default=2)
    given = vars(parser.parse_args())
    if given.pop("analysis") == "oasis1":
        oasis1(**given)
    else:
        simulated(**given)


if __name__ == "__main__":
    main()
