"""Scans on a Dask cluster, found by the address of its scheduler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TypeVar

from brainclock.errors import InputError
from brainclock.execution.outcome import Outcome, attempt

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("brainclock")

#: Seconds to wait for a scheduler to answer.
SCHEDULER_TIMEOUT_S = 10.0


def on_cluster(
    function: Callable[[T], R], keys: Sequence[str], items: Sequence[T], address: str
) -> Generator[tuple[int, Outcome[R]]]:
    """Yield the index and outcome of each item as they come from the cluster at ``address``."""
    try:
        from distributed import CancelledError, Client, KilledWorker, as_completed
        from distributed.comm import parse_address, parse_host_port
        from distributed.comm.registry import get_backend
    except ImportError:
        fix = "Install it: pip install 'brainclock[cluster]'."
        raise InputError(f"--scheduler {address}", "no dask.distributed", "it installed", fix) from None
    try:
        scheme, place = parse_address(address)  # a client that refuses its address leaves a traceback behind
        get_backend(scheme)
        parse_host_port(place)
        client = Client(address, timeout=SCHEDULER_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        fix = "Check the address and that the scheduler runs."
        expected = "a Dask scheduler such as tcp://host:8786"
        raise InputError(f"--scheduler {address}", f"no answer ({error})", expected, fix) from None
    with client:
        if not client.scheduler_info()["workers"]:
            logger.warning("The cluster at %s has no workers yet; waiting for them.", address)
        futures = client.map(partial(attempt, function), keys, items, pure=False)
        index = {future.key: i for i, future in enumerate(futures)}
        results = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
        del futures  # what has been fetched is forgotten, so that a dying worker cannot make it run again
        try:
            for future, result in results:
                i = index[future.key]
                if future.status == "finished":
                    yield i, result
                    continue
                problem = result[1] if isinstance(result, tuple) else result
                if isinstance(problem, CancelledError):
                    fix = "Start again: what is done is not done again."
                    raise InputError(f"--scheduler {address}", "that it went away", "it to stay", fix)
                if not isinstance(problem, KilledWorker):
                    raise problem
                failure = f"{keys[i]}: the workers that tried it died. Most often the memory was full."
                yield i, Outcome(keys[i], None, failure, float("nan"))
        finally:
            results.clear()
