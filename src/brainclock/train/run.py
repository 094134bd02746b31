"""A training from scans to a model folder; killed anywhere, it goes on where it stopped."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from brainclock.config import RunSettings
from brainclock.errors import InputError, OutputError
from brainclock.io.atomic import make_folder, write_json
from brainclock.io.lock import writing
from brainclock.io.scan import Scan
from brainclock.io.tables import write_table
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.card import ModelCard, describe_cohort, hashed_id, versions
from brainclock.model.folder import save_model
from brainclock.stats.age_bias import AgeBiasCorrection, fit_age_bias
from brainclock.stats.conformal import FEWEST as FEWEST_FOR_INTERVALS
from brainclock.stats.conformal import Calibration, calibrate
from brainclock.train.cohort import Cohort, healthy_with_age, log_who_trains, prepare_cohort
from brainclock.train.cross_fit import CrossFitted, cross_fit
from brainclock.train.fit import FEWEST
from brainclock.train.memory import keep_freed_memory
from brainclock.train.objective import check_objective

logger = logging.getLogger("brainclock")

#: What a run needs to go on; in the model folder, may be deleted afterwards.
WORK = ".work"


def train(
    scans: Sequence[Scan],
    out: str | Path,
    settings: RunSettings,
    *,
    name: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> Path:
    """Train a model on healthy people and return its folder.

    Parameters
    ----------
    scans : sequence of Scan
        With ages; people whose group is not HC do not train.
    out : str or Path
        The model folder: the model itself, ``run.json`` (settings, versions, what each scan was made from,
        and which were left out), ``metrics.tsv`` (a row an epoch; of an ensemble ``metrics_fold-0.tsv`` and
        so on), ``validation.tsv`` (ages of the people held out) and ``train.log``.
    settings : RunSettings
    name : str or None
        Of the model; None takes the name of the folder.
    workers, scheduler
        For the preparation, as in `execution.map_scans`.

    Raises
    ------
    InputError
        Nobody can train, an age is missing, too few people are left, or the name cannot be one.
    ConfigError
        The encoder does not fit the grid, or blocks the objective.
    OutputError
        The folder cannot be written.

    Examples
    --------
    >>> scans = brainclock.find_scans(["BIDS_DATASET"])
    >>> folder = brainclock.train(scans, "my-model", brainclock.load_settings("run.toml"))
    >>> brainclock.predict(scans[0].path, folder).status
    'ok'
    """
    out = Path(out)
    name = name or out.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError("name of the model", repr(name), "letters, digits, . _ -", "Give one with --name.")
    # What is to be refused is refused before hours of work, and before anything is written.
    BrainAgeModel.build(settings)
    check_objective(settings)
    healthy = healthy_with_age(scans)
    _check_people(len({scan.participant_id for scan in healthy}), settings.train.folds)
    work = make_folder(out / WORK)
    keep_freed_memory()
    with writing(out), _logged_to(out / "train.log"):
        log_who_trains(scans)
        cohort = prepare_cohort(
            healthy,
            settings.prepare,
            work,
            labels=settings.augment.synthetic > 0,
            workers=workers,
            scheduler=scheduler,
        )
        _write_run(out, cohort, settings)
        fitted = cross_fit(cohort, settings, folder=work, tables=out)
        _write_validation(out / "validation.tsv", cohort, fitted)
        card = save_model(fitted.model, _card(name, settings, cohort, fitted), fitted.familiarity, out)
        logger.info("%s is done.", card.identity)
    return out


def _check_people(people: int, folds: int) -> None:
    """Refuse too few people; with folds, a member trains without one of them."""
    train = people - (-(-people // folds) if folds > 1 else 0)
    if train < FEWEST:
        each = " in each member" if folds > 1 else ""
        raise InputError(f"training people{each}", train, f"at least {FEWEST}", "Add people with ages.")


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Also write what is logged to a file, after what an earlier run wrote."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Choose another output.") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    if before == logging.NOTSET:  # nobody has chosen one
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


def _write_validation(path: Path, cohort: Cohort, fitted: CrossFitted) -> None:
    """Write the people held out; where there are none, no table of an earlier run stays."""
    path.unlink(missing_ok=True)
    columns = ("participant_id", "key", "predicted_age", "age", "brain_age_gap", "sex", "site", "fold")
    places = zip(fitted.held_out.tolist(), fitted.folds.tolist(), fitted.predicted_ages.tolist(), strict=True)
    rows = [
        {
            "participant_id": cohort.participants[row],
            "key": cohort.keys[row],
            "predicted_age": age,
            "age": cohort.ages[row],
            "brain_age_gap": age - cohort.ages[row],
            "sex": cohort.sexes[row],
            "site": cohort.sites[row],
            "fold": fold,
        }
        for row, fold, age in places
    ]
    if rows:
        write_table(path, rows, columns)


def _calibration(cohort: Cohort, fitted: CrossFitted) -> tuple[Calibration | None, AgeBiasCorrection | None]:
    """Return what intervals and corrections are made from: ages of the people held out, one each.

    None for what needs more people, or people of other ages.
    """
    rows_of: dict[tuple[str, str], list[int]] = {}
    for place, row in enumerate(fitted.held_out):
        rows_of.setdefault((cohort.participants[row], cohort.sites[row]), []).append(place)
    if len(rows_of) < FEWEST_FOR_INTERVALS:
        logger.info(
            "%d people held out: too few for intervals, %d are needed.", len(rows_of), FEWEST_FOR_INTERVALS
        )
        return None, None
    predicted, ages = fitted.predicted_ages, cohort.ages[fitted.held_out]
    means = [(predicted[places].mean(), ages[places].mean()) for places in rows_of.values()]
    both = np.array(means, dtype=np.float64)
    try:
        age_bias = fit_age_bias(both[:, 0], both[:, 1])
    except InputError as error:
        logger.info("%s", error)
        age_bias = None
    return calibrate(both[:, 0], both[:, 1]), age_bias


def _card(name: str, settings: RunSettings, cohort: Cohort, fitted: CrossFitted) -> ModelCard:
    rows_of: dict[str, list[int]] = {}
    for row in fitted.training.tolist():
        rows_of.setdefault(cohort.sites[row], []).append(row)
    trained = {hashed_id(cohort.participants[row], cohort.sites[row]) for row in fitted.training}
    calibration, age_bias = _calibration(cohort, fitted)
    return ModelCard(
        name=name,
        settings=settings,
        cohorts=tuple(
            describe_cohort(
                site,
                [cohort.participants[row] for row in rows],
                [float(cohort.ages[row]) for row in rows],
                [cohort.sexes[row] for row in rows],
            )
            for site, rows in sorted(rows_of.items())
        ),
        training_ids=tuple(sorted(trained)),
        metrics=fitted.metrics,
        calibration=calibration,
        age_bias=age_bias,
    )


def _write_run(out: Path, cohort: Cohort, settings: RunSettings) -> None:
    """Write what is needed to run it again."""
    write_json(
        out / "run.json",
        {
            "command": "train",
            "settings": settings.model_dump(mode="json"),
            "versions": versions(),
            "scans": dict(zip(cohort.keys, cohort.sources, strict=True)),
            "left_out": cohort.left_out,
        },
    )
