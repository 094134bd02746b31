"""The one way to run a function over many scans."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

from brainclock.errors import InputError
from brainclock.execution.cluster import on_cluster
from brainclock.execution.memory import memory_limit, share_of, workers_within
from brainclock.execution.outcome import Outcome, attempt
from brainclock.execution.processes import in_processes
from brainclock.execution.progress import progress_bar

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("brainclock")


def map_scans(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    key: Callable[[T], str],
    workers: int = 1,
    scheduler: str | None = None,
    memory_gb: float | None = None,
    description: str = "",
    progress: bool = True,
) -> Iterator[Outcome[R]]:
    """Yield the outcome of ``function`` for each item, in the order of the items.

    Parameters
    ----------
    function : callable
        Called with one item. For processes and clusters it must be importable by its name (a
        :func:`functools.partial` of such a function will do). It may run twice for an item if a
        worker dies, so its files must be written atomically.
    items : sequence
        The scans.
    key : callable
        Names an item, for outcomes and messages.
    workers : int
        Local processes; 1 runs in this process. Each gets an equal share of the cores.
    scheduler : str or None
        Address of a Dask scheduler, ``tcp://host:8786``; ``workers`` then does not matter. Start Dask
        workers with one thread each.
    memory_gb : float or None
        What the processes on this machine may use together, GB: there are no more of them than fit, and
        each is held to its share. None sets no limit.
    description : str
        Stands before the progress bar.
    progress : bool
        Draw a progress bar, if stderr is a terminal and the log is not silent about warnings.

    Yields
    ------
    Outcome
        A `BrainclockError` or `MemoryError` of the function, or the death of its worker (after one
        more attempt with nothing beside it), is a failure. An `OutputError` ends the run: the rest is
        cancelled. So does any other exception; it is a bug, and is raised with a note that names the scan.

    Raises
    ------
    InputError
        ``workers`` is below 1; ``memory_gb`` is too little for one; Dask is not installed; no scheduler
        answers at the address.
    OutputError
        The function could not write a file.
    """
    if workers < 1:
        raise InputError("--workers", workers, "1 or more", "Leave it out to use one process.")
    keys = [key(item) for item in items]
    done: Generator[tuple[int, Outcome[R]]]
    workers, share = min(workers, max(1, len(items))), None
    if memory_gb is not None and scheduler is None:
        workers = workers_within(workers, memory_gb)
        share = share_of(memory_gb, workers)
    if scheduler is not None:
        done = on_cluster(function, keys, items, scheduler)
    elif workers > 1:
        done = in_processes(function, keys, items, workers, share)
    else:
        done = _here(function, keys, items, share)
    return _in_order(done, len(items), description, progress)


def _in_order(
    done: Generator[tuple[int, Outcome[R]]], total: int, description: str, progress: bool
) -> Iterator[Outcome[R]]:
    """Log and count outcomes as they come, pass them on in the order of the items."""
    early: dict[int, Outcome[R]] = {}
    following = 0
    with contextlib.closing(done), progress_bar(total, description, show=progress) as advance:
        for count, (index, outcome) in enumerate(done, start=1):
            place = f"{outcome.seconds:.1f} s ({count} of {total})"
            if outcome.failure is None:
                logger.info("%s: done in %s", outcome.key, place)
            else:
                logger.warning("%s: failed after %s: %s", outcome.key, place, outcome.failure)
            advance()
            early[index] = outcome
            while following in early:
                yield early.pop(following)
                following += 1


def _here(
    function: Callable[[T], R], keys: Sequence[str], items: Sequence[T], memory_gb: float | None
) -> Generator[tuple[int, Outcome[R]]]:
    for index, item in enumerate(items):
        with memory_limit(memory_gb):
            outcome = attempt(function, keys[index], item)
        yield index, outcome
