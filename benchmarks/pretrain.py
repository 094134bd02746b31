"""Whether simulated people help with real ones: pre-training against training from scratch.

``python benchmarks/pretrain.py DATA --cohort FOLDER [--config TOML] [--set KEY=VALUE] [--seeds 1 2 3]``

An encoder is trained with Rank-N-Contrast on the healthy simulated people of FOLDER (``brainclock
simulate``), then on the real people of DATA; the rival sees real people alone. Both have the same folds,
seeds and steps on real people (``--pretrain-steps`` more come before). Prints, also for each site left out,
the absolute error over seeds and folds, and the paired test over people: keep the simulated people only if it
says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from brainclock.config import RunSettings, load_settings
from brainclock.io.find import find_scans
from brainclock.io.tables import write_table
from brainclock.stats.paired import paired_difference
from brainclock.train.cohort import Cohort, healthy_with_age, prepare_cohort
from brainclock.train.fit import FEWEST, fit
from brainclock.train.memory import keep_freed_memory
from brainclock.train.split import assign_folds
from brainclock.train.views import Views, make_views

NOBODY = np.array([], dtype=np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--cohort", type=Path, required=True, help="simulated people")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--pretrain-steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("pretrain"), help="prepared scans, and the table")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    keep_freed_memory()
    settings = load_settings(options.config, options.overrides)
    real = people_of(options.data, settings, options.work / "real", options.workers)
    simulated = people_of([options.cohort], settings, options.work / "simulated", options.workers)
    before = settings.model_copy(
        update={
            "train": settings.train.model_copy(update={"steps": options.pretrain_steps, "objective": "rnc"})
        }
    )
    looks = looks_of(real, settings, options.work / "real")
    early = looks_of(simulated, before, options.work / "simulated")
    rows: list[dict[str, object]] = []
    for seed in options.seeds:
        everybody = np.arange(len(simulated))
        start = fit(simulated, before, everybody, NOBODY, seed=seed, views=early).model
        for split, training, held_out in splits(real, options.folds):
            train = partial(fit, real, settings, training, held_out, seed=seed, views=looks)
            ages = {
                "from scratch": train().predicted_ages,
                "pre-trained": train(start=start).predicted_ages,
            }
            for place, row in enumerate(held_out):
                who = {"split": split, "seed": seed, "key": real.keys[row], "age": real.ages[row]}
                person = {"participant_id": real.participants[row]}
                rows.append(who | person | {name: said[place] for name, said in ages.items()})
            print(f"seed {seed}, {split}: done", flush=True)
    columns = ["split", "seed", "key", "participant_id", "age", "from scratch", "pre-trained"]
    write_table(options.work / "predictions.tsv", rows, columns)
    for what in dict.fromkeys(str(row["split"]).split(" ")[0] for row in rows):
        show(what, [row for row in rows if str(row["split"]).split(" ")[0] == what])


def people_of(data: Sequence[Path], settings: RunSettings, folder: Path, workers: int) -> Cohort:
    scans = healthy_with_age(find_scans(data))
    labels = settings.augment.synthetic > 0
    return prepare_cohort(scans, settings.prepare, folder, labels=labels, workers=workers)


def splits(cohort: Cohort, folds: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return the cross-validation, and each site left out without which half of the people are left."""
    of = assign_folds(cohort.ages, cohort.participants, cohort.sites, folds, 1)
    found = [
        (f"cross-validation {k}", np.flatnonzero(of != k), np.flatnonzero(of == k)) for k in range(folds)
    ]
    sites = np.array(cohort.sites)
    for site in sorted(set(cohort.sites)):
        training = np.flatnonzero(sites != site)
        if 2 * len(training) >= len(cohort) > len(training) >= FEWEST:
            found.append((f"without-{site} ", training, np.flatnonzero(sites == site)))
    return found


def looks_of(cohort: Cohort, settings: RunSettings, folder: Path) -> Views:
    return make_views(cohort.volumes, cohort.keys, settings, folder, cohort.sources, cohort.classes)


def show(what: str, rows: Sequence[dict[str, object]]) -> None:
    """Compare the absolute errors, a mean over seeds and scans for each person."""
    people = list(dict.fromkeys(str(row["participant_id"]) for row in rows))
    errors = {}
    for rival in ("from scratch", "pre-trained"):
        of: dict[str, list[float]] = {person: [] for person in people}
        for row in rows:
            of[str(row["participant_id"])].append(abs(float(str(row[rival])) - float(str(row["age"]))))
        errors[rival] = np.array([np.mean(of[person]) for person in people])
        print(f"{what}: {rival}, MAE {errors[rival].mean():.2f} years, {len(people)} people")
    found = paired_difference(errors["pre-trained"], errors["from scratch"], np.random.default_rng(1))
    print(
        f"{what}: pre-trained − from scratch {found.difference:+.2f} years "
        f"({found.low:+.2f} to {found.high:+.2f}), Wilcoxon p = {found.p_wilcoxon:.3f}"
    )


if __name__ == "__main__":
    main()
