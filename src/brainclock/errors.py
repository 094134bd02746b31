"""What can go wrong, as the user sees it.

::

    BrainclockError              which thing, what was found, what was expected, what to do
    ├── InputError (ValueError)  a file, table, cell, option or array that cannot be used
    ├── ConfigError (ValueError) a setting that does not exist or has an impossible value
    ├── ModelError               a model folder that is incomplete, changed or unfit for the scan
    ├── OutputError (OSError)    an output that cannot be written
    └── ScanRefused              a scan that failed a quality gate: the reason and the figures

Only these reach the user; anything else is a bug and stays a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping


class BrainclockError(Exception):
    """Root of all errors that are meant for the user."""


class InputError(BrainclockError, ValueError):
    """Something that was given cannot be used.

    Parameters
    ----------
    where : str
        The thing: a path, a table cell (``participants.tsv:2, column age``), an option.
    found : object
        What was found there.
    expected : str
        What was expected.
    fix : str
        What to do next, as a full sentence.
    """

    def __init__(self, where: str, found: object, expected: str, fix: str) -> None:
        super().__init__(where, found, expected, fix)
        self.where, self.found, self.expected, self.fix = where, found, expected, fix

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}, expected {self.expected}. {self.fix}"


class ConfigError(BrainclockError, ValueError):
    """A setting that does not exist or has an impossible value."""


class ModelError(BrainclockError):
    """A model folder that is incomplete, was changed, or does not fit the scan."""


class OutputError(BrainclockError, OSError):
    """An output that cannot be written (no space, no permission, not a folder)."""


class ScanRefused(BrainclockError):
    """A scan failed a quality gate: it gets a reason and figures, never an age.

    Parameters
    ----------
    gate : str
        Name of the gate, for example ``brain_volume``.
    reason : str
        One sentence with the figure and the limit.
    figures : mapping of str to float
        Quality measures known when the scan was refused.
    """

    def __init__(self, gate: str, reason: str, figures: Mapping[str, float] | None = None) -> None:
        super().__init__(gate, reason, dict(figures or {}))
        self.gate, self.reason, self.figures = gate, reason, dict(figures or {})

    def __str__(self) -> str:
        return f"{self.gate}: {self.reason}"
