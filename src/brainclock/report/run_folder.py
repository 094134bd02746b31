"""What ``brainclock predict`` left in a folder, as its pages need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from brainclock.config import PrepareSettings
from brainclock.errors import InputError
from brainclock.io.read import read_json
from brainclock.io.tables import Row, read_table
from brainclock.model.card import ModelFacts

_AGAIN = "Give the folder that brainclock predict wrote, or run it again."
_COLUMNS = frozenset({"participant_id", "key", "path", "predicted_age", "status", "reason", "flags"})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What all scans of a run share.

    Parameters
    ----------
    out : Path
    model : ModelFacts
    settings : PrepareSettings
    versions : mapping of str to str
    kept_more : bool
        What lies in ``.report`` is of this run.
    """

    out: Path
    model: ModelFacts
    settings: PrepareSettings
    versions: Mapping[str, str]
    kept_more: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One scan of a run: its row, and the SHA-256 of its image (None: it could not be read)."""

    row: Row
    sha256: str | None


def read_run(out: Path) -> tuple[RunFacts, list[Entry]]:
    """Return what all scans of a run share, and each scan in the order of the table.

    Raises
    ------
    InputError
        There is no whole run of ``brainclock predict`` in the folder.
    """
    run = read_json(out / "run.json")
    where = str(out / "run.json")
    if not isinstance(run, dict) or run.get("command") != "predict":
        found = f"a run of {run.get('command')}" if isinstance(run, dict) else "no run"
        raise InputError(where, found, "one of predict", _AGAIN)
    try:
        facts = RunFacts(
            out=out,
            model=ModelFacts.model_validate(run["model"]),
            settings=PrepareSettings.model_validate(run["settings"]),
            versions={str(name): str(number) for name, number in run["versions"].items()},
            kept_more=bool(run["kept_more"]),
        )
        hashes = {str(key): known["sha256"] for key, known in run["inputs"].items()}
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        found = f"a run that lacks something ({str(error).splitlines()[0]})"
        raise InputError(where, found, "a run of this version of brainclock", _AGAIN) from None
    rows = read_table(out / "predictions.tsv")
    missing = sorted(_COLUMNS - rows[0].keys()) if rows else ["rows"]
    if missing:
        found = f"no {', '.join(missing)}"
        raise InputError(str(out / "predictions.tsv"), found, "a table of predict", _AGAIN)
    return facts, [Entry(row, hashes.get(row["key"])) for row in rows]


def number(row: Row, column: str) -> float | None:
    """Return a cell as a number; None where there is none.

    Raises
    ------
    InputError
        The cell is something else.
    """
    text = row.get(column, "n/a")
    if text == "n/a":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(row.where(column), repr(text), "a number or n/a", _AGAIN) from None
