"""Workers within a limit of memory."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.execution import map_scans
from brainclock.execution.memory import (
    DRIVER_GB,
    WORKER_GB,
    memory_limit,
    share_of,
    workers_within,
)


@pytest.fixture(autouse=True)
def _importable_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.mark.parametrize("workers", [1, 2, 8, 64])
@pytest.mark.parametrize("memory_gb", [2.0, 3.0, 5.0, 16.0, 500.0])
def test_no_more_workers_than_fit_and_each_has_enough(workers: int, memory_gb: float) -> None:
    fitting = workers_within(workers, memory_gb)
    assert 1 <= fitting <= workers
    share = share_of(memory_gb, fitting)
    assert share >= WORKER_GB
    assert fitting * share + (DRIVER_GB if fitting > 1 else 0) <= memory_gb
    if fitting < workers:
        assert DRIVER_GB + (fitting + 1) * WORKER_GB > memory_gb


def test_too_little_for_one_is_refused_before_anything_runs(tmp_path: Path) -> None:
    import chores as work

    with pytest.raises(InputError, match=r"--mem-gb: found 1.5 GB, expected 2 GB or more"):
        map_scans(work.write, [("a", tmp_path)], key=work.name_of, memory_gb=1.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count this limit otherwise")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_scan_that_needs_more_than_its_share_fails_and_no_other(tmp_path: Path, workers: int) -> None:
    import chores as work

    before = resource.getrlimit(resource.RLIMIT_DATA)
    items = work.chores_of_size(tmp_path, [0, 6, 0, 0])  # GB
    outcomes = list(map_scans(work.fill, items, key=work.name_of, workers=workers, memory_gb=5.0))
    assert [o.value for o in outcomes] == ["a0", None, "a2", "a3"]
    assert "needed more memory than there is" in str(outcomes[1].failure)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_without_a_limit_nothing_changes() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.parametrize("said", ["DefaultCPUAllocator: can't allocate memory", "std::bad_alloc"])
def test_what_torch_and_itk_say_is_want_of_memory_too(tmp_path: Path, said: str) -> None:
    def fail(_: tuple[str, Path]) -> None:
        raise RuntimeError(said)

    (outcome,) = map_scans(fail, [("a", tmp_path)], key=lambda item: item[0])
    assert "needed more memory" in str(outcome.failure)
