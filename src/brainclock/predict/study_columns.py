"""Where large public studies keep what the analysis of the gap needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _same(label: str) -> str:
    return label.casefold()


def _adni_visit(label: str) -> str:
    """Return the month of a visit: 0 for ``bl``, ``sc``, ``M000``; 6 for ``m06``, ``M006``, ``M06``."""
    label = label.casefold()
    if label in ("bl", "sc", "scmri"):
        return "0"
    month = re.fullmatch(r"m(\d+)", label)
    return str(int(month[1])) if month else label


@dataclass(frozen=True, slots=True)
class StudyColumns:
    """Names of columns in a table of people, and how to read them.

    Parameters
    ----------
    participant_id, session_id, age, sex, site, group : tuple of str
        Names of each column, the first that a table has counts; letter case does not matter.
    years_since : tuple of str
        Columns with the years that passed since ``age`` was taken; added to it.
    groups : mapping of str to str
        Spellings of groups, folded, to the names used here.
    sexes : mapping of str to str
        Spellings of sex, folded, to F and M.
    prefix : str
        What a BIDS conversion puts before the id: ``ADNI`` in ``sub-ADNI002S0295``.
    session_key : callable
        Makes equal what means the same visit, from the label without ``ses-``.
    """

    participant_id: tuple[str, ...] = ("participant_id",)
    session_id: tuple[str, ...] = ("session_id",)
    age: tuple[str, ...] = ("age",)
    sex: tuple[str, ...] = ("sex", "gender")
    site: tuple[str, ...] = ("site",)
    group: tuple[str, ...] = ("group", "diagnosis", "dx")
    years_since: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    sexes: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    session_key: Callable[[str], str] = _same


#: Column maps by name. ADNI: ADNIMERGE.csv; PPMI: the curated data cut.
COLUMN_MAPS: dict[str, StudyColumns] = {
    "bids": StudyColumns(),
    "adni": StudyColumns(
        participant_id=("PTID",),
        session_id=("VISCODE2", "VISCODE"),
        age=("AGE",),
        years_since=("Years_bl", "Years.bl"),
        sex=("PTGENDER",),
        site=("SITE",),
        group=("DX", "DX_bl", "DX.bl"),
        groups={
            "cn": "HC",
            "nl": "HC",
            "smc": "SMC",
            "emci": "MCI",
            "lmci": "MCI",
            "mci": "MCI",
            "dementia": "AD",
            "ad": "AD",
        },
        prefix="ADNI",
        session_key=_adni_visit,
    ),
    "ppmi": StudyColumns(
        participant_id=("PATNO",),
        session_id=("EVENT_ID",),
        age=("age_at_visit", "age"),
        sex=("SEX",),
        site=("SITE",),
        group=("COHORT",),
        groups={
            "1": "PD",
            "2": "HC",
            "3": "SWEDD",
            "4": "prodromal",
            "parkinson's disease": "PD",
            "healthy control": "HC",
        },
        sexes={"0": "F", "1": "M"},
        prefix="PPMI",
    ),
}
