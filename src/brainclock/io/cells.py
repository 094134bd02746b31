"""Cells of a table about people: age, sex, group, names. A doubtful age is an error, never a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from brainclock.errors import InputError
from brainclock.io.tables import MISSING

MAX_AGE_YEARS = 125.0

#: Cells that say nothing: BIDS writes ``n/a``, R ``NA``, pandas ``NaN``.
UNKNOWN = frozenset({"", "n/a", "na", "nan", "none", "null"})

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_YEARS_IN = {"year": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}
_UNITS = {"y": "year", "yr": "year", "yrs": "year", "a": "year", "mo": "month", "wk": "week", "d": "day"}
_SEX = {"f": "F", "female": "F", "m": "M", "male": "M", "o": MISSING, "other": MISSING}
_HEALTHY = frozenset(
    (
        *(
            "hc",
            "cn",
            "nc",
            "hv",
            "td",
            "con",
            "ctl",
            "ctrl",
            "control",
            "normal",
            "normalcontrol",
            "unimpaired",
        ),
        *("healthy", "healthycontrol", "healthyvolunteer", "healthysubject", "nondemented"),
        *("cognitivelynormal", "cognitivelyunimpaired", "typicallydeveloping"),
    )
)


@dataclass(frozen=True, slots=True)
class Age:
    """An age in years; ``censored`` where the table hides it behind ``89+``: at least so many."""

    years: float
    censored: bool = False


def parse_age(text: str, *, where: str, units: str = "years") -> Age | None:
    """Read one cell.

    Parameters
    ----------
    text : str
        ``63.5``, ``89+``, ``n/a``.
    where : str
        The cell, for messages.
    units : str
        Declared unit: years, months, weeks or days.

    Returns
    -------
    Age or None
        None where the cell says that it isn't known.

    Raises
    ------
    InputError
        The cell is no number, or no age from 0 to 125 years; the unit isn't known.
    """
    text = text.strip()
    if text.casefold() in UNKNOWN:
        return None
    expected = f"an age in {units} such as 63.5 or 89+, or n/a"
    number = text.removesuffix("+").rstrip()
    if not _NUMBER.fullmatch(number):
        fix = "Write n/a if it is unknown."
        if _NUMBER.fullmatch(number.replace(",", ".")):
            fix = f"Write a decimal point: {number.replace(',', '.')}."
        raise InputError(where, repr(text), expected, fix)
    years = float(number) * _years_in(units, where)
    if not 0 <= years <= MAX_AGE_YEARS:
        fix = "Write n/a if it is unknown; declare months as Units in the JSON beside the table."
        raise InputError(where, repr(text), f"{expected}, from 0 to {MAX_AGE_YEARS:g} years", fix)
    return Age(years, censored=text.endswith("+"))


def parse_sex(text: str, levels: Mapping[str, str]) -> str | None:
    """Return F, M or n/a; None where the cell is neither that nor declared by ``levels``."""
    text = levels.get(text.strip(), text).strip().casefold()
    return MISSING if text in UNKNOWN else _SEX.get(text)


def participant_label(text: str, *, where: str) -> str:
    """Return ``sub-01`` for ``sub-01``, ``01`` or ``0-1``; raises `InputError` where nothing is left."""
    return _label("sub-", text, where)


def session_label(text: str, *, where: str) -> str | None:
    """Return ``ses-2`` for ``ses-2`` or ``2``; None for ``n/a``."""
    return None if text.strip().casefold() in UNKNOWN else _label("ses-", text, where)


def is_healthy(group: str | None) -> bool:
    """Whether a group means healthy people.

    ``HC``, ``control``, ``CN`` and their like, and None: no table speaks of groups. Everything else,
    ``n/a`` too, is not known to be healthy.
    """
    if group is None:
        return True
    name = re.sub(r"[\s_-]", "", group.casefold())
    return name in _HEALTHY or name.removesuffix("s") in _HEALTHY


def _label(prefix: str, text: str, where: str) -> str:
    text = text.strip()
    if text.casefold().startswith(prefix):
        text = text[len(prefix) :]
    label = re.sub(r"[^A-Za-z0-9+]", "", text)
    if not label:
        expected = f"letters and digits, as in {prefix}01"
        raise InputError(where, repr(text), expected, "Name everybody with letters and digits.")
    return prefix + label


def _years_in(units: str, where: str) -> float:
    name = units.strip().casefold()
    name = _UNITS.get(name, name.removesuffix("s"))
    if name not in _YEARS_IN:
        fix = "Declare one of these in the JSON beside the table."
        raise InputError(where, f"ages in {units!r}", "years, months, weeks or days", fix)
    return _YEARS_IN[name]
