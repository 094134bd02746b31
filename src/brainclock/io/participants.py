"""The folders of chosen participants and sessions in a BIDS dataset, without a look into the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.read import read_json


def choose_folders(
    dataset: Path, participants: Sequence[str] = (), sessions: Sequence[str] = ()
) -> list[Path]:
    """Return the folders in which the scans of some participants and sessions lie.

    Parameters
    ----------
    dataset : Path
        A BIDS dataset.
    participants, sessions : sequence of str
        Labels, with or without ``sub-`` and ``ses-``; none means all.

    Returns
    -------
    list of Path
        The dataset itself if nothing is chosen; else in the order of their names, each once.

    Raises
    ------
    InputError
        There is no such folder, no such participant, or none of them has such a session.
    """
    if not dataset.is_dir():
        raise InputError(str(dataset), "no such folder", "a BIDS dataset", "Check the path.")
    if not participants and not sessions:
        return [dataset]
    if participants:
        persons = [_chosen(dataset, "sub", label, "--participant-label") for label in participants]
    else:
        persons = [path for path in dataset.glob("sub-*") if path.is_dir()]
    persons = sorted(set(persons))
    if not sessions:
        return persons
    names = sorted({f"ses-{label.removeprefix('ses-')}" for label in sessions})
    for name in names:
        if not any((person / name).is_dir() for person in persons):
            expected = f"a folder {name} of one of the participants"
            raise InputError(f"--session-label {name[4:]}", "none", expected, "Check the label.")
    return [person / name for person in persons for name in names if (person / name).is_dir()]


def _chosen(dataset: Path, entity: str, label: str, option: str) -> Path:
    """Return the folder of a label."""
    name = f"{entity}-{label.removeprefix(f'{entity}-')}"
    folder = dataset / name
    if label.removeprefix(f"{entity}-") and folder.is_dir():
        return folder
    number = sum(path.is_dir() for path in dataset.glob(f"{entity}-*"))
    raise InputError(
        f"{option} {label}", "no such participant", f"one of the {number} in {dataset}", "Check it."
    )


def check_dataset(dataset: Path) -> None:
    """Refuse a folder that does not say that it is a BIDS dataset; raises `InputError`.

    Whether its files have the names that BIDS wants is for the BIDS validator to say.
    """
    path = dataset / "dataset_description.json"
    fix = "Mend it, or add --skip-bids-validation."
    if not path.is_file():
        raise InputError(str(dataset), "no dataset_description.json", "a BIDS dataset", fix)
    described = read_json(path)
    missing = [
        name for name in ("Name", "BIDSVersion") if not (isinstance(described, dict) and described.get(name))
    ]
    if missing:
        raise InputError(str(path), f"no {' and no '.join(missing)}", "both", fix)
