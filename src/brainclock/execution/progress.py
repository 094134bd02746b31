"""How far it is, and how long it will take, on a terminal."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(
    total: int, description: str, *, done: int = 0, show: bool = True
) -> Iterator[Callable[[], None]]:
    """Give a function that moves the bar on by one.

    Parameters
    ----------
    total : int
        Items; for one or none there is no bar.
    description : str
        Stands before the bar.
    done : int
        Items done by an earlier run.
    show : bool
        Draw the bar, on stderr, with the time left; never where stderr is not a terminal, nor in a worker
        process, beside the bar of its parent.
    """
    worker = multiprocessing.current_process().daemon
    if not (show and total > 1 and sys.stderr.isatty() and not worker):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left"), TimeLeft(elapsed_when_finished=False))
    with Progress(*columns, *times, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda: bar.advance(task)
