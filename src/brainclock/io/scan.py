"""What is known about one scan before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scan:
    """One T1w image on disk, and what the tables beside it say of the person.

    Parameters
    ----------
    key : str
        Unique among the scans of a run, safe as a file name: ``sub-01_ses-2_run-1``. Names every output.
    participant_id : str
        ``sub-01``; for a loose file, made from its name.
    path : Path
        The image.
    session_id : str or None
        ``ses-2``.
    mask_path : Path or None
        A brain mask given by the user.
    in_template : bool
        The scan says that it lies in MNI152 space: it is not registered again.
    stripped : bool
        The scan says that the skull is gone (``desc-brain``).
    age : float or None
        Chronological age at the scan, years. Never enters a prediction.
    age_censored : bool
        The age was written ``89+``: at least so many years.
    sex : {'F', 'M', 'n/a'}
    site, group : str or None
        ``group`` is HC for healthy people; None where no table says.
    """

    key: str
    participant_id: str
    path: Path
    session_id: str | None = None
    mask_path: Path | None = None
    in_template: bool = False
    stripped: bool = False
    age: float | None = None
    age_censored: bool = False
    sex: str = "n/a"
    site: str | None = None
    group: str | None = None
