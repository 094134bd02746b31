"""As many workers as fit into the memory, and a limit that each of them is held to."""

from __future__ import annotations

import contextlib
import logging
import resource
from collections.abc import Iterator

from brainclock.errors import InputError

logger = logging.getLogger("brainclock")

#: What one worker may need, GB: a head of 0.7 mm takes 1.5 with the shipped models.
WORKER_GB = 2.0
#: What the process that hands out the scans needs beside its workers, GB.
DRIVER_GB = 1.0


def workers_within(workers: int, memory_gb: float) -> int:
    """Return how many of the workers fit into so much memory; the log says if they are fewer.

    One worker is the process itself; several need a process beside them that hands out the scans.

    Raises
    ------
    InputError
        Not even one fits.
    """
    if memory_gb < WORKER_GB:
        fix = "Give more, or leave the limit out."
        raise InputError("--mem-gb", f"{memory_gb:g} GB", f"{WORKER_GB:g} GB or more for a scan", fix)
    fitting = max(1, min(workers, int((memory_gb - DRIVER_GB) // WORKER_GB)))
    if fitting < workers:
        logger.warning("%g GB are enough for %d of %d processes.", memory_gb, fitting, workers)
    return fitting


def share_of(memory_gb: float, workers: int) -> float:
    """Return what each of so many workers may use, GB."""
    return memory_gb if workers == 1 else (memory_gb - DRIVER_GB) / workers


@contextlib.contextmanager
def memory_limit(gigabytes: float | None) -> Iterator[None]:
    """Hold this process to so much memory of its own (``RLIMIT_DATA``); beyond it, allocations fail."""
    if gigabytes is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(gigabytes * 1e9)
    if before[1] != resource.RLIM_INFINITY:
        wanted = min(wanted, before[1])
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
