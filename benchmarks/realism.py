"""How real simulated heads are, and how hard their ages are to read.

``python benchmarks/realism.py [QUESTION] [DATA] [--cohort FOLDER] [--n N] [--model MODEL] [--config TOML]``

``gates``         the default: raw heads through the preparation; how many pass its gates (wanted: 98 %)
``on-simulated``  a model of real people on simulated healthy brains: does it order them by age (wanted:
                  Spearman 0.8)?
``on-real``       a model trained on simulated brains alone on the real healthy people of DATA (wanted:
                  Spearman 0.6); takes hours with the settings of a whole training (``--config``, ``--set``)
``difficulty``    cross-validated ridge on gradient images of simulated brains, and on their true volumes:
                  the latter is the limit of any model that sees volumes alone

``--cohort`` is one that ``brainclock simulate`` made; left out, one of ``--n`` people is made in ``--work``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy import stats

from brainclock.config import RunSettings, load_settings
from brainclock.io.find import find_scans
from brainclock.io.scan import Scan
from brainclock.io.tables import read_table
from brainclock.model.channels import Channels
from brainclock.model.regressor import fit_ridge
from brainclock.predict.run import Prediction, predict_scans
from brainclock.prepare.scans import prepare_scans
from brainclock.simulate.cohort import simulate_cohort
from brainclock.simulate.settings import CohortSettings
from brainclock.stats.metrics import age_metrics
from brainclock.train.cohort import healthy_with_age, prepare_cohort
from brainclock.train.run import train
from brainclock.train.split import assign_folds

FOLDS = 5
#: Of the mean, in everybody.
_LEAST = 0.1


def main() -> None:
    questions: dict[str, Callable[[argparse.Namespace, Path], None]] = {
        "gates": gates,
        "on-simulated": on_simulated,
        "on-real": on_real,
        "difficulty": difficulty,
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("question", choices=questions, nargs="?", default="gates")
    parser.add_argument("data", type=Path, nargs="?", help="real people, for on-real")
    parser.add_argument("--cohort", type=Path)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--model", help="for on-simulated; left out: the shipped one")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--work", type=Path, help="keeps what was made; left out: nothing is kept")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.question == "on-real" and options.data is None:
        parser.error("on-real needs DATA")
    with TemporaryDirectory() as temporary:
        questions[options.question](options, options.work or Path(temporary))


def gates(options: argparse.Namespace, work: Path) -> None:
    """Prepare raw heads of all ages, healthy and not, from many scanners."""
    patients = CohortSettings.model_validate(
        {"ad": {"share": 0.2}, "pd": {"share": 0.1}, "sites": 20, "truth_maps": False}
    )
    folder = options.cohort or simulated(options, work / "raw", patients)
    settings = load_settings(options.config, options.overrides).prepare
    rows = prepare_scans(find_scans([folder]), work / "prepared", settings, workers=options.workers)
    failed = [row for row in rows if row.status == "failed"]
    for row in failed:
        print(f"{row.scan.key}: {row.reason}")
    share = 1 - len(failed) / len(rows)
    print(f"{len(rows) - len(failed)} of {len(rows)} raw simulated heads pass the gates: {share:.1%}")


def on_simulated(options: argparse.Namespace, work: Path) -> None:
    scans = healthy_with_age(find_scans([options.cohort or brains(options, work)]))
    answers = predict_scans(scans, work / "ages", model=options.model, workers=options.workers)
    show(f"{answers[0].brain_age.model}, simulated healthy people", *ages_of(answers))


def on_real(options: argparse.Namespace, work: Path) -> None:
    """Train on simulated brains, predict real people; also by site, for each has a look of its own."""
    scans = healthy_with_age(find_scans([options.cohort or brains(options, work)]))
    settings = load_settings(options.config, options.overrides)
    model = train(scans, work / "model", settings, name="simulated", workers=options.workers)
    people = healthy_with_age(find_scans([options.data]))
    answers = predict_scans(people, work / "ages", model=str(model), workers=options.workers)
    show("trained on simulated people, real people", *ages_of(answers))
    for site, n in Counter(one.scan.site for one in answers).items():
        there = [one for one in answers if one.scan.site == site]
        if n > 2 and n < len(answers):
            show(f"  {site or 'no site named'}", *ages_of(there))


def difficulty(options: argparse.Namespace, work: Path) -> None:
    folder = options.cohort or brains(options, work)
    settings = load_settings(options.config, options.overrides)
    scans = healthy_with_age(find_scans([folder]))
    cohort = prepare_cohort(scans, settings.prepare, work, workers=options.workers)
    folds = assign_folds(cohort.ages, cohort.participants, cohort.sites, FOLDS, 1)
    images = gradients(cohort.volumes, settings)
    show("ridge on gradients", cohort.ages, left_out(images, cohort.ages, cohort.participants, folds))
    volumes = true_volumes(folder, cohort.keys)
    show("ridge on true volumes", cohort.ages, left_out(volumes, cohort.ages, cohort.participants, folds))


def left_out(columns: np.ndarray, ages: np.ndarray, people: Sequence[str], folds: np.ndarray) -> np.ndarray:
    """Return the age of each person by a ridge that the others trained."""
    said = np.zeros(len(ages))
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds != fold)
        fitted = fit_ridge(columns[rows], ages[rows], [people[row] for row in rows.tolist()])
        said[folds == fold] = fitted.predict(columns[folds == fold])
    return said


def gradients(volumes: Sequence[np.ndarray], settings: RunSettings) -> np.ndarray:
    """Return what the encoder would see of each scan, one row a scan, where everybody has something.

    A voxel that is nearly the same in all would be blown up by the ridge, which standardises.
    """
    channels = Channels(settings.channels, settings.prepare.grid.spacing_mm)
    with torch.no_grad():
        seen = [channels(torch.from_numpy(np.asarray(one, np.float32))[None, None]) for one in volumes]
    rows = torch.cat(seen).flatten(1).double().numpy()
    return np.asarray(rows[:, rows.min(axis=0) > _LEAST * rows.mean()])


def true_volumes(cohort: Path, keys: Sequence[str]) -> np.ndarray:
    """Return the logarithm of each volume over the head, and of the lesions; one row a scan."""
    truth = cohort / "derivatives" / "truth"
    heads = {row["key"]: row for row in read_table(truth / "truth.tsv")}
    factors: dict[str, list[float]] = {key: [] for key in keys}
    for row in read_table(truth / "volumes.tsv"):
        if row["key"] in factors:
            factors[row["key"]].append(float(np.log(float(row["achieved_factor"]))))
    more = {
        key: [float(heads[key]["grey_level"]), np.log(float(heads[key]["lesions_ml"]) + 0.1)] for key in keys
    }
    columns = np.array([factors[key] + more[key] for key in keys])
    return np.asarray((columns - columns.mean(axis=0)) / columns.std(axis=0))


def brains(options: argparse.Namespace, work: Path) -> Path:
    settings = CohortSettings(image="brain", ages=(20.0, 85.0), spacing_mm=2.0, sites=12, truth_maps=False)
    return simulated(options, work / "cohort", settings)


def simulated(options: argparse.Namespace, folder: Path, settings: CohortSettings) -> Path:
    simulate_cohort(folder, options.n, seed=1, settings=settings, workers=options.workers)
    return folder


def ages_of(answers: Sequence[Prediction]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ages and the predicted ages of those who have one, and say how many have none."""
    known = [one for one in answers if one.brain_age.predicted_age is not None]
    if len(known) < len(answers):
        print(f"{len(answers) - len(known)} of {len(answers)} scans were refused")
    ages: list[Scan] = [one.scan for one in known]
    return np.array([scan.age for scan in ages]), np.array([one.brain_age.predicted_age for one in known])


def show(title: str, ages: np.ndarray, said: np.ndarray) -> None:
    spearman = stats.spearmanr(ages, said).statistic
    found = {key: float(value[0]) for key, value in age_metrics(said, ages).items()}
    figures = f"MAE {found['mae']:.2f} years, R2 {found['r2']:.2f}, mean error {np.mean(said - ages):+.1f}"
    print(f"{title}: {len(ages)} people, Spearman {spearman:.2f}, {figures}", flush=True)


if __name__ == "__main__":
    main()
