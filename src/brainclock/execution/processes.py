"""Scans in local processes, each with its share of the cores.

Not :mod:`concurrent.futures`: there, one worker that dies breaks the pool and takes the scans of all
others with it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from brainclock.errors import InputError
from brainclock.execution.memory import memory_limit
from brainclock.execution.outcome import Outcome, attempt

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("brainclock")

#: What numerical libraries read, when they are loaded, to size their thread pools.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)

_READY = "ready"


@dataclass(slots=True, eq=False)
class _Worker:
    """One process, the pipe to it, and the item that it holds."""

    process: BaseProcess
    connection: Connection[Any, Any]
    ready: bool = False
    index: int = -1
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class _Bug:
    """An exception on its way from a worker to the parent."""

    error: Exception


def _serve(function: Callable[[Any], Any], connection: Connection[Any, Any], memory_gb: float | None) -> None:
    """Body of a worker process: answer items until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    connection.send(_READY)
    with memory_limit(memory_gb):
        _answer_all(function, connection)


def _answer_all(function: Callable[[Any], Any], connection: Connection[Any, Any]) -> None:
    while True:
        try:
            key, item = connection.recv()
        except EOFError:
            return
        reply: object
        try:
            reply = attempt(function, key, item)
            message = pickle.dumps(reply)
        except Exception as error:  # noqa: BLE001  raised again in the parent, see _Crew.hear
            message = pickle.dumps(_Bug(_portable(error)))
        connection.send_bytes(message)


def _portable(error: Exception) -> Exception:
    """Return the error as it can cross to another process, its traceback kept as a note."""
    error.add_note("In the worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    except Exception:  # noqa: BLE001  whatever an exception's class does when it is copied
        substitute = RuntimeError(f"{type(error).__name__}: {error}")
        for note in error.__notes__:
            substitute.add_note(note)
        return substitute
    return error


def _start_worker(function: Callable[[Any], Any], threads: int, memory_gb: float | None) -> _Worker:
    """Start a process whose numerical libraries use so many threads, held to so much memory."""
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of BLAS hold
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(function, theirs, memory_gb), daemon=True)
    with _thread_budget(threads), _interrupt_held_back():
        process.start()
    theirs.close()  # else the end of the worker would not be seen
    return _Worker(process, ours)


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Keep Ctrl-C waiting; a process started meanwhile keeps it waiting until it knows what to do with it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _thread_budget(threads: int) -> Iterator[None]:
    """Limit the thread pools of processes that are started meanwhile; a lower limit stays."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    for name, value in before.items():
        given = int(value) if value and value.isdecimal() else 0
        os.environ[name] = str(min(given, threads) or threads)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


class _Crew(Generic[T, R]):
    """Worker processes, and what is still to be done."""

    def __init__(
        self,
        function: Callable[[T], R],
        keys: Sequence[str],
        items: Sequence[T],
        workers: int,
        memory_gb: float | None,
    ) -> None:
        self.function, self.keys, self.items, self.workers = function, keys, items, workers
        self.memory_gb = memory_gb
        self.threads = max(1, len(os.sched_getaffinity(0)) // workers)
        self.waiting = deque(range(len(items)))
        self.alone: deque[int] = deque()  # their worker died: they run again with nothing beside them
        self.tried: set[int] = set()
        self.idle: list[_Worker] = []
        self.busy: dict[Any, _Worker] = {}
        self.stillborn = 0

    def hand_out(self) -> bool:
        """Give work to whoever may have it; return whether anything is still to come."""
        if self.alone and not self.busy:
            self._give(self.alone.popleft())
        exclusive = self.alone or any(worker.index in self.tried for worker in self.busy.values())
        while self.waiting and not exclusive and len(self.busy) < self.workers:
            self._give(self.waiting.popleft())
        return bool(self.busy)

    def _give(self, index: int) -> None:
        if not self.idle:
            self.idle.append(_start_worker(self.function, self.threads, self.memory_gb))
        worker = self.idle.pop()
        worker.index, worker.since = index, time.perf_counter()
        self.busy[worker.connection] = worker
        with contextlib.suppress(OSError):  # it died meanwhile: the end of its pipe is heard next
            worker.connection.send((self.keys[index], self.items[index]))

    def hear(self) -> Iterator[tuple[int, Outcome[R]]]:
        """Wait for news and yield the outcomes among them."""
        for connection in wait(list(self.busy)):
            worker = self.busy[connection]
            try:
                reply = worker.connection.recv()
            except (EOFError, OSError):
                del self.busy[connection]
                yield from self._bury(worker)
                continue
            if isinstance(reply, _Bug):
                raise reply.error
            if reply == _READY:
                worker.ready = True
                self.stillborn = 0
            else:
                self.idle.append(self.busy.pop(connection))
                yield worker.index, reply

    def _bury(self, worker: _Worker) -> Iterator[tuple[int, Outcome[R]]]:
        """Give the item of a dead worker one more attempt, alone; after that it has failed."""
        worker.process.join()
        key, code = self.keys[worker.index], worker.process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        if not worker.ready:
            self.stillborn += 1
            if self.stillborn > 1:
                raise InputError(
                    "A worker process",
                    f"that it was {how} while it started",
                    "that it starts",
                    "Use --workers 1; in a script, call brainclock under: if __name__ == '__main__'.",
                )
            (self.alone if worker.index in self.tried else self.waiting).appendleft(worker.index)
        elif worker.index not in self.tried:
            logger.warning("%s: its process was %s; it is tried once more, alone.", key, how)
            self.tried.add(worker.index)
            self.alone.append(worker.index)
        else:
            failure = (
                f"{key}: the process that worked on it was {how}, twice. "
                "Most often the memory was full: use a machine with more, or look at the scan's size."
            )
            yield worker.index, Outcome(key, None, failure, time.perf_counter() - worker.since)

    def dismiss(self) -> None:
        """End all processes: the idle ones by the end of their pipe, the others by a signal."""
        for worker in self.busy.values():
            worker.process.terminate()
        for worker in (*self.idle, *self.busy.values()):
            worker.connection.close()
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def in_processes(
    function: Callable[[T], R],
    keys: Sequence[str],
    items: Sequence[T],
    workers: int,
    memory_gb: float | None = None,
) -> Generator[tuple[int, Outcome[R]]]:
    """Yield the index and outcome of each item as they come from ``workers`` processes.

    ``memory_gb``: what each of them is held to.
    """
    crew = _Crew(function, keys, items, workers, memory_gb)
    try:
        while crew.hand_out():
            yield from crew.hear()
    finally:
        crew.dismiss()
