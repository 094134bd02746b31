from __future__ import annotations

import multiprocessing
import sys

import pytest

from brainclock.execution.progress import progress_bar


class _Terminal:
    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        raise AssertionError(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("daemon", [True, False])
def test_a_worker_draws_no_bar_beside_that_of_its_parent(monkeypatch, daemon):
    drawn = []
    monkeypatch.setattr(sys, "stderr", _Terminal())
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", daemon)
    monkeypatch.setattr("rich.progress.Progress.__enter__", lambda self: drawn.append(self) or self)
    monkeypatch.setattr("rich.progress.Progress.__exit__", lambda *_: None)
    with progress_bar(3, "train") as advance:
        advance()
    assert bool(drawn) is not daemon
