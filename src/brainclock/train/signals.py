"""Signals that end the process wait until the step is done and kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def held_back(wanted: bool = True) -> Iterator[Callable[[], bool]]:
    """Hold back SIGTERM and Ctrl-C until the block ends, and give a function that says whether one came.

    The signal then has the effect that it had before; a second one does not wait. Signals belong to
    the main thread: elsewhere, and with ``wanted`` false, nothing is held back.
    """
    came: list[int] = []
    if not (wanted and threading.current_thread() is threading.main_thread()):
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in _ENDING}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)
        restore()

    for number in _ENDING:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        restore()
    if came:
        signal.raise_signal(came[0])
        raise SystemExit(128 + came[0])  # it was being ignored, but the work is not done
