"""What became of one scan, and the one place where an error turns into a value."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from brainclock.errors import BrainclockError, OutputError, ScanRefused

T = TypeVar("T")
R = TypeVar("R")

_WANT_OF_MEMORY = re.compile(r"allocate memory|not enough memory|out of memory|bad[_ ]alloc", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What became of one scan.

    Parameters
    ----------
    key : str
        The scan's key.
    value : R or None
        What the function returned; None where it failed.
    failure : str or None
        Why there is no value, as a sentence for the user; None where it went well.
    seconds : float
        Time that the function took.
    figures : mapping of str to float
        Quality measures of a scan that a gate refused.
    """

    key: str
    value: R | None
    failure: str | None
    seconds: float
    figures: Mapping[str, float] = field(default_factory=dict)


def attempt(function: Callable[[T], R], key: str, item: T) -> Outcome[R]:
    """Call the function; what is wrong with the scan becomes a value, a bug is raised with the key.

    An `OutputError` is raised, too: a full disk is not the scan's fault, and the next scan would not fare
    better.
    """
    start = time.perf_counter()
    try:
        value = function(item)
    except OutputError:
        raise
    except BrainclockError as error:
        figures = error.figures if isinstance(error, ScanRefused) else {}
        return Outcome(key, None, str(error), time.perf_counter() - start, figures)
    except Exception as error:
        if _is_want_of_memory(error):
            failure = f"{key}: needed more memory than there is. Use fewer workers or a larger machine."
            return Outcome(key, None, failure, time.perf_counter() - start)
        error.add_note(f"This happened while working on {key}.")
        raise
    return Outcome(key, value, None, time.perf_counter() - start)


def _is_want_of_memory(error: Exception) -> bool:
    """Whether memory could not be had; torch and ITK say so by a RuntimeError."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _WANT_OF_MEMORY.search(str(error)) is not None
    )
